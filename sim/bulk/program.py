"""The C++ engine as a program: its sources, the header made for a network, its command line.

`engine` runs the program; what it reads and writes is described in `cpp/engine.cpp`.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from systolith.sim.record.taps import Tap, TappedNetwork
from systolith.sim.simulators.builds import build_verilator_program

RULE_BROKEN_STATUS = 10
"""The exit status after a broken rule (`kRuleBroken` in `cpp/command_line.h`)."""

_MAIN = "engine.cpp"
_GENERATED = "network.h"


def build_engine(network: TappedNetwork, trace: bool = False) -> Path:
    """Build the engine for a network, once for each content.

    Parameters
    ----------
    network
        What it simulates.
    trace
        Build the engine that writes a waveform in place of records.

    Raises
    ------
    MissingToolError
        Verilator or the C++ compiler is not installed.
    SimulationError
        The build failed.
    """
    folder = resources.files("systolith.sim.bulk").joinpath("cpp")
    sources = {file.name: file.read_text("utf-8") for file in folder.iterdir() if file.is_file()}
    main = sources.pop(_MAIN)
    headers = {**dict(sorted(sources.items())), _GENERATED: network_header(network)}
    return build_verilator_program(network.design, main, headers, trace)


def command_line(program: Path, network: TappedNetwork, **options: object) -> list[str]:
    """The command that runs the engine: `reset_cycles=3` becomes `--reset-cycles 3`."""
    values = {name.replace("_", "-"): value for name, value in options.items()}
    values["patience"] = network.patience
    values |= {f"set-{port}": value for port, value in network.constants.items()}
    return [str(program), *(text for k, v in values.items() for text in (f"--{k}", str(v)))]


def network_header(network: TappedNetwork) -> str:
    """The header `network.h`, which describes the network's streams to the engine."""
    sizes = {
        "kSourceBeats": network.source_beats,
        "kSourceBytes": network.source.bytes,
        "kResultBeats": network.result.beats,
        "kResultBytes": network.result.bytes,
    }
    lines = ["#pragma once", '#include "command_line.h"', '#include "layers.h"']
    lines.append("namespace {")
    lines += [f"constexpr size_t {name} = {size};" for name, size in sizes.items()]
    lines.append("const Tap taps[] = {")
    lines += [f"    {_tap_initializer(tap)}," for tap in network.taps]
    lines += ["};", "inline void set_ports(Vtop& m, CommandLine& options) {"]
    lines += [
        f'    m.{verilated_name(port)} = options.number("set-{port}");'
        for port in network.constants
    ]
    return "\n".join([*lines, "}", "}", ""])


def _tap_initializer(tap: Tap) -> str:
    def member(port: str) -> str:
        return f"m.{verilated_name(tap.port(port))}"

    flags = [
        f"[](const Vtop& m) -> const CData* {{ return &{member(p)}; }}"
        for p in ("valid", "ready", "last")
    ]
    data = f"[](const Vtop& m, uint32_t* out) {{ to_words({member('data')}, out); }}"
    beat = tap.beat
    numbers = (beat.lanes, beat.bits, int(beat.signed), tap.value_type.itemsize, tap.frame_beats)
    return "{" + ", ".join([f'"{tap.layer}"', *map(str, numbers), *flags, data]) + "}"


def verilated_name(port: str) -> str:
    """The name that Verilator gives a port: two underscores together are encoded."""
    return port.replace("__", "___05F")
