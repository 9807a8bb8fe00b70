# amaranth: UnusedElaboratable=no
from itertools import pairwise
from typing import Any

import pytest
from amaranth.hdl import signed, unsigned

from systolith.hw.systolic.chunker import Chunker
from tests.hw.adapters import ChunksAsBeats
from tests.hw.stream_driver import Run, beats, cyclic, never, randomly, run, unpack

SHAPE = unsigned(9)


def simulate(elements: int, rows: int, lanes: int, frames: int = 4, **how: Any) -> Run:
    """Run frames through a chunker and check its chunks; no value is 0, as padding is."""
    chunker = Chunker(SHAPE, elements=elements, rows=rows, input_lanes=lanes)
    values = [range(1 + f * elements, 1 + (f + 1) * elements) for f in range(frames)]
    chunks = -(-elements // rows)
    result = run(ChunksAsBeats(chunker), beats(values, SHAPE, lanes), frames * chunks, **how)
    got = [unpack(word, SHAPE, rows) for word, _ in result.beats]
    padding = [0] * (chunks * rows - elements)
    expected = [[*frame, *padding] for frame in values]
    frames_got = [got[i : i + chunks] for i in range(0, len(got), chunks)]
    assert [[v for chunk in frame for v in chunk] for frame in frames_got] == expected
    return result


SIZES = [
    (1, 1, 1),
    (6, 6, 1),
    (6, 6, 6),
    (6, 1, 6),
    (6, 1, 1),
    (7, 3, 1),  # a tail of one
    (12, 5, 4),  # beats straddle chunks
    (12, 5, 3),
    (12, 5, 6),  # beats larger than chunks
    (12, 7, 12),
    (12, 11, 2),
    (15, 4, 5),
    (15, 6, 5),
    (18, 4, 9),
    (20, 8, 2),
]


@pytest.mark.parametrize(("elements", "rows", "lanes"), SIZES)
def test_chunks(elements: int, rows: int, lanes: int) -> None:
    result = simulate(elements, rows, lanes)
    first_beats = -(-rows // lanes)
    assert result.produced[0] == result.taken[first_beats - 1] + 3


@pytest.mark.parametrize(("elements", "rows", "lanes"), SIZES)
def test_never_idle(elements: int, rows: int, lanes: int) -> None:
    frames = 12
    result = simulate(elements, rows, lanes, frames)
    if lanes >= rows:
        # A chunk a cycle.
        assert {b - a for a, b in pairwise(result.produced)} <= {1}
    else:
        # A beat a cycle, and a cycle more where the last one ends two chunks.
        two_at_once = (elements - 1) // rows * rows > elements - lanes
        cycles = frames * (elements // lanes + two_at_once)
        assert cycles - 3 <= 1 + result.taken[-1] - result.taken[0] <= cycles


@pytest.mark.parametrize(("rows", "lanes"), [(6, 2), (4, 4), (5, 1), (6, 3)])
def test_collects_while_a_chunk_is_held(rows: int, lanes: int) -> None:
    # Chunks are taken exactly as fast as they are collected: neither side stalls.
    hold = rows // lanes
    result = simulate(60, rows, lanes, backpressure=cyclic(hold, phase=1))
    assert {b - a for a, b in pairwise(result.produced)} == {hold}


@pytest.mark.parametrize("idle", [never, cyclic(3), randomly(1)])
@pytest.mark.parametrize("backpressure", [cyclic(4), randomly(2, 0.7)])
@pytest.mark.parametrize(("elements", "rows", "lanes"), [(12, 5, 4), (12, 5, 6), (7, 3, 1)])
def test_stalls(elements: int, rows: int, lanes: int, idle: Any, backpressure: Any) -> None:
    simulate(elements, rows, lanes, idle=idle, backpressure=backpressure)


@pytest.mark.parametrize("reset_after", [1, 2, 4])
@pytest.mark.parametrize(("elements", "rows", "lanes"), [(12, 5, 4), (12, 5, 6), (7, 3, 1)])
def test_reset_in_mid_frame(elements: int, rows: int, lanes: int, reset_after: int) -> None:
    simulate(elements, rows, lanes, reset_after=reset_after)


def test_signed_values_keep_their_bits() -> None:
    shape = signed(3)
    chunker = Chunker(shape, elements=4, rows=2, input_lanes=2)
    values = [[-4, 3, -1, 0]]
    result = run(ChunksAsBeats(chunker), beats(values, shape, 2), 2)
    assert [unpack(word, shape, 2) for word, _ in result.beats] == [[-4, 3], [-1, 0]]


def test_refusals() -> None:
    with pytest.raises(ValueError, match="input lanes must divide 10 values, not 3"):
        Chunker(SHAPE, elements=10, rows=2, input_lanes=3)
    with pytest.raises(ValueError, match="rows must be from 1 to 10, not 11"):
        Chunker(SHAPE, elements=10, rows=11, input_lanes=2)
