"""An adapter for streams of chunks, so that `stream_driver` can drive them."""

from typing import Any

from amaranth.hdl import Module, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from systolith.hw.streams.beats import beat_stream


class ChunksAsBeats(wiring.Component):
    """Wraps a component: its streams without `last` become beats of one value, `last` always 0."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        super().__init__({"i": In(_signature(inner.i)), "o": Out(_signature(inner.o))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.inner = inner = self.inner
        for source, target in ((self.i, inner.i), (inner.o, self.o)):
            m.d.comb += [target.valid.eq(source.valid), source.ready.eq(target.ready)]
            if isinstance(source.payload, data.View) and isinstance(target.payload, data.View):
                m.d.comb += target.payload.eq(source.payload)
            elif isinstance(source.payload, data.View):
                m.d.comb += target.payload.eq(source.payload.data)
            else:
                m.d.comb += target.payload.data.eq(source.payload)
        return m


def _signature(port: Any) -> Any:
    if isinstance(port.payload, data.View):
        return port.signature
    return beat_stream(unsigned(len(port.payload)), 1)
