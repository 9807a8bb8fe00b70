# amaranth: UnusedElaboratable=no
"""The units of max pooling and average pooling."""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from systolith.golden.fixed.integers import FixedLayer, Integers
from systolith.golden.network.graph import Pooling
from systolith.hw.errors import UnitError
from systolith.hw.folding import Folding
from systolith.hw.streams.beats import beat_stream
from systolith.hw.streams.component import Component
from systolith.hw.streams.cycles import Busy, StreamCycles, chain
from systolith.hw.streams.formats import range_shape, value_shape
from systolith.hw.streams.pipeline import BufferedPipeline
from systolith.hw.systolic.array_work import ArraySize
from systolith.hw.units.reducer import Reducer, WindowReducer
from systolith.hw.units.requantize import RequantizePipeline, Requantizer
from systolith.hw.units.scale import PlaceConstants, Scale
from systolith.hw.units.sliding_reducer import SlidingReducer, axes


def window_reducer(layer: FixedLayer, **sizes: Any) -> Reducer:
    """The reducer that a pooling layer needs; parameters and errors are those of `Reducer`."""
    assert isinstance(layer.layer, Pooling)
    windows = layer.layer.windows
    tiled = windows.stride == windows.kernel and not any(layer.padding)
    return (WindowReducer if tiled else SlidingReducer)(layer, **sizes)


class PoolingUnit(Component):
    """The base of the units without an array: they fold lanes only, and take a beat a cycle."""

    @staticmethod
    def count_multipliers(layer: FixedLayer, size: ArraySize) -> Any:
        """Physical multipliers."""
        return 0 * size.lanes

    @staticmethod
    def frame_cycles(layer: FixedLayer, size: ArraySize, input_lanes: int) -> Any:
        """The initiation interval in cycles, source and sink always ready.

        It is the number of beats of the input, those of positions without an input included
        (`sliding_reducer.Axis`), or of the output, whichever is larger. It is longer if
        `folding.depth` is too small for the results of a row of windows.
        """
        rows, columns = axes(layer)
        groups = layer.input_shape.channels // input_lanes
        output_beats = layer.output_shape.size // size.lanes
        return np.maximum(len(rows.steps) * len(columns.steps) * groups, output_beats)

    reducer: Reducer

    def busy(self, i: StreamCycles, inner: list[StreamCycles]) -> Busy:
        """When each beat is taken (`hw.units.registry.Unit`)."""
        return [(cycle, 1) for cycle in i.taken], self.reducer.input_beats

    def depth_needed(self, inner: list[StreamCycles], o: StreamCycles) -> int:
        """The smallest `folding.depth` with which these transfers would not have stalled."""
        return self.reducer.depth_needed(inner[0] if inner else o)


class MaxPooling(PoolingUnit):
    """Max pooling: the largest raw value of each window.

    It takes a beat a cycle. Parameters, members and errors are those of every unit:
    `registry.build_unit`.
    """

    multipliers = 0

    def __init__(self, layer: FixedLayer, folding: Folding, input_lanes: int) -> None:
        require_no_array(layer, folding)
        if layer.input_format != layer.output_format or layer.requantization is not None:
            raise UnitError(
                layer,
                f"the largest of values in {layer.input_format} is in that format, "
                f"not in {layer.output_format}",
            )
        self.reducer = window_reducer(
            layer,
            input_lanes=input_lanes,
            output_lanes=folding.lanes,
            operation="maximum",
            depth=folding.depth,
        )
        super().__init__(
            {
                "i": In(beat_stream(value_shape(layer.input_format), input_lanes)),
                "o": Out(beat_stream(value_shape(layer.output_format), folding.lanes)),
            }
        )

    def cycles(self, i: StreamCycles, o: StreamCycles) -> list[StreamCycles]:
        """The cycle model (`streams.cycles`)."""
        return chain(i, o, self.reducer)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.reducer = reducer = self.reducer
        wiring.connect(m, wiring.flipped(self.i), reducer.i)
        wiring.connect(m, reducer.o, wiring.flipped(self.o))
        return m


class AveragePooling(PoolingUnit):
    """Average pooling: the exact sum of each window, requantized once.

    The sums of windows whose size is no power of two, or not the same for all, are multiplied, with
    one multiplier a lane. It takes a beat a cycle, unless `folding.lanes` results a cycle are too
    few. Parameters, members and errors are those of every unit: `registry.build_unit`.
    """

    def __init__(self, layer: FixedLayer, folding: Folding, input_lanes: int) -> None:
        require_no_array(layer, folding)
        lanes = folding.lanes
        self.reducer = window_reducer(
            layer,
            input_lanes=input_lanes,
            output_lanes=lanes,
            operation="sum",
            depth=folding.depth,
        )
        self.multipliers = 0
        self.requantizer: BufferedPipeline = Requantizer(layer, lanes, depth=1)
        factors = _factors(layer)
        if factors is not None:
            self.multipliers = lanes
            requantize = RequantizePipeline(layer, lanes)
            shape = range_shape(0, int(factors.max()))
            groups = layer.output_shape.channels // lanes
            self.requantizer = BufferedPipeline(
                {
                    "scale": Scale(
                        PlaceConstants(factors, shape, groups, lanes),
                        shape,
                        self.reducer.result_shape,
                        requantize.input_shape,
                        lanes,
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
        return (_factors(layer) is not None) * size.lanes

    def cycles(self, i: StreamCycles, o: StreamCycles) -> list[StreamCycles]:
        """The cycle model (`streams.cycles`)."""
        return chain(i, o, self.reducer, self.requantizer)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.reducer = reducer = self.reducer
        m.submodules.requantizer = requantizer = self.requantizer
        wiring.connect(m, wiring.flipped(self.i), reducer.i)
        connect_extended(m, reducer.o, requantizer.i)
        wiring.connect(m, requantizer.o, wiring.flipped(self.o))
        return m


def _factors(layer: FixedLayer) -> Integers | None:
    """What multiplies the sum of each window, `(rows, columns)`; None where all are 1."""
    how = layer.requantization
    multiplier = 1 if how is None else how.multiplier
    if layer.factors is None and multiplier == 1:
        return None
    output = layer.output_shape
    return multiplier * (np.ones(output[:2], np.int64) if layer.factors is None else layer.factors)


def require_no_array(layer: FixedLayer, folding: Folding) -> None:
    """Check that a folding has no array, for a layer that has none.

    Raises
    ------
    UnitError
        Rows or columns other than 1, or an order other than "inputs".
    """
    if (folding.rows, folding.columns) != (1, 1):
        raise UnitError(
            layer,
            f"rows and columns must be 1, as it has no array, not {folding.rows} and "
            f"{folding.columns}",
        )
    if folding.order != "inputs":
        raise UnitError(layer, f"order must be 'inputs', as it has no array, not {folding.order!r}")


def connect_extended(m: Module, source: Any, sink: Any) -> None:
    """Connect two streams of beats with the same lanes, each value extended to the sink's width."""
    source_beat, sink_beat = source.payload.shape(), sink.payload.shape()
    width = sink_beat.value_shape.width
    for lane in range(sink_beat.lanes):
        value = source_beat.lane(source.payload, lane)
        m.d.comb += sink.payload.data.word_select(lane, width).eq(value)
    m.d.comb += [
        sink.payload.last.eq(source.payload.last),
        sink.valid.eq(source.valid),
        source.ready.eq(sink.ready),
    ]
