"""Runs a cocotb bench in a simulator's process, and exchanges files with it.

`unit_bench` and `network_bench` use `running_bench`; their cocotb sides use `read_task` and
`write_result`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from systolith.golden.choices import choice
from systolith.golden.files.whole_files import write_whole
from systolith.hw.child_processes import started, temporary_folder
from systolith.sim.errors import SimulationError
from systolith.sim.simulators import installed
from systolith.sim.simulators.builds import Design, build_icarus, build_verilator_cocotb
from systolith.sim.simulators.installed import Simulator
from systolith.sim.simulators.processes import describe_status, tail, text_of

_FOLDER = "SYSTOLITH_BENCH"
_TASK = "task.json"
_RESULT = "result.json"
_LOG = "simulation.log"
_FROZEN_SECONDS = 5.0
_CLEARED = ("COCOTB_", "GPI_", "PYGPI_", "TOPLEVEL")


class BenchRun:
    """A bench that runs in a simulator's process.

    Parameters
    ----------
    simulator
        The simulator's name.
    folder
        The bench's folder, removed at the end of the context.
    process
        The simulator's process.
    """

    def __init__(
        self, simulator: Simulator, folder: Path, process: subprocess.Popen[bytes]
    ) -> None:
        self.simulator = simulator
        self.folder = folder
        self._process = process

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end, for at most `seconds`; returns whether the bench has ended."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def output(self) -> str:
        """What the simulator has printed."""
        return text_of(self.folder / _LOG)

    def result(self) -> Any:
        """Wait for the end; returns what the bench wrote with `write_result`.

        Raises
        ------
        SimulationError
            If the simulator died, stopped making progress or wrote no result.
        """
        status = self._process.wait()
        if status == -signal.SIGVTALRM:
            raise SimulationError(
                f"{self.simulator} computed for {_FROZEN_SECONDS:g} s without completing a clock "
                "cycle: the Verilog has a loop that does not end"
            )
        log = self.folder / _LOG
        result = self.folder / _RESULT
        if status or not result.exists():
            raise SimulationError(f"{self.simulator} {describe_status(status)}: {tail(log)}")
        return json.loads(result.read_text("utf-8"))


@contextlib.contextmanager
def running_bench(
    design: Design,
    module: str,
    task: dict[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    *,
    simulator: Simulator,
    optimize: bool,
) -> Iterator[BenchRun]:
    """Build the design and run the cocotb tests of `module`; the end of the context kills them.

    Parameters
    ----------
    design
        The module that is simulated.
    module
        The Python module of the bench, imported inside the simulator.
    task, arrays
        What the bench reads with `read_task`; `task` must fit JSON.
    simulator
        Its name.
    optimize
        Whether to optimize the model, for many cycles.

    Raises
    ------
    ValueError
        If the simulator is unknown.
    MissingToolError
        If a tool is not installed.
    SimulationError
        If the build fails.
    """
    program = cocotb_program(design, module, simulator, optimize)
    with temporary_folder("systolith-") as folder:
        (folder / _TASK).write_text(json.dumps(task), "utf-8")
        for array_name, array in arrays.items():
            np.save(folder / f"{array_name}.npy", array, allow_pickle=False)
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(_CLEARED)
        }
        environment |= program.environment
        environment |= {
            "COCOTB_ANSI_OUTPUT": "0",
            "COCOTB_LOG_LEVEL": "INFO",
            "COCOTB_RANDOM_SEED": "1",
            "COCOTB_RESULTS_FILE": str(folder / "results.xml"),
            "COCOTB_REWRITE_ASSERTION_FILES": "",  # otherwise cocotb imports pytest
            _FOLDER: str(folder),
        }
        with (
            (folder / _LOG).open("wb") as log,
            started(
                program.command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            yield BenchRun(simulator, folder, process)


class Program(NamedTuple):
    """What simulates a design under cocotb: a command, and the variables that it needs."""

    command: Sequence[str | Path]
    environment: dict[str, str]


def cocotb_program(design: Design, module: str, simulator: Simulator, optimize: bool) -> Program:
    """Build a design with a simulator; returns the program that runs the tests of a module.

    Parameters and errors are those of `running_bench`.
    """
    cocotb = installed.find_cocotb()
    program = choice(_PROGRAMS, simulator, "simulator")(design, optimize)
    environment = {
        **cocotb.environment,
        **program.environment,
        "COCOTB_TEST_MODULES": module,
        "COCOTB_TOPLEVEL": design.top,
        "TOPLEVEL_LANG": "verilog",
    }
    return Program(program.command, environment)


def _icarus(design: Design, optimize: bool) -> Program:
    runtime, module = installed.find_icarus().runtime, installed.find_cocotb().icarus_module
    return Program((runtime, "-m", module, build_icarus(design), "-none"), {})


def _verilator(design: Design, optimize: bool) -> Program:
    program = build_verilator_cocotb(design, optimize)
    return Program((program,), {"COCOTB_TRUST_INERTIAL_WRITES": "1"})


_PROGRAMS: dict[Simulator, Callable[[Design, bool], Program]] = {
    "verilator": _verilator,
    "icarus": _icarus,
}
"""For each simulator, how to build its program from a design, and whether to optimize it."""


def bench_folder() -> Path:
    """The bench's folder; for the cocotb side."""
    return Path(os.environ[_FOLDER])


def expect_progress() -> None:
    """Let the system end this process unless this is called again soon; for the cocotb side.

    It is ended by `SIGVTALRM` after 5 s of its own processor time, even if the simulator never
    returns to Python. Neither a loaded machine nor a suspended process is mistaken for a loop.
    """
    signal.setitimer(signal.ITIMER_VIRTUAL, _FROZEN_SECONDS)


def read_task() -> tuple[Any, dict[str, NDArray[Any]]]:
    """The task and the arrays; for the cocotb side."""
    folder = bench_folder()
    arrays = {path.stem: np.load(path, allow_pickle=False) for path in folder.glob("*.npy")}
    return json.loads((folder / _TASK).read_text("utf-8")), arrays


def write_result(result: dict[str, Any]) -> None:
    """Write the result; for the cocotb side."""
    write_whole(bench_folder() / _RESULT, json.dumps(result).encode())
