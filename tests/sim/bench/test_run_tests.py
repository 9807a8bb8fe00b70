"""The kit of users: their tests run through `bench.run`, and through cocotb's own runner."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from systolith import hw
from systolith.sim import SimulationError, bench
from systolith.sim.bench import run_tests
from systolith.sim.bench.cocotb_run import Program
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
    runner.build(
        sources=[hardware / "small-one.v"],
        hdl_toplevel=top,
        build_dir=tmp_path,
        timescale=("1ns", "1ps"),
    )
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


XML = """<testsuites><testsuite>
<testcase name="good"/>
<testcase name="bad"><failure message="3 is not 4"/></testcase>
<testcase name="silent"><failure/></testcase>
<testcase name="missing"><error message="no such port"/></testcase>
<testcase name="torn"><error/></testcase>
</testsuite></testsuites>"""


def test_every_case_that_failed_or_could_not_run_is_named_with_its_reason(
    hardware: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program in place of the simulator: it prints its environment, and ends with a status."""
    script = (
        "import json, os, sys; print(json.dumps(dict(os.environ)), flush=True);"
        f"open(os.environ['COCOTB_RESULTS_FILE'], 'w').write({XML!r}); sys.exit(5)"
    )
    program = Program((sys.executable, "-c", script), {"PYTHONPATH": "paths", "GPI_USERS": "ours"})
    monkeypatch.setattr(run_tests, "cocotb_program", lambda *_, **__: program)
    for name in ("GPI_USERS", "PYGPI_PYTHON_BIN", "COCOTB_TEST_FILTER"):
        monkeypatch.setenv(name, "outside")
    monkeypatch.chdir(hardware.parent)
    out = tmp_path / "some" / "where"
    with pytest.raises(AssertionError) as failed:
        bench.run(hardware.name, BENCHES, out=out)
    assert str(failed.value).split("\n") == [
        "bad: 3 is not 4",
        "silent: failure",
        "missing: no such port",
        "torn: error",
    ]
    assert (out / "results.xml").read_text() == XML
    seen = json.loads((out / "simulation.log").read_text())
    assert seen[HARDWARE] == str(hardware)
    assert seen["PYTHONPATH"].split(os.pathsep) == [str(BENCHES.parent), "paths"]
    assert (seen["GPI_USERS"], seen["COCOTB_TEST_FILTER"]) == ("ours", "outside")
    assert "PYGPI_PYTHON_BIN" not in seen


def test_without_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HARDWARE, raising=False)
    with pytest.raises(ValueError, match=f"give it, or set {HARDWARE}"):
        bench.Accelerator(None)  # type: ignore[arg-type]
