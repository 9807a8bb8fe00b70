# amaranth: UnusedElaboratable=no
"""The window feeder against NumPy: pad, slide, reorder."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from systolith.golden.network.graph import Shape
from systolith.golden.network.windows import Padding, Windows
from systolith.hw.streams.beats import beat_stream
from systolith.hw.streams.cycles import Process, StreamCycles, offering, run_until_taken
from systolith.hw.systolic.schedule import Chunk
from systolith.hw.systolic.window import WindowFeeder
from systolith.hw.systolic.window_geometry import WindowGeometry
from systolith.hw.systolic.window_memory import WindowMemory
from tests.hw.stream_driver import Pauses, Run, beats, cyclic, randomly, run, unpack

VALUE = signed(5)
MODELLED = 10
Frames = NDArray[np.int64]


class HeldChunks(wiring.Component):
    """A feeder whose chunks are taken after `hold` cycles, as beats, so that `run` can drive it."""

    def __init__(self, feeder: WindowFeeder | WindowMemory, hold: int) -> None:
        self.feeder = feeder
        self.hold = hold
        lanes = len(feeder.chunks[0])
        super().__init__({"i": In(feeder.i.signature.flip()), "o": Out(beat_stream(VALUE, lanes))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.feeder = feeder = self.feeder
        connect(m, flipped(self.i), feeder.i)
        age = Signal(range(self.hold))
        m.d.comb += [
            self.o.payload.data.eq(feeder.o.payload),
            self.o.valid.eq(feeder.o.valid & (age == self.hold - 1)),
            feeder.o.ready.eq(self.o.ready & (age == self.hold - 1)),
        ]
        with m.If(feeder.o.valid & ((age != self.hold - 1) | self.o.ready)):
            m.d.sync += age.eq(Mux(age == self.hold - 1, 0, age + 1))
        return m


def elements(geometry: WindowGeometry) -> int:
    """The number of values in a window."""
    return math.prod(geometry.windows.kernel) * geometry.source.channels


def one_chunk(geometry: WindowGeometry) -> list[Chunk]:
    """A whole window at once."""
    return [tuple(range(elements(geometry)))]


def pieces(geometry: WindowGeometry, rows: int) -> list[Chunk]:
    """The elements of a window in order, `rows` at a time, the last chunk filled up with None."""
    numbers: list[int | None] = list(one_chunk(geometry)[0])
    numbers += [None] * (-len(numbers) % rows)
    return [tuple(numbers[start : start + rows]) for start in range(0, len(numbers), rows)]


def random_frames(geometry: WindowGeometry, count: int, seed: int = 1) -> Frames:
    """Random frames of the geometry's map."""
    generator = np.random.default_rng(seed)
    return generator.integers(-16, 16, size=(count, *geometry.source))


def expected_chunks(
    geometry: WindowGeometry, chunks: Sequence[Chunk], frames: Frames, padding_value: int
) -> list[list[int]]:
    """All chunks of all windows of all frames."""
    above, left, below, right = geometry.windows.padding
    padded = np.pad(
        frames, ((0, 0), (above, below), (left, right), (0, 0)), constant_values=padding_value
    )
    (down, across), (row_step, column_step) = geometry.windows.stride, geometry.windows.dilation
    # (frame, band, column, channel, kernel row, kernel column)
    windows = sliding_window_view(padded, geometry.windows.reach, axis=(1, 2))
    windows = windows[:, ::down, ::across, :, ::row_step, ::column_step]
    flat = windows.reshape(-1, elements(geometry))
    return [
        [0 if element is None else int(window[element]) for element in chunk]
        for window in flat
        for chunk in chunks
    ]


