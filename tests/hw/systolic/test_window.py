# amaranth: UnusedElaboratable=no
"""The window feeder against NumPy: pad, slide, reorder."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from systolith.golden.network.graph import Shape
from systolith.hw.streams.beats import beat_stream
from systolith.hw.systolic.schedule import Chunk
from systolith.hw.systolic.window import WindowFeeder
from systolith.hw.systolic.window_geometry import WindowGeometry
from systolith.hw.systolic.window_memory import WindowMemory
from tests.hw.stream_driver import Run, beats, cyclic, randomly, run, unpack

VALUE = signed(5)
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


def one_chunk(geometry: WindowGeometry) -> list[Chunk]:
    """A whole window at once."""
    return [tuple(range(geometry.kernel[0] * geometry.kernel[1] * geometry.source.channels))]


def pieces(geometry: WindowGeometry, rows: int) -> list[Chunk]:
    """The elements of a window in order, `rows` at a time, the last chunk filled up with None."""
    elements: list[int | None] = list(one_chunk(geometry)[0])
    elements += [None] * (-len(elements) % rows)
    return [tuple(elements[start : start + rows]) for start in range(0, len(elements), rows)]


def random_frames(geometry: WindowGeometry, count: int, seed: int = 1) -> Frames:
    """Random frames of the geometry's map."""
    generator = np.random.default_rng(seed)
    return generator.integers(-16, 16, size=(count, *geometry.source))


def expected_chunks(
    geometry: WindowGeometry, chunks: Sequence[Chunk], frames: Frames, padding_value: int
) -> list[list[int]]:
    """All chunks of all windows of all frames."""
    vertical, horizontal = geometry.padding
    padded = np.pad(
        frames,
        ((0, 0), (vertical, vertical), (horizontal, horizontal), (0, 0)),
        constant_values=padding_value,
    )
    # (frame, band, column, channel, kernel row, kernel column)
    windows = sliding_window_view(padded, geometry.kernel, axis=(1, 2))
    flat = windows.reshape(-1, windows[0, 0, 0].size)
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
    return [WindowGeometry(Shape(*source), kernel, padding) for kernel, padding in cases]


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


@pytest.mark.parametrize("source_period", [1, 3])
@pytest.mark.parametrize("sink_period", [1, 4])
def test_cyclic_pauses(source_period: int, sink_period: int) -> None:
    for geometry in geometries((4, 5, 1), ((3, 3), (1, 1)), ((3, 5), (0, 2))):
        feed(geometry, idle=cyclic(source_period), backpressure=cyclic(sink_period))


@pytest.mark.parametrize("lanes", [1, 2, 3, 6])
@pytest.mark.parametrize("buffer_rows", [3, 4, 7])
def test_lanes_and_buffer_rows(lanes: int, buffer_rows: int) -> None:
    geometry = WindowGeometry(Shape(5, 4, 6), (3, 3), (1, 1))
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
    windows = list(itertools.product(range(geometry.bands), range(geometry.columns)))
    for count, (band, column) in enumerate(windows):
        row = min(band - geometry.padding[0] + geometry.kernel[0] - 1, height - 1)
        right = min(column - geometry.padding[1] + geometry.kernel[1] - 1, width - 1)
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
    geometry = WindowGeometry(Shape(4, 4, 2), (2, 2), (1, 0))
    chunks: list[Chunk] = [(7, None, 0), (3, 3, 5), (None, None, None), (1, 2, 4)]
    feed(geometry, chunks=chunks, lanes=2)


@pytest.mark.parametrize("padding_value", [-16, -1, 0, 15])
def test_padding_values(padding_value: int) -> None:
    geometry = WindowGeometry(Shape(3, 3, 2), (3, 3), (2, 1))
    feed(geometry, padding_value=padding_value)


def frame_intervals(result: Run, chunks_per_frame: int) -> list[int]:
    """Cycles from a frame's last chunk to the next frame's."""
    ends = result.produced[chunks_per_frame - 1 :: chunks_per_frame]
    return [int(cycles) for cycles in np.diff(ends)]


def test_same_padding_takes_a_cycle_a_pixel() -> None:
    """28 x 28, 5 x 5, padding 2: 784 windows in 784 cycles, frame after frame."""
    geometry = WindowGeometry(Shape(28, 28, 1), (5, 5), (2, 2))
    result = feed(geometry, frames=2)
    assert frame_intervals(result, 784) == [784]
    assert np.diff(result.produced).max() == 1
    # The first window has its last pixel in row 2, column 2.
    assert result.produced[0] - result.taken[2 * 28 + 2] == 7


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
    geometry = WindowGeometry(Shape(8, 9, 2), kernel, padding)
    result = feed(geometry, frames=4, hold=hold, lanes=lanes)
    row_change = max(hold, kernel[1] - 2 * padding[1] + geometry.dummy_shifts)
    cycles = geometry.bands * ((geometry.columns - 1) * hold + row_change)
    intervals = frame_intervals(result, geometry.bands * geometry.columns)
    assert intervals[1:] == [max(cycles, geometry.source.size // lanes)] * 2


def bad_feeder(chunks: Sequence[Chunk], **options: int) -> None:
    """Try to make a feeder of 2 channels."""
    geometry = WindowGeometry(Shape(4, 4, 2), (3, 3))
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
    with pytest.raises(ValueError, match="at least the kernel's 3 rows, not 2"):
        bad_feeder([(1,)], buffer_rows=2)
