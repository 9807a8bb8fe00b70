"""Lookup tables against their lists of values."""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from systolith.hw.streams.lookup import Walk, look_up


@pytest.mark.parametrize("values", [[3], [0, 0], [5, 1, 5, 2, 5], [0, 1, 1, 0, 7, 7, 7]])
def test_every_entry(values: list[int]) -> None:
    m = Module()
    index = Signal(range(len(values)))
    result = look_up(m, values, index, "result")

    async def bench(ctx: Any) -> None:
        for position, value in enumerate(values):
            ctx.set(index, position)
            assert ctx.get(result) == value

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("values", [[3], [0, 4], [5, 1, 5, 2, 5]])
def test_a_constant_follows_its_position(values: list[int]) -> None:
    m = Module()
    advance = Signal()
    constant = Walk(m, len(values), advance, "walk").constant(values, "constant")

    async def bench(ctx: Any) -> None:
        position = 0
        for cycle in range(20):
            assert ctx.get(constant) == values[position % len(values)]
            ctx.set(advance, cycle % 3 != 1)
            position += cycle % 3 != 1
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
