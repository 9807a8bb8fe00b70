from __future__ import annotations

import json
from pathlib import Path

import pytest

from systolith.golden.network.shipped import names
from systolith.scripts.benchmarks import accuracy_by_width
from systolith.scripts.benchmarks.accuracy_by_width import (
    METHODS,
    VARIANTS,
    WIDTHS,
    Line,
    Validated,
    chosen,
)

BEST = "entropy, bias correction"


def validated(network: str, best: str = BEST) -> list[Validated]:
    """One method is best, and a variant, which cannot be chosen, is better."""
    right = {best: 60, next(iter(VARIANTS)): 70}
    return [
        Validated(network, method, bits, 100, right.get(method, 50))
        for method in (*METHODS, *VARIANTS)
        for bits in WIDTHS
    ]


def test_the_method_with_most_right_is_chosen() -> None:
    assert chosen(validated("lenet5")) == BEST
    assert chosen([*validated("lenet5"), *validated("lenet5-relu", "mse")]) in (BEST, "mse")
    assert chosen([*validated("a"), *validated("b", "mse"), *validated("c", "mse")]) == "mse"


def lines_of(network: str, by_bits: dict[int, int]) -> list[Line]:
    """9,940 of 10,000 are right in float and at every width that is not given."""
    real = Line(network, None, 10_000, 9940, 1.0, None)
    lines = [
        Line(network, bits, 10_000, by_bits.get(bits, 9940), 0.99, 1000 * bits) for bits in WIDTHS
    ]
    return [real, *lines]


@pytest.mark.parametrize(
    ("by_bits", "status"),
    [
        ({}, 0),
        ({8: 9932, 6: 9900, 4: 9840}, 0),
        ({8: 9931}, 0),
        ({8: 9912}, 1),
        ({4: 9821}, 0),
        ({4: 9819}, 1),
        ({3: 1000}, 0),
    ],
)
def test_what_is_written_and_what_counts_as_failure(
    by_bits: dict[int, int],
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = []

    def measure(network: str, method: str, images: int | None) -> list[Line]:
        asked.append((network, method))
        return lines_of(network, by_bits)

    monkeypatch.setattr(accuracy_by_width, "names", lambda: ("lenet5",))
    monkeypatch.setattr(accuracy_by_width, "validate", lambda network, _: validated(network))
    monkeypatch.setattr(accuracy_by_width, "measure", measure)
    paths = [tmp_path / "a.json", tmp_path / "a.md"]
    arguments = ["--images", "5", "--out", str(paths[0]), "--out", str(paths[1])]
    assert accuracy_by_width.main(arguments) == status
    assert asked == [("lenet5", BEST)]
    value = json.loads(paths[0].read_text())
    assert value["method"] == BEST
    assert value["settings"] == {"calibration": "entropy", "bias_correction": True}
    at_four = next(each for each in value["test"] if each["bits"] == 4)
    assert at_four["accuracy"] == by_bits.get(4, 9940) / 10_000
    assert at_four["interval"][0] < at_four["accuracy"] < at_four["interval"][1]
    text = paths[1].read_text()
    assert "| `lenet5` | float | 0.9940 | 0.9923 to 0.9953 | 1.0000 |  |" in text
    assert f"| `lenet5` | 4 | 0.9840 | {at_four['accuracy']:.4f} |" in text
    assert f"| `lenet5` | 8 | 0.9932 | {by_bits.get(8, 9940) / 10_000:.4f} |" in text


def test_networks_are_quantized_by_the_method(monkeypatch: pytest.MonkeyPatch) -> None:
    network = names()[-1]
    monkeypatch.setattr(accuracy_by_width, "WIDTHS", (8, 2))
    lines = list(accuracy_by_width.measure(network, "minmax", 50))
    assert [(each.bits, each.images) for each in lines] == [(None, 50), (8, 50), (2, 50)]
    assert [each.weight_bits_total for each in lines] == [None, 8 * 61_470, 2 * 61_470]
    assert lines[0].agreement_with_float == 1
    assert lines[1].accuracy > lines[2].accuracy

    monkeypatch.setattr(accuracy_by_width, "METHODS", {"minmax": METHODS["minmax"]})
    monkeypatch.setattr(accuracy_by_width, "VARIANTS", {})
    found = list(accuracy_by_width.validate(network, 50))
    assert [(each.method, each.bits, each.images) for each in found] == [
        ("minmax", 8, 50),
        ("minmax", 2, 50),
    ]
    assert found[0].correct > found[1].correct


@pytest.mark.parametrize("options", [["--out", "p.txt"], ["--images", "0"], ["--images", "5001"]])
def test_bad_options(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        accuracy_by_width.main(options)
    assert ended.value.code == 2
    assert options[0] in capsys.readouterr().err
