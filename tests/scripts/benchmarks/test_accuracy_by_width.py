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


def test_targets_are_those_of_each_network_and_width() -> None:
    """At 8 bits it is the accuracy in floats minus 0.0008, of the network itself."""
    lines = [
        Line(network, bits, 10_000, right + (bits or 0), 1.0, None)
        for network, right in (("lenet5-relu", 9950), ("lenet5", 9930), ("lenet5-sigmoid", 9900))
        for bits in (None, 8, 6, 5, 4)
    ]
    assert [
        (line.network, line.bits, line.correct, least)
        for line, least in accuracy_by_width.targets(lines)
    ] == [
        ("lenet5-relu", 8, 9958, 0.9942),
        ("lenet5-relu", 5, 9955, 0.9920),
        ("lenet5-relu", 4, 9954, 0.9900),
        ("lenet5", 8, 9938, 0.9922),
        ("lenet5", 6, 9936, 0.9900),
        ("lenet5", 4, 9934, 0.9840),
    ]


def test_each_method_of_each_network_has_its_own_row() -> None:
    """The n-th method has n of 1,000 right, and a tenth of it more at each width."""
    found = [
        Validated(network, method, bits, 1000, 10 * number + place + shift)
        for network, shift in (("a", 0), ("b", 500))
        for number, method in enumerate((*METHODS, *VARIANTS), 1)
        for place, bits in enumerate(WIDTHS)
    ]
    text = accuracy_by_width.to_markdown({"a": 0.5, "b": 0.75}, found, lines_of("a", {}))
    for network, accuracy, shift in (("a", "0.5000", 0), ("b", "0.7500", 500)):
        _, _, section = text.partition(f"### `{network}`, {accuracy} in float\n\n")
        heads, _, *rows = section.splitlines()
        assert heads == "| method | " + " | ".join(f"{bits} bits" for bits in WIDTHS) + " |"
        for number, method in enumerate((*METHODS, *VARIANTS), 1):
            cells = " | ".join(
                f"{(10 * number + n + shift) / 1000:.4f}" for n in range(len(WIDTHS))
            )
            assert rows[number - 1] == f"| {method} | {cells} |"


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
