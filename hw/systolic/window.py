# amaranth: UnusedElaboratable=no
"""Windows of a convolution, cut out of a streamed feature map: line buffer and shift registers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import stream
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out, connect, flipped

from systolith.hw.streams.beats import beat_stream
from systolith.hw.streams.component import Component
from systolith.hw.streams.counting import count
from systolith.hw.streams.cycles import Process, StreamCycles, recurrence
from systolith.hw.streams.formats import select
from systolith.hw.systolic.row_buffer import RowBuffer
from systolith.hw.systolic.schedule import Chunk
from systolith.hw.systolic.window_geometry import WindowGeometry

CHUNK_FIFO_DEPTH = 2
"""The depth of the FIFO of chunks: a chunk can pass every cycle."""


class _Shifts(NamedTuple):
    """The control of the shift registers, and the place of the window that is being shifted in.

    Parameters
    ----------
    shift
        A column enters the shadow registers in this cycle.
    transfer
        The window in the shadow registers is complete and moves to the window registers.
    band, column
        The window's place: its row of windows, and its number in that row.
    """

    shift: Signal
    transfer: Signal
    band: Signal
    column: Signal


class WindowFeeder(Component):
    """Cuts a streamed feature map into windows, and sends each window as a sequence of chunks.

    A convolution has it in front of its `SystolicCore`. Windows leave row by row, and frames follow
    each other without a gap.

    A `RowBuffer` delivers columns as high as the kernel, which are shifted into shadow registers.
    Once a window is complete, it moves to the window registers in one cycle, and elements outside
    the map become the padding value. The window registers hold a window until all its chunks are
    taken; the next window is shifted in meanwhile.

    A stride shifts as many columns from window to window. Padding takes no shifts of its own. In
    place of the padding to the right of the map, the first columns of the next band (or frame) are
    shifted in. If these have not arrived, a dummy shift
    takes whatever the row buffer holds, so that no window waits for a frame that may never come.
    The padding value replaces all of it.

    Cycles a frame, each window held for `hold` cycles: the larger of the input's beats and
    `bands * ((columns - 1) * max(hold, horizontal stride) + max(hold, row_change))`, which is
    `bands * columns * hold` if `hold` is at least `geometry.most_shifts`. With fewer rows than by
    default, the first rows of the next frame may have to wait.

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
        Rows of the map that are stored, at least those of a window. By default
        `geometry.rows_to_overlap`.

    Members
    -------
    i : In(beat_stream(value_shape, input_lanes))
        The map. `last` is ignored.
    o : Out(stream)
        Chunks, row 0 in the lowest bits.

    Raises
    ------
    ValueError
        No chunks, chunks of different lengths, an element that is not in the window, or an
        error of `RowBuffer`.
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
                "o": Out(stream.Signature(unsigned(rows * value_shape.width))),
            }
        )

    @property
    def _fifo_depth(self) -> int:
        """The depth of the FIFO of chunks; 0 if there is none.

        It keeps the array's `ready` from the enables of the many registers. Where windows have
        fewer chunks than the next window needs shifts, it would let them run ahead of the array,
        and fill some of these cycles: a frame's cycles would have no simple formula.
        """
        return CHUNK_FIFO_DEPTH if len(self.chunks) >= self.geometry.most_shifts else 0

    @property
    def buffer_rows(self) -> int:
        """Rows of the map that are stored."""
        return self.row_buffer.buffer_rows

    def cycles(self, i: StreamCycles, o: StreamCycles) -> list[StreamCycles]:
        """Start the cycle model (`streams.cycles`); returns the stream of the row buffer."""
        columns = StreamCycles()
        self.row_buffer.cycles(i, columns)
        self._shift_cycles(columns, o)
        return [columns]

    def rows_needed(self, i: StreamCycles, columns: StreamCycles) -> int:
        """The smallest `buffer_rows` with which these transfers would not have stalled."""
        return self.row_buffer.rows_needed(i, columns)

    @recurrence
    def _shift_cycles(self, columns: StreamCycles, o: StreamCycles) -> Process:
        geometry = self.geometry
        used, stride = geometry.columns_used, geometry.windows.stride[1]
        chunks, depth = len(self.chunks), self._fifo_depth
        # Shifts before a band's first window is complete; each other window takes `stride` more.
        first = geometry.columns_to(0)
        o_available, o_taken = o.available, o.taken
        # The cycles of the shifts to the right of the map, which take the next band's columns.
        slots: list[int] = []
        window = column = 0
        transfer = -1
        while True:
            free_slots, slots = slots, []
            shift = -1
            # The shifts of a window may begin with the transfer of the window before.
            earliest = [transfer] * first
            for number in range(used + geometry.right_padding):
                if number < used:
                    while len(columns.available) == column:
                        yield columns.source
                    available = columns.available[column]
                    column += 1
                    while free_slots and free_slots[0] < available:
                        del free_slots[0]
                    if free_slots:
                        shift = free_slots.pop(0)
                    else:
                        shift = max(available, shift + 1, earliest[number])
                    columns.taken.append(shift)
                else:
                    shift = max(shift + 1, earliest[number])
                    if number >= used + geometry.dummy_shifts:
                        slots.append(shift)
                if number >= first - 1 and (number + 1 - first) % stride == 0:
                    transfer = max(shift + 1, transfer + chunks if window else 0)
                    # The window before is done when its last chunk is taken, or enters the FIFO.
                    freeing = window * chunks - 1 - depth
                    if freeing >= 0:
                        while len(o_taken) <= freeing:
                            yield o.sink
                        transfer = max(transfer, o_taken[freeing] + (depth > 0))
                    # The FIFO is never slower than its sink: chunk after chunk is there in time.
                    o_available.extend([transfer + 1 + (depth > 0)] * chunks)
                    earliest += [transfer] * stride
                    window += 1
                    yield o.sink

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.row_buffer = self.row_buffer
        connect(m, flipped(self.i), self.row_buffer.i)

        chunk = Signal(range(len(self.chunks)))
        payload = Signal(len(self.o.payload), name="chunk_values")
        valid = Signal(name="chunk_valid")
        ready = Signal(name="chunk_ready")
        window_done = Signal()
        m.d.comb += window_done.eq(ready & (chunk == len(self.chunks) - 1))
        shifts = self._control_shifts(m, ~valid | window_done)
        with m.If(valid & ready):
            count(m, chunk, len(self.chunks))
        with m.If(shifts.transfer):
            m.d.sync += valid.eq(1)
        with m.Elif(window_done):
            m.d.sync += valid.eq(0)

        window = self._add_registers(m, shifts)
        bits = self.value_shape.width
        chunks = [
            Cat(Const(0, bits) if e is None else window[e] for e in elements)
            for elements in self.chunks
        ]
        m.d.comb += payload.eq(select(chunks, chunk))
        if self._fifo_depth:
            m.submodules.chunks = fifo = SyncFIFO(width=len(payload), depth=self._fifo_depth)
            m.d.comb += [fifo.w_data.eq(payload), fifo.w_en.eq(valid), ready.eq(fifo.w_rdy)]
            payload, valid = fifo.r_data, fifo.r_rdy
            m.d.comb += fifo.r_en.eq(self.o.ready)
        else:
            m.d.comb += ready.eq(self.o.ready)
        m.d.comb += [self.o.payload.eq(payload), self.o.valid.eq(valid)]
        return m

    def _control_shifts(self, m: Module, may_transfer: Value) -> _Shifts:
        """Count shifts, windows and bands, and take columns from the row buffer."""
        geometry = self.geometry
        first, used = geometry.columns_to(0), geometry.columns_used
        stride = geometry.windows.stride[1]
        columns = self.row_buffer.o

        band = Signal(range(geometry.bands))
        column = Signal(range(geometry.columns))
        # Shifts until the window in the shadow registers is complete.
        missing = Signal(range(max(geometry.windows.reach[1], stride) + 1), init=first)
        # Shifts since the band's first column, and columns of the next band among them.
        shifted = Signal(range(used + geometry.right_padding + 1))
        borrowed = Signal(range(geometry.overlap_columns + 1))

        transfer = Signal()
        m.d.comb += transfer.eq((missing == 0) & may_transfer)
        band_done = Signal()
        m.d.comb += band_done.eq(transfer & (column == geometry.columns - 1))

        right_of_map = Signal()
        m.d.comb += right_of_map.eq((shifted >= used) & ~band_done)
        must_be_dummy = right_of_map & (shifted < used + geometry.dummy_shifts)
        # Never between two columns of the next band: those are offered in consecutive cycles.
        may_be_dummy = right_of_map & ~columns.valid
        may_shift = (missing != 0) | transfer
        m.d.comb += columns.ready.eq(may_shift & ~must_be_dummy)
        column_taken = columns.valid & columns.ready
        shift = Signal()
        m.d.comb += shift.eq(may_shift & (columns.valid | must_be_dummy | may_be_dummy))

        with m.If(band_done):
            m.d.sync += [
                missing.eq(first - borrowed - shift),
                shifted.eq(borrowed + shift),
                borrowed.eq(0),
            ]
            count(m, band, geometry.bands)
        with m.Else():
            following = transfer if stride == 1 else Mux(transfer, stride, 0)
            m.d.sync += [missing.eq(missing + following - shift), shifted.eq(shifted + shift)]
            with m.If(right_of_map & column_taken):
                m.d.sync += borrowed.eq(borrowed + 1)
        with m.If(transfer):
            count(m, column, geometry.columns)
        return _Shifts(shift, transfer, band, column)

    def _add_registers(self, m: Module, shifts: _Shifts) -> list[Value]:
        """Add the shadow and window registers; returns a window's elements in their order."""
        windows, source = self.geometry.windows, self.geometry.source
        bits = self.value_shape.width
        pixel = self.row_buffer.pixel_bits
        padding = Cat(
            Const(self.padding_value, self.value_shape)[:] for _ in range(source.channels)
        )
        rows_outside = outside_map(self.geometry, 0, shifts.band)
        columns_outside = outside_map(self.geometry, 1, shifts.column)
        kernel_rows, kernel_columns = windows.kernel
        dilation = windows.dilation[1]

        rows = []
        for i in range(kernel_rows):
            # Data is only used after it was loaded: it needs no reset.
            shadow = Signal(windows.reach[1] * pixel, name=f"shadow_row{i}", reset_less=True)
            window = Signal(kernel_columns * pixel, name=f"window_row{i}", reset_less=True)
            with m.If(shifts.shift):
                new = self.row_buffer.o.payload.word_select(i, pixel)
                m.d.sync += shadow.eq(Cat(shadow[pixel:], new))
            with m.If(shifts.transfer):
                for j in range(kernel_columns):
                    value: Value = shadow.word_select(j * dilation, pixel)
                    if outside := rows_outside[i] + columns_outside[j]:
                        value = Mux(Cat(outside).any(), padding, value)
                    m.d.sync += window.word_select(j, pixel).eq(value)
            rows.append(window)
        return [
            rows[i].word_select(j * source.channels + channel, bits)
            for channel in range(source.channels)
            for i in range(kernel_rows)
            for j in range(kernel_columns)
        ]


def outside_map(geometry: WindowGeometry, axis: int, position: Value) -> list[list[Value]]:
    """For each row (axis 0) or column (axis 1) of a kernel, the conditions to be outside the map.

    Those that are inside in all windows, as most are, have none. `position` is the place of the
    window along the axis: its row of windows, or its number in the row.
    """
    outside: list[list[Value]] = []
    for element in range(geometry.windows.kernel[axis]):
        inside = geometry.windows_inside(axis, element)
        conditions: list[Value] = []
        if inside.start > 0:
            conditions.append(position < inside.start)
        if inside.stop < geometry.count[axis]:
            conditions.append(position >= inside.stop)
        outside.append(conditions)
    return outside
