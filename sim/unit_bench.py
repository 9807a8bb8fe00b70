"""One stream component alone: frames in, frames expected out, under every pattern of stalls."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.back import rtlil
from amaranth.lib import data, wiring
from numpy.typing import NDArray

from hw.module_boundary import FlatModule, flat_ports
from hw.stream import Beat
from hw.yosys import run_yosys, yosys_version
from sim.build_cache import cached, content_key
from sim.builds import Design
from sim.cocotb_run import running_bench
from sim.packing import BeatFormat
from sim.simulators import Simulator

Integers = NDArray[np.int64]

_BENCH = "sim.unit_bench_cocotb"
_SCRIPT = """
read_rtlil <<rtlil
{rtlil}
rtlil
proc
flatten
opt -full
clean -purge
write_verilog -noattr -simple-lhs
"""


@dataclass(frozen=True)
class UnitBenchReport:
    """What a unit did in the bench.

    Parameters
    ----------
    scenarios
        The patterns that it passed, and the one that it failed.
    failures
        What was wrong, in words; empty if nothing was.
    interval_cycles
        Clock cycles between the final beats of the last two frames, neither side ever pausing; None
        of a single frame.
    latency_cycles
        Clock cycles from the first beat taken to the first beat offered.
    """

    scenarios: tuple[str, ...]
    failures: tuple[str, ...]
    interval_cycles: int | None
    latency_cycles: int | None

    def require_passed(self) -> None:
        """Raise an `AssertionError` with what was wrong, if anything was."""
        if self.failures:
            raise AssertionError(f"{self.scenarios[-1]}: " + "; ".join(self.failures))


def run_unit_bench(
    unit: wiring.Component,
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
    output; then with `ready` held low until `valid` has risen; then after a reset in mid-frame,
    thrice; then while the inputs are changed between clock edges, to see that no combinational path
    leads from `o.ready` to `i.ready` or `o.valid`, nor from `i.valid` or `i.payload` to `o.valid`.
    The stream rules are checked at every clock. The first pattern that fails ends the bench.

    Parameters
    ----------
    unit
        A component with the streams `i` and `o`, in the domain `sync`.
    frames
        What goes in, shape `(frames, height, width, channels)`: at least two frames of more than
        one beat let every check be made.
    expected
        What comes out, shape `(frames, height, width, channels)`.
    simulator
        Which one.
    seed
        Of the random patterns.
    name
        For messages.
    input_format, output_format
        How values lie in beats, where the payload is not a `hw.stream.Beat`.
    patience
        Clock cycles without a transfer after which the unit counts as stuck.

    Raises
    ------
    MissingToolError
        If a tool is not installed.
    SimulationError
        If a build fails, or the simulator dies.
    ValueError
        If frames do not consist of whole beats.
    """
    formats = {
        "input": input_format or beat_format(unit, "i"),
        "output": output_format or beat_format(unit, "o"),
    }
    for side, array in (("input", frames), ("output", expected)):
        lanes = formats[side].lanes
        if array.ndim != 4 or not array.size or array[0].size % lanes:
            raise ValueError(
                f"{name}: {side} frames must have the shape (frames, height, width, channels) and "
                f"consist of beats of {lanes} values, not {array.shape}"
            )
    if len(frames) != len(expected):
        raise ValueError(f"{name}: {len(frames)} frames go in, but {len(expected)} are expected")

    task: dict[str, Any] = {"name": name, "seed": seed, "patience": patience}
    task |= {side: asdict(beat) for side, beat in formats.items()}
    ports = ("clk", "rst", *(port.name for port in flat_ports(unit)))
    design = Design("unit_bench", flat_verilog(FlatModule(unit), "unit_bench"), ports)
    arrays = {"frames": frames, "expected": expected}
    with running_bench(design, _BENCH, task, arrays, simulator=simulator, optimize=False) as bench:
        result = bench.result()
    return UnitBenchReport(
        scenarios=tuple(result["scenarios"]),
        failures=tuple(result["failures"]),
        interval_cycles=result["interval_cycles"],
        latency_cycles=result["latency_cycles"],
    )


def beat_format(unit: wiring.Component, port: str) -> BeatFormat:
    """How values lie in the beats of a unit's port `i` or `o`.

    Raises
    ------
    ValueError
        If the port's payload is not a `hw.stream.Beat`.
    """
    payload = getattr(unit, port).payload
    shape = payload.shape() if isinstance(payload, data.View) else None
    if not isinstance(shape, Beat):
        raise ValueError(f"{port}: the format of a beat must be given for a payload of {payload!r}")
    return BeatFormat(shape.lanes, shape.value_shape.width, shape.value_shape.signed)


def flat_verilog(component: wiring.Component, top: str) -> str:
    """A component with flat ports as one flat Verilog module, made once for each content.

    Raises
    ------
    YosysError
        If Yosys fails.
    """
    script = _SCRIPT.format(rtlil=rtlil.convert(component, name=top, emit_src=False))

    def build(folder: Path) -> None:
        (folder / "design.v").write_text(run_yosys(script), "utf-8")

    key = content_key("yosys", yosys_version(), script)
    return cached(key, "design.v", build).read_text("utf-8")
