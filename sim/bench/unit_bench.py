"""Simulates one stream component alone: its values and stream rules under stalls, and its cycles.

Use it to test a unit of one's own: `run_unit_bench` plays every stall pattern, `measure_unit` finds
the cycle of every handshake at given paces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.back import rtlil
from amaranth.lib import data, wiring
from numpy.typing import NDArray

from systolith.hw.build_cache import cached, content_key
from systolith.hw.streams.beats import Beat
from systolith.hw.streams.module_boundary import FlatModule, flat_ports
from systolith.hw.verilog.readable import readable
from systolith.hw.verilog.yosys import run_yosys, yosys_version
from systolith.sim.bench.cocotb_run import running_bench
from systolith.sim.record.packing import BeatFormat
from systolith.sim.simulators.builds import Design
from systolith.sim.simulators.installed import Simulator

Integers = NDArray[np.int64]

_BENCH = "systolith.sim.bench.unit_bench_cocotb"
_SCRIPT = """
read_rtlil <<rtlil
{rtlil}
rtlil
proc
flatten
opt -full
clean -purge
write_verilog -noattr -nodec -simple-lhs
"""


@dataclass(frozen=True)
class Pace:
    """The earliest cycles in which the source offers and the sink takes each beat.

    Cycle 0 is the second after a reset. Each beat is offered or taken in the first possible cycle
    that is not earlier, so that a pace can describe any behaviour of the two sides.

    Parameters
    ----------
    offers
        The earliest cycle for each beat of all frames that go in.
    takes
        The earliest cycle for each beat of all frames that come out; `ready` is low before it.
    """

    offers: Sequence[int]
    takes: Sequence[int]


@dataclass(frozen=True)
class UnitCycles:
    """The cycle of every handshake of a unit.

    Parameters
    ----------
    taken
        For each beat that went in, the cycle in which it was taken.
    offered
        For each beat that came out, the first cycle in which it was offered.
    given
        For each beat that came out, the cycle in which it was taken.
    """

    taken: tuple[int, ...]
    offered: tuple[int, ...]
    given: tuple[int, ...]


@dataclass(frozen=True)
class BenchedUnit:
    """A unit in the form that the bench simulates.

    Parameters
    ----------
    design
        A module with the streams `i` and `o` as flat ports, and `clk` and `rst`.
    input, output
        The formats of the beats of `i` and `o`.
    constants
        The values of ports that belong to no stream.
    """

    design: Design
    input: BeatFormat
    output: BeatFormat
    constants: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class UnitBenchReport:
    """The result of `run_unit_bench`.

    Parameters
    ----------
    scenarios
        The patterns that the unit passed, and the one that it failed.
    failures
        What was wrong, a line each; empty if nothing was.
    interval_cycles
        Clock cycles between the final beats of the last two frames when neither side pauses; None
        for a single frame.
    latency_cycles
        Clock cycles from the first beat taken to the first beat offered, likewise.
    cycles
        The cycles of all frames, likewise, counted from the first beat taken; None if that pattern
        failed.
    """

    scenarios: tuple[str, ...]
    failures: tuple[str, ...]
    interval_cycles: int | None
    latency_cycles: int | None
    cycles: UnitCycles | None

    def require_passed(self) -> None:
        """Raise an `AssertionError` that lists the failures, if there are any."""
        if self.failures:
            raise AssertionError(f"{self.scenarios[-1]}: " + "; ".join(self.failures))


def run_unit_bench(
    unit: wiring.Component | BenchedUnit,
    frames: Integers,
    expected: Integers,
    *,
    simulator: Simulator,
    seed: int,
    name: str = "unit",
    input_format: BeatFormat | None = None,
    output_format: BeatFormat | None = None,
    patience: int = 20_000,
) -> UnitBenchReport:
    """Simulate a unit under every pattern of stalls, in one build and one simulation.

    All frames pass without a gap under each pair of patterns (none, cyclic, random) at input and
    output; then with `ready` held low until `valid` has risen; then three times after a reset in
    the middle of a frame; then while the inputs are changed between clock edges, to check that no
    combinational path leads from `o.ready` to `i.ready` or `o.valid`, nor from `i.valid` or
    `i.payload` to `o.valid`.
    The stream rules are checked at every clock. The first pattern that fails ends the bench.

    Parameters
    ----------
    unit
        A component with the streams `i` and `o` in the domain `sync`, or its module.
    frames
        The input, shape `(frames, height, width, channels)`; every check needs at least two frames
        of more than one beat.
    expected
        The expected output, shape `(frames, height, width, channels)`.
    simulator
        Its name.
    seed
        Of the random patterns.
    name
        The unit's name in messages.
    input_format, output_format
        The formats of beats, for a component whose payload is not a `hw.streams.beats.Beat`.
    patience
        The number of clock cycles without a transfer after which the unit counts as stuck.

    Raises
    ------
    MissingToolError
        If a tool is not installed.
    SimulationError
        If a build fails, or the simulator dies.
    ValueError
        If frames do not consist of whole beats.
    """
    result = _simulate(
        unit, frames, expected, (), simulator, seed, name, input_format, output_format, patience
    )
    cycles = interval = latency = None
    if result["cycles"]:
        first = result["cycles"][0]
        start = first["taken"][0]
        cycles = UnitCycles(**{key: tuple(c - start for c in of) for key, of in first.items()})
        latency = cycles.offered[0]
        if len(expected) > 1:
            interval = cycles.given[-1] - cycles.given[-1 - len(cycles.given) // len(expected)]
    return UnitBenchReport(
        scenarios=tuple(result["scenarios"]),
        failures=tuple(result["failures"]),
        interval_cycles=interval,
        latency_cycles=latency,
        cycles=cycles,
    )


def measure_unit(
    unit: wiring.Component | BenchedUnit,
    frames: Integers,
    expected: Integers,
    paces: Sequence[Pace],
    *,
    simulator: Simulator,
    name: str = "unit",
    input_format: BeatFormat | None = None,
    output_format: BeatFormat | None = None,
    patience: int = 20_000,
) -> tuple[UnitCycles, ...]:
    """The cycle of every handshake of a unit at each of several paces, in one simulation.

    At each pace the unit is reset and gets all frames; values and stream rules are checked.

    Parameters
    ----------
    unit, frames, expected, simulator, name, input_format, output_format, patience
        As for `run_unit_bench`; a pace must not wait for longer than `patience`.
    paces
        At least one.

    Returns
    -------
    tuple
        For each pace the cycles, counted as in the pace.

    Raises
    ------
    MissingToolError, SimulationError
        As for `run_unit_bench`.
    ValueError
        If frames do not consist of whole beats, or a pace has another number of beats.
    AssertionError
        If a value is wrong, a rule is broken, or nothing moves any more.
    """
    if not paces:
        raise ValueError(f"{name}: at least one pace is needed")
    result = _simulate(
        unit, frames, expected, paces, simulator, 0, name, input_format, output_format, patience
    )
    if result["failures"]:
        raise AssertionError(f"{result['scenarios'][-1]}: " + "; ".join(result["failures"]))
    return tuple(
        UnitCycles(**{key: tuple(of) for key, of in cycles.items()}) for cycles in result["cycles"]
    )


def _simulate(
    unit: wiring.Component | BenchedUnit,
    frames: Integers,
    expected: Integers,
    paces: Sequence[Pace],
    simulator: Simulator,
    seed: int,
    name: str,
    input_format: BeatFormat | None,
    output_format: BeatFormat | None,
    patience: int,
) -> Any:
    """The result of the cocotb side: of each pace, or of every stall pattern if there is none."""
    if not isinstance(unit, BenchedUnit):
        unit = benched(unit, input_format, output_format)
    formats = {"input": unit.input, "output": unit.output}
    for side, array in (("input", frames), ("output", expected)):
        lanes = formats[side].lanes
        if array.ndim != 4 or not array.size or array[0].size % lanes:
            raise ValueError(
                f"{name}: {side} frames must have the shape (frames, height, width, channels) and "
                f"consist of beats of {lanes} values, not {array.shape}"
            )
    if len(frames) != len(expected):
        raise ValueError(f"{name}: {len(frames)} frames go in, but {len(expected)} are expected")

    for number, pace in enumerate(paces):
        for side, array, cycles in (("in", frames, pace.offers), ("out", expected, pace.takes)):
            beats = array.size // formats[f"{side}put"].lanes
            if len(cycles) != beats:
                raise ValueError(
                    f"{name}: {beats} beats go {side}, but pace {number} has {len(cycles)}"
                )

    task: dict[str, Any] = {"name": name, "seed": seed, "patience": patience}
    task["constants"] = dict(unit.constants)
    task["paces"] = [
        {"offers": [int(c) for c in pace.offers], "takes": [int(c) for c in pace.takes]}
        for pace in paces
    ]
    task |= {side: asdict(beat) for side, beat in formats.items()}
    arrays = {"frames": frames, "expected": expected}
    with running_bench(
        unit.design, _BENCH, task, arrays, simulator=simulator, optimize=False
    ) as bench:
        return bench.result()


def benched(
    unit: wiring.Component, input_format: BeatFormat | None, output_format: BeatFormat | None
) -> BenchedUnit:
    """A component in the form that the bench simulates; formats as for `run_unit_bench`."""
    source = input_format or beat_format(unit, "i")
    sink = output_format or beat_format(unit, "o")
    ports = ("clk", "rst", *(port.name for port in flat_ports(unit)))
    design = Design("unit_bench", flat_verilog(FlatModule(unit), "unit_bench"), ports)
    return BenchedUnit(design, source, sink)


def beat_format(unit: wiring.Component, port: str) -> BeatFormat:
    """The format of the beats of a unit's stream `i` or `o`.

    Raises
    ------
    ValueError
        If the port's payload is not a `hw.streams.beats.Beat`.
    """
    payload = getattr(unit, port).payload
    shape = payload.shape() if isinstance(payload, data.View) else None
    if not isinstance(shape, Beat):
        raise ValueError(f"{port}: the format of a beat must be given for a payload of {payload!r}")
    return BeatFormat(shape.lanes, shape.value_shape.width, shape.value_shape.signed)


def flat_verilog(component: wiring.Component, top: str) -> str:
    """Convert a component with flat ports to one flat Verilog module, as `generate` writes it.

    Raises
    ------
    YosysError
        If Yosys fails.
    """
    script = _SCRIPT.format(rtlil=rtlil.convert(component, name=top, emit_src=False))

    def build(folder: Path) -> None:
        (folder / "design.v").write_text(run_yosys(script), "utf-8")

    key = content_key("yosys", yosys_version(), script)
    text = cached(key, "design.v", build).read_text("utf-8")
    return readable(text[text.index("module ") :])
