"""The rows of a feature map that windows still need, read out column by column."""

from __future__ import annotations

from itertools import count

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import memory, stream
from amaranth.lib.wiring import In, Out

from systolith.hw.streams import counting
from systolith.hw.streams.beats import beat_stream
from systolith.hw.streams.component import Component
from systolith.hw.streams.cycles import Process, StreamCycles, recurrence
from systolith.hw.streams.lookup import look_up
from systolith.hw.systolic.window_geometry import WindowGeometry


class RowBuffer(Component):
    """Stores a stream of beats and gives each band's columns of `kernel rows` pixels.

    A ring of memories, one a row, each with a word for every pixel of the row. Rows run on from
    frame to frame, without a gap. A column is given as soon as the band's rows (those inside the
    map) have it; once given, its pixels of the rows that no later band needs may be overwritten,
    pixel by pixel. Rows of a column that lie outside the map hold any value.

    The first column of a band is given only when the columns that the band before may borrow
    (`WindowGeometry.lent_columns`) are stored as well.

    Latency: a column may be offered 2 cycles after its last beat was taken. A beat and a column
    every cycle, as long as the ring has room.

    Parameters
    ----------
    geometry
        The map and its windows.
    input_lanes
        Values in a beat; divides the channels.
    value_shape
        The shape of one value.
    buffer_rows
        Rows in the ring; at least the kernel's. By default `geometry.rows_to_overlap`.

    Members
    -------
    i : In(beat_stream(value_shape, input_lanes))
        The map. `last` is not looked at.
    o : Out(stream)
        Columns: row `r` of the band, channel `c` at value `r * channels + c` from the lowest bits.

    Raises
    ------
    ValueError
        `input_lanes` does not divide the channels, or the ring is smaller than the kernel.
    """

    def __init__(
        self,
        geometry: WindowGeometry,
        *,
        input_lanes: int,
        value_shape: Shape,
        buffer_rows: int | None = None,
    ) -> None:
        channels = geometry.source.channels
        kernel_rows = geometry.kernel[0]
        if input_lanes < 1 or channels % input_lanes:
            raise ValueError(
                f"row buffer: input lanes must divide the {channels} channels, not {input_lanes}"
            )
        self.buffer_rows = geometry.rows_to_overlap if buffer_rows is None else buffer_rows
        if self.buffer_rows < kernel_rows:
            raise ValueError(
                f"row buffer: needs at least the kernel's {kernel_rows} rows, not {buffer_rows}"
            )
        self.geometry = geometry
        self.beats_per_pixel = channels // input_lanes
        self.pixel_bits = channels * value_shape.width
        super().__init__(
            {
                "i": In(beat_stream(value_shape, input_lanes)),
                "o": Out(stream.Signature(unsigned(kernel_rows * self.pixel_bits))),
            }
        )

    @recurrence
    def cycles(self, i: StreamCycles, o: StreamCycles) -> Process:
        """The cycle model (`streams.cycles`)."""
        available, taken, given, left = i.available, i.taken, o.available, o.taken
        geometry, beats, rows = self.geometry, self.beats_per_pixel, self.buffer_rows
        height, width = geometry.source.height, geometry.source.width
        ahead = geometry.lent_columns - 1
        written = [[-1] * width for _ in range(rows)]
        # For each row of the ring, the first of the columns with which its pixels become free.
        freeing: list[int | None] = [None] * rows
        write_row = write_column = 0
        write = -1
        for frame in count():
            for band in range(geometry.bands):
                first = frame * height + geometry.first_row(band)
                row = first + geometry.rows_needed(band) - 1
                band_start = len(given)
                for place in range(width):
                    needed = max(place, ahead)
                    while write_row < row or (write_row == row and write_column <= needed):
                        bank = write_row % rows
                        column = freeing[bank]
                        if column is not None:
                            # It is read when it is there and the column before it was taken.
                            column += write_column
                            while len(left) < column:
                                yield o.sink
                            read = given[column] - 1
                            write = max(write, read, left[column - 1] if column else 0)
                        for _ in range(beats):
                            while len(available) == len(taken):
                                yield i.source
                            write = max(write + 1, available[len(taken)])
                            taken.append(write)
                        written[bank][write_column] = write
                        write_column += 1
                        if write_column == width:
                            write_column = 0
                            write_row += 1
                    given.append(written[row % rows][needed] + 2)
                for number in range(first, first + geometry.rows_released(band)):
                    freeing[number % rows] = band_start

    def rows_needed(self, i: StreamCycles, o: StreamCycles) -> int:
        """The least `buffer_rows` with which beats that passed so would not have been held up."""
        geometry = self.geometry
        width, beats = geometry.source.width, self.beats_per_pixel
        rows, bands = len(i.taken) // (width * beats), len(o.taken) // width
        written = np.array(i.taken[: rows * width * beats]).reshape(rows, width, beats)[:, :, 0]
        # A pixel is free once it was read, which it is when the column before it was taken.
        read = np.maximum(
            np.array(o.available[: bands * width]) - 1, [0, *o.taken][: bands * width]
        )
        releasing = np.repeat(
            np.arange(geometry.bands), [geometry.rows_released(n) for n in range(geometry.bands)]
        )
        frames = np.arange(bands // geometry.bands) * geometry.bands
        free = read.reshape(bands, width)[np.add.outer(frames, releasing).ravel()]
        for needed in range(geometry.kernel[0], self.buffer_rows):
            known = min(len(free), rows - needed)
            if (written[needed : needed + known] > free[:known]).all():
                return needed
        return self.buffer_rows

    def elaborate(self, platform: object) -> Module:
        m = Module()
        geometry = self.geometry
        width = geometry.source.width
        kernel_rows = geometry.kernel[0]

        write_bank = Signal(range(self.buffer_rows))
        write_column = Signal(range(width))
        write_beat = Signal(range(self.beats_per_pixel))
        read_band = Signal(range(geometry.bands))
        read_column = Signal(range(width))
        # The ring's row that is the topmost of the band that is read; maybe above the map.
        top_bank = Signal(range(self.buffer_rows), init=-geometry.padding[0] % self.buffer_rows)
        # Whole rows stored, from the oldest that the band needs on.
        rows_stored = Signal(range(self.buffer_rows + 1))

        needed = look_up(
            m, [geometry.rows_needed(b) for b in range(geometry.bands)], read_band, "rows_needed"
        )
        released = look_up(
            m,
            [geometry.rows_released(b) for b in range(geometry.bands)],
            read_band,
            "rows_released",
        )

        # A row in use may be overwritten behind the reader, if the band that is read is its last.
        behind_reader = (released != 0) & (write_column < read_column)
        m.d.comb += self.i.ready.eq((rows_stored != self.buffer_rows) | behind_reader)
        write = self.i.valid & self.i.ready
        row_written = Signal()
        m.d.comb += row_written.eq(
            write & (write_beat == self.beats_per_pixel - 1) & (write_column == width - 1)
        )
        with m.If(write):
            counting.count(m, write_beat, self.beats_per_pixel)
            with m.If(write_beat == self.beats_per_pixel - 1):
                counting.count(m, write_column, width)
            with m.If(row_written):
                counting.count(m, write_bank, self.buffer_rows)

        ahead_of_reader = (write_column > read_column) & (write_column >= geometry.lent_columns)
        stored = (rows_stored >= needed) | ((rows_stored + 1 == needed) & ahead_of_reader)
        read = Signal()
        m.d.comb += read.eq(stored & (~self.o.valid | self.o.ready))
        band_read = Signal()
        m.d.comb += band_read.eq(read & (read_column == width - 1))
        column_top = Signal.like(top_bank)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(read):
            m.d.sync += [self.o.valid.eq(1), column_top.eq(top_bank)]
            counting.count(m, read_column, width)
        with m.If(band_read):
            counting.count(m, read_band, geometry.bands)
            # The next frame's top row follows the last row of this frame's map.
            frame_step = (geometry.kernel[0] - 2 * geometry.padding[0]) % self.buffer_rows
            step = Mux(read_band == geometry.bands - 1, frame_step, 1)
            m.d.sync += top_bank.eq(self._wrapped(top_bank + step))
        m.d.sync += rows_stored.eq(rows_stored + row_written - Mux(band_read, released, 0))

        rows = []
        for bank in range(self.buffer_rows):
            # A word more than needed for maps one pixel wide: no memory without an address.
            row = memory.Memory(shape=unsigned(self.pixel_bits), depth=max(width, 2), init=[])
            m.submodules[f"row{bank}"] = row
            write_port = row.write_port(granularity=self.pixel_bits // self.beats_per_pixel)
            read_port = row.read_port()
            m.d.comb += [
                write_port.addr.eq(write_column),
                write_port.data.eq(self.i.payload.data.replicate(self.beats_per_pixel)),
                write_port.en.eq(Mux(write & (write_bank == bank), 1 << write_beat, 0)),
                read_port.addr.eq(read_column),
                read_port.en.eq(read),
            ]
            rows.append(read_port.data)
        with m.Switch(column_top):
            for top in range(self.buffer_rows):
                with m.Case(top):
                    column = [rows[(top + r) % self.buffer_rows] for r in range(kernel_rows)]
                    m.d.comb += self.o.payload.eq(Cat(column))
        return m

    def _wrapped(self, bank: Value) -> Value:
        """A row number below twice the ring's, brought into the ring."""
        return Mux(bank >= self.buffer_rows, bank - self.buffer_rows, bank)
