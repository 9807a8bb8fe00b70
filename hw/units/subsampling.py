# amaranth: UnusedElaboratable=no
"""Trainable sub-sampling: the sum of a window times a coefficient, plus a bias, squashed.

LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to Document Recognition", 1998,
section II.B, layer S2.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Shape, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from systolith.golden.fixed.integers import FixedLayer
from systolith.hw.errors import UnitError
from systolith.hw.folding import Folding
from systolith.hw.streams.beats import Beat, beat_stream
from systolith.hw.streams.component import Component
from systolith.hw.streams.cycles import StreamCycles, chain
from systolith.hw.streams.formats import element, range_shape, value_shape
from systolith.hw.streams.pipeline import BufferedPipeline
from systolith.hw.systolic.array_work import ArraySize
from systolith.hw.units.channel_constants import ChannelConstants
from systolith.hw.units.pooling import PoolingUnit, WindowReducer, require_no_array
from systolith.hw.units.requantize import RequantizePipeline


class ChannelScale(Component):
    """Multiplies every value by the coefficient of its channel, with one multiplier a lane.

    It is a pipeline between the `WindowReducer` of a `Subsampling` unit and its requantizing.
    Latency: 3 cycles. Registers before and behind each multiplier can become a part of it.

    Parameters
    ----------
    layer
        A sub-sampling layer, whose weights are the coefficients.
    sum_shape
        The shape of the values.
    lanes
        Channels a beat; divides the layer's channels.

    Members
    -------
    i_valid, i : sums
    o_valid, o : products, `signed(layer.accumulator_bits)`
    """

    latency = 3

    def __init__(self, layer: FixedLayer, sum_shape: Shape, lanes: int) -> None:
        assert layer.weights is not None
        self.coefficients = [int(value) for value in layer.weights]
        self.sum_shape = sum_shape
        self.lanes = lanes
        self.product_shape = signed(layer.accumulator_bits)
        self.input_beat = Beat(sum_shape, lanes)
        self.output_beat = Beat(self.product_shape, lanes)
        super().__init__(
            {
                "i_valid": In(1),
                "i": In(self.input_beat),
                "o_valid": Out(1),
                "o": Out(self.output_beat),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        shape = range_shape(min(self.coefficients), max(self.coefficients))
        m.submodules.coefficients = coefficients = ChannelConstants(
            self.coefficients, shape, self.lanes
        )
        waiting = Signal.like(self.i.data, name="waiting", reset_less=True)
        sums = Signal.like(self.i.data, name="sums", reset_less=True)
        valid = Signal(self.latency)
        last = Signal(self.latency, reset_less=True)
        m.d.comb += [
            coefficients.taken.eq(self.i_valid),
            self.o.last.eq(last[-1]),
            self.o_valid.eq(valid[-1]),
        ]
        m.d.sync += [
            waiting.eq(self.i.data),
            sums.eq(waiting),
            last.eq(Cat(self.i.last, last)),
            valid.eq(Cat(self.i_valid, valid)),
        ]
        for lane in range(self.lanes):
            product = element(sums, lane, self.sum_shape) * element(coefficients.data, lane, shape)
            m.d.sync += self.o.data.word_select(lane, self.product_shape.width).eq(product)
        return m


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
        self.reducer = WindowReducer(
            layer,
            input_lanes=input_lanes,
            output_lanes=lanes,
            operation="sum",
            depth=folding.depth,
        )
        self.scaler = BufferedPipeline(
            {
                "scale": ChannelScale(layer, self.reducer.result_shape, lanes),
                "requantize": RequantizePipeline(layer, lanes),
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
