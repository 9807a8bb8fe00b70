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
