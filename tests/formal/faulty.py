# amaranth: UnusedElaboratable=no
"""Components whose streams break a rule."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring

FAULTS = {
    "changes while it waits": "stable",
    "is withdrawn": "stable",
    "is lost": "order",
    "is doubled": "order",
    "is overtaken": "order",
    "waits for ready": "rises",
    "is not accepted": "accepts",
}
"""What becomes of a beat, and the claim that does not hold then."""


class Faulty(wiring.Component):
    """A component with something wrong at its streams, one of `FAULTS`, in the second beat."""

    def __init__(self, component: Any, fault: str) -> None:
        self.component = component
        self.fault = fault
        super().__init__(component.signature)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.component = inner = self.component
        i, o, fault = self.i, self.o, self.fault
        payload, given = o.payload.as_value(), inner.o.payload.as_value()
        m.d.comb += [
            inner.i.payload.as_value().eq(i.payload.as_value()),
            inner.i.valid.eq(i.valid),
            i.ready.eq(inner.i.ready),
            payload.eq(given),
            o.valid.eq(inner.o.valid),
            inner.o.ready.eq(o.ready),
        ]
        beats = Signal(2)
        with m.If(inner.o.valid & inner.o.ready & (beats != 3)):
            m.d.sync += beats.eq(beats + 1)
        second = beats == 1
        waited = Signal()
        m.d.sync += waited.eq(o.valid & ~o.ready)
        if fault == "changes while it waits":
            m.d.comb += payload.eq(given ^ (waited & second))
        elif fault == "is withdrawn":
            m.d.comb += [o.valid.eq(inner.o.valid & ~(waited & second))]
            m.d.comb += inner.o.ready.eq(o.ready & ~(waited & second))
        elif fault == "is lost":
            with m.If(second):
                m.d.comb += [o.valid.eq(0), inner.o.ready.eq(1)]
        elif fault == "is doubled":
            again = Signal()
            with m.If(second & o.valid & o.ready):
                m.d.sync += again.eq(1)
            with m.If(second & ~again):
                m.d.comb += inner.o.ready.eq(0)
        elif fault == "is overtaken":
            kept = Signal(len(payload))
            with m.If(beats == 0):
                m.d.comb += [o.valid.eq(0), inner.o.ready.eq(1)]
                m.d.sync += kept.eq(given)
            with m.If(beats == 2):
                m.d.comb += payload.eq(kept)
        elif fault == "waits for ready":
            m.d.comb += o.valid.eq(inner.o.valid & o.ready)
        elif fault == "is not accepted":
            taken = Signal()
            with m.If(i.valid & i.ready):
                m.d.sync += taken.eq(1)
            with m.If(taken):
                m.d.comb += [i.ready.eq(0), inner.i.valid.eq(0)]
        return m
