# amaranth: UnusedElaboratable=no
"""Pooling over windows that do not overlap: the reducer, average pooling and max pooling."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from math import ceil
from typing import Any, Literal, NamedTuple

import numpy as np
from amaranth.hdl import Module, Mux, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from systolith.golden.choices import choice
from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.graph import Pooling
from systolith.hw.errors import UnitError
from systolith.hw.folding import Folding
from systolith.hw.streams.beats import Beat, beat_stream
from systolith.hw.streams.component import Component
from systolith.hw.streams.counting import count
from systolith.hw.streams.cycles import Busy, Process, StreamCycles, chain, recurrence
from systolith.hw.streams.formats import element, range_shape, select_word, value_shape
from systolith.hw.streams.output_buffer import OutputBuffer, fifo_depth_needed
from systolith.hw.systolic.array_work import ArraySize
from systolith.hw.units.requantize import Requantizer

Operation = Literal["sum", "maximum"]


class _Reduction(NamedTuple):
    """How a window is reduced.

    Parameters
    ----------
    join
        A partial result, joined with another value.
    result_shape
        The shape of the result for values of a format, and their number.
    """

    join: Callable[[Value, Value], Value]
    result_shape: Callable[[QFormat, int], Shape]


_REDUCTIONS: dict[Operation, _Reduction] = {
    "sum": _Reduction(
        join=lambda known, value: known + value,
        result_shape=lambda fmt, size: range_shape(size * fmt.min_raw, size * fmt.max_raw),
    ),
    "maximum": _Reduction(
        join=lambda known, value: Mux(value > known, value, known),
        result_shape=lambda fmt, size: value_shape(fmt),
    ),
}


class _Position(NamedTuple):
    """Where a beat lies in its window and its frame.

    Parameters
    ----------
    place
        The address of its window's partial results.
    first, complete
        Whether it belongs to the first pixel of its window, or to the last one.
    last
        Whether it is the frame's last beat that completes a window.
    """

    place: Signal
    first: Signal
    complete: Signal
    last: Signal


class _Stage(NamedTuple):
    """A beat in the pipeline: whether there is one, its values, and its position."""

    valid: Signal
    data: Signal
    position: _Position


class WindowReducer(Component):
    """Reduces every window of a feature map to its sum or its maximum.

    The pooling units and trainable sub-sampling use it. Rows and columns that fill no whole window
    are dropped.

    It takes a beat of `input_lanes` values a cycle and sends beats of `output_lanes`. A memory
    holds the partial results of one row of windows. Complete results go to a FIFO, as they may
    arrive faster than they leave; a beat that completes a window is taken only while the FIFO has
    room.

    Latency: 2 cycles from a window's last beat to its result.

    Parameters
    ----------
    layer
        A pooling layer without padding.
    input_lanes
        Values in an input beat; divides the channels.
    output_lanes
        Values in an output beat; divides `input_lanes`.
    operation
        The reduction.
    depth
        The depth of the FIFO in input beats, without the two that keep the pipeline moving.

    Members
    -------
    i : In(beat_stream(value_shape(layer.input_format), input_lanes))
    o : Out(beat_stream(result_shape, output_lanes))

    Raises
    ------
    ValueError
        The operation is unknown.
    UnitError
        Padding, or a number of lanes that does not divide.
    """

    def __init__(
        self,
        layer: FixedLayer,
        *,
        input_lanes: int,
        output_lanes: int,
        operation: Operation,
        depth: int,
    ) -> None:
        assert isinstance(layer.layer, Pooling)
        channels = layer.input_shape.channels
        if any(layer.padding):
            raise UnitError(
                layer, f"hardware pools without padding only, not with {layer.padding[:2]}"
            )
        if input_lanes < 1 or channels % input_lanes:
            raise UnitError(
                layer, f"input lanes must divide the {channels} channels, not {input_lanes}"
            )
        if output_lanes < 1 or input_lanes % output_lanes:
            raise UnitError(
                layer,
                f"lanes must divide the {input_lanes} lanes of the layer before, "
                f"not {output_lanes}",
            )
        self.layer = layer
        self.window = layer.layer.window
        self.input_lanes = input_lanes
        self.output_lanes = output_lanes
        self._reduction = choice(_REDUCTIONS, operation, "reduction of windows")
        self.groups = channels // input_lanes
        self.input_beats = layer.input_shape.size // input_lanes
        self.depth = depth + 2
        self.value_shape = value_shape(layer.input_format)
        size = self.window[0] * self.window[1]
        self.result_shape = self._reduction.result_shape(layer.input_format, size)
        super().__init__(
            {
                "i": In(beat_stream(self.value_shape, input_lanes)),
                "o": Out(beat_stream(self.result_shape, output_lanes)),
            }
        )

    def _completing(self) -> list[bool]:
        """For each beat of a frame, whether it completes its window."""
        height, width, _ = self.layer.input_shape
        rows, columns = self.window
        return [
            row % rows == rows - 1 and column % columns == columns - 1
            for row in range(height)
            for column in range(width)
            for _ in range(self.groups)
        ]

    @recurrence
    def cycles(self, i: StreamCycles, o: StreamCycles) -> Process:
        """The cycle model (`streams.cycles`)."""
        i_available, i_taken = i.available, i.taken
        o_available, o_taken = o.available, o.taken
        parts = self.input_lanes // self.output_lanes
        completing = cycle(self._completing())
        # Counts up to the last part of the first result that has to wait for room in the FIFO.
        reserved = -self.depth * parts - 1
        last = -1
        for completes in completing:
            while len(i_available) == len(i_taken):
                yield i.source
            first = i_available[len(i_taken)]
            last = first if first > last else last + 1
            if completes:
                reserved += parts
                if reserved >= 0:
                    while len(o_taken) <= reserved:
                        yield o.sink
                    if o_taken[reserved] >= last:
                        last = o_taken[reserved] + 1
                o_available.extend([last + 2] * parts)
            i_taken.append(last)

    def depth_needed(self, o: StreamCycles) -> int:
        """The smallest `depth` with which these transfers would not have stalled."""
        parts = self.input_lanes // self.output_lanes
        reserved = np.array(o.available[::parts]) - 2
        return max(1, fifo_depth_needed(reserved, np.array(o.taken[parts - 1 :: parts])) - 2)

    @property
    def _partial_words(self) -> int:
        """Words of the memory of partial results; at least two, as a memory needs an address.

        Columns left over at the right border have words too, which are never read.
        """
        return max(ceil(self.layer.input_shape.width / self.window[1]) * self.groups, 2)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        taken = Signal()
        m.d.comb += taken.eq(self.i.valid & self.i.ready)
        position = self._track_position(m, taken)

        # Stage 1: read the partial result of the window.
        width = self.input_lanes * self.result_shape.width
        m.submodules.partial = partial = Memory(shape=width, depth=self._partial_words, init=[])
        write_port = partial.write_port()
        # The pixel before may belong to the same window and be written in this cycle.
        read_port = partial.read_port(transparent_for=(write_port,))
        m.d.comb += [read_port.addr.eq(position.place), read_port.en.eq(taken)]
        stage = self._register_beat(m, taken, position)

        # Stage 2: combine it with the beat; write it back, and to the FIFO if it is complete.
        results = self._combine(m, stage, read_port.data)
        m.submodules.buffer = buffer = OutputBuffer(
            Beat(self.result_shape, self.input_lanes), self.depth
        )
        m.d.comb += [
            write_port.addr.eq(stage.position.place),
            write_port.data.eq(results),
            write_port.en.eq(stage.valid),
            self.i.ready.eq(buffer.available | ~position.complete),
            buffer.reserve.eq(taken & position.complete),
            buffer.write_valid.eq(stage.valid & stage.position.complete),
            buffer.write.data.eq(results),
            buffer.write.last.eq(stage.position.last),
        ]
        self._serialize(m, buffer)
        return m

    def _track_position(self, m: Module, taken: Value) -> _Position:
        """Counters that follow the beats of a frame; the position of the beat at the input."""
        height, width, _ = self.layer.input_shape
        rows, columns = self.window
        group = Signal(range(self.groups))
        column = Signal(range(width))
        row = Signal(range(height))
        window_column = Signal(range(columns))
        window_row = Signal(range(rows))
        place = Signal(range(self._partial_words))
        with m.If(taken):
            count(m, group, self.groups)
            m.d.sync += place.eq(place + 1)
            with m.If(group == self.groups - 1):
                count(m, column, width)
                count(m, window_column, columns)
                with m.If(window_column != columns - 1):
                    m.d.sync += place.eq(place - (self.groups - 1))
                with m.If(column == width - 1):
                    count(m, row, height)
                    count(m, window_row, rows)
                    m.d.sync += [window_column.eq(0), place.eq(0)]
                    with m.If(row == height - 1):
                        m.d.sync += window_row.eq(0)

        first = Signal()
        complete = Signal()
        last = Signal()
        output = self.layer.output_shape
        m.d.comb += [
            first.eq((window_row == 0) & (window_column == 0)),
            complete.eq((window_row == rows - 1) & (window_column == columns - 1)),
            last.eq(
                (row == output.height * rows - 1)
                & (column == output.width * columns - 1)
                & (group == self.groups - 1)
            ),
        ]
        return _Position(place, first, complete, last)

    def _register_beat(self, m: Module, taken: Value, position: _Position) -> _Stage:
        """The registers between the two stages: the beat that was taken, and its position."""
        beat = Signal.like(self.i.payload.data, reset_less=True)
        valid = Signal()
        beat_first = Signal(reset_less=True)
        beat_complete = Signal(reset_less=True)
        beat_last = Signal(reset_less=True)
        beat_place = Signal.like(position.place, reset_less=True)
        m.d.sync += [
            valid.eq(taken),
            beat.eq(self.i.payload.data),
            beat_first.eq(position.first),
            beat_complete.eq(position.complete),
            beat_last.eq(position.last),
            beat_place.eq(position.place),
        ]
        return _Stage(valid, beat, _Position(beat_place, beat_first, beat_complete, beat_last))

    def _combine(self, m: Module, stage: _Stage, partial: Value) -> Signal:
        """The new partial results of a beat, lane 0 in the lowest bits."""
        results = Signal(self.input_lanes * self.result_shape.width)
        for lane in range(self.input_lanes):
            value = element(stage.data, lane, self.value_shape)
            known = element(partial, lane, self.result_shape)
            joined = Mux(stage.position.first, value, self._reduction.join(known, value))
            m.d.comb += results.word_select(lane, self.result_shape.width).eq(joined)
        return results

    def _serialize(self, m: Module, buffer: OutputBuffer) -> None:
        """Send each beat of the FIFO in parts of `output_lanes` values."""
        parts = self.input_lanes // self.output_lanes
        part = Signal(range(parts))
        with m.If(self.o.valid & self.o.ready):
            count(m, part, parts)
        m.d.comb += [
            self.o.valid.eq(buffer.o.valid),
            self.o.payload.data.eq(
                select_word(buffer.o.payload.data, part, len(self.o.payload.data))
            ),
            self.o.payload.last.eq(buffer.o.payload.last & (part == parts - 1)),
            buffer.o.ready.eq(self.o.ready & (part == parts - 1)),
        ]


class PoolingUnit(Component):
    """The base of the units without an array: they fold lanes only, and take a beat a cycle."""

    @staticmethod
    def count_multipliers(layer: FixedLayer, size: ArraySize) -> Any:
        """Physical multipliers."""
        return 0 * size.lanes

    @staticmethod
    def frame_cycles(layer: FixedLayer, size: ArraySize, input_lanes: int) -> Any:
        """The initiation interval in cycles, source and sink always ready.

        It is the number of beats of the input or of the output, whichever is larger. It is longer
        if `folding.depth` is too small for the results of a row of windows.
        """
        output_beats = layer.output_shape.size // size.lanes
        return np.maximum(layer.input_shape.size // input_lanes, output_beats)

    reducer: WindowReducer

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
        self.reducer = WindowReducer(
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

    It takes a beat a cycle, unless `folding.lanes` results a cycle are too few. Parameters, members
    and errors are those of every unit: `registry.build_unit`.
    """

    multipliers = 0

    def __init__(self, layer: FixedLayer, folding: Folding, input_lanes: int) -> None:
        require_no_array(layer, folding)
        self.reducer = WindowReducer(
            layer,
            input_lanes=input_lanes,
            output_lanes=folding.lanes,
            operation="sum",
            depth=folding.depth,
        )
        self.requantizer = Requantizer(layer, folding.lanes, depth=1)
        super().__init__(
            {
                "i": In(beat_stream(value_shape(layer.input_format), input_lanes)),
                "o": Out(beat_stream(value_shape(layer.output_format), folding.lanes)),
            }
        )

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
