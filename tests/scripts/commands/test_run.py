from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from systolith import golden, hw, sim
from systolith.golden.files.seeded_choice import chosen_numbers
from systolith.golden.reports.accuracy import HardwareEntry
from systolith.scripts.commands.run import Flow
from systolith.scripts.main import main
from tests.scripts import tiny

_IMAGES = 11


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one, and few test digits."""
    few = golden.test_digits().take(50)
    monkeypatch.setattr(golden, "test_digits", lambda: few)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_whole_path(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--images", str(_IMAGES)]) == 0
    out = capsys.readouterr().out
    folder = here / "systolith-out" / "lenet5"
    verilog = Path("systolith-out", "lenet5", "rtl", "lenet5.v")

    # The first digit of the test set is a seven, drawn in shades.
    assert "a 7; the hardware says 7" in out
    assert "@@" in out
    rows = [line.split() for line in out.splitlines()]
    for name, values in (("C1", 4704), ("S2", 1176), ("C3", 1600), ("output", 10)):
        assert [name, f"{values * _IMAGES:,}", "0"] in rows
    assert str(verilog) in out
    commands = [line for line in out.splitlines() if "  # " in line]
    assert len(commands) == 3
    assert sum("--bias-correction" in command for command in commands) == 1
    assert out.split()[-1] == "systolith-out/lenet5/report.html"

    assert (here / verilog).exists()
    simulation = json.loads((folder / "rtl" / "simulation.json").read_text())
    assert simulation["bit_exact"] is True
    # Two of the fifty that are evaluated, and the name of the digits on which formats are chosen.
    assert (simulation["images"], simulation["dataset"]["images"]) == (_IMAGES, 50)
    calibrated_on = golden.QuantizedNetwork.load(folder / "lenet5.npz").calibrated_on
    assert calibrated_on is not None
    assert (calibrated_on.name, calibrated_on.images) == ("mnist (validation)", 1000)
    for cycles in ("interval_cycles", "latency_cycles"):
        assert f" {simulation[cycles]:,} cycles " in out
    page = (folder / "report.html").read_text("utf-8")
    assert simulation["engine_images"] == {"cocotb": 10, "bulk": 1}
    assert out.count("cocotb for the first 10 images, bulk for the other 1") == 2
    assert "on verilator, images: 10 by cocotb, 1 by bulk" in page
    assert "RTL simulated, bit-exact" in page and "RTL: 4,704 of 4,704 equal to fixed" in page
    for kind in ("float", "fixed"):
        report = golden.AccuracyReport.load(folder / f"{kind}.json")
        assert report.kind == kind
        assert f"{report.accuracy:.2%} of 50 images right" in out
    assert golden.QuantizedNetwork.load(folder / "lenet5.npz").name == "lenet5"


def test_a_mismatch_in_any_network_ends_with_1(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(flow: Flow) -> None:
        wrong = sim.Mismatch(0, 1, 2, 3, expected=4, found=5)
        mismatch = wrong if flow.name == "lenet5-sigmoid" else None
        layer = sim.LayerResult("C3", 1600, int(mismatch is not None), mismatch)
        flow.simulation = _report(flow.name, layer)

    monkeypatch.setattr(Flow, "run", run)
    assert main(["run", "--images", "1", "--network", "lenet5-relu"]) == 0
    assert main(["run", "--images", "1", "--network", "all"]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "C3" in err
    assert "image 0, row 1, column 2, channel 3: expected 4, found 5" in err


@pytest.mark.parametrize(
    ("options", "result", "by_class"),
    [("", None, True), ("--result class", "class", True), ("--result scores", "scores", False)],
)
def test_each_step_prints_its_own_findings(
    options: str,
    result: str | None,
    by_class: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Hardware and simulation are made by hand; all thirty images are simulated by default."""
    monkeypatch.chdir(tmp_path)
    settings = golden.Settings.from_mapping({"weight_bits": 2, "activation_bits": 2})
    tiny.quantized().parent.save("mine.npz")
    tiny.save_images(Path("data.npz"), 60)
    data = golden.load_dataset("data.npz")
    seen: dict[str, Any] = {}

    def quantize(trained: Any, images: Any, *, name: str) -> golden.QuantizedNetwork:
        seen["calibration"] = images
        return real(trained, images, settings, name)

    def generate(quantized: Any, folder: Path, **given: Any) -> Any:
        seen["generate"] = (quantized.sha256, folder, given)
        return SimpleNamespace(files=SimpleNamespace(verilog="tiny.v"), multipliers=77)

    def simulate(*args: Any, **given: Any) -> sim.SimulationReport:
        seen["simulate"] = (*args, given["engine"])
        layers = (sim.LayerResult("conv", 1200, 0, None), sim.LayerResult("dense", 34, 0, None))
        found = _report("tiny", layers[0])
        engines: Any = {"cocotb": 10, "bulk": 20}
        return replace(found, layers=layers, images=30, engines=engines, classes=(2, 1))

    def page(*args: Any) -> str:
        seen["page"] = args
        return "page"

    real = golden.quantize
    hardware = HardwareEntry(112, 3136, 7067, True)
    monkeypatch.setattr(golden, "quantize", quantize)
    monkeypatch.setattr(hw, "generate", generate)
    monkeypatch.setattr(sim, "simulate", simulate)
    monkeypatch.setattr("systolith.scripts.rtl_folder.hardware_entry", lambda *_: hardware)
    monkeypatch.setattr("systolith.scripts.pages.evaluation_page.evaluation_page", page)
    words = f"run --network mine.npz --data data.npz --out out {options}"
    assert main(words.split()) == 0
    numbers = chosen_numbers(60, 30)
    others = data.part(np.delete(np.arange(60), numbers))
    assert np.array_equal(seen["calibration"], data.images[numbers])
    folder = Path("out/tiny")
    quantized = golden.QuantizedNetwork.load(folder / "tiny.npz")
    fixed = golden.AccuracyReport.load(folder / "fixed.json")
    real_numbers = golden.AccuracyReport.load(folder / "float.json")
    assert (fixed.outputs is None) == by_class
    sha256, made, given = seen["generate"]
    assert (sha256, made) == (quantized.sha256, folder / "rtl")
    assert given == {"report": fixed, "result": result}
    made, count, dataset, engine = seen["simulate"]
    assert (made, count, engine) == (folder / "rtl", 30, "both")
    assert np.array_equal(dataset.images, others.images)
    report, network, dataset, rtl = seen["page"]
    assert report == replace(fixed, hardware=hardware)
    assert (network.sha256, rtl) == (quantized.sha256, folder / "rtl")
    assert (folder / "report.html").read_text() == "page"

    out = " ".join(capsys.readouterr().out.split())
    chosen = "formats chosen on 30 images of data.npz (custom, chosen of 60 with seed 1)"
    assert f"quantize weights of 2 bits, feature maps of 2, {chosen} -> out/tiny/tiny.npz" in out
    if by_class:
        right = f"{real_numbers.rate:.2%} of 30 images right"
        assert f"evaluate float {right} -> out/tiny/float.json" in out
        same = f"{fixed.agreement_with_float:.2%} as in float"
        assert f"evaluate fixed {fixed.rate:.2%} of 30 images right, {same} ->" in out
        assert fixed.rate != fixed.agreement_with_float != real_numbers.rate
    else:
        errors = ", ".join(f"{name} {value}" for name, value in fixed.errors)
        assert f"evaluate fixed 30 images, {errors} -> out/tiny/fixed.json" in out
    assert "generate 77 multipliers -> out/tiny/rtl/tiny.v" in out
    engines = "cocotb for the first 10 images, bulk for the other 20"
    assert f"simulate 30 images, 1,234 values compared, {engines} ->" in out
    assert f"image a {others.known_labels[0]}; the hardware says 2" in out
    # 108 products of the convolution, and 54 of the dense layer.
    assert "simulate out/tiny/rtl --inject-fault conv --data data.npz # see" in out
    assert "simulate out/tiny/rtl --images all --data data.npz # all" in out
    assert "quantize mine.npz --weight-bits 4 --activation-bits 4 --bias-correction --out" in out


def _report(network: str, layer: sim.LayerResult) -> sim.SimulationReport:
    return sim.SimulationReport(
        network=network,
        quantized_sha256="",
        plan_sha256="",
        verilog_sha256="",
        as_generated=True,
        dataset={},
        simulator="verilator",
        engines={"cocotb": 1},
        layer=None,
        stalls=None,
        fault=None,
        images=1,
        correct=1,
        result="class",
        classes=(7,),
        interval_cycles=None,
        latency_cycles=None,
        layers=(layer,),
        layer_timings={},
        deviations=None,
        waves_image=None,
        violations=(),
    )
