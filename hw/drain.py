"""From finished sums, wherever they stand, to a stream of beats."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Shape, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.counting import count
from hw.stream import beat_stream


class Drain(wiring.Component):
    """Reads the sums of each finished window, in order of their channels, and frees its bank.

    `sources` memories are looked at in parallel, `lanes` of them a beat; slot after slot, until a
    window has given `beats`. A beat a cycle; the first is offered two cycles after `finished`.

    Parameters
    ----------
    sources, slots, banks
        Memories; sums of a window in each; windows that each has room for.
    sum_shape
        The shape of a sum.
    lanes
        Sums a beat; divides `sources`.
    beats
        Beats a window.
    windows
        Windows a frame, the last of which ends with `last`.

    Members
    -------
    finished
        One more window can be read from the next cycle on, a beat a cycle.
    slot, bank
        What to look at.
    value_0, value_1, ...
        The sums that stand there, in the same cycle.
    released
        The oldest window's bank is free from the next cycle on.
    o
        The sums.
    """

    def __init__(
        self,
        *,
        sources: int,
        slots: int,
        banks: int,
        sum_shape: Shape,
        lanes: int,
        beats: int,
        windows: int,
    ) -> None:
        self.groups = sources // lanes
        self.banks = banks
        self.lanes = lanes
        self.beats = beats
        self.windows = windows
        super().__init__(
            {
                "finished": In(1),
                "slot": Out(ceil_log2(slots)),
                "bank": Out(range(banks)),
                **{f"value_{source}": In(sum_shape) for source in range(sources)},
                "released": Out(1),
                "o": Out(beat_stream(sum_shape, lanes)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        waiting = Signal(range(self.banks + 1))
        group = Signal(range(self.groups))
        window = Signal(range(self.windows))
        last_slot, last_group = divmod(self.beats - 1, self.groups)

        read = Signal()
        m.d.comb += [
            read.eq((waiting != 0) & (~self.o.valid | self.o.ready)),
            self.released.eq(read & (self.slot == last_slot) & (group == last_group)),
        ]
        m.d.sync += waiting.eq(waiting + self.finished - self.released)
        with m.If(self.released):
            m.d.sync += [group.eq(0), self.slot.eq(0)]
            count(m, self.bank, self.banks)
            count(m, window, self.windows)
        with m.Elif(read):
            count(m, group, self.groups)
            with m.If(group == self.groups - 1):
                m.d.sync += self.slot.eq(self.slot + 1)

        with m.If(read):
            with m.Switch(group):
                for number in range(self.groups):
                    channels = range(number * self.lanes, (number + 1) * self.lanes)
                    with m.Case(number):
                        sums = Cat(getattr(self, f"value_{channel}") for channel in channels)
                        m.d.sync += self.o.payload.data.eq(sums)
            m.d.sync += [
                self.o.valid.eq(1),
                self.o.payload.last.eq(self.released & (window == self.windows - 1)),
            ]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m
