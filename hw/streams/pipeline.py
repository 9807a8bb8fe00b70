"""Pipelines that never stall, chained and given the handshakes of streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from systolith.hw.streams.beats import Beat, beat_stream
from systolith.hw.streams.component import Component
from systolith.hw.streams.cycles import Process, StreamCycles, recurrence
from systolith.hw.streams.output_buffer import OutputBuffer, fifo_depth_needed


class Pipeline(Protocol):
    """A component that takes a beat in each cycle with `i_valid`; `o` follows `latency` later."""

    latency: int
    input_beat: Beat
    output_beat: Beat
    i_valid: Any
    i: data.View[Beat]
    o_valid: Any
    o: data.View[Beat]


class BufferedPipeline(Component):
    """Pipelines of fixed latency between an input stream and an `OutputBuffer`.

    Units use it to requantize. It takes a beat a cycle, whatever `depth` is. Latency: that of the
    pipelines, and 1 cycle.

    Parameters
    ----------
    pipelines
        The pipelines in order, by the names of their modules.
    depth
        The depth of the FIFO in beats, without those that keep the pipelines moving.

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
        input_beat = first.input_beat
        self.pipelines = pipelines
        self.output_beat = last.output_beat
        self.latency = sum(pipeline.latency for pipeline in pipelines.values())
        self.fifo_depth = depth + self.latency + 1
        super().__init__(
            {
                "i": In(beat_stream(input_beat.value_shape, input_beat.lanes)),
                "o": Out(beat_stream(self.output_beat.value_shape, self.output_beat.lanes)),
            }
        )

    @recurrence
    def cycles(self, i: StreamCycles, o: StreamCycles) -> Process:
        """The cycle model (`streams.cycles`)."""
        i_available, i_taken = i.available, i.taken
        o_available, o_taken = o.available, o.taken
        latency, depth = self.latency + 1, self.fifo_depth
        last = -1
        while True:
            while len(i_available) == len(i_taken):
                yield i.source
            for beat in range(len(i_taken), len(i_available)):
                cycle = i_available[beat]
                last = cycle if cycle > last else last + 1
                # A beat needs the entry of the FIFO that an earlier one leaves.
                if beat >= depth:
                    while len(o_taken) <= beat - depth:
                        yield o.sink
                    if o_taken[beat - depth] >= last:
                        last = o_taken[beat - depth] + 1
                i_taken.append(last)
                o_available.append(last + latency)
            yield o.sink

    def depth_needed(self, o: StreamCycles) -> int:
        """The smallest `depth` with which these transfers would not have stalled."""
        reserved = np.array(o.available) - self.latency - 1
        return max(1, fifo_depth_needed(reserved, np.array(o.taken)) - self.latency - 1)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.buffer = buffer = OutputBuffer(self.output_beat, self.fifo_depth)
        valid, payload = self.i.valid & self.i.ready, self.i.payload
        m.d.comb += [self.i.ready.eq(buffer.available), buffer.reserve.eq(valid)]
        for name, pipeline in self.pipelines.items():
            m.submodules[name] = pipeline
            m.d.comb += [pipeline.i_valid.eq(valid), pipeline.i.eq(payload)]
            valid, payload = pipeline.o_valid, pipeline.o
        m.d.comb += [buffer.write_valid.eq(valid), buffer.write.eq(payload)]
        wiring.connect(m, buffer.o, wiring.flipped(self.o))
        return m
