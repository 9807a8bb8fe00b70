from __future__ import annotations

import json
from pathlib import Path

import pytest

from systolith import golden, sim
from systolith.scripts.commands.run import Flow
from systolith.scripts.main import main

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
