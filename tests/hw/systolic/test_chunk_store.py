# amaranth: UnusedElaboratable=no
from itertools import pairwise
from typing import Any

import pytest

from systolith.hw.systolic.chunk_store import ChunkStore
from tests.hw.adapters import ChunksAsBeats
from tests.hw.stream_driver import Run, cyclic, never, randomly, run

BITS = 9
SIZES = [(1, 2), (2, 2), (3, 2), (3, 5), (4, 3), (5, 4)]


def simulate(chunks: int, passes: int, frames: int = 5, **how: Any) -> Run:
    """Chunks that are numbered from 1, through a store."""
    words = list(range(1, 1 + frames * chunks))
    store = ChunkStore(BITS, chunks=chunks, passes=passes)
    result = run(
        ChunksAsBeats(store), [(word, 0) for word in words], len(words) * passes, **how
    )  # fmt: skip
    expected = []
    for frame in range(frames):
        expected += words[frame * chunks : (frame + 1) * chunks] * passes
    assert [word for word, _ in result.beats] == expected
    return result


@pytest.mark.parametrize("idle", [never, cyclic(3), randomly(1, 0.8)])
@pytest.mark.parametrize("backpressure", [never, cyclic(4), randomly(2, 0.7)])
@pytest.mark.parametrize(("chunks", "passes"), SIZES)
def test_stalls(chunks: int, passes: int, idle: Any, backpressure: Any) -> None:
    simulate(chunks, passes, idle=idle, backpressure=backpressure)


@pytest.mark.parametrize(("chunks", "passes"), SIZES)
def test_a_chunk_a_cycle(chunks: int, passes: int) -> None:
    result = simulate(chunks, passes)
    assert {b - a for a, b in pairwise(result.given)} == {1}
    # Two frames are taken at once; a later one follows the last pass of the frame before the last,
    # a cycle behind each read, which is when the chunk that was read is given.
    assert result.taken[: 2 * chunks] == list(range(2 * chunks))
    for frame in range(2, 5):
        read_last = (frame - 2) * chunks * passes + chunks * (passes - 1)
        for number in range(frame * chunks, (frame + 1) * chunks):
            given = result.given[read_last + number % chunks]
            assert result.taken[number] == max(result.taken[number - 1] + 1, given)


def test_the_first_pass_follows_the_writer() -> None:
    result = simulate(4, 2, frames=1, idle=cyclic(5))
    assert result.given[:4] == [taken + 2 for taken in result.taken]
    assert result.given[4:] == [result.given[3] + later for later in (1, 2, 3, 4)]


def test_two_frames_fit() -> None:
    """As long as nothing is read for the last time, two frames are taken and no chunk more."""
    result = simulate(4, 3, backpressure=lambda cycle: cycle < 60)
    assert sum(cycle < 60 for cycle in result.taken) == 8


def test_the_next_frame_is_there_when_one_is_done() -> None:
    # A chunk every 3 cycles is as many as 3 passes need.
    result = simulate(4, 3, frames=8, idle=cyclic(3))
    assert {b - a for a, b in pairwise(result.taken)} == {3}
    assert {b - a for a, b in pairwise(result.given[11:])} == {1}


@pytest.mark.parametrize("reset_after", [1, 3, 7, 11])
@pytest.mark.parametrize(("chunks", "passes"), [(3, 2), (4, 3)])
def test_reset_in_mid_frame(chunks: int, passes: int, reset_after: int) -> None:
    simulate(chunks, passes, reset_after=reset_after)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="chunks must be at least 1, not 0"):
        ChunkStore(BITS, chunks=0, passes=2)
    with pytest.raises(ValueError, match="passes must be at least 2, not 1"):
        ChunkStore(BITS, chunks=3, passes=1)
