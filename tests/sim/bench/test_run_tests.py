"""The kit of users: their tests run through `bench.run`, and through cocotb's own runner."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from systolith import hw
from systolith.sim import SimulationError, bench
from systolith.sim.bench.testbench import HARDWARE
from tests.sim import small_hardware
from tests.sim.required import need

BENCHES = Path(__file__).with_name("kit_benches.py")
ROOT = Path(__file__).parents[3]
VALUE = (
    "bad_value: dense: 1 of 12 values differ, the first in image 0, row 0, column 0, channel 3: "
    r"expected -?\d+, found -?\d+"
)
RULE = r"bad_rule_while_nobody_waits: something is wrong \(cycle 50\)"


@pytest.fixture(scope="module")
def hardware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hardware") / "small"
    hw.generate(small_hardware.quantized(), folder, small_hardware.PLAN)
    return folder


def chosen(monkeypatch: pytest.MonkeyPatch, tests: str) -> None:
    """Run the tests of this name only, where the warnings of ours are errors."""
    monkeypatch.setenv("COCOTB_TEST_FILTER", tests)
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.syspath_prepend(str(ROOT))


def test_the_kit(hardware: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen(monkeypatch, "good_")
    bench.run(hardware, BENCHES, out=tmp_path / "kept")
    cases = ElementTree.parse(tmp_path / "kept" / "results.xml").findall(".//testcase")
    assert len(cases) == BENCHES.read_text().count("async def good_")
    assert "good_with_stalls passed" in (tmp_path / "kept" / "simulation.log").read_text()


def test_the_kit_with_the_runner_of_cocotb(
    hardware: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("icarus")
    from cocotb_tools.runner import get_runner

    chosen(monkeypatch, "good_with_stalls")
    monkeypatch.syspath_prepend(str(BENCHES.parent))
    runner = get_runner("icarus")
    top = hw.load_manifest(hardware).top
    runner.build(sources=[hardware / "small-one.v"], hdl_toplevel=top, build_dir=tmp_path)
    runner.test(BENCHES.stem, top, build_dir=tmp_path, extra_env={HARDWARE: str(hardware)})


@pytest.mark.parametrize(
    ("tests", "error", "message"),
    [
        ("bad_[vr]", AssertionError, f"^{VALUE}\n{RULE}$"),
        ("bad_death", SimulationError, "ended with status 7, without any result"),
        ("no_such_test", ValueError, "has no cocotb test to run"),
    ],
)
def test_what_fails_is_an_error(
    hardware: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tests: str,
    error: type[Exception],
    message: str,
) -> None:
    chosen(monkeypatch, tests)
    with pytest.raises(error, match=message):
        bench.run(hardware, BENCHES, out=tmp_path)
    assert os.path.exists(tmp_path / "simulation.log")


def test_without_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HARDWARE, raising=False)
    with pytest.raises(ValueError, match=f"give it, or set {HARDWARE}"):
        bench.Accelerator(None)  # type: ignore[arg-type]
