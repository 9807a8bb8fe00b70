from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from systolith.sim.record.scoreboard import LayerResult, LayerScoreboard, Mismatch

EXPECTED = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)


def test_equal_frames_have_no_mismatch() -> None:
    board = LayerScoreboard("C1")
    board.compare(0, EXPECTED, EXPECTED.astype(np.uint8))
    assert board.result == LayerResult("C1", 120, 0, None)
    assert str(board.result) == "C1: 120 values, all equal"


def test_an_altered_value_is_found_where_it_is() -> None:
    board = LayerScoreboard("C1")
    found = EXPECTED.copy()
    found[1, 2, 0, 3] = -7
    found[1, 2, 1, 0] += 1
    board.compare(10, EXPECTED, found)
    first = Mismatch(11, 2, 0, 3, expected=103, found=-7)
    assert board.result == LayerResult("C1", 120, 2, first)
    assert str(board.result) == (
        "C1: 2 of 120 values differ, the first in image 11, row 2, column 0, channel 3: "
        "expected 103, found -7"
    )


def test_the_first_image_counts_in_whatever_order_they_come() -> None:
    board = LayerScoreboard("C1")
    for first_image in (4, 0, 8):
        found = EXPECTED.copy()
        found[1, 0, 0, 0] = 0
        board.compare(first_image, EXPECTED, found)
    assert (board.result.values, board.result.mismatches) == (360, 3)
    assert board.result.first_mismatch is not None and board.result.first_mismatch.image == 1


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (EXPECTED, EXPECTED[:1]),
        # As many values, and all of them equal.
        (EXPECTED, EXPECTED.reshape(2, 4, 3, 5)),
        (EXPECTED[0], EXPECTED[0]),
    ],
)
def test_frames_of_another_shape_are_refused(
    expected: NDArray[np.int64], found: NDArray[np.int64]
) -> None:
    with pytest.raises(ValueError, match="C1: frames of shape"):
        LayerScoreboard("C1").compare(0, expected, found)
