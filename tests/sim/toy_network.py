"""A network of two layers that is simple enough to know by heart, with faults to choose from."""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Cat, ClockDomain, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from systolith.golden.network.graph import Shape
from systolith.hw.streams.result_layout import ResultLayout
from systolith.sim.bench.unit_bench import flat_verilog
from systolith.sim.record.packing import BeatFormat
from systolith.sim.record.taps import AXIS_PORTS, Tap, TappedNetwork
from systolith.sim.simulators.builds import Design

IMAGE = Shape(3, 4, 1)
PATIENCE = 500
FAULTY_FRAME, FAULTY_BEAT = 1, 5

FAULTS = (
    "none",
    "value",
    "payload changes",
    "valid drops",
    "last early",
    "last missing",
    "stuck",
    "result twice",
    "valid waits",
)
"""What can be wrong; the first pixel after a reset chooses, by its position here."""

RESULT = ResultLayout("class", 64, 1, ())

# The second name shows what Verilator does to underscores.
TAPS = (
    Tap("plus_", BeatFormat(1, 8, False), IMAGE),
    Tap("two__sides", BeatFormat(2, 9, True), Shape(3, 4, 2)),
)


class Toy(wiring.Component):
    """`plus_` is the pixel plus 1, modulo 256; `two__sides` that minus 128 and minus 127.

    The result's data is the final beat of `two__sides`. All faults are in one module, so that one
    build has them all.
    """

    def __init__(self) -> None:
        ports = {
            "aclk": In(1),
            "aresetn": In(1),
            "s_axis_tdata": In(8),
            "s_axis_tvalid": In(1),
            "s_axis_tready": Out(1),
            "s_axis_tlast": In(1),
            "m_axis_tdata": Out(64),
            "m_axis_tuser": Out(1),
            "m_axis_tvalid": Out(1),
            "m_axis_tready": In(1),
            "m_axis_tlast": Out(1),
        }
        for tap in TAPS:
            ports[tap.port("data")] = Out(tap.beat.lanes * tap.beat.bits)
            ports |= {tap.port(name): Out(1) for name in ("valid", "ready", "last")}
        super().__init__(ports)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.domains.sync = domain = ClockDomain()
        domain.clk = self.aclk
        m.d.comb += domain.rst.eq(~self.aresetn)
        m.submodules.first = first = SyncFIFOBuffered(width=9, depth=4)
        m.submodules.second = second = SyncFIFOBuffered(width=19, depth=4)
        m.d.comb += [
            first.w_data.eq(Cat((self.s_axis_tdata + 1)[:8], self.s_axis_tlast)),
            first.w_en.eq(self.s_axis_tvalid),
            self.s_axis_tready.eq(first.w_rdy),
        ]
        value, last = first.r_data[:8], first.r_data[8]
        m.d.comb += [
            second.w_data.eq(Cat((value - 128)[:9], (value - 127)[:9], last)),
            second.w_en.eq(first.r_rdy),
            first.r_en.eq(second.w_rdy),
        ]
        self._tap(m, TAPS[0], value, first.r_rdy, second.w_rdy, last)
        self._results(m, second)
        return m

    def _results(self, m: Module, second: SyncFIFOBuffered) -> None:
        beat, frame = Signal(range(IMAGE.size + 1)), Signal(16)
        data, last, valid, take = Signal(18), Signal(), Signal(), Signal()
        done, again, waited = Signal(), Signal(), Signal()
        fault = self._fault(m)
        here = (frame == FAULTY_FRAME) & (beat == FAULTY_BEAT)
        final = beat == IMAGE.size - 1
        m.d.comb += [
            data.eq(second.r_data[:18]),
            last.eq(final),
            valid.eq(second.r_rdy),
            take.eq(~done | (self.m_axis_tready & ~again)),
            second.r_en.eq(take & valid),
            self.m_axis_tvalid.eq(done),
            self.m_axis_tlast.eq(1),
        ]
        m.d.sync += waited.eq(valid & ~take)
        self._tap(m, TAPS[1], data, valid, take, last)
        with m.If(fault["value"]):
            m.d.comb += data[:9].eq(second.r_data[:9] + here)
        with m.If(fault["payload changes"]):
            m.d.comb += data[:9].eq(second.r_data[:9] ^ waited)
        with m.If(fault["valid drops"]):
            m.d.comb += valid.eq(second.r_rdy & ~waited)
        with m.If(fault["last early"]):
            m.d.comb += last.eq(final | here)
        with m.If(fault["last missing"]):
            m.d.comb += last.eq(final & (frame != FAULTY_FRAME))
        with m.If(fault["stuck"] & here):
            m.d.comb += take.eq(0)
        with m.If(fault["valid waits"]):
            m.d.comb += self.m_axis_tvalid.eq(done & self.m_axis_tready)

        with m.If(self.m_axis_tready):
            m.d.sync += [done.eq(again), again.eq(0)]
        with m.If(valid & take):
            m.d.sync += beat.eq(beat + 1)
            with m.If(final):
                m.d.sync += [beat.eq(0), frame.eq(frame + 1), done.eq(1)]
                m.d.sync += [self.m_axis_tdata.eq(data), again.eq(fault["result twice"])]

    def _fault(self, m: Module) -> dict[str, Signal]:
        chosen, begun = Signal(8), Signal()
        with m.If(self.s_axis_tvalid & self.s_axis_tready & ~begun):
            m.d.sync += [chosen.eq(self.s_axis_tdata), begun.eq(1)]
        signals = {}
        for number, name in enumerate(FAULTS):
            signals[name] = Signal(name=name.replace(" ", "_"))
            m.d.comb += signals[name].eq(begun & (chosen == number))
        return signals

    def _tap(self, m: Module, tap: Tap, data: Any, valid: Any, ready: Any, last: Any) -> None:
        for name, value in (("data", data), ("valid", valid), ("ready", ready), ("last", last)):
            m.d.comb += getattr(self, tap.port(name)).eq(value)


def toy_network() -> TappedNetwork:
    """The toy as the engines take it."""
    ports = [tap.port(name) for tap in TAPS for name in ("data", "valid", "ready", "last")]
    design = Design("toy", flat_verilog(Toy(), "toy"), (*AXIS_PORTS, *ports))
    return TappedNetwork(BeatFormat(1, 8, False), IMAGE, TAPS, RESULT, PATIENCE, design)


def toy_images(count: int, fault: str = "none") -> NDArray[np.uint8]:
    """Random images that choose a fault, with the largest pixel among them."""
    images = np.random.default_rng(count).integers(0, 256, (count, *IMAGE)).astype(np.uint8)
    images[0, 0, :2, 0] = FAULTS.index(fault), 255
    return images


def toy_values(images: NDArray[np.uint8]) -> dict[str, NDArray[np.int64]]:
    """What each layer puts out."""
    plus = (images.astype(np.int64) + 1) % 256
    return {TAPS[0].layer: plus, TAPS[1].layer: np.concatenate([plus - 128, plus - 127], axis=3)}
