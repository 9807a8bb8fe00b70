"""Drives a unit's streams in Amaranth's simulator, and checks the transfer rules."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from amaranth.hdl import ClockDomain, Module, Shape
from amaranth.sim import Simulator

MAX_IDLE_CYCLES = 5_000
"""A stream without a transfer for longer than this hangs."""

Pauses = Callable[[int], bool]
"""Whether a side pauses in a cycle."""


def never(cycle: int) -> bool:
    """No pauses."""
    return False


def cyclic(period: int, phase: int = 0) -> Pauses:
    """A transfer at most every `period` cycles."""
    return lambda cycle: (cycle + phase) % period != 0


def randomly(seed: int, probability: float = 0.5) -> Pauses:
    """A pause in each cycle with `probability`."""
    return lambda cycle: random.Random(f"{seed} {cycle}").random() < probability


def pack(values: Sequence[int], shape: Shape) -> int:
    """Values packed into one word, the first in the lowest bits."""
    mask = (1 << shape.width) - 1
    return sum((int(value) & mask) << (index * shape.width) for index, value in enumerate(values))


def unpack(word: int, shape: Shape, lanes: int) -> list[int]:
    """The values that `pack` packed."""
    values = []
    for _ in range(lanes):
        value = word & ((1 << shape.width) - 1)
        word >>= shape.width
        if shape.signed and value >> (shape.width - 1):
            value -= 1 << shape.width
        values.append(value)
    return values


def beats(frames: Iterable[Iterable[int]], shape: Shape, lanes: int) -> list[tuple[int, int]]:
    """Frames of values, in stream order, as `(data, last)` of every beat."""
    result = []
    for frame in frames:
        values = [int(value) for value in frame]
        assert values and len(values) % lanes == 0
        for start in range(0, len(values), lanes):
            last = int(start + lanes == len(values))
            result.append((pack(values[start : start + lanes], shape), last))
    return result


@dataclass
class Run:
    """The transfers of a unit.

    Parameters
    ----------
    beats
        The output beats, as `(data, last)`.
    taken
        The cycles in which input beats were taken.
    produced
        The cycles in which output beats were transferred.
    """

    beats: list[tuple[int, int]] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    produced: list[int] = field(default_factory=list)

    def frames(self, shape: Shape, lanes: int) -> list[list[int]]:
        """The values of each frame, split after each `last`; the final frame may lack it."""
        result: list[list[int]] = [[]]
        for data, last in self.beats:
            result[-1] += unpack(data, shape, lanes)
            if last:
                result.append([])
        return result if result[-1] else result[:-1]


def run(
    unit: Any,
    inputs: Sequence[tuple[int, int]],
    outputs: int,
    *,
    idle: Pauses = never,
    backpressure: Pauses = never,
    reset_after: int | None = None,
    linger: int = 20,
) -> Run:
    """Feed a unit's `i` with beats and take `outputs` beats from its `o`.

    In the `linger` cycles that follow, no further beat may be offered. With `reset_after`, the unit
    first gets that many beats and is then reset in mid-frame.
    """
    result = Run()

    async def bench(ctx: Any) -> None:
        if reset_after:
            await _transfer(ctx, unit, inputs[:reset_after], None, Run(), idle, backpressure)
            ctx.set(unit.i.valid, 0)
            ctx.set(unit.o.ready, 0)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
        await _transfer(ctx, unit, inputs, outputs, result, idle, backpressure)
        ctx.set(unit.o.ready, 1)
        for _ in range(linger):
            assert not ctx.get(unit.o.valid), "more beats than expected"
            await ctx.tick()

    top = Module()
    top.domains.sync = domain = ClockDomain("sync")
    top.submodules.unit = unit
    reset = domain.rst
    simulator = Simulator(top)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return result


async def _transfer(
    ctx: Any,
    unit: Any,
    inputs: Sequence[tuple[int, int]],
    outputs: int | None,
    result: Run,
    idle: Pauses,
    backpressure: Pauses,
) -> None:
    """Transfer until all `inputs` are taken and `outputs` beats received (None: do not wait)."""
    cycle = quiet = fed = 0
    offering = False
    held: tuple[int, int] | None = None
    while fed < len(inputs) or (outputs is not None and len(result.beats) < outputs):
        # An offered beat stays until it is taken.
        valid_before = ctx.get(unit.o.valid)
        offering = fed < len(inputs) and (offering or not idle(cycle))
        ctx.set(unit.i.valid, offering)
        if offering:
            data, last = inputs[fed]
            ctx.set(unit.i.payload.data, data)
            ctx.set(unit.i.payload.last, last)
        assert ctx.get(unit.o.valid) == valid_before, "o.valid follows i.valid"
        ready_before = ctx.get(unit.i.ready)
        ready = not backpressure(cycle)
        ctx.set(unit.o.ready, ready)
        assert ctx.get(unit.o.valid) == valid_before, "o.valid follows o.ready"
        assert ctx.get(unit.i.ready) == ready_before, "i.ready follows o.ready"

        offered = None
        if ctx.get(unit.o.valid):
            offered = (ctx.get(unit.o.payload.data), ctx.get(unit.o.payload.last))
        assert held is None or offered == held, f"an offered beat {held} became {offered}"
        consumed = offering and ctx.get(unit.i.ready)
        produced = ready and offered is not None
        if produced:
            assert outputs is None or len(result.beats) < outputs, "more beats than expected"
            assert offered is not None
            result.beats.append(offered)
            result.produced.append(cycle)
        held = None if produced else offered
        if consumed:
            fed += 1
            offering = False
            result.taken.append(cycle)
        quiet = 0 if consumed or produced else quiet + 1
        assert quiet < MAX_IDLE_CYCLES, f"hangs after {fed} input beats"
        await ctx.tick()
        cycle += 1
    ctx.set(unit.i.valid, 0)
    ctx.set(unit.o.ready, 0)
