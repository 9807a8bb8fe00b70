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
    """Run chunks with the numbers from 1 through a store, and check its output."""
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
    assert {b - a for a, b in pairwise(result.produced)} == {1}
    # Two frames are taken at once. A later frame follows the last pass of the frame two before: a
    # chunk of it is taken a cycle after a read, when the chunk that was read is produced.
    assert result.taken[: 2 * chunks] == list(range(2 * chunks))
    for frame in range(2, 5):
        read_last = (frame - 2) * chunks * passes + chunks * (passes - 1)
        for number in range(frame * chunks, (frame + 1) * chunks):
            produced = result.produced[read_last + number % chunks]
            assert result.taken[number] == max(result.taken[number - 1] + 1, produced)


def test_the_first_pass_follows_the_writer() -> None:
    result = simulate(4, 2, frames=1, idle=cyclic(5))
    assert result.produced[:4] == [taken + 2 for taken in result.taken]
    assert result.produced[4:] == [result.produced[3] + later for later in (1, 2, 3, 4)]


def test_two_frames_fit() -> None:
    """Two frames are taken and no further chunk before the first read of the last pass."""
    result = simulate(4, 3, backpressure=lambda cycle: cycle < 60)
    assert sum(cycle < 60 for cycle in result.taken) == 8


def test_the_next_frame_is_stored_when_one_is_done() -> None:
    # With 3 passes, a chunk every 3 cycles keeps the output busy.
    result = simulate(4, 3, frames=8, idle=cyclic(3))
    assert {b - a for a, b in pairwise(result.taken)} == {3}
    assert {b - a for a, b in pairwise(result.produced[11:])} == {1}


@pytest.mark.parametrize("reset_after", [1, 3, 7, 11])
@pytest.mark.parametrize(("chunks", "passes"), [(3, 2), (4, 3)])
def test_reset_in_mid_frame(chunks: int, passes: int, reset_after: int) -> None:
    simulate(chunks, passes, reset_after=reset_after)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="chunks must be at least 1, not 0"):
        ChunkStore(BITS, chunks=0, passes=2)
    with pytest.raises(ValueError, match="passes must be at least 2, not 1"):
        ChunkStore(BITS, chunks=3, passes=1)
