from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from systolith import golden, hw, sim
from systolith.golden.onnx import runtime_comparison
from systolith.golden.qformat import QFormat
from systolith.scripts.commands import corpus
from systolith.scripts.main import main
from tests.golden.onnx.small_models import model, node, normal


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with three models below it: good, refused, and none."""
    monkeypatch.chdir(tmp_path)
    Path("models/more").mkdir(parents=True)
    nodes = [node("Flatten", "x", "a"), node("Gemm", "a d", "y")]
    Path("models/more/a.onnx").write_bytes(model(nodes, {"d": normal(64, 4)}))
    leaky = [node("Shrink", "x", "a"), node("Atan", "a", "y", name="<script>|")]
    Path("models/b.onnx").write_bytes(model(leaky))
    Path("models/c.onnx").write_bytes(b"text")
    return tmp_path


def test_says_of_every_model_how_far_it_came(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("corpus models --scale 1/255 --json --out table.json".split()) == 0
    out = capsys.readouterr().out
    assert out == Path("table.json").read_text()
    document = json.loads(out)
    assert (document["models"], document["imported"]) == (3, 1)
    b, c, a = document["entries"]
    assert (a["file"], a["result"], a["layers"], a["compared_layers"]) == (
        *("more/a.onnx", "planned", 1, 1),
    )
    assert 0 <= a["largest_difference"] < 1e-5
    # 64 pixels, one a cycle, to 4 outputs: a multiplier for each output.
    assert (a["multipliers"], a["interval_cycles"]) == (4, 64)
    assert a["reasons"] == [] and a["seconds"] > 0
    assert (b["result"], len(b["reasons"]), b["layers"]) == ("refused", 2, None)
    assert c["reasons"] == ["not an intact ONNX file"]


def test_a_table_in_markdown(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("corpus models --raw --out table.md".split()) == 0
    text = Path("table.md").read_text()
    assert text.startswith("1 of 3 models imported\n\n| model | result |")
    assert "\\<script\\>\\|" in text
    assert "1 of 3 models imported" in capsys.readouterr().out


def test_given_images_are_what_it_is_quantized_on(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.full((5, 8, 8, 1), 7, np.uint8)
    np.savez("images.npz", images=images, labels=np.zeros(5, np.int64))
    seen = []

    def quantize(trained: golden.TrainedNetwork, given: Any) -> None:
        seen.append(given)
        raise ValueError("seen enough")

    monkeypatch.setattr(golden, "quantize", quantize)
    assert main("corpus models --raw --json --data images.npz".split()) == 0
    (given,) = seen
    assert (given == images).all()
    *_, a = json.loads(capsys.readouterr().out)["entries"]
    assert (a["result"], a["reasons"]) == ("imported", ["seen enough"])


def test_a_difference_is_a_failed_check(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def differ(imported: golden.ImportedNetwork, images: object) -> tuple[Any, ...]:
        return (runtime_comparison.LayerDifference("y", 1.0, 0.1, False),)

    monkeypatch.setattr(runtime_comparison, "compare_with_runtime", differ)
    assert main("corpus models --raw --json".split()) == 1
    assert [each["result"] for each in json.loads(capsys.readouterr().out)["entries"]] == [
        *("refused", "refused", "wrong"),
    ]


ENTRIES = [
    corpus.ModelEntry("a.onnx", "wrong", 7, 6, 0.25, reasons=["first", "second"]),
    corpus.ModelEntry("b.onnx", "simulated", 5, 4, 1.5e-6, 1234, 56789, 1000, 2.5),
    corpus.ModelEntry("c.onnx", "refused", seconds=0.125, reasons=["no Conv|"]),
    corpus.ModelEntry("d.onnx", "planned", 3, None, None, 12, 345),
]


def test_the_table_and_the_document_have_each_model_and_its_reasons(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is wrong decides the status, wherever it stands."""
    for name in ("models/d.onnx", "models/b.onnx"):
        Path(name).write_bytes(b"")
    for order, status in ((ENTRIES, 1), (ENTRIES[::-1], 1), ([*ENTRIES[1:], ENTRIES[3]], 0)):
        monkeypatch.setattr(corpus, "tried", lambda *_, found=[*order]: found.pop(0))
        assert main("corpus models --raw --json --out table.md".split()) == status
    document = json.loads(capsys.readouterr().out.partition("\n}\n")[0] + "}")
    assert document == {
        "schema": "systolith.corpus/1",
        "models": 4,
        "imported": 3,
        "entries": [asdict(each) for each in ENTRIES],
    }
    assert corpus.to_markdown(ENTRIES).splitlines() == [
        "3 of 4 models imported",
        "",
        "| model | result | layers | difference | multipliers | cycles | simulated | seconds |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| a.onnx | wrong | 7 | 2.5e-01 |  |  |  | 0.00 |",
        "| b.onnx | simulated | 5 | 1.5e-06 | 1,234 | 56,789 | 1,000 | 2.50 |",
        "| c.onnx | refused |  |  |  |  |  | 0.12 |",
        "| d.onnx | planned | 3 |  | 12 | 345 |  | 0.00 |",
        *("", "a.onnx:", "", "- first", "- second"),
        *("", "c.onnx:", "", "- no Conv\\|"),
    ]