def feed(
    geometry: WindowGeometry,
    *,
    chunks: Sequence[Chunk] | None = None,
    lanes: int = 1,
    frames: int = 3,
    hold: int = 1,
    padding_value: int = 0,
    buffer_rows: int | None = None,
    **options: object,
) -> Run:
    """Run a feeder and compare every chunk."""
    chunks = one_chunk(geometry) if chunks is None else chunks
    feeder = WindowFeeder(
        geometry,
        chunks,
        input_lanes=lanes,
        value_shape=VALUE,
        padding_value=padding_value,
        buffer_rows=buffer_rows,
    )
    maps = random_frames(geometry, frames)
    expected = expected_chunks(geometry, chunks, maps, padding_value)
    result = run(
        HeldChunks(feeder, hold),
        beats((frame.ravel() for frame in maps), VALUE, lanes),
        len(expected),
        **options,  # type: ignore[arg-type]
    )
    received = [unpack(data, VALUE, len(chunks[0])) for data, _ in result.beats]
    assert received == expected
    return result


def geometries(
    source: tuple[int, int, int], *cases: tuple[tuple[int, int], tuple[int, int]]
) -> list[WindowGeometry]:
    """Kernels and paddings over one map."""
    return [plain(source, kernel, padding) for kernel, padding in cases]


def plain(
    source: tuple[int, int, int], kernel: tuple[int, int], padding: tuple[int, int] = (0, 0)
) -> WindowGeometry:
    """Windows without stride and dilation, padded alike on opposite sides."""
    return WindowGeometry(Shape(*source), Windows(kernel, padding=Padding(*padding, *padding)))


