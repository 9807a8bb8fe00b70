"""Pipelines that never stall, joined and given the handshakes of a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from systolith.hw.streams.beats import Beat, beat_stream
from systolith.hw.streams.component import Component
from systolith.hw.streams.cycles import Process, StreamCycles, recurrence
from systolith.hw.streams.output_buffer import OutputBuffer, fifo_depth_needed


class Pipeline(Protocol):
    """A component that takes a beat whenever `i_valid`, and gives its result `latency` later."""

    latency: int
    input_beat: Beat
    output_beat: Beat
    i_valid: Any
    i: data.View[Beat]
    o_valid: Any
    o: data.View[Beat]


class BufferedPipeline(Component):
    """A stream through pipelines of fixed latency into an `OutputBuffer`.

    A beat a cycle, whatever `depth` is. Latency: the pipelines', and 1 cycle.

    Parameters
    ----------
    pipelines
        What the beats pass, one after another, and what each is called.
    depth
        Beats that the FIFO holds, those that keep the pipelines moving not counted.

    Members
    -------
    i : In(stream of the first pipeline's `input_beat`)
    o : Out(stream of the last pipeline's `output_beat`)
    """

    def __init__(self, pipelines: Mapping[str, Pipeline], depth: int) -> None:
        if depth < 1:
            raise ValueError(f"pipeline: depth must be at least 1, not {depth}")
        first, *_ = pipelines.values()
        *_, last = pipelines.values()
        taken, given = first.input_beat, last.output_beat
        self.pipelines = pipelines
        self.output_beat = given
        self.latency = sum(pipeline.latency for pipeline in pipelines.values())
        self.places = depth + self.latency + 1
        super().__init__(
            {
                "i": In(beat_stream(taken.value_shape, taken.lanes)),
                "o": Out(beat_stream(given.value_shape, given.lanes)),
            }
        )

    @recurrence
    def cycles(self, i: StreamCycles, o: StreamCycles) -> Process:
        """The cycle model (`streams.cycles`)."""
        available, taken, given, left = i.available, i.taken, o.available, o.taken
        latency = self.latency + 1
        # Counts up to the first beat that has to wait for a place.
        reserved = -self.places
        last = -1
        while True:
            while len(available) == len(taken):
                yield i.source
            for cycle in available[len(taken) :]:
                last = cycle if cycle > last else last + 1
                if reserved >= 0:
                    while len(left) <= reserved:
                        yield o.sink
                    if left[reserved] >= last:
                        last = left[reserved] + 1
                reserved += 1
                taken.append(last)
                given.append(last + latency)

    def depth_needed(self, o: StreamCycles) -> int:
        """The least `depth` with which beats that passed so would not have been held up."""
        reserved = [cycle - self.latency - 1 for cycle in o.available]
        return max(1, fifo_depth_needed(reserved, o.taken) - self.latency - 1)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.buffer = buffer = OutputBuffer(self.output_beat, self.places)
        valid, payload = self.i.valid & self.i.ready, self.i.payload
        m.d.comb += [self.i.ready.eq(buffer.available), buffer.reserve.eq(valid)]
        for name, pipeline in self.pipelines.items():
            m.submodules[name] = pipeline
            m.d.comb += [pipeline.i_valid.eq(valid), pipeline.i.eq(payload)]
            valid, payload = pipeline.o_valid, pipeline.o
        m.d.comb += [buffer.write_valid.eq(valid), buffer.write.eq(payload)]
        wiring.connect(m, buffer.o, wiring.flipped(self.o))
        return m
