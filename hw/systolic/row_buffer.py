"""The line buffer: rows of a feature map that windows still need, read column by column."""

from __future__ import annotations

from itertools import count
from typing import NamedTuple

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value, ValueLike, unsigned
from amaranth.lib import memory, stream
from amaranth.lib.wiring import In, Out

from systolith.hw.streams import counting
from systolith.hw.streams.beats import beat_stream
from systolith.hw.streams.component import Component
from systolith.hw.streams.cycles import Process, StreamCycles, recurrence
from systolith.hw.streams.formats import select
from systolith.hw.streams.lookup import look_up
from systolith.hw.systolic.window_geometry import WindowGeometry


class _Pointers(NamedTuple):
    """The registers that say where the ring of rows is written and read.

    Parameters
    ----------
    write_bank, write_column, write_beat
        The row, the pixel and the part of a pixel where the next beat goes.
    read_band, read_column
        The band and the column that are read next.
    top_bank
        The row of the ring with the topmost row of that band, which may lie above the map.
    rows_taken
        The number of complete rows taken, from the oldest one that the band needs; negative while
        rows are still to come that no band needs.
    rows_stored, column_stored
        The same of the rows written to the memories, and `write_column`: those of a cycle before.
    """

    write_bank: Signal
    write_column: Signal
    write_beat: Signal
    read_band: Signal
    read_column: Signal
    top_bank: Signal
    rows_taken: Signal
    rows_stored: Signal
    column_stored: Signal


