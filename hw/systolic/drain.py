"""The drain: it reads finished sums out of the accumulators and sends them as a stream."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from systolith.hw.streams.beats import beat_stream
from systolith.hw.streams.counting import count


class Drain(wiring.Component):
    """Reads the sums of each finished group, channels ascending, and frees its bank.

    A group is the outputs that are finished together: those of a window, or some of them. Each of
    `sources` memories holds `slots` sums of a group; the drain reads `lanes` memories a beat, slot
    by slot.

    Cycles: the first beat of a group is read in the cycle after `finished`, or after the last beat
    of the group before; then a beat a cycle. A beat is offered in the cycle after it was read.

    Parameters
    ----------
    sources, slots, banks
        The number of memories, of sums of a group in each, and of groups in each.
    sum_shape
        The shape of a sum.
    lanes
        Sums a beat; divides `sources`.
    beats
        Beats a group.
    final_beats
        Beats of a frame's final group.
    groups
        Groups a frame, the last of which ends with `last`.

    Members
    -------
    finished
        One more group can be read from the next cycle on.
    slot, bank
        The address that is read in all memories.
    value_0, value_1, ...
        The sums at that address, in the same cycle.
    released
        The oldest group's last beat is read: its bank is free from the next cycle on.
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
        final_beats: int,
        groups: int,
    ) -> None:
        self.places = sources // lanes
        self.banks = banks
        self.lanes = lanes
        self.beats = beats
        self.final_beats = final_beats
        self.groups = groups
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
        place = Signal(range(self.places))
        group = Signal(range(self.groups))
        final = group == self.groups - 1

        def at(beat: int) -> Value:
            slot, where = divmod(beat, self.places)
            return (self.slot == slot) & (place == where)

        at_end = at(self.beats - 1)
        if self.final_beats != self.beats:
            at_end = Mux(final, at(self.final_beats - 1), at_end)

        read = Signal()
        m.d.comb += [
            read.eq((waiting != 0) & (~self.o.valid | self.o.ready)),
            self.released.eq(read & at_end),
        ]
        m.d.sync += waiting.eq(waiting + self.finished - self.released)
        with m.If(self.released):
            m.d.sync += [place.eq(0), self.slot.eq(0)]
            count(m, self.bank, self.banks)
            count(m, group, self.groups)
        with m.Elif(read):
            count(m, place, self.places)
            with m.If(place == self.places - 1):
                m.d.sync += self.slot.eq(self.slot + 1)

        with m.If(read):
            with m.Switch(place):
                for number in range(self.places):
                    channels = range(number * self.lanes, (number + 1) * self.lanes)
                    with m.Case(number):
                        sums = Cat(getattr(self, f"value_{channel}") for channel in channels)
                        m.d.sync += self.o.payload.data.eq(sums)
            m.d.sync += [
                self.o.valid.eq(1),
                self.o.payload.last.eq(self.released & final),
            ]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m
