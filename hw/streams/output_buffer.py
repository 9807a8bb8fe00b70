"""The FIFO at the end of a pipeline that never stops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from amaranth.hdl import Module, ShapeLike, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out


def fifo_depth_needed(reserved: Sequence[int], left: Sequence[int]) -> int:
    """The least depth of an `OutputBuffer` that holds up no reservation.

    Parameters
    ----------
    reserved, left
        For each payload, the cycle of its reservation, and that in which it is taken.
    """
    count = len(left)
    # A place is free in the cycle after its payload was taken.
    free = np.searchsorted(left, reserved[:count], side="left")
    return int((np.arange(1, count + 1) - free).max())


class OutputBuffer(wiring.Component):
    """A FIFO in which places are reserved before the payloads arrive.

    A pipeline of fixed latency takes an input only while `available`, and raises `reserve` in that
    cycle; when the result comes out it is written, without asking. So nothing has to be frozen, and
    `available`, a function of registers alone, can be the pipeline's `ready`.

    A payload is offered in the cycle after its `write`. A payload a cycle is sustained when
    `depth` is at least the cycles from `reserve` to `write`, plus 2.

    Parameters
    ----------
    shape
        The shape of a payload.
    depth
        Payloads that it holds, those still to come included; at least 2.

    Members
    -------
    available
        Whether a place is free.
    reserve
        A payload will come. Only while `available`.
    write_valid, write
        The payload comes. Never before, nor more often than, its reservation.
    o
        The payloads in order.
    """

    def __init__(self, shape: ShapeLike, depth: int) -> None:
        if depth < 2:
            raise ValueError(f"output buffer: depth must be at least 2, not {depth}")
        self.depth = depth
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
        m.d.comb += [
            fifo.w_data.eq(payload),
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
