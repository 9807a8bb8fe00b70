"""The FIFO after a pipeline that never stalls."""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Module, Mux, ShapeLike, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray


def fifo_depth_needed(reserved: NDArray[np.int64], taken: NDArray[np.int64]) -> int:
    """The smallest depth of an `OutputBuffer` with which no reservation stalls.

    Parameters
    ----------
    reserved, taken
        For each payload, the cycle of its reservation, and the cycle in which it is taken.
    """
    count = len(taken)
    # An entry is free in the cycle after its payload was taken.
    free = np.searchsorted(taken, reserved[:count], side="left")
    return int((np.arange(1, count + 1) - free).max())


class OutputBuffer(wiring.Component):
    """A FIFO whose entries are reserved before the payloads arrive (credit-based flow control).

    It follows a pipeline of fixed latency, which need not stall then. The pipeline takes an
    input only while `available`, and raises `reserve` in that cycle; its result is written without
    a handshake. `available` depends on registers only, so it can be the pipeline's `ready`.

    Latency: a payload is offered in the cycle after its `write`. Throughput: a payload a cycle, if
    `depth` is at least the cycles from `reserve` to `write`, plus 2.

    Parameters
    ----------
    shape
        The shape of a payload.
    depth
        The number of entries, at least 2.
    registered
        Whether registers drive `o.valid` and `o.payload`, so that the FIFO is in no path outside.
        The cycles are the same: a payload passes by an empty FIFO.

    Members
    -------
    available
        Whether an entry is free.
    reserve
        Reserve an entry for a payload. Only while `available`.
    write_valid, write
        Write a payload, into an entry reserved before.
    o
        The payloads in order.
    """

    def __init__(self, shape: ShapeLike, depth: int, *, registered: bool = False) -> None:
        if depth < 2:
            raise ValueError(f"output buffer: depth must be at least 2, not {depth}")
        self.depth = depth
        self.registered = registered
        super().__init__(
            {
                "available": Out(1),
                "reserve": In(1),
                "write_valid": In(1),
                "write": In(shape),
                "o": Out(stream.Signature(shape)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        payload = self.write.as_value() if isinstance(self.write, data.View) else self.write
        m.submodules.fifo = fifo = SyncFIFO(width=len(payload), depth=self.depth)
        m.d.comb += fifo.w_data.eq(payload)
        if self.registered:
            offered = Signal(len(payload), reset_less=True)
            valid = Signal()
            free = Signal()
            m.d.comb += [
                free.eq(~valid | self.o.ready),
                fifo.w_en.eq(self.write_valid & (fifo.r_rdy | ~free)),
                fifo.r_en.eq(free),
                self.o.payload.eq(offered),
                self.o.valid.eq(valid),
            ]
            with m.If(free):
                m.d.sync += [
                    valid.eq(fifo.r_rdy | self.write_valid),
                    offered.eq(Mux(fifo.r_rdy, fifo.r_data, payload)),
                ]
        else:
            m.d.comb += [
                fifo.w_en.eq(self.write_valid),
                self.o.payload.eq(fifo.r_data),
                self.o.valid.eq(fifo.r_rdy),
                fifo.r_en.eq(self.o.ready),
            ]

        reserved = Signal(range(self.depth + 1))
        taken = self.o.valid & self.o.ready
        with m.If(self.reserve & ~taken):
            m.d.sync += reserved.eq(reserved + 1)
        with m.If(taken & ~self.reserve):
            m.d.sync += reserved.eq(reserved - 1)
        m.d.comb += self.available.eq(reserved != self.depth)
        return m
