"""Packets as bytes: against a published check value, a written-out example, and damage."""

from __future__ import annotations

import random

import pytest

from systolith.hw.boards.packets import Identity, Kind, Packet, PacketReader, Result


def test_a_packet_is_what_the_page_shows() -> None:
    # CRC-32/ISO-HDLC of the bytes 01 07, computed bit by bit.
    assert Packet(Kind.HELLO, 7).to_bytes().hex(" ") == "7e 01 07 " + _crc(b"\x01\x07") + " 7e"
    assert _crc(b"123456789") == "26 39 f4 cb"  # the catalogue's check value, CBF43926
    escaped = Packet(Kind.IMAGE, 0x7D, b"\x7e\x00").to_bytes()
    assert escaped[:6].hex(" ") == "7e 02 7d 5d 7d 5e"


def _crc(content: bytes) -> str:
    """The check sequence, from the polynomial."""
    value = 0xFFFFFFFF
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
    return (value ^ 0xFFFFFFFF).to_bytes(4, "little").hex(" ")


def test_packets_are_read_back_in_pieces_of_any_size() -> None:
    draw = random.Random(3)
    sent = [
        Packet(Kind.IMAGE, draw.randrange(256), bytes(draw.choices(range(0x78, 0x80), k=40)))
        for _ in range(20)
    ]
    line = b"".join(packet.to_bytes() for packet in sent)
    found: list[Packet | None] = []
    reader, start = PacketReader(), 0
    while start < len(line):
        size = draw.randrange(1, 9)
        found += reader.feed(line[start : start + size])
        start += size
    assert found == sent


@pytest.mark.parametrize("damage", ["change", "lose", "add"])
def test_damage_breaks_the_packet_and_no_other(damage: str) -> None:
    packets = [Packet(Kind.RESULT, 1, b"\x00\x01\x7e"), Packet(Kind.ERROR, 2, b"\x03")]
    before, victim, after = packets[0], packets[1], Packet(Kind.HELLO, 3)
    framed = victim.to_bytes()
    for place in range(1, len(framed) - 1):
        for value in {framed[place] ^ 1, framed[place] ^ 0x20, 0x7D, 0x00} - {framed[place]}:
            middle = {
                "change": framed[:place] + bytes([value]) + framed[place + 1 :],
                "lose": framed[:place] + framed[place + 1 :],
                "add": framed[:place] + bytes([value]) + framed[place:],
            }[damage]
            line = before.to_bytes() + middle + after.to_bytes()
            found = list(PacketReader().feed(line))
            assert found == [before, None, after], middle.hex(" ")


def test_a_packet_cut_off_or_too_short_is_broken() -> None:
    whole = Packet(Kind.HELLO, 1).to_bytes()
    assert list(PacketReader().feed(whole[:4] + whole)) == [None, Packet(Kind.HELLO, 1)]
    assert list(PacketReader().feed(b"\x7e\x7e\x7e")) == []
    assert list(PacketReader().feed(b"\x7e\x00\x00\x00\x00\x7e")) == [None]
    assert list(PacketReader().feed(whole[:-1] + b"\x7d\x7e")) == [None]


def test_bodies_of_answers() -> None:
    identity = Identity(1, 2, 28, 300, 3, bytes(range(8)))
    assert identity.to_body().hex(" ") == "01 02 1c 00 2c 01 03 00 00 01 02 03 04 05 06 07"
    assert Identity.from_body(identity.to_body()) == identity
    assert Identity.from_body(b"") is None
    body = bytes.fromhex("01 09 00 00 00 fe ff ff ff")
    assert Result.from_body(body) == Result(True, 9, -2)
    assert Result.from_body(body[:-1]) is None
    # The lowest bit alone is the flag, and a class has no sign.
    body = bytes.fromhex("fe 01 00 00 80 ff ff ff 7f")
    assert Result.from_body(body) == Result(False, 0x8000_0001, 2**31 - 1)
