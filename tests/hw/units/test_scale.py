# amaranth: UnusedElaboratable=no
"""The constants of the places of a map; `Scale` is tested with the units that have one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import ClockDomain, Module, unsigned
from amaranth.sim import Simulator

from systolith.hw.units.scale import PlaceConstants


@pytest.mark.parametrize(
    "values",
    [
        [[7]],
        [[5, 5], [5, 5]],
        [[4, 6, 6, 4], [6, 9, 9, 6], [4, 6, 6, 4]],
        [[1, 2, 3], [4, 5, 6]],
        [[3, 3, 2]],
    ],
)
@pytest.mark.parametrize(("groups", "lanes"), [(1, 2), (3, 1)])
def test_each_place_has_its_constant(values: list[list[int]], groups: int, lanes: int) -> None:
    constants = PlaceConstants(np.array(values), unsigned(4), groups, lanes)
    expected = [value for row in values for value in row for _ in range(groups)] * 2

    async def bench(ctx: Any) -> None:
        passed: list[int | None] = [None, None]
        for cycle in range(4 * len(expected)):
            if passed[-2] is not None:
                word = sum(passed[-2] << (4 * lane) for lane in range(lanes))
                assert ctx.get(constants.data) == word
            takes = bool(expected) and cycle % 3 != 1
            ctx.set(constants.taken, takes)
            passed.append(expected.pop(0) if takes else None)
            await ctx.tick()
        assert not expected

    top = Module()
    top.domains.sync = ClockDomain("sync")
    top.submodules.constants = constants
    simulator = Simulator(top)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
