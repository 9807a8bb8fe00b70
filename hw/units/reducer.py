# amaranth: UnusedElaboratable=no
"""Reducers: they make a sum or a maximum of every window of a stream. Here, of windows in tiles."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from itertools import cycle
from math import ceil
from typing import Any, Literal, NamedTuple

import numpy as np
from amaranth.hdl import Module, Mux, Shape, Signal, Value
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from systolith.golden.choices import choice
from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.graph import Pooling
from systolith.hw.errors import UnitError
from systolith.hw.streams.beats import Beat, beat_stream
from systolith.hw.streams.component import Component
from systolith.hw.streams.counting import count
from systolith.hw.streams.cycles import Process, StreamCycles, recurrence
from systolith.hw.streams.formats import element, range_shape, select_word, value_shape
from systolith.hw.streams.output_buffer import OutputBuffer, fifo_depth_needed

Operation = Literal["sum", "maximum"]


class Reduction(NamedTuple):
    """How a window is reduced.

    Parameters
    ----------
    join
        A partial result, joined with another value.
    repeated
        The partial result, for a format, of a value that is there a number of times, 0 or more.
    result_shape
        The shape of the result for values of a format, and their number.
    """

    join: Callable[[Value, Value], Value]
    repeated: Callable[[QFormat, int, int], int]
    result_shape: Callable[[QFormat, int], Shape]


REDUCTIONS: dict[Operation, Reduction] = {
    "sum": Reduction(
        join=lambda known, value: known + value,
        repeated=lambda fmt, value, times: times * value,
        result_shape=lambda fmt, size: range_shape(size * fmt.min_raw, size * fmt.max_raw),
    ),
    "maximum": Reduction(
        join=lambda known, value: Mux(value > known, value, known),
        repeated=lambda fmt, value, times: value if times else fmt.min_raw,
        result_shape=lambda fmt, size: value_shape(fmt),
    ),
}


class Reducer(Component):
    """Reduces every window of a feature map to its sum or its maximum: what all reducers share.

    The pooling units and trainable sub-sampling use one. It takes a beat of `input_lanes` values a
    cycle and sends beats of `output_lanes`. Complete results go to a FIFO, as they may arrive
    faster than they leave; a beat that completes a window is taken only while the FIFO has room.

    Latency: `latency` cycles from a window's last beat to its result in the FIFO, and 1 cycle.

    Parameters
    ----------
    layer
        A pooling layer.
    input_lanes
        Values in an input beat; divides the channels.
    output_lanes
        Values in an output beat; divides `input_lanes`.
    operation
        The reduction.
    depth
        The depth of the FIFO in input beats, without those that keep the pipeline moving.

    Members
    -------
    i : In(beat_stream(value_shape(layer.input_format), input_lanes))
    o : Out(beat_stream(result_shape, output_lanes))

    Raises
    ------
    ValueError
        The operation is unknown.
    UnitError
        A number of lanes that does not divide.
    """

    latency: int

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
        self.reduction = choice(REDUCTIONS, operation, "reduction of windows")
        self.groups = channels // input_lanes
        self.input_beats = layer.input_shape.size // input_lanes
        self.depth = depth + self.latency + 1
        self.value_shape = value_shape(layer.input_format)
        size = self.window[0] * self.window[1]
        self.result_shape = self.reduction.result_shape(layer.input_format, size)
        super().__init__(
            {
                "i": In(beat_stream(self.value_shape, input_lanes)),
                "o": Out(beat_stream(self.result_shape, output_lanes)),
            }
        )

    @abstractmethod
    def positions(self) -> list[tuple[bool, bool]]:
        """For each position of a frame, whether it has a beat, and whether it completes a window.

        The reducer passes a position a cycle, at most.
        """

    @recurrence
    def cycles(self, i: StreamCycles, o: StreamCycles) -> Process:
        """The cycle model (`streams.cycles`)."""
        i_available, i_taken = i.available, i.taken
        o_available, o_taken = o.available, o.taken
        parts = self.input_lanes // self.output_lanes
        latency = self.latency + 1
        # Counts up to the last part of the first result that has to wait for room in the FIFO.
        reserved = -self.depth * parts - 1
        last = -1
        for has_beat, completes in cycle(self.positions()):
            if has_beat:
                while len(i_available) == len(i_taken):
                    yield i.source
                first = i_available[len(i_taken)]
                last = first if first > last else last + 1
            else:
                last += 1
            if completes:
                reserved += parts
                if reserved >= 0:
                    while len(o_taken) <= reserved:
                        yield o.sink
                    if o_taken[reserved] >= last:
                        last = o_taken[reserved] + 1
                o_available.extend([last + latency] * parts)
            if has_beat:
                i_taken.append(last)

    def depth_needed(self, o: StreamCycles) -> int:
        """The smallest `depth` with which these transfers would not have stalled."""
        parts = self.input_lanes // self.output_lanes
        latency = self.latency + 1
        reserved = np.array(o.available[::parts]) - latency
        return max(1, fifo_depth_needed(reserved, np.array(o.taken[parts - 1 :: parts])) - latency)

    def serialize(self, m: Module, buffer: OutputBuffer) -> None:
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


class WindowReducer(Reducer):
    """Reduces windows that lie side by side, in tiles, without padding.

    Rows and columns that fill no whole window are dropped. A memory holds the partial results of
    one row of windows.
    """

    latency = 1

    def positions(self) -> list[tuple[bool, bool]]:
        """For each position of a frame, that it has a beat, and whether it completes a window."""
        height, width, _ = self.layer.input_shape
        rows, columns = self.window
        return [
            (True, row % rows == rows - 1 and column % columns == columns - 1)
            for row in range(height)
            for column in range(width)
            for _ in range(self.groups)
        ]

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
        self.serialize(m, buffer)
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
            joined = Mux(stage.position.first, value, self.reduction.join(known, value))
            m.d.comb += results.word_select(lane, self.result_shape.width).eq(joined)
        return results
