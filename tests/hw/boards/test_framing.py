"""Packets in hardware, compared with those in software."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from systolith.hw.boards.framing import Deframer, Framer
from systolith.hw.boards.packets import CHECK_BYTES, Kind, Packet
from tests.hw.clocked import run_bench

_RARE = bytes([0x7D, 0x7E, 0x5D, 0x5E, 0x00, 0x20])


def _packets(count: int, most: int) -> list[Packet]:
    draw = random.Random(7)
    return [
        Packet(draw.choice(_RARE), draw.choice(_RARE), bytes(draw.choices(_RARE, k=size % most)))
        for size in range(count)
    ]


def _deframed(line: Iterable[int]) -> list[bytes | None]:
    """The content of every packet, None for one that is not good; 0x100 marks a broken byte."""
    unit = Deframer()
    found: list[bytes | None] = []

    async def bench(ctx: Any) -> None:
        content = bytearray()
        draw = random.Random(1)
        for byte in line:
            ctx.set(unit.valid, 0)
            for _ in range(draw.randrange(3)):
                await ctx.tick()
            ctx.set(unit.valid, 1)
            ctx.set(unit.data, byte & 0xFF)
            ctx.set(unit.broken, byte >> 8)
            if ctx.get(unit.byte_valid):
                content.append(ctx.get(unit.byte))
            if ctx.get(unit.end):
                found.append(bytes(content) if ctx.get(unit.good) else None)
                content.clear()
            await ctx.tick()

    run_bench(unit, bench)
    return found


def _content(packet: Packet) -> bytes:
    return bytes([packet.kind, packet.number]) + packet.body


def test_packets_are_deframed() -> None:
    packets = _packets(30, 12)
    found = _deframed(b"".join(packet.to_bytes() for packet in packets))
    assert [content and content[:-CHECK_BYTES] for content in found] == [*map(_content, packets)]


def test_damaged_packets_are_not_good_and_those_after_them_are() -> None:
    victim, after = Packet(Kind.IMAGE, 3, b"\x01\x7e"), Packet(Kind.HELLO, 4)
    framed = list(victim.to_bytes())
    damaged = [
        middle
        for place in range(1, len(framed) - 1)
        for middle in (
            [*framed[:place], framed[place] ^ 1, *framed[place + 1 :]],
            [*framed[:place], *framed[place + 1 :]],
            [*framed[:place], framed[place] | 0x100, *framed[place + 1 :]],
            [*framed[:place], 0x100, *framed[place:]],
            [*framed[:place], 0x17E, *framed[place:]],
        )
    ]
    found = _deframed(byte for middle in damaged for byte in [*middle, *after.to_bytes()])
    assert [content is not None for content in found] == [False, True] * len(damaged)
    assert _deframed([*framed[:-1], 0x7D, 0x7E, *after.to_bytes()])[0] is None
    assert len(_deframed([0x7E, 0x7E, 0x7E, *framed, 0x7E])) == 1


def test_answers_are_framed_also_if_the_line_is_slow() -> None:
    packets = _packets(30, 6)
    unit = Framer(7)
    sent = bytearray()

    async def bench(ctx: Any) -> None:
        waiting = list(packets)
        draw = random.Random(2)
        expected = b"".join(packet.to_bytes() for packet in packets)
        while len(sent) < len(expected):
            start = bool(waiting) and bool(ctx.get(unit.available)) and draw.random() < 0.7
            ctx.set(unit.start, start)
            if start:
                content = _content(waiting.pop(0))
                ctx.set(unit.content, int.from_bytes(content, "little"))
                ctx.set(unit.count, len(content))
            ready = draw.random() < 0.5
            ctx.set(unit.o.ready, ready)
            if ctx.get(unit.o.valid):
                held = ctx.get(unit.o.payload)
                assert held == expected[len(sent)]
                if ready:
                    sent.append(held)
            await ctx.tick()
        ctx.set(unit.start, 0)
        ctx.set(unit.o.ready, 1)
        for _ in range(3):
            await ctx.tick()
            assert not ctx.get(unit.o.valid) and ctx.get(unit.available)

    run_bench(unit, bench)
    assert bytes(sent) == b"".join(packet.to_bytes() for packet in packets)
