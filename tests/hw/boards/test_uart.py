# amaranth: UnusedElaboratable=no
"""The line at the level of bits: cycle by cycle, at other speeds, and with errors."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from systolith.hw.boards.uart import LEAST_CLOCKS_PER_BIT, UartReceiver, UartSender
from tests.hw.clocked import run_bench


def bits_of(byte: int, stop: int = 1) -> list[int]:
    """What the line carries for a byte."""
    return [0, *(byte >> place & 1 for place in range(8)), stop]


def received(clocks_per_bit: int, line: Sequence[int]) -> list[tuple[int, int, int]]:
    """The cycle, the byte and `broken` of everything that comes from a line, cycle by cycle."""
    unit = UartReceiver(clocks_per_bit)
    found: list[tuple[int, int, int]] = []

    async def bench(ctx: Any) -> None:
        for cycle, level in enumerate([*line, *[1] * 6]):
            ctx.set(unit.line, level)
            if ctx.get(unit.valid):
                found.append((cycle, ctx.get(unit.data), ctx.get(unit.broken)))
            await ctx.tick()

    run_bench(unit, bench)
    return found


def at_speed(bits: Sequence[int], cycles: float, phase: float = 0.0) -> list[int]:
    """The level in each cycle of bits that take a number of cycles, not necessarily a whole one."""
    total = int(len(bits) * cycles + phase)
    return [bits[max(0, int((cycle + 1 - phase) / cycles - 1e-9))] for cycle in range(total)]


@pytest.mark.parametrize("clocks", [4, 5, 8, 13])
def test_every_byte_is_received_in_its_cycle(clocks: int) -> None:
    sent = [*range(0, 256, 7), 0x00, 0xFF, 0x7E]
    line = [level for byte in sent for bit in bits_of(byte) for level in [bit] * clocks]
    latency = 9 * clocks + clocks // 2 + 4
    expected = [(10 * clocks * place + latency, byte, 0) for place, byte in enumerate(sent)]
    assert received(clocks, line) == expected


@pytest.mark.parametrize(("clocks", "deviation"), [(8, 0.02), (20, 0.035)])
def test_the_other_side_may_be_slower_or_faster(clocks: int, deviation: float) -> None:
    sent = random.Random(1).sample(range(256), 20)
    bits = [bit for byte in sent for bit in bits_of(byte)]
    for speed in (1 - deviation, 1 + deviation):
        for phase in (0.0, 0.5):
            found = received(clocks, at_speed(bits, speed * clocks, phase))
            assert [(byte, broken) for _, byte, broken in found] == [(byte, 0) for byte in sent]


def test_a_short_pulse_is_no_byte_and_one_in_a_bit_is_voted_down() -> None:
    clocks = 16
    quiet = [1] * 40
    assert received(clocks, [*quiet, *[0] * (clocks // 2 - 2), *quiet * 5]) == []
    line = [level for bit in bits_of(0xA5) for level in [bit] * clocks]
    noisy = [
        [level ^ (cycle == place) for cycle, level in enumerate(line)]
        for place in range(clocks, 9 * clocks)
    ]
    found = received(clocks, [level for each in noisy for level in each])
    assert [each[1:] for each in found] == [(0xA5, 0)] * len(noisy)


def test_a_byte_without_stop_bit_is_broken_and_the_line_recovers() -> None:
    clocks = 4
    broken = [level for bit in bits_of(0x41, stop=0) for level in [bit] * clocks]
    good = [level for bit in bits_of(0x42) for level in [bit] * clocks]
    found = received(clocks, [*broken, *[0] * 100, *[1] * 7, *good])
    assert [each[1:] for each in found] == [(0x41, 1), (0x42, 0)]


@pytest.mark.parametrize("clocks", [4, 7])
def test_bytes_are_sent_bit_by_bit_without_a_gap(clocks: int) -> None:
    unit = UartSender(clocks)
    sent = [0x00, 0xFF, 0x55, 0xA6]
    levels: list[int] = []

    async def bench(ctx: Any) -> None:
        waiting = list(sent)
        assert ctx.get(unit.line) == 1
        for _ in range(10 * clocks * len(sent) + 1 + clocks):
            ctx.set(unit.i.valid, bool(waiting))
            if waiting:
                ctx.set(unit.i.payload, waiting[0])
            taken = waiting and ctx.get(unit.i.ready)
            await ctx.tick()
            levels.append(ctx.get(unit.line))
            if taken:
                waiting.pop(0)

    run_bench(unit, bench)
    expected = [level for byte in sent for bit in bits_of(byte) for level in [bit] * clocks]
    assert levels == [*expected, *[1] * (1 + clocks)]


@pytest.mark.parametrize("unit", [UartReceiver, UartSender])
def test_a_bit_has_enough_cycles(unit: type) -> None:
    with pytest.raises(ValueError, match="at least 4 clock cycles, not 3"):
        unit(LEAST_CLOCKS_PER_BIT - 1)
