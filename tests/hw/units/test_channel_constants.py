# amaranth: UnusedElaboratable=no
from __future__ import annotations

from typing import Any

import pytest
from amaranth.hdl import ClockDomain, Module, signed
from amaranth.sim import Simulator

from systolith.hw.units.channel_constants import ChannelConstants
from tests.hw.stream_driver import unpack


@pytest.mark.parametrize("values", [[3, -2, 7, 0, -8, 1], [5, 5, 5, 5, 5, 5], [1, 2, 1, 2, 1, 2]])
@pytest.mark.parametrize("lanes", [1, 2, 3, 6])
def test_constants_go_with_the_beats(values: list[int], lanes: int) -> None:
    unit = ChannelConstants(values, signed(4), lanes)

    async def bench(ctx: Any) -> None:
        # Of the beats in the two cycles before.
        expected: list[list[int] | None] = [None, None]
        beat = 0
        for cycle in range(60):
            due = expected.pop(0)
            if due is not None:
                assert unpack(ctx.get(unit.data), signed(4), lanes) == due
            taken = cycle % 3 != 1
            ctx.set(unit.taken, taken)
            start = beat * lanes % len(values)
            expected.append(values[start : start + lanes] if taken else None)
            beat += taken
            await ctx.tick()

    top = Module()
    top.domains.sync = ClockDomain("sync")  # equal constants have no register
    top.submodules.unit = unit
    simulator = Simulator(top)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


def test_lanes_must_divide_the_channels() -> None:
    with pytest.raises(ValueError, match="lanes must divide the 6 channels, not 4"):
        ChannelConstants([0] * 6, signed(4), 4)
