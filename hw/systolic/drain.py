"""The drain: it reads finished sums out of the accumulators and sends them as a stream."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from systolith.hw.streams.beats import beat_stream
from systolith.hw.streams.counting import count
from systolith.hw.streams.formats import select_word


class Drain(wiring.Component):
    """Reads the sums of each finished group, channels ascending, and frees its bank.

    A group is the outputs that are finished together: those of a window, or some of them. Each of
    `sources` memories holds `slots` sums of a group; the drain reads `lanes` memories a beat, slot
    by slot.

    Cycles: the first beat of a group is read in the cycle after `finished`, or after the last beat
    of the group before; then a beat a cycle, of which `latency` are on their way. A beat is offered
    `latency` cycles after it was read, or in the cycle after the beat before was taken.

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
    latency
        2 if the memories have a register behind them, otherwise 1.

    Members
    -------
    finished
        One more group can be read from the next cycle on.
    slot, bank
        The address that is read in all memories.
    read
        The registers behind the memories take the sums in this cycle.
    value_0, value_1, ...
        The sums: at that address, or in those registers.
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
        latency: int,
    ) -> None:
        self.places = sources // lanes
        self.banks = banks
        self.lanes = lanes
        self.beats = beats
        self.final_beats = final_beats
        self.groups = groups
        self.latency = latency
        super().__init__(
            {
                "finished": In(1),
                "slot": Out(ceil_log2(slots)),
                "bank": Out(range(banks)),
                "read": Out(1),
                **{f"value_{source}": In(sum_shape) for source in range(sources)},
                "released": Out(1),
                "o": Out(beat_stream(sum_shape, lanes)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        waiting = Signal(range(self.banks + 1))
        any_waiting = Signal()
        place = Signal(range(self.places))
        group = Signal(range(self.groups))
        final = group == self.groups - 1

        def at(beat: int) -> Value:
            slot, where = divmod(beat, self.places)
            return (self.slot == slot) & (place == where)

        at_end = at(self.beats - 1)
        if self.final_beats != self.beats:
            at_end = Mux(final, at(self.final_beats - 1), at_end)

        m.d.comb += [
            any_waiting.eq(waiting != 0),
            self.released.eq(any_waiting & self.read & at_end),
        ]
        m.d.sync += waiting.eq(waiting + self.finished - self.released)
        with m.If(self.released):
            m.d.sync += [place.eq(0), self.slot.eq(0)]
            count(m, self.bank, self.banks)
            count(m, group, self.groups)
        with m.Elif(any_waiting & self.read):
            count(m, place, self.places)
            with m.If(place == self.places - 1):
                m.d.sync += self.slot.eq(self.slot + 1)

        send = Signal()
        m.d.comb += send.eq(~self.o.valid | self.o.ready)
        valid: Value = any_waiting
        last: Value = self.released & final
        if self.latency == 1:
            m.d.comb += self.read.eq(send)
        else:
            fetched = Signal()
            fetched_last = Signal()
            fetched_place = Signal.like(place)
            m.d.comb += self.read.eq(~fetched | send)
            with m.If(self.read):
                m.d.sync += [
                    fetched.eq(valid),
                    fetched_last.eq(last),
                    fetched_place.eq(place),
                ]
            valid, last, place = fetched, fetched_last, fetched_place
        sums = Cat(getattr(self, f"value_{source}") for source in range(self.places * self.lanes))
        with m.If(send):
            m.d.sync += [
                self.o.valid.eq(valid),
                self.o.payload.last.eq(last),
                self.o.payload.data.eq(select_word(sums, place, len(self.o.payload.data))),
            ]
        return m
