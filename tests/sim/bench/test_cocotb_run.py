"""What a bench in a simulator is given and gives back, by a program in place of the simulator."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from systolith.sim.bench import cocotb_run
from systolith.sim.bench.cocotb_run import Program, read_task, running_bench, write_result
from systolith.sim.errors import SimulationError
from systolith.sim.simulators.builds import Design

DESIGN = Design("top", "", ())
TASK = {"seed": 3, "stalls": None}
IMAGES = np.arange(6, dtype=np.uint16).reshape(1, 2, 3)


def use(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Run this script in place of a simulator."""

    def program(design: Design, module: str, simulator: str, optimize: bool) -> Program:
        assert (design, module, simulator, optimize) == (DESIGN, "mine", "icarus", True)
        return Program((sys.executable, "-c", script), {"GPI_USERS": "ours"})

    monkeypatch.setattr(cocotb_run, "cocotb_program", program)


def bench() -> Any:
    return running_bench(
        DESIGN, "mine", TASK, {"images": IMAGES}, simulator="icarus", optimize=True
    )


def test_a_bench_reads_its_task_and_its_result_is_returned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(
        monkeypatch,
        "import json, os; print('working', flush=True);"
        "open('result.json', 'w').write(json.dumps(dict(os.environ)))",
    )
    outside = "GPI_USERS", "PYGPI_PYTHON_BIN", "COCOTB_TEST_FILTER", "TOPLEVEL", "OTHER"
    for name in outside:
        monkeypatch.setenv(name, "outside")
    with bench() as running:
        seen = running.result()
        folder = running.folder
        assert running.wait()
        assert running.output() == "working\n"
        monkeypatch.setenv("SYSTOLITH_BENCH", str(folder))
        task, arrays = read_task()
        assert task == TASK
        assert list(arrays) == ["images"]
        np.testing.assert_array_equal(arrays["images"], IMAGES)
        assert arrays["images"].dtype == np.uint16
        write_result({"broken": None})
        assert running.result() == {"broken": None}
    assert not folder.exists()
    # What a user's shell says to cocotb is not for this bench.
    assert {name: seen[name] for name in outside if name in seen} == {
        "GPI_USERS": "ours",
        "OTHER": "outside",
    }
    assert seen["COCOTB_RANDOM_SEED"] == "1"
    assert seen["COCOTB_RESULTS_FILE"] == str(folder / "results.xml")
    assert seen["SYSTOLITH_BENCH"] == str(folder)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("print('no port'); raise SystemExit(3)", "icarus ended with status 3: no port$"),
        ("print('nothing')", "icarus ended with status 0: nothing$"),
        # A result that was written before a crash is none.
        (
            "open('result.json', 'w').write('{}'); import os; os.kill(os.getpid(), 9)",
            "icarus was killed by signal 9: it printed nothing$",
        ),
        (
            f"import os; os.kill(os.getpid(), {int(signal.SIGVTALRM)})",
            "icarus computed for 5 s without completing a clock cycle: the Verilog has a loop",
        ),
    ],
)
def test_a_bench_without_a_result_is_an_error_that_says_why(
    monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    use(monkeypatch, script)
    with bench() as running, pytest.raises(SimulationError, match=message):
        running.result()


def test_waiting_says_whether_a_bench_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "import time; time.sleep(60)")
    with bench() as running:
        assert not running.wait(0.01)
        process = running._process
    assert process.poll() is not None


def test_the_variables_of_a_program_are_those_of_cocotb_of_the_simulator_and_of_the_bench(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, bool]] = []

    def verilator(design: Design, optimize: bool) -> Path:
        asked.append((design.top, optimize))
        return Path("simulation")

    monkeypatch.setattr(cocotb_run, "build_verilator_cocotb", verilator)
    monkeypatch.setattr(cocotb_run, "build_icarus", lambda design: Path(f"{design.top}.vvp"))
    found = cocotb_run.cocotb_program(DESIGN, "mine", "verilator", optimize=True)
    assert (found.command, asked) == ((Path("simulation"),), [("top", True)])
    for name, value in {
        "COCOTB_TEST_MODULES": "mine",
        "COCOTB_TOPLEVEL": "top",
        "TOPLEVEL_LANG": "verilog",
        "COCOTB_TRUST_INERTIAL_WRITES": "1",
        "PYGPI_PYTHON_BIN": sys.executable,
    }.items():
        assert found.environment[name] == value
    bogus: Any = "xsim"
    with pytest.raises(ValueError, match="simulator 'xsim': allowed are verilator, icarus"):
        cocotb_run.cocotb_program(DESIGN, "mine", bogus, optimize=True)
