"""Builds what a simulator runs from flat Verilog; every build is cached.

Icarus gets a file for `vvp`; a model of Verilator becomes a program with cocotb or with our C++.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from systolith.hw.build_cache import cached, content_key
from systolith.sim.simulators import installed
from systolith.sim.simulators.processes import run_all
from systolith.sim.simulators.start_values import without_start_values

_TIMESCALE = "1ns/1ps"
"""The unit and the precision of time, the same in all simulators."""

_LOG = "build.log"
_SMALL_BYTES = 300_000
# Functions that are small enough to compile fast, in enough files for all processors.
_SPLIT = ("--output-split-cfuncs", "500", "--output-split", "5000")
_OPTIMIZED = "-O2"
# Two shifts in place of Verilator's mask, negation and OR: a network's model takes a sixth fewer
# instructions.
_SIGN_EXTENSION = """#include "verilated.h"
#define VL_EXTENDS_II(to, bits, value) \\
    (static_cast<IData>(static_cast<int32_t>(static_cast<IData>(value) << (32 - (bits))) \\
                        >> (32 - (bits))))
"""
_RUNTIME = ("verilated.cpp", "verilated_threads.cpp")
_VPI = ("verilated_vpi.cpp",)
_TRACE = ("verilated_fst_c.cpp",)
_DEFINES = tuple(
    f"-D{name}"
    for name in (
        "VERILATOR=1",
        "VM_COVERAGE=0",
        "VM_SC=0",
        "VM_TIMING=0",
        "VM_TRACE_SAIF=0",
        "VM_TRACE_VCD=0",
    )
)


@dataclass(frozen=True)
class Design:
    """A flat Verilog module.

    Parameters
    ----------
    top
        The module's name.
    verilog
        The text.
    ports
        The ports that a cocotb bench reads and writes.
    """

    top: str
    verilog: str
    ports: tuple[str, ...]


def build_icarus(design: Design) -> Path:
    """Build the file that `vvp` runs, from the design without the start values of registers.

    Raises
    ------
    MissingToolError
        If Icarus is not installed.
    SimulationError
        If it rejects the Verilog.
    """
    icarus = installed.find_icarus()
    verilog = without_start_values(design.verilog)

    def build(folder: Path) -> None:
        source = _write(folder / "design.v", f"`timescale {_TIMESCALE}\n{verilog}")
        command = [icarus.compiler, "-g2012", "-o", "design.vvp", "-s", design.top, source]
        run_all([command], log=folder / _LOG, cwd=folder)

    key = content_key("icarus", icarus.version, design.top, verilog, _TIMESCALE)
    return cached(key, "design.vvp", build)


def build_verilator_cocotb(design: Design, optimize: bool) -> Path:
    """Build the program that simulates the design under cocotb.

    Parameters
    ----------
    design
        Only its `ports` are visible to cocotb.
    optimize
        Whether to optimize the model, for many cycles.

    Raises
    ------
    MissingToolError
        If Verilator, the C++ compiler or cocotb is not installed.
    SimulationError
        If the Verilog, or the C++ made from it, does not compile.
    """
    cocotb = installed.find_cocotb()
    visible = "".join(f'public_flat_rw -module "{design.top}" -var "{p}"\n' for p in design.ports)
    return _build_verilator(
        design,
        flags=("--vpi",),
        control=f"`verilator_config\n{visible}",
        main=cocotb.verilator_main.read_text("utf-8"),
        headers={},
        optimize=optimize,
        runtime=(_RUNTIME, _VPI),
        link=(
            f"-L{cocotb.libraries}",
            f"-Wl,-rpath,{cocotb.libraries}",
            "-lcocotbvpi_verilator",
        ),
    )


def build_verilator_program(
    design: Design, main: str, headers: dict[str, str], trace: bool = False
) -> Path:
    """Build a program from a design and C++ that uses its model, the class `Vtop`.

    Parameters
    ----------
    design
        The design.
    main, headers
        The C++ source with `main`, and the headers that it includes, by name.
    trace
        Whether the model can write a waveform, in the format FST: `VM_TRACE` is then 1.

    Raises
    ------
    MissingToolError
        If Verilator or the C++ compiler is not installed.
    SimulationError
        If the Verilog, or the C++ made from it, does not compile.
    """
    return _build_verilator(
        design,
        flags=("--trace-fst",) if trace else (),
        control="`verilator_config\n",
        main=main,
        headers=headers,
        optimize=True,
        runtime=(_RUNTIME, _TRACE) if trace else (_RUNTIME,),
        link=(),
        trace=trace,
    )


def _build_verilator(
    design: Design,
    *,
    flags: Sequence[str],
    control: str,
    main: str,
    headers: dict[str, str],
    optimize: bool,
    runtime: Sequence[tuple[str, ...]],
    link: Sequence[str],
    trace: bool = False,
) -> Path:
    verilator = installed.find_verilator()
    compiler_flags = _compiler_flags(verilator, trace)
    level = _OPTIMIZED if optimize else "-O0"
    options = (
        *("--cc", "--no-timing", "--no-assert", "--prefix", "Vtop", "--top-module", design.top),
        *("--timescale-override", _TIMESCALE),
        *("-Wno-fatal", "-Wno-lint", "-Wno-style", "--quiet", "-Mdir", ".", *_SPLIT, *flags),
    )

    def build(folder: Path) -> None:
        log = folder / _LOG
        sources = [
            _write(folder / "design.vlt", control),
            _write(folder / "design.v", design.verilog),
        ]
        run_all(
            [[str(verilator.root / "bin" / "verilator_bin"), *options, *sources]],
            log=log,
            cwd=folder,
            env={**os.environ, "VERILATOR_ROOT": str(verilator.root)},
        )
        for name, text in headers.items():
            _write(folder / name, text)
        _write(folder / "main.cpp", main)
        units = _units(folder, level)
        compiler = [verilator.compiler, *compiler_flags]
        run_all(
            [[*compiler, unit_level, "-c", unit] for unit, unit_level in units],
            log=log,
            cwd=folder,
            jobs=os.cpu_count() or 1,
        )
        objects = [Path(unit).with_suffix(".o").name for unit, _ in units]
        for group in runtime:
            objects += _runtime(verilator, group, compiler_flags)
        linked = [*objects, *link, "-pthread", "-lpthread"]
        run_all([[verilator.compiler, "-o", "simulation", *linked]], log=log, cwd=folder)
        for leftover in (*folder.glob("*.o"), *folder.glob("V*"), *folder.glob("unit*.cpp")):
            leftover.unlink()

    key = content_key(
        *("verilator", verilator.version, _OPTIMIZED, level, *options, *link, *compiler_flags),
        *(_SIGN_EXTENSION, control, main, design.verilog, *headers, *headers.values()),
    )
    return cached(key, "simulation", build)


def _units(folder: Path, level: str) -> list[tuple[str, str]]:
    """The compilation units, and the level at which each is optimized.

    Most of the time for a small file goes into Verilator's headers, so that the many files of a
    model are joined: those of a small model into one unit, those of others into one unit for each
    processor and one for code that runs once.
    """
    files = sorted(folder.glob("V*.cpp"), key=lambda file: -file.stat().st_size)
    names = ["main.cpp", *(file.name for file in files)]
    if level == "-O0" or sum(file.stat().st_size for file in files) < _SMALL_BYTES:
        groups = [(names, level)]
    else:
        slow = [name for name in names if "__Slow" in name]
        fast = [name for name in names if "__Slow" not in name]
        jobs = os.cpu_count() or 1
        groups = [(fast[start::jobs], level) for start in range(jobs)] + [(slow, "-O0")]
    units = []
    for number, (members, unit_level) in enumerate(groups):
        if members:
            text = _SIGN_EXTENSION + "".join(f'#include "{member}"\n' for member in members)
            units.append((_write(folder / f"unit{number}.cpp", text), unit_level))
    return units


def _runtime(
    verilator: installed.Verilator, sources: tuple[str, ...], flags: Sequence[str]
) -> list[str]:
    """The objects of Verilator's runtime, which are the same for every model.

    Its writer of waveforms includes headers of two libraries, in place of which it gets ours.
    """
    headers = _compression_headers() if sources == _TRACE else {}

    def build(folder: Path) -> None:
        for name, text in headers.items():
            _write(folder / name, text)
        compiler = [verilator.compiler, *flags, _OPTIMIZED, "-c"]
        commands = [[*compiler, str(verilator.include / name)] for name in sources]
        run_all(commands, log=folder / _LOG, cwd=folder, jobs=os.cpu_count() or 1)

    objects = [Path(name).with_suffix(".o").name for name in sources]
    key = content_key(
        *("verilator runtime", _OPTIMIZED, verilator.version, *sources, *flags),
        *(*headers, *headers.values()),
    )
    folder = cached(key, objects[-1], build).parent
    return [str(folder / name) for name in objects]


def _compression_headers() -> dict[str, str]:
    folder = resources.files("systolith.sim.simulators").joinpath("compression")
    return {name: folder.joinpath(name).read_text("utf-8") for name in ("lz4.h", "zlib.h")}


def _compiler_flags(verilator: installed.Verilator, trace: bool) -> tuple[str, ...]:
    includes = (f"-I{verilator.include}", f"-I{verilator.include / 'vltstd'}")
    tracing = (f"-DVM_TRACE={trace:d}", f"-DVM_TRACE_FST={trace:d}")
    return ("-std=c++17", "-w", "-I.", *includes, *_DEFINES, *tracing)


def _write(path: Path, text: str) -> str:
    """Write a text; returns the name of the file."""
    path.write_text(text, "utf-8")
    return path.name
