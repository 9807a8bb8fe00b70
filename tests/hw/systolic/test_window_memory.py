# amaranth: UnusedElaboratable=no
"""The memories of windows against NumPy, and when they take beats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from systolith.hw.streams.cycles import NEVER, StreamCycles, offering, run_until_taken
from systolith.hw.systolic.schedule import Chunk
from systolith.hw.systolic.window_geometry import WindowGeometry
from systolith.hw.systolic.window_memory import WindowMemory
from systolith.sim.bench.paces import random_paces, taking
from tests.hw.stream_driver import Run, beats, randomly, run, unpack
from tests.hw.systolic.test_window import (
    GEOMETRIES,
    VALUE,
    HeldChunks,
    elements,
    expected_chunks,
    geometries,
    pieces,
    plain,
    random_frames,
    strided,
)


def read(
    geometry: WindowGeometry,
    chunks: Sequence[Chunk],
    *,
    lanes: int = 1,
    frames: int = 2,
    hold: int = 1,
    padding_value: int = 7,
    buffer_rows: int | None = None,
    **options: object,
) -> Run:
    """Run the memories and compare every element of every chunk."""
    memory = WindowMemory(
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
        HeldChunks(memory, hold),
        beats((frame.ravel() for frame in maps), VALUE, lanes),
        len(expected),
        **options,  # type: ignore[arg-type]
    )
    for number, ((data, _), values) in enumerate(zip(result.beats, expected, strict=True)):
        for element, value, right in zip(
            chunks[number % len(chunks)],
            unpack(data, VALUE, len(chunks[0])),
            values,
            strict=True,
        ):
            assert element is None or value == right
    return result


@pytest.mark.parametrize(
    "geometry", [each for each in GEOMETRIES if elements(each) > 1][::2], ids=str
)
def test_windows_with_stalls(geometry: WindowGeometry) -> None:
    read(
        geometry,
        pieces(geometry, -(-elements(geometry) // 3)),
        buffer_rows=geometry.windows.reach[0],
        idle=randomly(1, 0.3),
        backpressure=randomly(2, 0.3),
    )


@pytest.mark.parametrize("lanes", [1, 2, 3, 6])
def test_lanes(lanes: int) -> None:
    geometry = plain((4, 4, 6), (3, 3), (1, 1))
    read(geometry, pieces(geometry, 9), lanes=lanes)


@pytest.mark.parametrize("reset_after", [9, 41])
def test_reset_in_mid_frame(reset_after: int) -> None:
    for geometry in geometries((6, 7, 1), ((3, 3), (1, 1)), ((5, 4), (0, 3))):
        read(geometry, pieces(geometry, 4), reset_after=reset_after, hold=2)


def test_chunks_in_any_order() -> None:
    geometry = plain((4, 4, 2), (2, 2), (1, 0))
    read(geometry, [(7, None, 0), (3, 3, 5), (None, None, None), (1, 2, 4)], lanes=2)


@pytest.mark.parametrize(("hold", "width"), [(1, 8), (3, 8), (1, 1)])
def test_a_chunk_a_cycle_frame_after_frame(hold: int, width: int) -> None:
    """Also with rows of one pixel, which are free only when their window was read."""
    geometry = plain((6, width, 1), (3, 1))
    chunks = pieces(geometry, 1)
    result = read(geometry, chunks, frames=3, hold=hold)
    frame = geometry.bands * width * len(chunks)
    ends = result.produced[frame - 1 :: frame]
    assert np.diff(ends).tolist() == [frame * hold] * 2


def test_latency() -> None:
    """The first window has its last pixel in row 2, column 2."""
    geometry = plain((5, 6, 1), (3, 3))
    result = read(geometry, pieces(geometry, 3))
    assert result.produced[0] - result.taken[2 * 6 + 2] == 8


@pytest.mark.parametrize("number", range(9))
@pytest.mark.parametrize(
    "geometry",
    [
        plain((4, 5, 2), (3, 3), (1, 1)),
        plain((4, 5, 2), (3, 3)),
        strided((6, 6, 2), (3, 2), (2, 3), padding=(1, 0, 0, 1)),
    ],
    ids=str,
)
def test_the_rows_needed_cause_no_stall_and_one_less_does(
    number: int, geometry: WindowGeometry
) -> None:
    chunks = pieces(geometry, 6)
    frames = 4
    pixels = geometry.source.size * frames
    sent = geometry.bands * geometry.columns * len(chunks) * frames
    pace = random_paces(number, pixels, sent)[number]

    def passing(rows: int) -> tuple[list[int], int]:
        unit = WindowMemory(geometry, chunks, input_lanes=1, value_shape=VALUE, buffer_rows=rows)
        i, o = StreamCycles(), StreamCycles()
        offering(i, list(pace.offers), NEVER)
        unit.cycles(i, o)
        taking(o, pace.takes)
        run_until_taken(o, sent)
        taken = i.taken[:pixels]
        i.taken, o.taken = taken, o.taken[:sent]
        return taken.tolist(), unit.rows_needed(i, o)

    freely, needed = passing(12)
    assert passing(needed) == (freely, needed)
    if needed > 3:
        stalled, _ = passing(needed - 1)
        assert stalled != freely


def test_refusals() -> None:
    geometry = plain((4, 4, 2), (3, 3))
    with pytest.raises(ValueError, match="at least two chunks"):
        WindowMemory(geometry, [(1,)], input_lanes=1, value_shape=VALUE)
    with pytest.raises(ValueError, match="from 0 to 17, not 18"):
        WindowMemory(geometry, [(1,), (18,)], input_lanes=1, value_shape=VALUE)
    with pytest.raises(ValueError, match="divide the 2 channels, not 3"):
        WindowMemory(geometry, [(1,), (2,)], input_lanes=3, value_shape=VALUE)
    with pytest.raises(ValueError, match="at least the 3 rows of a window, not 2"):
        WindowMemory(geometry, [(1,), (2,)], input_lanes=1, value_shape=VALUE, buffer_rows=2)
