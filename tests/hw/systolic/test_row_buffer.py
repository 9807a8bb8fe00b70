# amaranth: UnusedElaboratable=no
"""The line buffer: its columns, and when it takes beats."""

from __future__ import annotations

from array import array

import numpy as np
import pytest
from amaranth.hdl import unsigned

from systolith.golden.network.graph import Shape
from systolith.hw.streams.cycles import NEVER, StreamCycles, offering, run_until_taken
from systolith.hw.systolic.row_buffer import RowBuffer
from systolith.hw.systolic.window_geometry import WindowGeometry
from systolith.sim.bench.paces import random_paces, taking
from tests.hw.adapters import ChunksAsBeats
from tests.hw.stream_driver import Pauses, Run, beats, never, randomly, run, unpack

VALUE = unsigned(6)
GEOMETRY = WindowGeometry(Shape(4, 5, 2), (3, 3), (1, 1))
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
    for number, (data, _) in enumerate(result.beats):
        frame, place = divmod(number, COLUMNS)
        band, column = divmod(place, GEOMETRY.source.width)
        pixels = np.reshape(unpack(data, VALUE, 6), (3, 2))
        rows = [row for row in range(3) if 0 <= band - 1 + row < GEOMETRY.source.height]
        for row in rows:
            assert np.array_equal(pixels[row], MAPS[frame, band - 1 + row, column])


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
def test_the_rows_needed_cause_no_stall_and_one_less_does(number: int) -> None:
    frames, ample = 4, 12
    pixels = GEOMETRY.source.size * frames
    pace = random_paces(number, pixels, COLUMNS * frames)[number]

    def passing(rows: int) -> tuple[array[int], int]:
        unit = RowBuffer(GEOMETRY, input_lanes=1, value_shape=VALUE, buffer_rows=rows)
        i, o = StreamCycles(), StreamCycles()
        offering(i, list(pace.offers), NEVER)
        unit.cycles(i, o)
        taking(o, pace.takes)
        run_until_taken(o, COLUMNS * frames)
        taken = i.taken[:pixels]
        i.taken, o.taken = taken, o.taken[: COLUMNS * frames]
        return taken, unit.rows_needed(i, o)

    freely, needed = passing(ample)
    assert passing(needed) == (freely, needed)
    if needed > 3:
        stalled, _ = passing(needed - 1)
        assert stalled != freely
