# amaranth: UnusedElaboratable=no
from __future__ import annotations

import random
import re
from collections import Counter
from typing import Any

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Shape, signed, unsigned
from amaranth.sim import Simulator

from systolith.hw.streams.formats import pack
from systolith.hw.units.activation_table import MAX_PORTS, MAX_WORDS, ActivationTable
from tests.hw.stream_driver import unpack


@pytest.mark.parametrize("bits", [1, 2, 3, 5])
@pytest.mark.parametrize(("shape", "lanes"), [(signed(3), 1), (unsigned(7), 19)])
def test_every_entry_is_found(bits: int, shape: Shape, lanes: int) -> None:
    rng = random.Random(bits)
    low, high = (-4, 3) if shape.signed else (0, 127)
    entries = [rng.randint(low, high) for _ in range(1 << bits)]
    unit = ActivationTable(entries, shape, lanes)

    async def bench(ctx: Any) -> None:
        indices = list(range(1 << bits)) * lanes
        for start in range(0, len(indices), lanes):
            part = indices[start : start + lanes]
            ctx.set(unit.index, pack(part, unsigned(bits)))
            await ctx.tick().repeat(2)
            assert unpack(ctx.get(unit.data), shape, lanes) == [entries[i] for i in part]

    simulator = Simulator(unit)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


def test_a_long_table_has_wide_words() -> None:
    assert len(ActivationTable(range(1 << 14), signed(16), 1).words) == MAX_WORDS


@pytest.mark.parametrize("lanes", [1, 8, 9, 24])
def test_no_memory_has_more_read_ports_than_yosys_can_map(lanes: int) -> None:
    text = rtlil.convert(ActivationTable(range(64), unsigned(6), lanes))
    ports = Counter(re.findall(r"cell \$memrd_v2 .*?\n\s+parameter .MEMID (\S+)", text))
    assert sum(ports.values()) == lanes
    assert max(ports.values()) <= MAX_PORTS == 8


@pytest.mark.parametrize("size", [0, 1, 3, 12])
def test_a_table_has_a_power_of_two_of_entries(size: int) -> None:
    with pytest.raises(ValueError, match=f"a power of two of entries, not {size}"):
        ActivationTable([0] * size, signed(4), 1)
