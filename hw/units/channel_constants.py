"""Constants of the channels of a stream: biases, coefficients, choices of a shift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Module, Shape, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from systolith.hw.streams.counting import count
from systolith.hw.streams.formats import pack


class ChannelConstants(wiring.Component):
    """Reads the constants of each beat's channels, `lanes` at a time, as beats pass.

    Requantizing and sub-sampling use it for biases, shifts and coefficients. The constants come
    from a memory, unless they are the same for all beats.

    Latency: the constants of a beat are in `data` 2 cycles after its `taken`.

    Parameters
    ----------
    values
        One constant a channel; the number of channels is a multiple of `lanes`.
    shape
        The shape of one constant.
    lanes
        Channels a beat.

    Members
    -------
    taken
        A beat passes in this cycle. The first one after reset has the first `lanes` channels.
    data
        The constants of the beat that passed 2 cycles before, its first channel in the lowest bits.
    """

    def __init__(self, values: Sequence[int], shape: Shape, lanes: int) -> None:
        if len(values) % lanes:
            raise ValueError(f"lanes must divide the {len(values)} channels, not {lanes}")
        self.rows = [
            pack(values[start : start + lanes], shape) for start in range(0, len(values), lanes)
        ]
        super().__init__({"taken": In(1), "data": Out(lanes * shape.width)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        if len(set(self.rows)) == 1:
            m.d.comb += self.data.eq(self.rows[0])
            return m
        position = Signal(range(len(self.rows)))
        with m.If(self.taken):
            count(m, position, len(self.rows))
        m.submodules.rom = rom = Memory(shape=len(self.data), depth=len(self.rows), init=self.rows)
        port = rom.read_port()
        m.d.comb += [port.addr.eq(position), port.en.eq(self.taken)]
        # A register directly behind the memory, which may be slow.
        constants = Signal.like(self.data, name="constants", reset_less=True)
        m.d.sync += constants.eq(port.data)
        m.d.comb += self.data.eq(constants)
        return m
