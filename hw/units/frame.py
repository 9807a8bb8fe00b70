"""The frame checker: it corrects the length of frames, and flags those it corrected."""

from __future__ import annotations

from itertools import count
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from systolith.golden.network.graph import Input
from systolith.hw.streams import counting
from systolith.hw.streams.beats import Beat, beat_stream
from systolith.hw.streams.cycles import Process, StreamCycles
from systolith.hw.streams.formats import pack, value_shape
from systolith.hw.streams.output_buffer import OutputBuffer

FRAMES_IN_FLIGHT = 16
"""The most frames between the checker and their result; a further one stalls at its last pixel."""


PIXEL_FIFO_DEPTH = 4
"""The depth of the FIFO of pixels, in beats."""


class FrameChecker(wiring.Component):
    """Makes every frame as long as the network's input, and flags frames of a wrong length.

    It is the first part of an accelerator, and keeps errors at its input from spreading to later
    frames. A frame that is too short is filled up with the background; the surplus pixels of a
    frame that is too long are dropped.

    It takes a beat a cycle. Latency: 1 cycle.

    Parameters
    ----------
    layer
        The network's input, with the shape of its images, their format and their background.
    lanes
        Values in a beat; divides the channels.

    Members
    -------
    i : In(beat_stream(value_shape(layer.format), lanes))
        Frames of any length: row by row, pixel by pixel, channels ascending.
    o : Out(beat_stream(value_shape(layer.format), lanes))
        Frames of the right length.
    wrong_length : Out(stream.Signature(1))
        For each frame, whether its length was wrong; offered with its last beat, or before.
    """

    def __init__(self, layer: Input, lanes: int) -> None:
        shape = value_shape(layer.format)
        self.beats = layer.image_shape.size // lanes
        self.background = pack([layer.background] * lanes, shape)
        self.beat = Beat(shape, lanes)
        super().__init__(
            {
                "i": In(beat_stream(shape, lanes)),
                "o": Out(beat_stream(shape, lanes)),
                "wrong_length": Out(stream.Signature(1)),
            }
        )

    def cycles(self, i: StreamCycles, o: StreamCycles, wrong_length: StreamCycles) -> None:
        """The cycle model (`streams.cycles`), for frames of the right length."""
        i.sink = o.source = wrong_length.source = self._cycles(i, o, wrong_length)

    def _cycles(self, i: StreamCycles, o: StreamCycles, wrong_length: StreamCycles) -> Process:
        available, taken = i.available, i.taken
        last = -1
        for frame in count(-FRAMES_IN_FLIGHT):
            for left in range(self.beats, 0, -1):
                beat = len(taken)
                while len(available) == beat:
                    yield i.source
                last = max(last + 1, available[beat])
                if beat >= PIXEL_FIFO_DEPTH:
                    while len(o.taken) <= beat - PIXEL_FIFO_DEPTH:
                        yield o.sink
                    last = max(last, o.taken[beat - PIXEL_FIFO_DEPTH] + 1)
                if left == 1 and frame >= 0:
                    while len(wrong_length.taken) <= frame:
                        yield wrong_length.sink
                    last = max(last, wrong_length.taken[frame] + 1)
                taken.append(last)
                o.available.append(last + 1)
            wrong_length.available.append(last + 1)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.pixels = pixels = OutputBuffer(self.beat, PIXEL_FIFO_DEPTH)
        m.submodules.flags = flags = OutputBuffer(1, FRAMES_IN_FLIGHT, registered=True)
        wiring.connect(m, pixels.o, wiring.flipped(self.o))
        wiring.connect(m, flags.o, wiring.flipped(self.wrong_length))

        position = Signal(range(self.beats))
        at_end = Signal()
        room = Signal()
        give = Signal()
        wrong = Signal()
        m.d.comb += [
            at_end.eq(position == self.beats - 1),
            room.eq(pixels.available & (flags.available | ~at_end)),
            pixels.reserve.eq(give),
            pixels.write_valid.eq(give),
            pixels.write.last.eq(at_end),
            flags.reserve.eq(give & at_end),
            flags.write_valid.eq(give & at_end),
            flags.write.eq(wrong),
        ]
        with m.If(give):
            counting.count(m, position, self.beats)

        with m.FSM():
            with m.State("pass"):
                m.d.comb += [
                    self.i.ready.eq(room),
                    give.eq(self.i.valid & room),
                    pixels.write.data.eq(self.i.payload.data),
                    wrong.eq(~self.i.payload.last),
                ]
                with m.If(give & at_end & ~self.i.payload.last):
                    m.next = "drop"
                with m.If(give & ~at_end & self.i.payload.last):
                    m.next = "fill"
            with m.State("fill"):
                m.d.comb += [give.eq(room), pixels.write.data.eq(self.background), wrong.eq(1)]
                with m.If(give & at_end):
                    m.next = "pass"
            with m.State("drop"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid & self.i.payload.last):
                    m.next = "pass"
        return m
