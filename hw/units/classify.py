"""The classifier: it finds the winning score of each frame."""

from __future__ import annotations

from itertools import count
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from systolith.golden.choices import choice
from systolith.golden.fixed.integers import FixedLayer
from systolith.hw.streams.beats import Beat, beat_stream
from systolith.hw.streams.cycles import Process, StreamCycles, recurrence
from systolith.hw.streams.formats import value_shape
from systolith.hw.streams.output_buffer import OutputBuffer
from systolith.hw.streams.result_layout import result_layout

RESULT_FIFO_DEPTH = 4
"""The depth of the FIFO of results."""

_SMALLEST_WINS = {"largest": False, "smallest": True}


_Candidate = tuple[Value, Value]
"""A score, and the lane that it has in its beat."""

_BeatState = tuple[Value, Value, Value]
"""Whether a beat is there, whether it is the frame's last one, and the index of its first score."""


class Classifier(wiring.Component):
    """Finds the largest or the smallest score of each frame; on a tie the lowest index wins.

    It is the last part of an accelerator. It takes a beat a cycle. Latency: 2 cycles from a frame's
    last beat to its result, and one for each time that the scores of a beat are compared in pairs,
    at least one.

    Parameters
    ----------
    layer
        The layer that computes the scores; its type decides which wins.
    lanes
        Scores a beat.

    Members
    -------
    i : In(beat_stream(value_shape(layer.output_format), lanes))
        Scores.
    o : Out(stream.Signature(StructLayout))
        One result a frame: `index`, that of the winning score in stream order, and `score`,
        sign-extended; their widths are those of `streams.result_layout`.
    """

    def __init__(self, layer: FixedLayer, lanes: int) -> None:
        layout = result_layout(layer, "class")
        self.classification = data.StructLayout(
            {"index": layout["class"].bits, "score": layout["score"].bits}
        )
        self.smallest_wins = choice(_SMALLEST_WINS, layer.layer.winner, "winner")
        self.beat = Beat(value_shape(layer.output_format), lanes)
        self.beats = layer.output_shape.size // lanes
        self.levels = max(1, ceil_log2(lanes))
        self.latency = 2 + self.levels
        super().__init__(
            {
                "i": In(beat_stream(self.beat.value_shape, lanes)),
                "o": Out(stream.Signature(self.classification)),
            }
        )

    @recurrence
    def cycles(self, i: StreamCycles, o: StreamCycles) -> Process:
        """The cycle model (`streams.cycles`)."""
        last = -1
        for frame in count(-RESULT_FIFO_DEPTH):
            for _ in range(self.beats):
                while len(i.available) == len(i.taken):
                    yield i.source
                last = max(last + 1, i.available[len(i.taken)])
                if frame >= 0:
                    while len(o.taken) <= frame:
                        yield o.sink
                    last = max(last, o.taken[frame] + 1)
                i.taken.append(last)
            o.available.append(last + self.latency)
            yield o.sink

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        # Only the bits that differ are stored; they are extended behind the buffer.
        narrow = data.StructLayout(
            {"index": range(self.beats * self.beat.lanes), "score": self.beat.value_shape}
        )
        m.submodules.buffer = buffer = OutputBuffer(narrow, RESULT_FIFO_DEPTH, registered=True)
        taken = self.i.valid & self.i.ready
        m.d.comb += [
            self.i.ready.eq(buffer.available),
            buffer.reserve.eq(taken & self.i.payload.last),
        ]

        # The best score of the beat and its index in the frame: pairs are compared in each cycle.
        lanes = self.beat.lanes
        candidates = [
            (self.beat.lane(self.i.payload, lane), Value.cast(lane)) for lane in range(lanes)
        ]
        beat_start = Signal(range(self.beats * lanes))
        with m.If(taken):
            m.d.sync += beat_start.eq(Mux(self.i.payload.last, 0, beat_start + lanes))
        beat = (taken, self.i.payload.last, beat_start)
        for level in range(self.levels - 1):
            candidates, beat = self._compare_pairs(m, candidates, beat, level)
        [(best, lane_index)] = self._joined(candidates)
        valid = Signal()
        last = Signal(reset_less=True)
        score = Signal(self.beat.value_shape, reset_less=True)
        index = Signal(range(self.beats * lanes), reset_less=True)
        m.d.sync += [
            valid.eq(beat[0]),
            last.eq(beat[1]),
            score.eq(best),
            index.eq(beat[2] + lane_index),
        ]

        # Then the best score of the frame so far.
        first = Signal(init=1)
        best_score = Signal.like(score)
        best_index = Signal.like(index)
        new_score, new_index = self._better(best_score, best_index, score, index)
        with m.If(valid):
            m.d.sync += [
                first.eq(last),
                best_score.eq(Mux(first, score, new_score)),
                best_index.eq(Mux(first, index, new_index)),
            ]

        # After the last beat, the result is written.
        finished = Signal()
        m.d.sync += finished.eq(valid & last)
        m.d.comb += [
            buffer.write_valid.eq(finished),
            buffer.write.index.eq(best_index),
            buffer.write.score.eq(best_score),
        ]
        result = buffer.o.payload
        m.d.comb += [
            self.o.payload.index.eq(result.index),
            self.o.payload.score.eq(result.score),
            self.o.valid.eq(buffer.o.valid),
            buffer.o.ready.eq(self.o.ready),
        ]
        return m

    def _compare_pairs(
        self, m: Module, candidates: list[_Candidate], beat: _BeatState, level: int
    ) -> tuple[list[_Candidate], _BeatState]:
        """Register the better of each pair, and with them whose beat they are of."""
        joined = self._joined(candidates)
        registers: list[_Candidate] = []
        for number, (score, lane) in enumerate(joined):
            better = Signal(self.beat.value_shape, name=f"score_{level}_{number}", reset_less=True)
            of_lane = Signal(len(lane), name=f"lane_{level}_{number}", reset_less=True)
            m.d.sync += [better.eq(score), of_lane.eq(lane)]
            registers.append((better, of_lane))
        valid = Signal(name=f"valid_{level}")
        last = Signal(name=f"last_{level}", reset_less=True)
        start = Signal(len(beat[2]), name=f"beat_start_{level}", reset_less=True)
        m.d.sync += [valid.eq(beat[0]), last.eq(beat[1]), start.eq(beat[2])]
        return registers, (valid, last, start)

    def _joined(self, candidates: list[_Candidate]) -> list[_Candidate]:
        """The better of each pair; the last one alone if their number is odd."""
        pairs = zip(candidates[::2], candidates[1::2], strict=False)
        odd = candidates[-1:] if len(candidates) % 2 else []
        return [self._better(*first, *second) for first, second in pairs] + odd

    def _better(
        self, score: Value, index: Value, later_score: Value, later_index: Value
    ) -> tuple[Value, Value]:
        """The better of two scores; the first, which has the lower index, on a tie."""
        later = later_score < score if self.smallest_wins else later_score > score
        return Mux(later, later_score, score), Mux(later, later_index, index)
