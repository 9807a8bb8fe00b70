# amaranth: UnusedElaboratable=no
"""The line buffer: its columns, and when it takes beats."""

from __future__ import annotations

from array import array

import numpy as np
import pytest
from amaranth.hdl import unsigned
from numpy.typing import NDArray

from systolith.golden.network.graph import Shape
from systolith.golden.network.windows import Padding, Windows
from systolith.hw.streams.cycles import NEVER, StreamCycles, offering, run_until_taken
from systolith.hw.systolic.row_buffer import RowBuffer
from systolith.hw.systolic.window_geometry import WindowGeometry
from systolith.sim.bench.paces import random_paces, taking
from tests.hw.adapters import ChunksAsBeats
from tests.hw.stream_driver import Pauses, Run, beats, never, randomly, run, unpack

VALUE = unsigned(6)
GEOMETRY = WindowGeometry(Shape(4, 5, 2), Windows((3, 3), padding=Padding(1, 1, 1, 1)))
STRIDED = WindowGeometry(Shape(7, 6, 2), Windows((2, 3), (3, 2), (2, 1), Padding(1, 0, 0, 0)))
COLUMNS = GEOMETRY.bands * GEOMETRY.source.width
MAPS = np.random.default_rng(1).integers(0, 64, (3, *GEOMETRY.source))


def buffer(columns: int, *, backpressure: Pauses = never, frames: int = 3) -> Run:
    """Run a buffer of 4 rows over some maps."""
    unit = RowBuffer(GEOMETRY, input_lanes=1, value_shape=VALUE, buffer_rows=4)
    inputs = beats((image.ravel() for image in MAPS[:frames]), VALUE, 1)
    return run(ChunksAsBeats(unit), inputs, columns, backpressure=backpressure)


@pytest.mark.parametrize("backpressure", [never, randomly(1, 0.7)])
def test_columns(backpressure: Pauses) -> None:
    result = buffer(len(MAPS) * COLUMNS, backpressure=backpressure)
    check_columns(GEOMETRY, MAPS, result)


def check_columns(geometry: WindowGeometry, maps: NDArray[np.int64], result: Run) -> None:
    """Hold each pixel of each column against the maps."""
    used, channels = geometry.columns_used, geometry.source.channels
    kernel, step = geometry.windows.kernel[0], geometry.windows.dilation[0]
    for number, (data, _) in enumerate(result.beats):
        band, column = divmod(number, used)
        frame, band = divmod(band, geometry.bands)
        top = band * geometry.windows.stride[0] - geometry.windows.padding.above
        pixels = np.reshape(unpack(data, VALUE, kernel * channels), (kernel, channels))
        for pixel, row in zip(pixels, range(top, geometry.source.height, step), strict=False):
            assert row < 0 or np.array_equal(pixel, maps[frame, row, column])


@pytest.mark.parametrize("backpressure", [never, randomly(1, 0.7)])
def test_columns_of_strided_and_dilated_windows(backpressure: Pauses) -> None:
    """No column and no row after the last window is offered, and all are taken."""
    maps = np.random.default_rng(2).integers(0, 64, (3, *STRIDED.source))
    unit = RowBuffer(STRIDED, input_lanes=2, value_shape=VALUE, buffer_rows=3)
    inputs = beats((image.ravel() for image in maps), VALUE, 2)
    assert (STRIDED.bands, STRIDED.columns_used) == (2, 5)
    result = run(ChunksAsBeats(unit), inputs, 3 * 2 * 5, backpressure=backpressure)
    check_columns(STRIDED, maps, result)
    assert len(result.taken) == len(inputs)


def test_latency() -> None:
    """A column is offered 3 cycles after its last beat was taken."""
    result = buffer(COLUMNS, frames=1)
    # Band 0 needs row 1; its column 1 (10 values a row, 2 a pixel) is complete with value 13.
    assert result.produced[1] == result.taken[13] + 3


def test_a_full_ring_takes_nothing_more() -> None:
    """Without a column taken, 4 rows of 5 pixels of 2 values fit, and no value is overwritten."""
    waiting = 4 * 5 * 2

    def until_full(cycle: int) -> bool:
        return cycle < 2 * waiting

    result = buffer(len(MAPS) * COLUMNS, backpressure=until_full)
    assert sum(cycle < 2 * waiting for cycle in result.taken) == waiting


@pytest.mark.parametrize("number", range(9))
@pytest.mark.parametrize("geometry", [GEOMETRY, STRIDED], ids=str)
def test_the_rows_needed_cause_no_stall_and_one_less_does(
    number: int, geometry: WindowGeometry
) -> None:
    frames, ample = 4, 12
    pixels = geometry.source.size * frames
    columns = geometry.bands * geometry.columns_used * frames
    pace = random_paces(number, pixels, columns)[number]

    def passing(rows: int) -> tuple[array[int], int]:
        unit = RowBuffer(geometry, input_lanes=1, value_shape=VALUE, buffer_rows=rows)
        i, o = StreamCycles(), StreamCycles()
        offering(i, list(pace.offers), NEVER)
        unit.cycles(i, o)
        taking(o, pace.takes)
        run_until_taken(o, columns)
        run_until_taken(i, pixels)
        taken = i.taken[:pixels]
        i.taken, o.taken = taken, o.taken[:columns]
        return taken, unit.rows_needed(i, o)

    freely, needed = passing(ample)
    assert passing(needed) == (freely, needed)
    if needed > 3:
        stalled, _ = passing(needed - 1)
        assert stalled != freely
