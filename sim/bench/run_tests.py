"""Builds an accelerator for a simulator and runs a user's cocotb tests of it.

`systolith.sim.bench` exports `run`.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from xml.etree import ElementTree

from systolith.golden.files.whole_files import write_whole
from systolith.hw.child_processes import started, temporary_folder
from systolith.hw.verilog import artifacts
from systolith.sim.bench.cocotb_run import cocotb_program
from systolith.sim.bench.testbench import HARDWARE
from systolith.sim.errors import SimulationError
from systolith.sim.record.taps import tapped_network
from systolith.sim.simulators.installed import Simulator
from systolith.sim.simulators.processes import describe_status

_CLEARED = ("GPI_", "PYGPI_")
_RESULTS = "results.xml"
_LOG = "simulation.log"


def run(
    folder: str | os.PathLike[str],
    tests: str | os.PathLike[str],
    simulator: Simulator = "verilator",
    out: str | os.PathLike[str] | None = None,
) -> None:
    """Run the cocotb tests in a file on the accelerator in a folder that `generate` wrote.

    The build is cached. `dut` is the accelerator in a module that exposes the stream of every
    layer. cocotb's variables, such as `COCOTB_TEST_FILTER` and `COCOTB_RANDOM_SEED`, work as usual.

    Parameters
    ----------
    folder
        The folder.
    tests
        The Python file with the tests, usually `__file__`.
    simulator
        `verilator` or `icarus`.
    out
        The folder to write `simulation.log` (the simulator's output) and `results.xml` (JUnit) to;
        by default the output goes to standard output.

    Raises
    ------
    AssertionError
        If a test failed; the message names it and says why.
    ValueError
        If the file has no cocotb test, or the simulator is unknown.
    FileFormatError, PlanError
        If the folder is not one that `generate` wrote.
    MissingToolError
        If a tool is not installed.
    SimulationError
        If the build failed, or the simulator died.
    """
    built = artifacts.load(folder)
    network = tapped_network(built.quantized.fixed, built.manifest, built.verilog)
    file = Path(tests).resolve()
    program = cocotb_program(network.design, file.stem, simulator, optimize=False)
    variables = program.environment
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(_CLEARED)},
        **variables,
        "PYTHONPATH": f"{file.parent}{os.pathsep}{variables['PYTHONPATH']}",
        HARDWARE: str(Path(folder).resolve()),
    }
    with temporary_folder("systolith-") as temporary, contextlib.ExitStack() as stack:
        results = temporary / _RESULTS
        environment["COCOTB_RESULTS_FILE"] = str(results)
        log = None
        if out is not None:
            Path(out).mkdir(parents=True, exist_ok=True)
            log = stack.enter_context((Path(out) / _LOG).open("wb"))
        with started(
            program.command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=None if log is None else subprocess.STDOUT,
        ) as process:
            status = process.wait()
        if not results.exists():
            raise SimulationError(f"{simulator} {describe_status(status)}, without any result")
        content = results.read_bytes()
    if out is not None:
        write_whole(Path(out) / _RESULTS, content)
    cases = list(ElementTree.fromstring(content).iter("testcase"))
    if not cases:
        raise ValueError(f"{file}: has no cocotb test to run")
    failures = [
        f"{case.get('name')}: {found.get('message') or found.tag}"
        for case in cases
        for found in (*case.iter("failure"), *case.iter("error"))
    ]
    if failures:
        raise AssertionError("\n".join(failures))
