"""On terminals of 80 and of 40 columns, every name and every figure is whole."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from systolith import golden, hw, sim
from systolith.golden.reports.paired_difference import signed
from systolith.scripts.commands import run
from systolith.scripts.main import main
from tests.scripts import tiny
from tests.scripts.terminal import printed

pytestmark = pytest.mark.parametrize("columns", [80, 40])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quantized network that ships, hardware of a tiny one, and images for it."""
    path = tmp_path_factory.mktemp("terminals")
    images = golden.validation_digits().images[:20]
    golden.quantize(golden.load_network("lenet5"), images).save(path / "q.npz")
    tiny.generate(path / "rtl")
    tiny.quantized().parent.save(path / "tiny.npz")
    tiny.save_images(path / "images.npz", 12)
    tiny.save_images(path / "others.npz", 12, seed=3)
    return path


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def require_whole(text: str, columns: int, words: Iterable[str]) -> None:
    """Every word is there, nothing is cut, and only commands and paths are longer than a line."""
    assert "…" not in text
    found = {word.strip(",;:()") for word in text.split()}
    assert [word for word in words if word not in found] == []
    long = [line for line in text.splitlines() if len(line.rstrip()) > columns]
    assert [line for line in long if "/" not in line] == []


def figures(value: Any) -> list[str]:
    """The whole numbers in a value, as tables have them."""
    return [f"{each:,}" for each in value if isinstance(each, int)]


def json_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_describe(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    description = json_of(capsys, "describe", "lenet5")
    text = printed(monkeypatch, columns, "describe", "lenet5")
    for layer in description["layers"]:
        require_whole(text, columns, [layer["name"], layer["type"], *figures(layer.values())])
        assert " x ".join(map(str, layer["output_shape"])) in text
    require_whole(text, columns, figures(description["totals"].values()))


def test_plan(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = json_of(capsys, "plan", "q.npz")
    text = printed(monkeypatch, columns, "plan", "q.npz", "--mhz", "100")
    require_planned(text, columns, plan)


def test_generate(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed(monkeypatch, columns, "generate", "rtl/tiny.npz", "--out", "again")
    manifest = json.loads(Path("again/manifest.json").read_text())
    require_planned(text, columns, manifest)
    require_whole(text, columns, ["again/tiny.v", f"{manifest['memory_bits']:,}"])


def require_planned(text: str, columns: int, plan: Any) -> None:
    for layer in plan["layers"]:
        folding = layer["folding"]
        words = [layer["name"], layer["unit"], folding["order"], f"{layer['cycles']:,}"]
        require_whole(text, columns, [*words, *figures(folding.values())])
    require_whole(text, columns, figures([plan["multipliers"], *plan["predicted"].values()]))


def test_evaluate(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    report = json_of(capsys, "evaluate", "q.npz", "--images", "50")
    text = printed(monkeypatch, columns, "evaluate", "q.npz", "--images", "50")
    for layer in report["layers"]:
        words = [layer["name"], f"{layer['sqnr_db']:.1f}", f"{layer['saturated']:,}"]
        require_whole(text, columns, [*words, str(layer["accumulator_bits"])])
    size = f"{report['quantization']['weight_bits_total'] / 8192:.1f}"
    require_whole(text, columns, ["lenet5", "fixed", size, "KiB"])


def test_compare(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["fixed.json", "a-name-that-is-quite-long.json"]
    report = golden.evaluate(golden.load("q.npz"), golden.test_digits(), 50)
    report.save(names[0])
    replace(report, version="0.0.0").save(names[1])
    comparison = json_of(capsys, "compare", *names)
    text = printed(monkeypatch, columns, "compare", *names)
    for row in comparison["reports"]:
        require_whole(text, columns, [row["name"], *row["label"].split(), f"{row['accuracy']:.4f}"])
        if row["difference"] is not None:
            require_whole(text, columns, [signed(row["difference"]), *row["verdict"].split()])
    assert report.weight_bits_total is not None
    require_whole(text, columns, [f"{report.weight_bits_total / 8192:.1f}"])
    for layer in comparison["layers"]:
        require_whole(text, columns, [layer["name"], *(f"{each:,}" for each in layer["saturated"])])


def test_simulate(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("simulate", "rtl", "--data", "images.npz")
    report = json_of(capsys, *arguments)
    text = printed(monkeypatch, columns, *arguments)
    require_simulated(text, columns, report)


def require_simulated(text: str, columns: int, report: Any) -> None:
    for layer in report["layers"]:
        require_whole(text, columns, [layer["name"], f"{layer['values']:,}"])
    require_whole(text, columns, figures([report["interval_cycles"], report["latency_cycles"]]))


def test_sweep(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (
        *("sweep", "tiny.npz", "--data", "images.npz", "--test-data", "others.npz"),
        *("--out", "sweep", "--weight-bits", "8,4", "--activation-bits", "8"),
        *("--max-multipliers", "6", "--jobs", "1"),
    )
    report = json_of(capsys, *arguments)
    text = printed(monkeypatch, columns, *arguments)
    for point in report["points"]:
        words = ["tiny.npz", f"{point['validation']['accuracy']:.4f}"]
        require_whole(text, columns, [*words, point["settings"]["calibration"]])
    for plan in report["plans"]:
        require_whole(text, columns, [f"{plan['interval_cycles']:,}", f"{plan['multipliers']:,}"])
    require_whole(text, columns, ["sweep/sweep.json", "sweep/pareto.svg"])


def test_run(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last step alone, which prints what the others found."""

    def found(flow: run.Flow, _: object) -> tuple[Path, str]:
        flow.trained, flow.manifest = tiny.quantized().parent, hw.load_manifest("rtl")
        data = golden.load_dataset("images.npz")
        flow.simulation = sim.simulate("rtl", None, data)
        return Path("out/lenet5/rtl/simulation.json"), "12 digits, 252 values compared"

    monkeypatch.setattr(run, "STEPS", (run.Step("simulate", found),))
    text = printed(monkeypatch, columns, "run", "--out", "out")
    report = json.loads(Path("rtl/simulation.json").read_text())
    require_simulated(text, columns, report)
    require_whole(text, columns, ["out/lenet5/rtl/tiny.v", "252"])
    assert text.split()[-1] == "out/lenet5/report.html"
    assert "--bias-correction" in text
