# amaranth: UnusedElaboratable=no
"""The convolution unit: windows of the map, a systolic core, requantization."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden import graph
from golden.fixed_network import FixedLayer
from hw.core import SystolicCore
from hw.errors import UnitError
from hw.folding import Folding
from hw.formats import value_shape
from hw.requantize import Requantizer
from hw.schedule import layer_schedule
from hw.stream import beat_stream
from hw.window import WindowFeeder
from hw.window_geometry import WindowGeometry


class Convolution(wiring.Component):
    """A convolution, with or without a connection table.

    Cycles a frame, both sides always ready: the largest of the input's beats, the output's beats,
    and `bands * ((columns - 1) * steps + max(steps, row change))`, with `steps` of the schedule and
    the row change of `WindowFeeder`; that is `bands * columns * steps` if `steps` is at least the
    kernel's columns. Frames overlap.

    Parameters, members, attributes and errors as for every unit: `hw.units.build_unit`. Lanes
    divide the output maps, and without a connection table the folding's columns, too.
    """

    def __init__(self, layer: FixedLayer, folding: Folding, input_lanes: int) -> None:
        conv = layer.layer
        if not isinstance(conv, graph.Convolution):
            raise UnitError(layer, "is not a convolution")
        schedule = layer_schedule(layer, folding)
        self.core = SystolicCore(layer, schedule, folding.lanes)
        self.requantizer = Requantizer(layer, folding.lanes, folding.depth)
        self.multipliers = self.core.multipliers
        try:
            self.feeder = WindowFeeder(
                WindowGeometry(layer.input_shape, conv.kernel, layer.padding),
                schedule.chunks,
                input_lanes=input_lanes,
                value_shape=value_shape(layer.input_format),
                padding_value=layer.padding_value,
            )
        except ValueError as error:
            raise UnitError(layer, str(error)) from None
        super().__init__(
            {
                "i": In(beat_stream(value_shape(layer.input_format), input_lanes)),
                "o": Out(beat_stream(value_shape(layer.output_format), folding.lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.feeder = self.feeder
        m.submodules.core = self.core
        m.submodules.requantizer = self.requantizer
        wiring.connect(m, wiring.flipped(self.i), self.feeder.i)
        wiring.connect(m, self.feeder.o, self.core.i)
        wiring.connect(m, self.core.o, self.requantizer.i)
        wiring.connect(m, self.requantizer.o, wiring.flipped(self.o))
        return m