def deep(folder: Path) -> golden.ImportedNetwork:
    """Three dense layers on images of 3 x 2."""
    nodes = [node("Flatten", "x", "f")]
    nodes += [node("Gemm", f"{of} {w}", to) for of, w, to in ("fua", "avb", "bwy")]
    arrays = {"u": normal(6, 5), "v": normal(5, 4), "w": normal(4, 3)}
    (folder / "deep.onnx").write_bytes(model(nodes, arrays, ("N", 1, 3, 2)))
    fmt = QFormat(6, 2)
    return golden.import_onnx(folder / "deep.onnx", golden.Preprocessing(format=fmt))


def taken(
    imported: golden.ImportedNetwork, images: np.ndarray[Any, Any] | None = None
) -> corpus.ModelEntry:
    entry = corpus.ModelEntry("deep.onnx")
    corpus._take(entry, imported, images, 0)
    return entry


@pytest.mark.parametrize(
    ("rounding", "result"), [((True, True), "planned"), ((True, False), "wrong")]
)
def test_the_largest_difference_of_all_compared_layers_decides(
    rounding: tuple[bool, bool], result: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of three layers are compared, and the second differs more."""
    found = tuple(
        runtime_comparison.LayerDifference(name, 2.0, difference, is_rounding)
        for name, difference, is_rounding in zip("ab", (0.5, 0.75), rounding, strict=True)
    )
    monkeypatch.setattr(corpus, "compared", lambda _: (found, ""))
    entry = taken(deep(tmp_path))
    assert (entry.layers, entry.compared_layers, entry.largest_difference) == (3, 2, 0.375)
    assert (entry.result, entry.reasons) == (result, [])
    # Nothing was planned for one that is wrong.
    assert (entry.multipliers is None) == (entry.interval_cycles is None) == (result == "wrong")


def test_without_a_comparison_a_model_goes_on_and_the_reason_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "compared", lambda _: ((), "has no such thing"))
    entry = taken(deep(tmp_path))
    assert (entry.result, entry.layers) == ("planned", 3)
    assert (entry.compared_layers, entry.largest_difference) == (None, None)
    assert entry.reasons == ["ONNX Runtime has no such thing"]


@pytest.mark.parametrize("shape", [None, (3, 2, 1), (2, 3, 1), (3, 2, 3)])
def test_images_that_do_not_fit_are_replaced_by_random_ones_of_the_whole_format(
    shape: tuple[int, int, int] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raw values of six bits and a sign: from -32 to 31."""
    seen: list[np.ndarray[Any, Any]] = []
    right = golden.quantize

    def quantize(trained: golden.TrainedNetwork, used: Any) -> golden.QuantizedNetwork:
        seen.append(used)
        return right(trained, used)

    monkeypatch.setattr(golden, "quantize", quantize)
    images = None if shape is None else np.full((4, *shape), 5, np.int8)
    taken(deep(tmp_path), images)
    (used,) = seen
    if shape == (3, 2, 1):
        assert used is images
        return
    assert (used.shape, used.dtype) == ((16, 3, 2, 1), np.int8)
    assert -32 <= used.min() < -28 and 27 < used.max() <= 31


@pytest.mark.parametrize(
    ("low", "high", "fits"), [(-32, 31, True), (-33, 0, False), (0, 32, False)]
)
def test_given_images_are_raw_values_of_the_declared_format(
    low: int,
    high: int,
    fits: bool,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[np.ndarray[Any, Any]] = []

    def tried(file: Path, name: str, _: object, images: Any, rtl: int) -> corpus.ModelEntry:
        seen.append(images)
        assert rtl == 7
        return corpus.ModelEntry(name)

    monkeypatch.setattr(corpus, "tried", tried)
    np.savez("data.npz", images=np.array([low, high], np.int16).reshape(1, 1, 2, 1))
    words = "corpus models --input-format s6.2 --data data.npz --rtl 7"
    assert main(words.split()) == (0 if fits else 2)
    if fits:
        assert {each.dtype for each in seen} == {np.dtype(np.int8)} and len(seen) == 3
        assert seen[0].ravel().tolist() == [low, high]
    else:
        assert "systolith: --data: the networks take s6.2: " in capsys.readouterr().err


def test_other_cycles_than_predicted_are_wrong_though_every_value_is_equal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = SimpleNamespace(failures=["interval: 65 cycles, not 64", "latency"], bit_exact=True)
    seen: list[object] = []
    monkeypatch.setattr(hw, "generate", lambda *args: seen.append(args[2]))
    monkeypatch.setattr(sim, "simulate", lambda *_: found)
    entry = corpus.ModelEntry("a.onnx", "planned")
    quantized: Any = object()
    plan: Any = object()
    corpus._simulate(entry, quantized, plan, np.zeros((9, 2, 2, 1), np.uint8))
    assert (entry.result, entry.reasons) == ("wrong", found.failures)
    assert (entry.simulated_images, seen) == (9, [plan])


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ("corpus models", "--scale: must be given"),
        ("corpus absent --raw", "absent: no such folder"),
        ("corpus . --raw --data absent.npz", "absent.npz: no such file"),
        ("corpus empty --raw", "empty: has no .onnx files"),
        ("corpus models --raw --out table.html", "must end with .md or .json"),
    ],
)
def test_bad_input(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: str, names: str
) -> None:
    Path("empty").mkdir()
    assert main(arguments.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert names in err
    assert err.count("\n") == 1


def test_as_many_images_are_simulated_as_asked_for(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if fewer are given: these come again."""
    given = np.arange(3 * 64, dtype=np.uint8).reshape(3, 8, 8, 1)
    np.savez("data.npz", images=given, labels=np.arange(3))
    simulated = []
    monkeypatch.setattr(corpus, "_simulate", lambda *args: simulated.append(args[-1]))
    assert main("corpus models --raw --data data.npz --rtl 5".split()) == 0
    (images,) = simulated
    assert np.array_equal(images, given[[0, 1, 2, 0, 1]])


def test_hardware_is_simulated(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main("corpus models --scale 1/255 --rtl 3 --json".split()) == 0
    *_, a = json.loads(capsys.readouterr().out)["entries"]
    assert (a["result"], a["simulated_images"], a["reasons"]) == ("simulated", 3, [])

    simulate = sim.simulate

    def fault(folder: Path, images: None, dataset: golden.Dataset) -> sim.SimulationReport:
        return simulate(folder, images, dataset, inject_fault="y")

    monkeypatch.setattr(sim, "simulate", fault)
    assert main("corpus models --scale 1/255 --rtl 3 --json".split()) == 1
    *_, a = json.loads(capsys.readouterr().out)["entries"]
    assert (a["result"], a["simulated_images"]) == ("wrong", 3)
    assert a["reasons"][0].startswith("y: ")