class RowBuffer(Component):
    """A line buffer: stores the rows of a streamed feature map that windows still need.

    A `WindowFeeder` reads each band of rows from it, column by column, a column being as high as
    the kernel.

    It is a ring of memories, one a row, with a word for every pixel. Rows of the next frame follow
    those of this frame without a gap. A column is offered as soon as all rows of its band that lie
    inside the map are stored up to it; the other rows of the column hold any value. Once a column
    is read, its pixels in rows that no later band needs may be overwritten. Columns to the right
    of a band's last window (`WindowGeometry.columns_used`) are not offered.

    The first column of a band is offered only when the columns that the band before takes in place
    of its right padding (`WindowGeometry.overlap_columns`) are stored as well.

    Latency: a column is offered 3 cycles after its last beat was taken, at the earliest. It takes a
    beat and offers a column every cycle, as long as the ring has room.

    Parameters
    ----------
    geometry
        The map and its windows.
    input_lanes
        Values in a beat; divides the channels.
    value_shape
        The shape of one value.
    buffer_rows
        Rows in the ring; at least those of a window. By default `geometry.rows_to_overlap`.

    Members
    -------
    i : In(beat_stream(value_shape, input_lanes))
        The map. `last` is ignored.
    o : Out(stream)
        Columns: row `r` of the band, channel `c` at value `r * channels + c` from the lowest bits.

    Raises
    ------
    ValueError
        `input_lanes` does not divide the channels, or the ring is smaller than a window.
    """

    def __init__(
        self,
        geometry: WindowGeometry,
        *,
        input_lanes: int,
        value_shape: Shape,
        buffer_rows: int | None = None,
    ) -> None:
        self.buffer_rows = geometry.rows_to_overlap if buffer_rows is None else buffer_rows
        geometry.require_rows(self.buffer_rows)
        self.geometry = geometry
        self.beats_per_pixel = geometry.beats_per_pixel(input_lanes)
        self.pixel_bits = geometry.source.channels * value_shape.width
        super().__init__(
            {
                "i": In(beat_stream(value_shape, input_lanes)),
                "o": Out(stream.Signature(unsigned(geometry.windows.kernel[0] * self.pixel_bits))),
            }
        )

    @recurrence
    def cycles(self, i: StreamCycles, o: StreamCycles) -> Process:
        """The cycle model (`streams.cycles`)."""
        i_available, i_taken = i.available, i.taken
        o_available, o_taken = o.available, o.taken
        geometry, beats, rows = self.geometry, self.beats_per_pixel, self.buffer_rows
        height, width = geometry.source.height, geometry.source.width
        used = geometry.columns_used
        last_overlap = geometry.overlap_columns - 1
        written = [[-1] * width for _ in range(rows)]
        # For each row of the map, the first of the columns whose reads free its pixels.
        freeing: list[int] = []
        write_row = write_column = 0
        write = -1
        for frame in count():
            for band in range(geometry.bands):
                first = frame * height + geometry.first_row(band)
                row = first + geometry.rows_needed(band) - 1
                band_start = len(o_available)
                for place in range(used):
                    needed = max(place, last_overlap)
                    while write_row < row or (write_row == row and write_column <= needed):
                        bank = write_row % rows
                        if write_row >= rows:
                            # It is read once it is stored and the column before it was taken.
                            column = freeing[write_row - rows] + min(write_column, used - 1)
                            while len(o_taken) < column:
                                yield o.sink
                            read = o_available[column] - 1
                            write = max(write, read, o_taken[column - 1] if column else 0)
                        for _ in range(beats):
                            while len(i_available) == len(i_taken):
                                yield i.source
                            write = max(write + 1, i_available[len(i_taken)])
                            i_taken.append(write)
                        written[bank][write_column] = write
                        write_column += 1
                        if write_column == width:
                            write_column = 0
                            write_row += 1
                    o_available.append(written[row % rows][needed] + 3)
                    yield o.sink
                freeing += [band_start] * geometry.rows_released(band)

    def rows_needed(self, i: StreamCycles, o: StreamCycles) -> int:
        """The smallest `buffer_rows` with which these transfers would not have stalled.

        `i` and `o` are the streams after the cycle model ran.
        """
        geometry = self.geometry
        width, beats, used = geometry.source.width, self.beats_per_pixel, geometry.columns_used
        rows, bands = len(i.taken) // (width * beats), len(o.taken) // used
        written = np.array(i.taken[: rows * width * beats]).reshape(rows, width, beats)[:, :, 0]
        # A pixel is free once it is read: when the column before was taken, or later.
        read = np.maximum(np.array(o.available[: bands * used]) - 1, [0, *o.taken][: bands * used])
        releasing = np.repeat(
            np.arange(geometry.bands), [geometry.rows_released(n) for n in range(geometry.bands)]
        )
        frames = np.arange(bands // geometry.bands) * geometry.bands
        free = read.reshape(bands, used)[np.add.outer(frames, releasing).ravel()]
        free = free[:, np.minimum(np.arange(width), used - 1)]
        for needed in range(geometry.windows.reach[0], self.buffer_rows):
            known = min(len(free), rows - needed)
            if (written[needed : needed + known] > free[:known]).all():
                return needed
        return self.buffer_rows

    def elaborate(self, platform: object) -> Module:
        m = Module()
        geometry = self.geometry
        at = self._pointers()
        needed = look_up(
            m, [geometry.rows_needed(b) for b in range(geometry.bands)], at.read_band, "rows_needed"
        )
        released = look_up(
            m,
            [geometry.rows_released(b) for b in range(geometry.bands)],
            at.read_band,
            "rows_released",
        )
        taken, row_taken = self._take_beats(m, at, released)
        row_written = Signal()
        read, band_read, column_top = self._read_columns(m, at, needed)
        freed = Mux(band_read, released, 0)
        m.d.sync += [
            row_written.eq(row_taken),
            at.column_stored.eq(at.write_column),
            at.rows_taken.eq(at.rows_taken + row_taken - freed),
            at.rows_stored.eq(at.rows_stored + row_written - freed),
        ]

        rows = self._add_memories(m, at, taken, read)
        column = [
            # The row of the ring for each row that may be the top one.
            select([rows[(top + row) % len(rows)] for top in range(len(rows))], column_top)
            for row in range(0, geometry.windows.reach[0], geometry.windows.dilation[0])
        ]
        m.d.comb += self.o.payload.eq(Cat(column))
        return m

    def _pointers(self) -> _Pointers:
        geometry = self.geometry
        write_bank = Signal(range(self.buffer_rows))
        write_column = Signal(range(geometry.source.width))
        write_beat = Signal(range(self.beats_per_pixel))
        read_band = Signal(range(geometry.bands))
        read_column = Signal(range(geometry.columns_used))
        top = -geometry.windows.padding.above % self.buffer_rows
        top_bank = Signal(range(self.buffer_rows), init=top)
        rows = range(-geometry.rows_skipped, self.buffer_rows + 1)
        return _Pointers(
            write_bank,
            write_column,
            write_beat,
            read_band,
            read_column,
            top_bank,
            rows_taken=Signal(rows),
            rows_stored=Signal(rows),
            column_stored=Signal.like(write_column),
        )

    def _take_beats(self, m: Module, at: _Pointers, released: Value) -> tuple[Value, Signal]:
        """Take beats while there is room; whether one is taken, and whether it ends a row."""
        last_column = self.geometry.source.width - 1
        # After the reader, a row may be overwritten if no later band needs it.
        after_reader = (released != 0) & (at.write_column < at.read_column)
        m.d.comb += self.i.ready.eq((at.rows_taken != self.buffer_rows) | after_reader)
        taken = self.i.valid & self.i.ready
        row_taken = Signal()
        m.d.comb += row_taken.eq(
            taken & (at.write_beat == self.beats_per_pixel - 1) & (at.write_column == last_column)
        )
        with m.If(taken):
            counting.count(m, at.write_beat, self.beats_per_pixel)
            with m.If(at.write_beat == self.beats_per_pixel - 1):
                counting.count(m, at.write_column, last_column + 1)
            with m.If(row_taken):
                counting.count(m, at.write_bank, self.buffer_rows)
        return taken, row_taken

    def _read_columns(
        self, m: Module, at: _Pointers, needed: Value
    ) -> tuple[Signal, Signal, Signal]:
        """Read columns once they are stored.

        Returns whether one is read, whether it ends a band, and the topmost row of the column that
        was read before.
        """
        geometry = self.geometry
        last_column = geometry.columns_used - 1
        overlap_stored = at.column_stored >= geometry.overlap_columns
        ahead_of_reader = (at.column_stored > at.read_column) & overlap_stored
        stored = (at.rows_stored >= needed) | ((at.rows_stored + 1 == needed) & ahead_of_reader)
        read = Signal()
        m.d.comb += read.eq(stored & (~self.o.valid | self.o.ready))
        band_read = Signal()
        m.d.comb += band_read.eq(read & (at.read_column == last_column))
        column_top = Signal.like(at.top_bank)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(read):
            m.d.sync += [self.o.valid.eq(1), column_top.eq(at.top_bank)]
            counting.count(m, at.read_column, last_column + 1)
        with m.If(band_read):
            counting.count(m, at.read_band, geometry.bands)
            # The next frame's top row follows the last row of this frame's map.
            step: ValueLike = geometry.frame_step % self.buffer_rows
            if geometry.bands > 1:
                last_band = at.read_band == geometry.bands - 1
                step = Mux(last_band, step, geometry.band_step % self.buffer_rows)
            m.d.sync += at.top_bank.eq(self._wrapped(at.top_bank + step))
        return read, band_read, column_top

    def _add_memories(self, m: Module, at: _Pointers, taken: Value, read: Value) -> list[Value]:
        """Add a memory for each row of the ring; returns the data of their read ports.

        A beat is written in the cycle after it was taken.
        """
        column = Signal.like(at.write_column, reset_less=True)
        data = Signal.like(self.i.payload.data, name="write_data", reset_less=True)
        m.d.sync += [column.eq(at.write_column), data.eq(self.i.payload.data)]
        rows = []
        for bank in range(self.buffer_rows):
            # At least two words: a memory needs an address.
            depth = max(self.geometry.source.width, 2)
            row = memory.Memory(shape=unsigned(self.pixel_bits), depth=depth, init=[])
            m.submodules[f"row{bank}"] = row
            write_port = row.write_port(granularity=self.pixel_bits // self.beats_per_pixel)
            read_port = row.read_port()
            enable = Signal(self.beats_per_pixel, name=f"write_enable{bank}")
            m.d.sync += enable.eq(Mux(taken & (at.write_bank == bank), 1 << at.write_beat, 0))
            m.d.comb += [
                write_port.addr.eq(column),
                write_port.data.eq(data.replicate(self.beats_per_pixel)),
                write_port.en.eq(enable),
                read_port.addr.eq(at.read_column),
                read_port.en.eq(read),
            ]
            rows.append(read_port.data)
        return rows

    def _wrapped(self, bank: Value) -> Value:
        """A row number below twice the number of rows, modulo that number."""
        return Mux(bank >= self.buffer_rows, bank - self.buffer_rows, bank)
