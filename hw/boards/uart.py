# amaranth: UnusedElaboratable=no
"""A serial line, 8 data bits, no parity, 1 stop bit: the receiver and the sender.

A bit takes a whole number of clock cycles, `clocks_per_bit`. The line is high when idle; a byte is
a start bit (low), its bits from the lowest to the highest, and a stop bit (high).
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

LEAST_CLOCKS_PER_BIT = 4
"""The receiver takes three samples in the middle of a bit, and needs one more cycle."""

_DATA_BITS = 8


def _require_clocks(clocks_per_bit: int) -> int:
    if clocks_per_bit < LEAST_CLOCKS_PER_BIT:
        raise ValueError(
            f"a bit must take at least {LEAST_CLOCKS_PER_BIT} clock cycles, not {clocks_per_bit}"
        )
    return clocks_per_bit


class UartReceiver(wiring.Component):
    """Receives bytes from a line; the reader must take each in the cycle in which it comes.

    A bit is the majority of three samples, in consecutive cycles around its middle. A low pulse
    shorter than half a bit starts no byte. A byte without a stop bit is given with `broken`, and
    the next byte starts only after the line was high again, so that a line held low (a break) is
    one broken byte.

    A byte comes `9 * clocks_per_bit + clocks_per_bit // 2 + 4` cycles after the first cycle in
    which its start bit is on the line.

    Parameters
    ----------
    clocks_per_bit
        Cycles a bit, at least `LEAST_CLOCKS_PER_BIT`.

    Members
    -------
    line
        The line; asynchronous to the clock.
    valid
        High for one cycle for each byte.
    data, broken
        The byte, and whether its stop bit was low.

    Raises
    ------
    ValueError
        Too few cycles a bit.
    """

    def __init__(self, clocks_per_bit: int) -> None:
        self.clocks_per_bit = _require_clocks(clocks_per_bit)
        super().__init__(
            {"line": In(1, init=1), "valid": Out(1), "data": Out(_DATA_BITS), "broken": Out(1)}
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        now, before, earlier = Signal(init=1), Signal(init=1), Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.line, now, init=1)
        m.d.sync += [before.eq(now), earlier.eq(before)]
        bit = Signal()
        m.d.comb += bit.eq((now & before) | (now & earlier) | (before & earlier))

        # The middle of the three samples is the middle of the bit, one cycle before `now`.
        left = Signal(range(self.clocks_per_bit), init=self.clocks_per_bit // 2)
        bits = Signal(range(_DATA_BITS))
        m.d.sync += self.valid.eq(0)
        with m.If(left == 0):
            m.d.sync += left.eq(self.clocks_per_bit - 1)
        with m.Else():
            m.d.sync += left.eq(left - 1)
        with m.FSM():
            with m.State("idle"):
                m.d.sync += left.eq(self.clocks_per_bit // 2)
                with m.If(~now):
                    m.next = "start"
            with m.State("start"), m.If(left == 0):
                m.d.sync += bits.eq(0)
                with m.If(bit):
                    m.next = "idle"
                with m.Else():
                    m.next = "data"
            with m.State("data"), m.If(left == 0):
                m.d.sync += [self.data.eq(Cat(self.data[1:], bit)), bits.eq(bits + 1)]
                with m.If(bits == _DATA_BITS - 1):
                    m.next = "stop"
            with m.State("stop"), m.If(left == 0):
                m.d.sync += [self.valid.eq(1), self.broken.eq(~bit)]
                with m.If(bit):
                    m.next = "idle"
                with m.Else():
                    m.next = "break"
            with m.State("break"), m.If(now):
                m.next = "idle"
        return m


class UartSender(wiring.Component):
    """Sends bytes on a line, one after another without a gap if they are offered in time.

    A byte takes `10 * clocks_per_bit` cycles; its start bit is on the line in the cycle after it
    was taken.

    Parameters
    ----------
    clocks_per_bit
        Cycles a bit, at least `LEAST_CLOCKS_PER_BIT`.

    Members
    -------
    i
        The bytes.
    line
        The line; high when idle.

    Raises
    ------
    ValueError
        Too few cycles a bit.
    """

    def __init__(self, clocks_per_bit: int) -> None:
        self.clocks_per_bit = _require_clocks(clocks_per_bit)
        super().__init__({"i": In(stream.Signature(_DATA_BITS)), "line": Out(1, init=1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        left = Signal(range(self.clocks_per_bit))
        rest = Signal(_DATA_BITS + 1)
        bits = Signal(range(_DATA_BITS + 2))
        bit_ends = Signal()
        m.d.comb += [bit_ends.eq(left == 0), self.i.ready.eq(bit_ends & (bits == 0))]
        with m.If(~bit_ends):
            m.d.sync += left.eq(left - 1)
        with m.Elif(bits != 0):
            m.d.sync += [
                Cat(self.line, rest).eq(Cat(rest, Const(1, 1))),
                bits.eq(bits - 1),
                left.eq(self.clocks_per_bit - 1),
            ]
        with m.Elif(self.i.valid):
            m.d.sync += [
                self.line.eq(0),
                rest.eq(Cat(self.i.payload, Const(1, 1))),
                bits.eq(_DATA_BITS + 1),
                left.eq(self.clocks_per_bit - 1),
            ]
        return m
