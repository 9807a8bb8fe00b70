# amaranth: UnusedElaboratable=no
"""From a streamed feature map to the chunks of its windows, in the order of a schedule."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from systolith.hw.streams.beats import beat_stream
from systolith.hw.streams.component import Component
from systolith.hw.streams.counting import count
from systolith.hw.streams.cycles import Process, StreamCycles, recurrence
from systolith.hw.systolic.row_buffer import RowBuffer
from systolith.hw.systolic.schedule import Chunk
from systolith.hw.systolic.window_geometry import WindowGeometry


class WindowFeeder(Component):
    """Gives every window of a map, row by row, chunk by chunk, frame after frame.

    Columns from a `RowBuffer` are shifted into `shadow` registers. A complete window moves to
    `window` registers in one cycle, while its elements outside the map become the padding value;
    while it is held there for its chunks, the next one is shifted together behind it.

    No columns of padding are shifted in: what lies right of the map is the next band's columns
    (or the next frame's), or, so that no window waits for a frame that may never come, whatever
    the row buffer holds. All of that is masked.

    Cycles a frame, each window held for `hold` cycles: the larger of the input's beats and
    `bands * ((columns - 1) * hold + max(hold, kernel columns - 2 * padding + dummy_shifts))`,
    which is `bands * columns * hold` if `hold` is at least the kernel's columns. With fewer rows
    than by default, a frame that follows may have to wait for its first ones.

    Parameters
    ----------
    geometry
        The map and its windows.
    chunks
        The chunks of one window, all of equal length. Element
        `(channel * kernel rows + row) * kernel columns + column` is the window's value there.
    input_lanes
        Values in a beat; divides the channels.
    value_shape
        The shape of one value.
    padding_value
        The raw value of elements outside the map.
    buffer_rows
        Rows of the map that are stored, at least the kernel's. By default
        `geometry.rows_to_overlap`.

    Members
    -------
    i : In(beat_stream(value_shape, input_lanes))
        The map. `last` is not looked at.
    o : Out(stream)
        Chunks, row 0 in the lowest bits.

    Raises
    ------
    ValueError
        No chunks, chunks of different lengths, an element that a window does not have, or what
        `RowBuffer` refuses.
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
        lengths = {len(chunk) for chunk in chunks}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(
                f"window feeder: needs chunks of one length, at least 1, not {sorted(lengths)}"
            )
        elements = geometry.kernel[0] * geometry.kernel[1] * geometry.source.channels
        for element in (e for chunk in chunks for e in chunk if e is not None):
            if not 0 <= element < elements:
                raise ValueError(
                    f"window feeder: elements are from 0 to {elements - 1}, not {element}"
                )
        self.geometry = geometry
        self.chunks = tuple(chunks)
        self.value_shape = value_shape
        self.padding_value = padding_value
        self.row_buffer = RowBuffer(
            geometry,
            input_lanes=input_lanes,
            value_shape=value_shape,
            buffer_rows=buffer_rows,
        )
        super().__init__(
            {
                "i": In(beat_stream(value_shape, input_lanes)),
                "o": Out(stream.Signature(unsigned(lengths.pop() * value_shape.width))),
            }
        )

    def cycles(self, i: StreamCycles, o: StreamCycles) -> StreamCycles:
        """The cycle model (`streams.cycles`); the row buffer's stream."""
        columns = StreamCycles()
        self.row_buffer.cycles(i, columns)
        self._shift_cycles(columns, o)
        return columns

    @recurrence
    def _shift_cycles(self, columns: StreamCycles, o: StreamCycles) -> Process:
        width, pad = self.geometry.source.width, self.geometry.padding[1]
        chunks = len(self.chunks)
        # A band's first window needs so many shifts; each other window one more.
        first = self.geometry.kernel[1] - pad
        given, left = o.available, o.taken
        # When something right of the map was shifted in: the next band's column, if it was there.
        lent: list[int] = []
        window = column = 0
        transfer = -1
        while True:
            spare, lent = lent, []
            shift = -1
            # The shifts of a window have room from the transfer of the one before it on.
            rooms = [transfer] * first
            for number in range(width + pad):
                if number < width:
                    while len(columns.available) == column:
                        yield columns.source
                    offered = columns.available[column]
                    column += 1
                    while spare and spare[0] < offered:
                        del spare[0]
                    shift = spare.pop(0) if spare else max(offered, shift + 1, rooms[number])
                    columns.taken.append(shift)
                else:
                    shift = max(shift + 1, rooms[number])
                    if number >= width + self.geometry.dummy_shifts:
                        lent.append(shift)
                if number >= first - 1:
                    transfer = shift + 1
                    if window:
                        while len(left) < window * chunks:
                            yield o.sink
                        transfer = max(transfer, left[window * chunks - 1])
                    given += [transfer + 1] * chunks
                    rooms.append(transfer)
                    window += 1

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.row_buffer = buffer = self.row_buffer
        connect(m, flipped(self.i), buffer.i)

        geometry = self.geometry
        kernel_columns = geometry.kernel[1]
        width = geometry.source.width
        pad = geometry.padding[1]

        # The window that is shifted together: its place among the windows of the frame.
        band = Signal(range(geometry.bands))
        column = Signal(range(geometry.columns))
        missing = Signal(range(kernel_columns + 1), init=kernel_columns - pad)
        # Shifts since the band's first column, and how many of the columns were the next band's.
        shifted = Signal(range(width + pad + 1))
        borrowed = Signal(range(geometry.lent_columns + 1))

        chunk = Signal(range(len(self.chunks)))
        window_done = Signal()
        m.d.comb += window_done.eq(self.o.ready & (chunk == len(self.chunks) - 1))
        transfer = Signal()
        m.d.comb += transfer.eq((missing == 0) & (~self.o.valid | window_done))
        band_done = Signal()
        m.d.comb += band_done.eq(transfer & (column == geometry.columns - 1))

        right_of_map = Signal()
        m.d.comb += right_of_map.eq((shifted >= width) & ~band_done)
        must_be_dummy = right_of_map & (shifted < width + geometry.dummy_shifts)
        # Never between two columns that are borrowed: they are offered in consecutive cycles.
        may_be_dummy = right_of_map & ~buffer.o.valid
        room = (missing != 0) | transfer
        m.d.comb += buffer.o.ready.eq(room & ~must_be_dummy)
        column_taken = buffer.o.valid & buffer.o.ready
        shift = Signal()
        m.d.comb += shift.eq(room & (buffer.o.valid | must_be_dummy | may_be_dummy))

        with m.If(band_done):
            m.d.sync += [
                missing.eq(kernel_columns - pad - borrowed - shift),
                shifted.eq(borrowed + shift),
                borrowed.eq(0),
            ]
            count(m, band, geometry.bands)
        with m.Else():
            m.d.sync += [missing.eq(missing + transfer - shift), shifted.eq(shifted + shift)]
            with m.If(right_of_map & column_taken):
                m.d.sync += borrowed.eq(borrowed + 1)
        with m.If(transfer):
            count(m, column, geometry.columns)

        with m.If(self.o.valid & self.o.ready):
            count(m, chunk, len(self.chunks))
        with m.If(transfer):
            m.d.sync += self.o.valid.eq(1)
        with m.Elif(window_done):
            m.d.sync += self.o.valid.eq(0)

        window = self._registers(m, buffer.o.payload, shift, transfer, band, column)
        bits = self.value_shape.width
        with m.Switch(chunk):
            for number, elements in enumerate(self.chunks):
                with m.Case(number):
                    values = [Const(0, bits) if e is None else window[e] for e in elements]
                    m.d.comb += self.o.payload.eq(Cat(values))
        return m

    def _registers(
        self,
        m: Module,
        new_column: Value,
        shift: Value,
        transfer: Value,
        band: Value,
        column: Value,
    ) -> list[Value]:
        """The shadow and window registers; returns the window's elements, numbered as in chunks."""
        geometry = self.geometry
        kernel_rows, kernel_columns = geometry.kernel
        channels = geometry.source.channels
        bits = self.value_shape.width
        pixel = self.row_buffer.pixel_bits
        border = Cat(Const(self.padding_value, self.value_shape)[:] for _ in range(channels))
        row_inside = [
            _inside(m, band, i - geometry.padding[0], geometry.source.height, f"row{i}_inside")
            for i in range(kernel_rows)
        ]
        column_inside = [
            _inside(m, column, j - geometry.padding[1], geometry.source.width, f"column{j}_inside")
            for j in range(kernel_columns)
        ]

        rows = []
        for i in range(kernel_rows):
            # Data is only looked at once it was loaded: it needs no reset.
            shadow = Signal(kernel_columns * pixel, name=f"shadow_row{i}", reset_less=True)
            window = Signal(kernel_columns * pixel, name=f"window_row{i}", reset_less=True)
            with m.If(shift):
                m.d.sync += shadow.eq(Cat(shadow[pixel:], new_column.word_select(i, pixel)))
            with m.If(transfer):
                for j in range(kernel_columns):
                    inside = row_inside[i] & column_inside[j]
                    m.d.sync += window.word_select(j, pixel).eq(
                        Mux(inside, shadow.word_select(j, pixel), border)
                    )
            rows.append(window)
        return [
            rows[i].word_select(j * channels + channel, bits)
            for channel in range(channels)
            for i in range(kernel_rows)
            for j in range(kernel_columns)
        ]


def _inside(m: Module, position: Value, offset: int, size: int, name: str) -> Signal:
    """Whether `position + offset` lies from 0 to `size - 1`."""
    inside = Signal(name=name)
    m.d.comb += inside.eq((position >= -offset) & (position < size - offset))
    return inside
