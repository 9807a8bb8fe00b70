# amaranth: UnusedElaboratable=no
"""Windows of a convolution, read chunk by chunk from copies of the rows: no window registers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import memory, stream
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from systolith.hw.streams import counting
from systolith.hw.streams.beats import beat_stream
from systolith.hw.streams.component import Component
from systolith.hw.streams.cycles import Process, StreamCycles, recurrence
from systolith.hw.streams.formats import pack, select, select_word
from systolith.hw.streams.lookup import look_up
from systolith.hw.streams.output_buffer import OutputBuffer
from systolith.hw.systolic.schedule import Chunk
from systolith.hw.systolic.window import outside_map
from systolith.hw.systolic.window_geometry import WindowGeometry

MANY_CHUNKS = 10
"""From this number of chunks a window on, memories take less logic than registers."""

READ_LATENCY = 5
"""Cycles from the start of a read to its chunk: place, address, memory, its output, selection."""


class _Window(NamedTuple):
    """The place of a window, for the reads of its chunks.

    Parameters
    ----------
    top
        The row of the ring with the topmost row of its band, which may lie above the map.
    left
        The word of its leftmost column in a row, which may lie to the left of the map.
    row_outside, column_outside
        For each row and each column that a window reaches over, whether it lies outside the map;
        empty if none ever does.
    """

    top: Signal
    left: Signal
    row_outside: Value
    column_outside: Value


class WindowMemory(Component):
    """Stores the rows of a streamed feature map, and sends each window as a sequence of chunks.

    A convolution has it in front of its `SystolicCore` if windows have many chunks
    (`MANY_CHUNKS`); if they have few, it has a `WindowFeeder`. Windows leave row by row, and frames
    follow each other without a gap.

    Each row of the array has a memory of its own with a copy of the map's newest rows, and reads
    its element of a chunk from there: a multiplexer over a window's elements is not needed, nor
    are registers for them. A memory is a ring of rows, with a word for every beat of the input.

    A window begins as soon as all its pixels inside the map are stored, and a chunk is read a
    cycle. While a window is read, pixels to the left of it in rows that no later band needs may be
    overwritten; the rest of these rows follows when the band's last chunk has been read.

    Latency: a window's first chunk is offered 8 cycles after its last beat was taken, at the
    earliest. Initiation interval: a chunk a cycle.

    Parameters
    ----------
    geometry
        The map and its windows.
    chunks
        The chunks of one window, at least two, all of equal length. Element
        `(channel * kernel rows + row) * kernel columns + column` is the window's value there; None
        may be any value.
    input_lanes
        Values in a beat; divides the channels.
    value_shape
        The shape of one value.
    padding_value
        The raw value of elements outside the map.
    buffer_rows
        Rows of the map that are stored, at least those of a window. By default two more than
        `geometry.rows_to_overlap`, as a row is free only when its last window was read.

    Members
    -------
    i : In(beat_stream(value_shape, input_lanes))
        The map. `last` is ignored.
    o : Out(stream)
        Chunks, row 0 in the lowest bits.

    Raises
    ------
    ValueError
        Fewer than two chunks, chunks of different lengths, an element that is not in the window,
        `input_lanes` that do not divide the channels, or fewer rows than a window's.
    """

    def __init__(
        self,
        geometry: WindowGeometry,
        chunks: Sequence[Chunk],
        *,
        input_lanes: int,
        value_shape: Shape,
        padding_value: int = 0,
        buffer_rows: int | None = None,
    ) -> None:
        rows = geometry.chunk_length(chunks)
        if len(chunks) < 2:
            raise ValueError("window memory: needs at least two chunks a window, not 1")
        self.geometry = geometry
        self.chunks = tuple(chunks)
        self.value_shape = value_shape
        self.padding_value = padding_value
        self.buffer_rows = geometry.rows_to_overlap + 2 if buffer_rows is None else buffer_rows
        geometry.require_rows(self.buffer_rows)
        self.input_lanes = input_lanes
        self.beats_per_pixel = geometry.beats_per_pixel(input_lanes)
        self.row_words = geometry.source.width * self.beats_per_pixel
        self._word_bits = ceil_log2(self.row_words)
        super().__init__(
            {
                "i": In(beat_stream(value_shape, input_lanes)),
                "o": Out(stream.Signature(unsigned(rows * value_shape.width))),
            }
        )

    @property
    def _fifo_depth(self) -> int:
        return READ_LATENCY + 2

    def cycles(self, i: StreamCycles, o: StreamCycles) -> list[StreamCycles]:
        """Start the cycle model (`streams.cycles`); there are no inner streams."""
        self._cycles(i, o)
        return []

    @recurrence
    def _cycles(self, i: StreamCycles, o: StreamCycles) -> Process:
        i_available, i_taken = i.available, i.taken
        o_taken = o.taken
        geometry, beats, rows = self.geometry, self.beats_per_pixel, self.buffer_rows
        width, pad = geometry.source.width, geometry.windows.padding.left
        stride = geometry.windows.stride[1]
        chunks, depth, columns = len(self.chunks), self._fifo_depth, geometry.columns
        # When the windows are complete, and when their first chunks were read: as far as needed.
        complete: list[int] = []
        begun: list[int] = []
        # For each row of the map, the first window of the band that frees it.
        freeing: list[int] = []
        stored = [[-1] * width for _ in range(rows)]
        write_row = write_column = 0
        write = -1
        for frame in count():
            for band in range(geometry.bands):
                first = frame * geometry.source.height + geometry.first_row(band)
                row = first + geometry.rows_needed(band) - 1
                for place in range(columns):
                    right = min(geometry.columns_to(place), width) - 1
                    while write_row < row or (write_row == row and write_column <= right):
                        bank = write_row % rows
                        if write_row >= rows:
                            # Its pixel is free when a window further to the right begins, or the
                            # next band: that may be once the last chunk before it was read.
                            window = min((write_column + pad) // stride + 1, columns)
                            at_end = window == columns
                            window += freeing[write_row - rows]
                            while len(begun) < window + (not at_end):
                                number = len(begun)
                                credit = number * chunks - depth
                                while len(o_taken) <= credit:
                                    yield o.sink
                                begin = complete[number]
                                if number:
                                    begin = max(begin, begun[-1] + chunks)
                                if credit >= 0:
                                    begin = max(begin, o_taken[credit] + 1)
                                begun.append(begin)
                            if at_end:
                                credit = window * chunks - 1 - depth
                                while len(o_taken) <= credit:
                                    yield o.sink
                                free = begun[window - 1] + chunks - 1
                                if credit >= 0:
                                    free = max(free, o_taken[credit] + 1)
                                free += 2
                            else:
                                free = begun[window] + 1
                            write = max(write, free - 1)
                        for _ in range(beats):
                            while len(i_available) == len(i_taken):
                                yield i.source
                            write = max(write + 1, i_available[len(i_taken)])
                            i_taken.append(write)
                        stored[bank][write_column] = write
                        write_column += 1
                        if write_column == width:
                            write_column = 0
                            write_row += 1
                    begin = stored[row % rows][right] + 2
                    complete.append(begin)
                    # Reading is never slower than the sink: chunk after chunk is there in time.
                    o.available.extend([begin + READ_LATENCY + 1] * chunks)
                    yield o.sink
                freeing += [len(complete) - columns] * geometry.rows_released(band)

    def rows_needed(self, i: StreamCycles, o: StreamCycles) -> int:
        """The smallest `buffer_rows` with which these transfers would not have stalled.

        `i` and `o` are the streams after the cycle model ran.
        """
        geometry = self.geometry
        width, pad = geometry.source.width, geometry.windows.padding.left
        chunks, columns = len(self.chunks), geometry.columns
        bands = len(o.taken) // (chunks * columns)
        windows = bands * columns
        rows = len(i.taken) // self.row_words
        written = np.array(i.taken[: rows * self.row_words])
        written = written.reshape(rows, width, self.beats_per_pixel)[:, :, 0]
        numbers = np.arange(windows)
        taken = np.array([*[-1] * self._fifo_depth, *o.taken])
        complete = np.array(o.available[: windows * chunks : chunks]) - READ_LATENCY - 1
        earliest = np.maximum(complete, taken[numbers * chunks] + 1) - numbers * chunks
        begun = np.maximum.accumulate(earliest) + numbers * chunks
        ends = np.maximum(begun + chunks - 1, taken[(numbers + 1) * chunks - 1] + 1)
        # For each pixel in a row that the band frees, the last cycle in which it is not yet free.
        band_ends = ends.reshape(bands, columns)[:, -1:] + 1
        by_band = np.concatenate([begun.reshape(bands, columns), band_ends], axis=1)
        following = (np.arange(width) + pad) // geometry.windows.stride[1] + 1
        busy = by_band[:, np.minimum(following, columns)]
        releasing = np.repeat(
            np.arange(geometry.bands), [geometry.rows_released(n) for n in range(geometry.bands)]
        )
        frames = np.arange(bands // geometry.bands) * geometry.bands
        busy = busy[np.add.outer(frames, releasing).ravel()]
        for needed in range(geometry.windows.reach[0], self.buffer_rows):
            known = min(len(busy), rows - needed)
            if (written[needed : needed + known] > busy[:known]).all():
                return needed
        return self.buffer_rows

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.chunks = buffer = OutputBuffer(self.o.payload.shape(), self._fifo_depth)
        connect(m, buffer.o, flipped(self.o))

        chunk = Signal(range(len(self.chunks)))
        first_chunk = Signal(init=1)
        last_chunk = chunk == len(self.chunks) - 1
        complete = Signal()
        read = Signal()
        begin = Signal()
        m.d.comb += [
            read.eq(buffer.available & (~first_chunk | complete)),
            begin.eq(read & first_chunk),
            buffer.reserve.eq(read),
        ]
        with m.If(read):
            counting.count(m, chunk, len(self.chunks))
            m.d.sync += first_chunk.eq(last_chunk)

        copies = self._add_copies(m)
        window = self._follow_windows(m, copies, begin, complete, read & last_chunk)
        valid = Signal(READ_LATENCY)
        m.d.sync += valid.eq(Cat(read, valid))
        places = self._find(m, chunk)
        values = [self._read(m, copy, row, places[row], window) for row, copy in enumerate(copies)]
        m.d.comb += [buffer.write_valid.eq(valid[-1]), buffer.write.eq(Cat(values))]
        return m

    def _add_copies(self, m: Module) -> list[memory.Memory]:
        """Add a memory for each row of the array; all are written alike."""
        # At least two words: a memory needs an address.
        depth = max(self.buffer_rows << self._word_bits, 2)
        copies = []
        for row in range(len(self.chunks[0])):
            copy = memory.Memory(shape=len(self.i.payload.data), depth=depth, init=[])
            m.submodules[f"copy{row}"] = copy
            copies.append(copy)
        return copies

    def _follow_windows(
        self,
        m: Module,
        copies: list[memory.Memory],
        begin: Signal,
        complete: Signal,
        last_read: Value,
    ) -> _Window:
        """Take beats, find complete windows, and load the place of each as its reads begin."""
        geometry, beats = self.geometry, self.beats_per_pixel
        pad, step = geometry.windows.padding.left, geometry.windows.stride[1] * beats

        # The next window: it is checked while the one before is read.
        band = Signal(range(geometry.bands))
        column = Signal(range(geometry.columns))
        first_top = -geometry.windows.padding.above % self.buffer_rows
        next_top = Signal(range(self.buffer_rows), init=first_top)
        next_left = Signal(range(-pad * beats, geometry.columns * step), init=-pad * beats)
        # The words of its lowest row that it needs, with those to the left of it.
        words = min(geometry.columns_to(0), geometry.source.width) * beats
        most_words = words - (words - geometry.columns_used * beats) // step * step
        next_words = Signal(range(most_words + 1), init=words)
        bands = range(geometry.bands)
        needed = look_up(m, [geometry.rows_needed(b) for b in bands], band, "rows_needed")
        next_released = look_up(
            m, [geometry.rows_released(b) for b in bands], band, "next_released"
        )
        band_begun = Signal()
        m.d.comb += band_begun.eq(begin & (column == geometry.columns - 1))
        with m.If(begin):
            counting.count(m, column, geometry.columns)
            m.d.sync += next_left.eq(next_left + step)
            with m.If(next_words != most_words):
                m.d.sync += next_words.eq(next_words + step)
        with m.If(band_begun):
            counting.count(m, band, geometry.bands)
            # The next frame's top row follows the last row of this frame's map.
            rows = Mux(
                band == geometry.bands - 1,
                geometry.frame_step % self.buffer_rows,
                geometry.band_step % self.buffer_rows,
            )
            m.d.sync += [
                next_top.eq(self._wrapped(next_top + rows)),
                next_left.eq(-pad * beats),
                next_words.eq(words),
            ]

        # The window that is read.
        top = Signal.like(next_top, init=0)
        left = Signal.like(next_left, init=0)
        released = Signal.like(next_released)
        ends_band = Signal()
        band_read = Signal()
        m.d.sync += band_read.eq(last_read & ends_band)
        with m.If(band_read):
            m.d.sync += left.eq(0)
        with m.If(begin):
            m.d.sync += [
                top.eq(next_top),
                left.eq(next_left),
                released.eq(next_released),
                ends_band.eq(column == geometry.columns - 1),
            ]

        # Complete rows, from the oldest one that may still be read; negative while rows are still
        # to come that no window needs.
        complete_rows = range(-geometry.rows_skipped, self.buffer_rows + 1)
        held = Signal(complete_rows)
        word = Signal(self._word_bits)
        room = (held != self.buffer_rows) | ((released != 0) & (left > word))
        row_written = self._take_beats(m, copies, word, room)
        # Complete rows, from the oldest one that the next window needs.
        stored = Signal(complete_rows)
        in_last_row = (stored + 1 == needed) & (word >= next_words)
        m.d.sync += [
            held.eq(held + row_written - Mux(band_read, released, 0)),
            stored.eq(stored + row_written - Mux(band_begun, next_released, 0)),
            complete.eq(((stored >= needed) | in_last_row) & ~begin),
        ]
        return _Window(
            top,
            left,
            _outside(m, begin, geometry, 0, band),
            _outside(m, begin, geometry, 1, column),
        )

    def _take_beats(
        self, m: Module, copies: list[memory.Memory], word: Signal, room: Value
    ) -> Signal:
        """Take beats while there is room, and write them to all memories in the cycle after.

        Counts in `word` the word of the row where the next beat goes; returns whether one is taken
        that ends its row.
        """
        bank = Signal(range(self.buffer_rows))
        taken = Signal()
        row_written = Signal()
        m.d.comb += [
            self.i.ready.eq(room),
            taken.eq(self.i.valid & self.i.ready),
            row_written.eq(taken & (word == self.row_words - 1)),
        ]
        with m.If(taken):
            counting.count(m, word, self.row_words)
        with m.If(row_written):
            counting.count(m, bank, self.buffer_rows)

        enable = Signal(name="write_enable")
        address = Signal(len(word) + len(bank), name="write_address", reset_less=True)
        data = Signal.like(self.i.payload.data, name="write_data", reset_less=True)
        m.d.sync += [
            enable.eq(taken),
            address.eq(Cat(word, bank)),
            data.eq(self.i.payload.data),
        ]
        for copy in copies:
            write_port = copy.write_port()
            m.d.comb += [
                write_port.addr.eq(address),
                write_port.data.eq(data),
                write_port.en.eq(enable),
            ]
        return row_written

    def _find(self, m: Module, chunk: Signal) -> list[list[Value]]:
        """The places of a chunk's elements, one cycle later, from a memory of constants.

        For each row of the array: the row and the word relative to the window's first ones, the
        lane in that word, and the column relative to the window's first one.
        """
        rows, columns = self.geometry.windows.kernel
        down, across = self.geometry.windows.dilation
        places = []
        for elements in self.chunks:
            # Any place does for None.
            numbers = [each or 0 for each in elements]
            places += [
                (
                    number % (rows * columns) // columns * down,
                    number % columns * across * self.beats_per_pixel
                    + number // (rows * columns) // self.input_lanes,
                    number // (rows * columns) % self.input_lanes,
                    number % columns * across,
                )
                for number in numbers
            ]
        widths = [int(largest).bit_length() for largest in np.max(places, axis=0)]
        packed = [
            sum(value << sum(widths[:at]) for at, value in enumerate(place)) for place in places
        ]
        lanes, bits = len(self.chunks[0]), sum(widths)
        words = [
            pack(packed[start : start + lanes], unsigned(bits))
            for start in range(0, len(packed), lanes)
        ]
        m.submodules.places = rom = memory.Memory(
            shape=unsigned(lanes * bits), depth=len(words), init=words
        )
        port = rom.read_port()
        m.d.comb += port.addr.eq(chunk)
        found = []
        for lane in range(lanes):
            place = port.data[lane * bits : (lane + 1) * bits]
            found.append(
                [place[sum(widths[:at]) : sum(widths[: at + 1])] for at in range(len(widths))]
            )
        return found

    def _read(
        self, m: Module, copy: memory.Memory, row: int, place: list[Value], window: _Window
    ) -> Value:
        """The value in a row of the array, `READ_LATENCY` cycles after its chunk is to be read."""

        def registered(value: Value, name: str) -> Signal:
            register = Signal(len(value), name=f"{name}_{row}", reset_less=True)
            m.d.sync += register.eq(value)
            return register

        kernel_row, offset, lane, kernel_column = place
        word_address = Signal(self._word_bits, name=f"word_address_{row}", reset_less=True)
        bank = Signal(range(self.buffer_rows), name=f"bank_{row}", reset_less=True)
        read_port = copy.read_port()
        m.d.sync += [
            word_address.eq(window.left + offset),
            bank.eq(self._wrapped(window.top + kernel_row)),
        ]
        m.d.comb += read_port.addr.eq(Cat(word_address, bank))
        # A register directly behind the memory, which may be slow.
        word = registered(read_port.data, "word")
        for stage in range(3):
            lane = registered(lane, f"lane_{stage}")
        value = select_word(word, lane, self.value_shape.width)
        outside: list[Value] = []
        if len(window.row_outside):
            outside.append(select(list(window.row_outside), kernel_row))
        if len(window.column_outside):
            outside.append(select(list(window.column_outside), kernel_column))
        if outside:
            border: Value = Cat(outside).any()
            for stage in range(3):
                border = registered(border, f"outside_{stage}")
            value = Mux(border, Const(self.padding_value, self.value_shape)[:], value)
        return registered(value, "value")

    def _wrapped(self, row: Value) -> Value:
        """A row number below twice the number of rows, modulo that number."""
        return Mux(row >= self.buffer_rows, row - self.buffer_rows, row)


def _outside(
    m: Module, begin: Signal, geometry: WindowGeometry, axis: int, position: Signal
) -> Value:
    """For each row (axis 0) or column (axis 1) that the window covers, whether it is outside.

    Nothing if none ever is.
    """
    conditions = outside_map(geometry, axis, position)
    if not any(conditions):
        return Const(0, 0)
    covered: list[list[Value]] = [[] for _ in range(geometry.windows.reach[axis])]
    covered[:: geometry.windows.dilation[axis]] = conditions
    name = ("row_outside", "column_outside")[axis]
    outside = Signal(len(covered), name=name, reset_less=True)
    with m.If(begin):
        m.d.sync += outside.eq(Cat(Cat(each).any() for each in covered))
    return outside
