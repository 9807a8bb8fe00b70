# amaranth: UnusedElaboratable=no
"""Room for the images between the line and the accelerator, so that both may stall each other.

An image goes to the accelerator once its check sequence was found right, and never before.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Module, Mux, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from systolith.hw.streams import counting
from systolith.hw.streams.beats import beat_stream

WINDOW = 2
"""The images that it holds: one is received while the other goes to the accelerator."""


class ImageBuffer(wiring.Component):
    """Holds `WINDOW` images: each is written pixel by pixel, committed, and given as a frame.

    A pixel is given every second cycle at most, which is faster than any line.

    Parameters
    ----------
    size
        The pixels of an image.

    Members
    -------
    free
        Whether there is room for a further image; it stays high until a `commit`.
    write, position, pixel
        Write a pixel of the image that is received, at its place from 0. Only while `free`.
    commit, number
        The image is complete and right; its packet's number. Only while `free`.
    o
        The pixels of committed images.
    numbers
        The number of each image; its pixels follow once it was taken.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(
            {
                "free": Out(1),
                "write": In(1),
                "position": In(range(size)),
                "pixel": In(8),
                "commit": In(1),
                "number": In(8),
                "o": Out(beat_stream(unsigned(8), 1)),
                "numbers": Out(stream.Signature(8)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.memory = memory = Memory(shape=8, depth=WINDOW * self.size, init=[])
        into, out = memory.write_port(), memory.read_port()

        written, given = Signal(range(WINDOW)), Signal(range(WINDOW))
        committed = Signal(range(WINDOW + 1))
        done = Signal()
        place = Signal(range(self.size))
        m.d.comb += [
            self.free.eq(committed != WINDOW),
            into.addr.eq(Mux(written, self.size, 0) + self.position),
            into.data.eq(self.pixel),
            into.en.eq(self.write),
            out.addr.eq(Mux(given, self.size, 0) + place),
            out.en.eq(0),
            self.o.payload.data.eq(out.data),
            self.o.payload.last.eq(place == self.size - 1),
        ]
        with m.If(self.commit):
            m.d.sync += written.eq(written + 1)
        with m.If(done):
            m.d.sync += given.eq(given + 1)
        m.d.sync += committed.eq(committed + self.commit - done)

        numbers = Array(Signal(8, name=f"number_{place}") for place in range(WINDOW))
        with m.If(self.commit):
            m.d.sync += numbers[written].eq(self.number)
        m.d.comb += self.numbers.payload.eq(numbers[given])
        with m.FSM():
            with m.State("idle"):
                m.d.comb += self.numbers.valid.eq(committed != 0)
                with m.If(self.numbers.valid & self.numbers.ready):
                    m.next = "read"
            with m.State("read"):
                m.d.comb += out.en.eq(1)
                m.next = "give"
            with m.State("give"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    counting.count(m, place, self.size)
                    m.next = "read"
                    with m.If(self.o.payload.last):
                        m.d.comb += done.eq(1)
                        m.next = "idle"
        return m
