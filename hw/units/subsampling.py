# amaranth: UnusedElaboratable=no
"""Trainable sub-sampling: the sum of a window times a coefficient, plus a bias, squashed.

LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to Document Recognition", 1998,
section II.B, layer S2.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from systolith.golden.fixed.integers import FixedLayer
from systolith.hw.errors import UnitError
from systolith.hw.folding import Folding
from systolith.hw.streams.beats import beat_stream
from systolith.hw.streams.cycles import StreamCycles, chain
from systolith.hw.streams.formats import range_shape, value_shape
from systolith.hw.streams.pipeline import BufferedPipeline
from systolith.hw.systolic.array_work import ArraySize
from systolith.hw.units.channel_constants import ChannelConstants
from systolith.hw.units.pooling import PoolingUnit, require_no_array, window_reducer
from systolith.hw.units.requantize import RequantizePipeline
from systolith.hw.units.scale import Scale


class Subsampling(PoolingUnit):
    """Trainable sub-sampling: sums of windows, times a coefficient, plus a bias, requantized.

    Each channel has a coefficient and a bias. It takes a beat a cycle, unless `folding.lanes`
    results a cycle are too few. Parameters, members and errors are those of every unit:
    `registry.build_unit`.
    """

    def __init__(self, layer: FixedLayer, folding: Folding, input_lanes: int) -> None:
        require_no_array(layer, folding)
        lanes = folding.lanes
        if layer.weights is None or layer.weights.shape != (layer.output_shape.channels,):
            raise UnitError(layer, "needs a coefficient a channel")
        self.multipliers = lanes
        self.reducer = window_reducer(
            layer,
            input_lanes=input_lanes,
            output_lanes=lanes,
            operation="sum",
            depth=folding.depth,
        )
        requantize = RequantizePipeline(layer, lanes)
        weights = [int(value) for value in layer.weights]
        shape = range_shape(min(weights), max(weights))
        coefficients = ChannelConstants(weights, shape, lanes)
        self.scaler = BufferedPipeline(
            {
                "scale": Scale(
                    coefficients, shape, self.reducer.result_shape, requantize.input_shape, lanes
                ),
                "requantize": requantize,
            },
            depth=1,
        )
        super().__init__(
            {
                "i": In(beat_stream(value_shape(layer.input_format), input_lanes)),
                "o": Out(beat_stream(value_shape(layer.output_format), lanes)),
            }
        )

    @staticmethod
    def count_multipliers(layer: FixedLayer, size: ArraySize) -> Any:
        """Physical multipliers."""
        return size.lanes

    def cycles(self, i: StreamCycles, o: StreamCycles) -> list[StreamCycles]:
        """The cycle model (`streams.cycles`)."""
        return chain(i, o, self.reducer, self.scaler)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.reducer = reducer = self.reducer
        m.submodules.scaler = scaler = self.scaler
        wiring.connect(m, wiring.flipped(self.i), reducer.i)
        wiring.connect(m, reducer.o, scaler.i)
        wiring.connect(m, scaler.o, wiring.flipped(self.o))
        return m