def strided(
    source: tuple[int, int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
) -> WindowGeometry:
    """Any windows."""
    windows = Windows(kernel, stride, dilation, Padding(*padding))
    return WindowGeometry(Shape(*source), windows)


@st.composite
def any_geometry(draw: st.DrawFn) -> WindowGeometry:
    """Small maps with any windows that fit them."""

    def pair(most: int) -> tuple[int, int]:
        return draw(st.integers(1, most)), draw(st.integers(1, most))

    windows = Windows(pair(4), pair(4), pair(3))
    rows, columns = (draw(st.tuples(*[st.integers(0, each - 1)] * 2)) for each in windows.reach)
    padding = Padding(rows[0], columns[0], rows[1], columns[1])
    source = Shape(*pair(7), draw(st.integers(1, 2)))
    windows = replace(windows, padding=padding)
    assume(min(windows.count(*source[:2])) >= 1)
    return WindowGeometry(source, windows)


GEOMETRIES = [
    *geometries(
        (6, 7, 1),
        ((1, 1), (0, 0)),
        ((3, 3), (0, 0)),
        ((3, 3), (1, 1)),
        ((5, 5), (2, 2)),
        ((5, 5), (1, 0)),
        ((5, 5), (0, 1)),
        ((1, 3), (0, 1)),
        ((5, 2), (3, 0)),
        ((4, 3), (2, 1)),
        ((6, 7), (0, 0)),
    ),
    # Padding wider than the overlap of two windows.
    *geometries((5, 4, 1), ((3, 3), (2, 2)), ((2, 2), (1, 1)), ((4, 5), (3, 4))),
    *geometries((5, 4, 2), ((3, 3), (1, 1)), ((1, 1), (0, 0)), ((2, 4), (0, 3))),
    # Maps of one row, of one column, of one pixel, and smaller than the kernel.
    *geometries((1, 5, 1), ((1, 3), (0, 1)), ((3, 3), (1, 1)), ((5, 2), (2, 0))),
    *geometries((5, 1, 1), ((3, 1), (1, 0)), ((3, 3), (1, 1)), ((2, 5), (0, 2))),
    *geometries((1, 1, 2), ((1, 1), (0, 0)), ((3, 3), (1, 1)), ((3, 3), (2, 2))),
    *geometries((2, 2, 1), ((5, 5), (2, 2)), ((4, 5), (1, 3)), ((5, 4), (4, 1))),
    *geometries((2, 3, 1), ((3, 7), (1, 3)), ((2, 7), (1, 6))),
    # Strides: with rows and columns left over at the end, and between windows.
    strided((6, 7, 1), (3, 3), (2, 2), padding=(0, 0, 1, 1)),
    strided((7, 8, 1), (3, 3), (2, 2), padding=(1, 1, 1, 1)),
    strided((9, 8, 1), (3, 2), (3, 4)),
    strided((7, 7, 2), (1, 1), (2, 3)),
    strided((6, 5, 1), (2, 3), (5, 4), padding=(1, 0, 0, 2)),
    # One-sided padding, also of maps of one row, and windows that are mostly padding.
    strided((5, 6, 1), (3, 4), (1, 1), padding=(2, 3, 0, 1)),
    strided((5, 6, 1), (3, 4), (1, 1), padding=(0, 0, 2, 3)),
    strided((1, 9, 2), (1, 4), (1, 3), padding=(0, 1, 0, 3)),
    strided((4, 1, 1), (3, 3), (2, 1), padding=(2, 2, 2, 1)),
    # Dilation, with a window without a value of the map, and with strides.
    strided((7, 8, 1), (3, 3), (1, 1), (2, 2), (2, 2, 2, 2)),
    strided((2, 1, 1), (2, 2), (1, 1), (3, 2), (1, 1, 2, 1)),
    strided((8, 9, 1), (2, 3), (2, 3), (3, 2), (1, 4, 0, 2)),
]


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_windows_with_stalls(geometry: WindowGeometry) -> None:
    feed(
        geometry,
        chunks=pieces(geometry, 4),
        padding_value=7,
        idle=randomly(1, 0.5),
        backpressure=randomly(2, 0.4),
    )


def compare_with_model(
    kind: type[WindowFeeder] | type[WindowMemory],
    geometry: WindowGeometry,
    *,
    rows: int,
    more_lines: int,
    idle: Pauses,
    backpressure: Pauses,
) -> None:
    """Hold every chunk against NumPy, and every handshake against the cycle model."""
    chunks = pieces(geometry, rows)
    unit = kind(
        geometry,
        chunks,
        input_lanes=1,
        value_shape=VALUE,
        padding_value=7,
        buffer_rows=geometry.windows.reach[0] + more_lines,
    )
    maps = random_frames(geometry, 3)
    expected = expected_chunks(geometry, chunks, maps, 7)
    result = run(
        HeldChunks(unit, 1),
        beats((frame.ravel() for frame in maps), VALUE, 1),
        len(expected),
        idle=idle,
        backpressure=backpressure,
    )
    received = [unpack(data, VALUE, rows) for data, _ in result.beats]
    for number, (values, right) in enumerate(zip(received, expected, strict=True)):
        elements = chunks[number % len(chunks)]
        assert all(
            each is None or value == true
            for each, value, true in zip(elements, values, right, strict=True)
        )

    i, o = StreamCycles(), StreamCycles()
    unit.cycles(i, o)
    i.source = offered(i, idle)
    o.sink = accepted(o, backpressure)
    run_until_taken(o, len(expected))
    run_until_taken(i, maps.size)
    assert o.taken[: len(expected)].tolist() == result.produced
    assert i.taken[: maps.size].tolist() == result.taken


def offered(stream: StreamCycles, idle: Pauses) -> Process:
    """A source of the cycle model that pauses as the driver does."""
    while True:
        # The next beat is offered when the one before was taken.
        if len(stream.available) == len(stream.taken):
            first = stream.taken[-1] + 1 if stream.taken else 0
            stream.available.append(next(c for c in itertools.count(first) if not idle(c)))
        yield stream.sink


def accepted(stream: StreamCycles, backpressure: Pauses) -> Process:
    """A sink of the cycle model that pauses as the driver does."""
    last = -1
    while True:
        while len(stream.available) == len(stream.taken):
            yield stream.source
        first = max(last + 1, stream.available[len(stream.taken)])
        last = next(c for c in itertools.count(first) if not backpressure(c))
        stream.taken.append(last)


@pytest.mark.parametrize("kind", [WindowFeeder, WindowMemory])
@settings(max_examples=MODELLED, deadline=None, print_blob=True)
@given(data=st.data())
def test_any_windows_at_any_pace_agree_with_the_model(
    kind: type[WindowFeeder] | type[WindowMemory], data: st.DataObject
) -> None:
    """The model knows the frames that follow: a unit may not wait for them."""
    geometry = data.draw(any_geometry(), "geometry")
    count = elements(geometry)
    assume(kind is WindowFeeder or count > 1)
    most = count if kind is WindowFeeder else -(-count // 2)
    seed = data.draw(st.integers(0, 1000), "seed")
    compare_with_model(
        kind,
        geometry,
        rows=data.draw(st.integers(1, most), "rows"),
        more_lines=data.draw(st.integers(0, 3), "more lines"),
        idle=randomly(seed, data.draw(st.sampled_from([0, 0.3, 0.8]), "idle")),
        backpressure=randomly(seed + 1, data.draw(st.sampled_from([0, 0.3, 0.8]), "backpressure")),
    )


@settings(max_examples=60)
@given(
    geometry=any_geometry(),
    chunks=st.integers(1, 20),
    hold=st.integers(1, 4),
    lanes=st.sampled_from([1, 2]),
)
@example(
    # As many bands of padding alone as fit: they follow each other faster than the rows arrive.
    geometry=strided((15, 13, 3), (4, 1), (1, 1), (2, 2), padding=(6, 0, 6, 0)),
    chunks=2,
    hold=1,
    lanes=1,
)
@example(geometry=plain((9, 1, 1), (2, 1)), chunks=1, hold=1, lanes=1)
def test_windows_follow_each_other_as_fast_as_the_formula_says(
    geometry: WindowGeometry, chunks: int, hold: int, lanes: int
) -> None:
    """With the rows by default, in registers and in memories; an array holds each chunk."""
    lanes = math.gcd(lanes, geometry.source.channels)
    inputs = geometry.source.size // lanes
    frame = geometry.bands * geometry.columns * chunks
    steps = chunks * hold
    band = (geometry.columns - 1) * max(steps, geometry.windows.stride[1])
    cycles = geometry.bands * (band + max(steps, geometry.row_change))
    kinds = [WindowMemory] if chunks >= max(2, geometry.most_shifts) else []
    for kind in (WindowFeeder, *kinds):
        unit = kind(geometry, [(0,)] * chunks, input_lanes=lanes, value_shape=VALUE)
        i, o = StreamCycles(), StreamCycles()
        unit.cycles(i, o)
        offering(i, [0] * inputs, 0)
        o.sink = holding(o, hold)
        run_until_taken(o, 12 * frame)
        intervals = np.diff(o.taken[frame - 1 :: frame])[6:]
        assert set(intervals.tolist()) == {max(inputs, cycles)}


def holding(stream: StreamCycles, hold: int) -> Process:
    """A sink of the cycle model that takes a beat `hold` cycles after it could."""
    last = -1
    while True:
        while len(stream.available) == len(stream.taken):
            yield stream.source
        last = max(last + 1, stream.available[len(stream.taken)]) + hold - 1
        stream.taken.append(last)


@pytest.mark.parametrize("source_period", [1, 3])
@pytest.mark.parametrize("sink_period", [1, 4])
def test_cyclic_pauses(source_period: int, sink_period: int) -> None:
    for geometry in geometries((4, 5, 1), ((3, 3), (1, 1)), ((3, 5), (0, 2))):
        feed(geometry, idle=cyclic(source_period), backpressure=cyclic(sink_period))


@pytest.mark.parametrize("lanes", [1, 2, 3, 6])
@pytest.mark.parametrize("buffer_rows", [3, 4, 7])
def test_lanes_and_buffer_rows(lanes: int, buffer_rows: int) -> None:
    geometry = plain((5, 4, 6), (3, 3), (1, 1))
    feed(
        geometry,
        chunks=pieces(geometry, 9),
        lanes=lanes,
        buffer_rows=buffer_rows,
        idle=randomly(3, 0.3),
        backpressure=randomly(4, 0.3),
    )


def windows_in(geometry: WindowGeometry, pixels: int) -> int:
    """The number of windows that must be sent once the first `pixels` pixels were taken."""
    height, width, _ = geometry.source
    (down, across), reach = geometry.windows.stride, geometry.windows.reach
    windows = list(itertools.product(range(geometry.bands), range(geometry.columns)))
    for count, (band, column) in enumerate(windows):
        row = min(band * down - geometry.windows.padding.above + reach[0], height) - 1
        right = min(column * across - geometry.windows.padding.left + reach[1], width) - 1
        # A band begins when the columns are stored that the band before takes as its padding.
        if pixels <= row * width + max(right, geometry.overlap_columns - 1):
            return count
    return len(windows)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_no_window_waits_for_pixels_that_it_does_not_cover(geometry: WindowGeometry) -> None:
    """After one frame and a part of the next, all windows of the taken pixels are sent."""
    pixels = geometry.source.height * geometry.source.width
    channels = geometry.source.channels
    maps = random_frames(geometry, 2)
    expected = expected_chunks(geometry, one_chunk(geometry), maps, 0)
    inputs = beats((frame.ravel() for frame in maps), VALUE, channels)
    for part in {0, pixels * 2 // 3}:
        feeder = WindowFeeder(
            geometry, one_chunk(geometry), input_lanes=channels, value_shape=VALUE
        )
        count = windows_in(geometry, pixels) + windows_in(geometry, part)
        result = run(HeldChunks(feeder, 1), inputs[: pixels + part], count)
        received = [unpack(data, VALUE, len(feeder.chunks[0])) for data, _ in result.beats]
        assert received == expected[:count]


@pytest.mark.parametrize("reset_after", [9, 41])
def test_reset_in_mid_frame(reset_after: int) -> None:
    for geometry in geometries((6, 7, 1), ((3, 3), (1, 1)), ((5, 4), (0, 3))):
        feed(geometry, chunks=pieces(geometry, 4), reset_after=reset_after, hold=2)


def test_chunks_in_any_order() -> None:
    geometry = plain((4, 4, 2), (2, 2), (1, 0))
    chunks: list[Chunk] = [(7, None, 0), (3, 3, 5), (None, None, None), (1, 2, 4)]
    feed(geometry, chunks=chunks, lanes=2)


@pytest.mark.parametrize("padding_value", [-16, -1, 0, 15])
def test_padding_values(padding_value: int) -> None:
    geometry = plain((3, 3, 2), (3, 3), (2, 1))
    feed(geometry, padding_value=padding_value)


def frame_intervals(result: Run, chunks_per_frame: int) -> list[int]:
    """Cycles from a frame's last chunk to the next frame's."""
    ends = result.produced[chunks_per_frame - 1 :: chunks_per_frame]
    return [int(cycles) for cycles in np.diff(ends)]


def test_same_padding_takes_a_cycle_a_pixel() -> None:
    """28 x 28, 5 x 5, padding 2: 784 windows in 784 cycles, frame after frame."""
    geometry = plain((28, 28, 1), (5, 5), (2, 2))
    result = feed(geometry, frames=2)
    assert frame_intervals(result, 784) == [784]
    assert np.diff(result.produced).max() == 1
    # The first window has its last pixel in row 2, column 2.
    assert result.produced[0] - result.taken[2 * 28 + 2] == 7


def intervals_of(geometry: WindowGeometry, hold: int, lanes: int) -> list[int]:
    """The cycles of two frames after the first ones."""
    result = feed(geometry, frames=4, hold=hold, lanes=lanes)
    return frame_intervals(result, geometry.bands * geometry.columns)[1:]


@pytest.mark.parametrize(
    ("kernel", "padding", "hold", "lanes"),
    [
        ((5, 5), (0, 0), 1, 2),
        ((5, 5), (0, 0), 4, 2),
        ((5, 5), (0, 0), 6, 2),
        ((5, 5), (0, 0), 6, 1),
        ((3, 5), (1, 1), 2, 2),
        ((3, 5), (1, 2), 1, 2),
        ((3, 3), (2, 2), 1, 2),
        ((3, 3), (2, 2), 2, 1),
        ((2, 4), (0, 3), 1, 2),
    ],
)
def test_cycles_of_a_frame(
    kernel: tuple[int, int], padding: tuple[int, int], hold: int, lanes: int
) -> None:
    """The formula in the feeder's docstring, or the input's beats."""
    geometry = plain((8, 9, 2), kernel, padding)
    row_change = max(hold, kernel[1] - 2 * padding[1] + geometry.dummy_shifts)
    cycles = geometry.bands * ((geometry.columns - 1) * hold + row_change)
    intervals = intervals_of(geometry, hold, lanes)
    assert intervals == [max(cycles, geometry.source.size // lanes)] * 2


@pytest.mark.parametrize(
    ("geometry", "hold", "lanes", "cycles"),
    [
        # 16 windows in 4 bands: at the rate of the input, or of their chunks.
        (strided((8, 8, 1), (3, 3), (2, 2), padding=(0, 0, 1, 1)), 1, 1, 64),
        (strided((8, 8, 1), (3, 3), (2, 2), padding=(0, 0, 1, 1)), 4, 1, 64),
        (strided((8, 8, 1), (3, 3), (2, 2), padding=(0, 0, 1, 1)), 5, 1, 16 * 5),
        # Windows that follow each other at once, and rows and columns between them.
        (strided((8, 8, 1), (1, 1), (2, 2)), 1, 1, 64),
        (strided((8, 8, 2), (1, 1), (2, 2)), 8, 2, 16 * 8),
        (strided((9, 9, 1), (2, 2), (4, 4)), 21, 1, 4 * 21),
        # A shift is a column: 3 windows of 3 columns, and 2 to come for the next row's first one.
        (strided((5, 9, 2), (1, 3), (1, 3)), 1, 2, 5 * 9),
        (strided((5, 8, 2), (1, 3), (1, 3)), 1, 2, 5 * 8),
        (strided((3, 9, 2), (3, 3), (1, 3), padding=(2, 0, 2, 0)), 1, 2, 5 * 9),
        # Windows of 5 columns: the next row's are shifted in as padding, or padding alone.
        (strided((6, 6, 2), (1, 3), (1, 1), (1, 2), (0, 2, 0, 2)), 1, 2, 36),
        (strided((6, 6, 2), (1, 3), (1, 1), (1, 2), (0, 4, 0, 4)), 1, 2, 6 * 10),
    ],
)
def test_cycles_of_a_frame_with_strides(
    geometry: WindowGeometry, hold: int, lanes: int, cycles: int
) -> None:
    assert intervals_of(geometry, hold, lanes) == [cycles] * 2


def bad_feeder(chunks: Sequence[Chunk], **options: int) -> None:
    """Try to make a feeder of 2 channels."""
    geometry = plain((4, 4, 2), (3, 3))
    WindowFeeder(geometry, chunks, value_shape=unsigned(4), **{"input_lanes": 1, **options})


def test_refusals() -> None:
    with pytest.raises(ValueError, match="one length"):
        bad_feeder([])
    with pytest.raises(ValueError, match="one length"):
        bad_feeder([(1, 2), (3,)])
    with pytest.raises(ValueError, match="from 0 to 17, not 18"):
        bad_feeder([(18,)])
    with pytest.raises(ValueError, match="divide the 2 channels, not 3"):
        bad_feeder([(1,)], input_lanes=3)
    with pytest.raises(ValueError, match="at least the 3 rows of a window, not 2"):
        bad_feeder([(1,)], buffer_rows=2)
