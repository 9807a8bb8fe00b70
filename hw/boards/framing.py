# amaranth: UnusedElaboratable=no
"""Packets in hardware: the deframer of received bytes and the framer of answers.

`boards.packets` describes the framing.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from systolith.hw.boards.packets import CHECK_BYTES, ESCAPE, ESCAPED, FLAG


class Deframer(wiring.Component):
    """Turns bytes of a line into bytes of packets, and checks each packet at its end.

    The bytes of a packet are given before it is known whether the packet is right. Whatever was
    received, the next flag ends the packet, and the byte after it begins another. It takes a byte a
    cycle; latency: none for bytes and ends.

    Members
    -------
    valid, data, broken
        Bytes of the line (`uart.UartReceiver`).
    byte_valid, byte
        The bytes of a packet, the check sequence included, without flags and escapes.
    end
        High for one cycle at the flag behind a packet of at least one byte.
    good
        With `end`: the check sequence is right and no byte was broken.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "valid": In(1),
                "data": In(8),
                "broken": In(1),
                "byte_valid": Out(1),
                "byte": Out(8),
                "end": Out(1),
                "good": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.crc = crc = CRC32_ISO_HDLC(data_width=8).create()
        some, escaping, spoilt = Signal(), Signal(), Signal()
        is_flag = (self.data == FLAG) & ~self.broken
        m.d.comb += [
            self.byte.eq(self.data ^ Mux(escaping, ESCAPED, 0)),
            self.byte_valid.eq(self.valid & ~self.broken & ~is_flag & (self.data != ESCAPE)),
            self.end.eq(self.valid & is_flag & some),
            self.good.eq(crc.match_detected & ~escaping & ~spoilt),
            crc.start.eq(self.valid & is_flag),
            crc.data.eq(self.byte),
            crc.valid.eq(self.byte_valid),
        ]
        with m.If(self.valid):
            m.d.sync += [
                some.eq(~is_flag),
                escaping.eq(~is_flag & (self.data == ESCAPE)),
                spoilt.eq(~is_flag & (spoilt | self.broken)),
            ]
        return m


class Framer(wiring.Component):
    """Turns answers into bytes of a line, with flags, escapes and check sequence.

    Parameters
    ----------
    most_bytes
        The bytes of the longest answer, without flags and check sequence.

    Members
    -------
    available
        Whether no answer is on its way.
    start, content, count
        Send an answer of `count` bytes, the first one lowest in `content`. Only while `available`.
    o
        The bytes.
    """

    def __init__(self, most_bytes: int) -> None:
        super().__init__(
            {
                "available": Out(1),
                "start": In(1),
                "content": In(8 * most_bytes),
                "count": In(range(most_bytes + 1)),
                "o": Out(stream.Signature(8)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.crc = crc = CRC32_ISO_HDLC(data_width=8).create()
        content, count = Signal.like(self.content), Signal.like(self.count)
        check_byte = Signal(range(CHECK_BYTES))
        byte = Signal(8)
        escaped = Signal()
        needs_escape = ((byte == FLAG) | (byte == ESCAPE)) & ~escaped
        taken = self.o.valid & self.o.ready
        # In the states that send `byte`: it is sent with this transfer.
        done = Signal()

        def send_byte() -> None:
            m.d.comb += [
                self.o.valid.eq(1),
                self.o.payload.eq(Mux(needs_escape, ESCAPE, byte ^ Mux(escaped, ESCAPED, 0))),
                done.eq(taken & ~needs_escape),
            ]
            with m.If(taken):
                m.d.sync += escaped.eq(needs_escape)

        def send_flag(following: str) -> None:
            m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(FLAG)]
            with m.If(taken):
                m.next = following

        m.d.comb += crc.data.eq(byte)
        with m.FSM():
            with m.State("idle"):
                m.d.comb += [self.available.eq(1), crc.start.eq(1)]
                m.d.sync += [content.eq(self.content), count.eq(self.count)]
                with m.If(self.start):
                    m.next = "open"
            with m.State("open"):
                send_flag("content")
            with m.State("content"):
                m.d.comb += [byte.eq(content[:8]), crc.valid.eq(done)]
                send_byte()
                with m.If(done):
                    m.d.sync += [content.eq(content >> 8), count.eq(count - 1)]
                    with m.If(count == 1):
                        m.next = "check"
            with m.State("check"):
                m.d.comb += byte.eq(crc.crc.word_select(check_byte, 8))
                send_byte()
                with m.If(done):
                    m.d.sync += check_byte.eq(check_byte + 1)
                    with m.If(check_byte == CHECK_BYTES - 1):
                        m.next = "close"
            with m.State("close"):
                send_flag("idle")
        return m
