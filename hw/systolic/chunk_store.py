"""A buffer for the chunks of frames, which sends each frame several times."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import memory, stream
from amaranth.lib.wiring import In, Out

from systolith.hw.streams.component import Component
from systolith.hw.streams.counting import count
from systolith.hw.streams.cycles import Process, StreamCycles, recurrence


class ChunkStore(Component):
    """Stores the chunks of each frame and sends them `passes` times, in order.

    A layer that takes its whole input needs it in the order "outputs", in which all chunks pass the
    array once for each fold. The next frame is stored meanwhile.

    It is a ring memory with room for two frames. The first pass over a frame reads chunks as they
    are written; the last pass frees each chunk as it reads it.

    Cycles: a chunk taken in cycle `t` is read in cycle `t + 1` at the earliest. A chunk read in
    cycle `t` is offered in cycle `t + 1`; the next chunk can be read in the cycle in which that one
    is taken. A full ring is ready again in the cycle after a chunk was read for the last time. Both
    sides transfer a chunk a cycle unless the ring is full or empty.

    Parameters
    ----------
    chunk_bits
        Bits of a chunk.
    chunks
        Chunks a frame.
    passes
        How often each frame is sent; at least twice.

    Members
    -------
    i : In(stream)
        The chunks of each frame, once.
    o : Out(stream)
        The chunks of each frame, `passes` times.

    Raises
    ------
    ValueError
        No chunks, or fewer than two passes.
    """

    def __init__(self, chunk_bits: int, *, chunks: int, passes: int) -> None:
        if chunks < 1:
            raise ValueError(f"chunk store: chunks must be at least 1, not {chunks}")
        if passes < 2:
            raise ValueError(f"chunk store: passes must be at least 2, not {passes}")
        self.chunk_bits = chunk_bits
        self.chunks = chunks
        self.passes = passes
        super().__init__(
            {
                "i": In(stream.Signature(unsigned(chunk_bits))),
                "o": Out(stream.Signature(unsigned(chunk_bits))),
            }
        )

    @recurrence
    def cycles(self, i: StreamCycles, o: StreamCycles) -> Process:
        """The cycle model (`streams.cycles`)."""
        room = 2 * self.chunks
        while True:
            first = len(o.available)
            for _ in range(self.chunks):
                written = len(i.taken)
                while len(i.available) == written:
                    yield i.source
                cycle = max(i.available[written], i.taken[-1] + 1 if written else 0)
                if written >= room:
                    # Its word is free once the chunk two frames before was read in its last pass.
                    frame, chunk = divmod(written - room, self.chunks)
                    read = ((frame + 1) * self.passes - 1) * self.chunks + chunk
                    while len(o.taken) < read:
                        yield o.sink
                    cycle = max(cycle, o.taken[read - 1] + 1)
                i.taken.append(cycle)
                o.available.append(cycle + 2)
                yield o.sink
            o.available.extend(o.available[first:] * (self.passes - 1))
            yield o.sink

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        room = 2 * self.chunks
        ring = memory.Memory(shape=unsigned(self.chunk_bits), depth=room, init=[])
        m.submodules.ring = ring
        write_port = ring.write_port()
        read_port = ring.read_port()
        write_address = Signal(range(room))
        read_address = Signal(range(room))
        chunk = Signal(range(self.chunks))
        number = Signal(range(self.passes))
        # Chunks that are not yet freed.
        stored = Signal(range(room + 1))

        write = Signal()
        read = Signal()
        at_end = chunk == self.chunks - 1
        in_last_pass = number == self.passes - 1
        # After the first pass, the whole frame is stored.
        available = (number != 0) | (stored > chunk)
        m.d.comb += [
            self.i.ready.eq(stored != room),
            write.eq(self.i.valid & self.i.ready),
            read.eq(available & (~self.o.valid | self.o.ready)),
            write_port.addr.eq(write_address),
            write_port.data.eq(self.i.payload),
            write_port.en.eq(write),
            read_port.addr.eq(read_address),
            read_port.en.eq(read),
            self.o.payload.eq(read_port.data),
        ]
        m.d.sync += stored.eq(stored + write - (read & in_last_pass))
        with m.If(write):
            count(m, write_address, room)
        with m.If(read):
            m.d.sync += self.o.valid.eq(1)
            count(m, chunk, self.chunks)
            count(m, read_address, room)
            with m.If(at_end):
                count(m, number, self.passes)
                with m.If(~in_last_pass):
                    # Back to the frame's first chunk.
                    in_second_half = read_address == room - 1
                    m.d.sync += read_address.eq(Mux(in_second_half, self.chunks, 0))
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m
