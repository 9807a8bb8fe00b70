"""The stream of all scores: the last part of an accelerator of a network that is no classifier."""

from __future__ import annotations

from itertools import count
from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from systolith.golden.fixed.integers import FixedLayer
from systolith.hw.streams import counting
from systolith.hw.streams.beats import Beat, beat_stream
from systolith.hw.streams.cycles import Process, StreamCycles, recurrence
from systolith.hw.streams.formats import select_word, value_shape
from systolith.hw.streams.output_buffer import OutputBuffer
from systolith.hw.streams.result_layout import result_layout

SCORE_FIFO_DEPTH = 2
"""The depth of the FIFO of scores."""


class ScoreStream(wiring.Component):
    """Puts out the scores of each frame one after the other, in stream order.

    It is the last part of an accelerator whose result is all scores. It puts out a score a cycle,
    and so takes a beat in `lanes` cycles. Latency: 1 cycle from an offered beat to its first score.

    Parameters
    ----------
    layer
        The layer that computes the scores.
    lanes
        Scores in an input beat.

    Members
    -------
    i : In(beat_stream(value_shape(layer.output_format), lanes))
        Scores.
    o : Out(beat_stream(signed(...), 1))
        The same, one a beat, sign-extended to the width of `streams.result_layout`.
    """

    def __init__(self, layer: FixedLayer, lanes: int) -> None:
        self.beat = Beat(value_shape(layer.output_format), lanes)
        self.beats = layer.output_shape.size // lanes
        super().__init__(
            {
                "i": In(beat_stream(self.beat.value_shape, lanes)),
                "o": Out(beat_stream(signed(result_layout(layer, "scores").bits), 1)),
            }
        )

    @recurrence
    def cycles(self, i: StreamCycles, o: StreamCycles) -> Process:
        """The cycle model (`streams.cycles`)."""
        last = -1
        for score in count():
            beat, lane = divmod(score, self.beat.lanes)
            while len(i.available) == beat:
                yield i.source
            last = max(last + 1, i.available[beat])
            before = score - SCORE_FIFO_DEPTH
            if before >= 0:
                while len(o.taken) <= before:
                    yield o.sink
                last = max(last, o.taken[before] + 1)
            o.available.append(last + 1)
            if lane == self.beat.lanes - 1:
                i.taken.append(last)
            yield o.sink

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        lanes, width = self.beat.lanes, self.beat.value_shape.width
        # Only the bits that differ are stored; they are extended behind the buffer.
        narrow = Beat(self.beat.value_shape, 1)
        m.submodules.buffer = buffer = OutputBuffer(narrow, SCORE_FIFO_DEPTH, registered=True)
        lane = Signal(range(lanes))
        at_end = lane == lanes - 1
        write = Signal()
        m.d.comb += [
            write.eq(self.i.valid & buffer.available),
            self.i.ready.eq(buffer.available & at_end),
            buffer.reserve.eq(write),
            buffer.write_valid.eq(write),
            buffer.write.data.eq(select_word(self.i.payload.data, lane, width)),
            buffer.write.last.eq(self.i.payload.last & at_end),
        ]
        with m.If(write):
            counting.count(m, lane, lanes)
        m.d.comb += [
            self.o.payload.data.eq(narrow.lane(buffer.o.payload, 0)),
            self.o.payload.last.eq(buffer.o.payload.last),
            self.o.valid.eq(buffer.o.valid),
            buffer.o.ready.eq(self.o.ready),
        ]
        return m
