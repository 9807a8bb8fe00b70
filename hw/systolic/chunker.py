"""Cuts the input stream of a layer that takes its whole input into chunks for the array."""

from __future__ import annotations

from itertools import cycle, pairwise
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Shape, Signal, unsigned
from amaranth.lib import stream
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from systolith.hw.streams.beats import beat_stream
from systolith.hw.streams.component import Component
from systolith.hw.streams.counting import count
from systolith.hw.streams.cycles import Process, StreamCycles, recurrence


def chunker_cycles(elements: int, rows: Any, input_lanes: int, hold: Any = 1) -> Any:
    """The initiation interval of a chunker in cycles, the source always ready.

    Each chunk takes the cycles in which its own beats are collected, or the cycles for which the
    chunk before is held, if these are more. `rows` and `hold` may be arrays.
    """
    whole_chunks = -(-elements // rows) - 1
    beats = -(-whole_chunks * rows // input_lanes)
    # All chunks but the last have `fewest` beats of their own, or one more.
    fewest = rows // input_lanes
    longer = beats - whole_chunks * fewest
    return (
        (whole_chunks - longer) * np.maximum(fewest, hold)
        + longer * np.maximum(fewest + 1, hold)
        + np.maximum(elements // input_lanes - beats, hold)
    )


class Chunker(Component):
    """Cuts each frame into chunks of `rows` values, in stream order.

    Dense and radial basis units have it at their input. Zeros fill up the last chunk of a frame.
    The next chunk is collected while one is offered.

    Latency: the first chunk is offered 3 cycles after its last beat was taken. Initiation interval:
    `chunker_cycles`, if the source is always ready and each chunk is held for the same time.

    Parameters
    ----------
    value_shape
        The shape of a value.
    elements
        Values a frame.
    rows
        Values a chunk.
    input_lanes
        Values a beat; divides `elements`.

    Members
    -------
    i : In(beat_stream(value_shape, input_lanes))
        Frames. `last` is ignored.
    o : Out(stream)
        Chunks, row 0 in the lowest bits.

    Raises
    ------
    ValueError
        Input lanes that do not divide a frame, or chunks larger than a frame.
    """

    def __init__(self, value_shape: Shape, *, elements: int, rows: int, input_lanes: int) -> None:
        if elements % input_lanes:
            raise ValueError(f"input lanes must divide {elements} values, not {input_lanes}")
        if not 1 <= rows <= elements:
            raise ValueError(f"rows must be from 1 to {elements}, not {rows}")
        self.elements = elements
        self.rows = rows
        self.input_lanes = input_lanes
        self.value_bits = value_shape.width
        super().__init__(
            {
                "i": In(beat_stream(value_shape, input_lanes)),
                "o": Out(stream.Signature(unsigned(rows * value_shape.width))),
            }
        )

    @property
    def chunks(self) -> int:
        """Chunks a frame."""
        return -(-self.elements // self.rows)

    def _needed(self) -> list[int]:
        """For each chunk, the number of values of the frame up to its end."""
        return [*range(self.rows, self.elements, self.rows), self.elements]

    @recurrence
    def cycles(self, i: StreamCycles, o: StreamCycles) -> Process:
        """The cycle model (`streams.cycles`)."""
        i_available, i_taken = i.available, i.taken
        o_available, o_taken = o.available, o.taken
        beats = [-(-needed // self.input_lanes) for needed in self._needed()]
        # For each chunk, the beats that are collected after the chunk before is offered.
        own = [end - start for start, end in pairwise([0, *beats])]
        last = collected = earlier = offer = -1
        for beat_count in cycle(own):
            # The chunk before is offered once the one before that was taken.
            if len(o_available) > 1:
                while len(o_taken) < len(o_available) - 1:
                    yield o.sink
                offer = max(offer, o_taken[len(o_available) - 2])
            for _ in range(beat_count):
                while len(i_available) == len(i_taken):
                    yield i.source
                # The skid buffer holds two beats: the one before the last must be collected.
                last = max(last + 1, i_available[len(i_taken)], earlier + 1)
                i_taken.append(last)
                earlier, collected = collected, max(last + 1, collected + 1, offer)
            offer = max(collected, offer) + 1
            o_available.append(offer + 1)
            yield o.sink

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        rows, lanes, bits = self.rows, self.input_lanes, self.value_bits
        chunks = self.chunks
        tail = self.elements - (chunks - 1) * rows
        # A beat is collected only when it is needed, so that the number of collected values when a
        # chunk is offered is one of a few: its multiplexer selects between these.
        needed = self._needed()
        found = sorted({-(-n // lanes) * lanes - i * rows for i, n in enumerate(needed)})

        # A skid buffer of two beats: `i.ready` does not depend on `o.ready`.
        m.submodules.beats = beats = SyncFIFO(width=lanes * bits, depth=2)
        m.d.comb += [
            beats.w_data.eq(self.i.payload.data),
            beats.w_en.eq(self.i.valid),
            self.i.ready.eq(beats.w_rdy),
        ]

        # The newest value is in the highest bits.
        collected = Signal(found[-1] * bits, reset_less=True)
        held = Signal(range(found[-1] + 1))
        chunk = Signal(range(chunks))
        size = Signal(range(rows + 1))
        next_size = Signal(range(rows + 1))
        offer = Signal()
        left = Signal.like(held)
        m.d.comb += [
            size.eq(Mux(chunk == chunks - 1, tail, rows)),
            offer.eq((held >= size) & (~self.o.valid | self.o.ready)),
            left.eq(Mux(offer, held - size, held)),
            next_size.eq(size),
            beats.r_en.eq(left < next_size),
        ]
        if chunks > 1:
            with m.If(offer):
                m.d.comb += next_size.eq(Mux(chunk == chunks - 2, tail, rows))

        with m.If(beats.r_en & beats.r_rdy):
            m.d.sync += collected.eq(Cat(collected, beats.r_data)[lanes * bits :])
            m.d.sync += held.eq(left + lanes)
        with m.Else():
            m.d.sync += held.eq(left)
        with m.If(offer):
            count(m, chunk, chunks)
            m.d.sync += self.o.valid.eq(1)
            with m.Switch(held):
                for values in found:
                    start = (found[-1] - values) * bits
                    with m.Case(values) if values != found[-1] else m.Default():
                        m.d.sync += self.o.payload.eq(collected[start : start + rows * bits])
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m
