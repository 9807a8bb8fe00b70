"""Windows against a walk over every place of a padded map."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from systolith.golden.network.windows import NO_PADDING, Padding, Windows


def positions(size: int, kernel: int, stride: int, dilation: int) -> list[list[int]]:
    """The places of the elements of each window along an axis, until one does not fit."""
    windows = []
    for start in range(0, size, stride):
        places = [start + element * dilation for element in range(kernel)]
        if places[-1] >= size:
            break
        windows.append(places)
    return windows


@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (3, 1)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (3, 4)])
@pytest.mark.parametrize("dilation", [(1, 1), (1, 2), (3, 2)])
@pytest.mark.parametrize("padding", [NO_PADDING, Padding(1, 0, 2, 3)])
def test_windows_stand_where_a_walk_finds_them(
    kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], padding: Padding
) -> None:
    windows = Windows(kernel, stride, dilation, padding)
    for height, width in ((7, 5), (4, 9)):
        padded = np.arange(
            (height + padding.above + padding.below) * (width + padding.left + padding.right)
        ).reshape(height + padding.above + padding.below, -1)
        assert padding.size(height, width) == padded.shape
        rows, columns = (
            positions(*axis) for axis in zip(padded.shape, kernel, stride, dilation, strict=True)
        )
        count = windows.count(height, width)
        if rows and columns:
            assert count == (len(rows), len(columns))
        else:
            assert min(count) < 1
            continue
        for i, j in product(range(kernel[0]), range(kernel[1])):
            expected = [[padded[row[i], column[j]] for column in columns] for row in rows]
            assert padded[windows.places(i, j, count)].tolist() == expected


def test_the_reach_of_a_window() -> None:
    assert Windows((3, 2)).reach == (3, 2)
    assert Windows((3, 2), stride=(5, 5), dilation=(2, 4)).reach == (5, 5)
    assert Windows((1, 1), dilation=(7, 7)).reach == (1, 1)


def test_a_border_comes_on_top_of_padding() -> None:
    assert Padding(1, 0, 2, 3).widened(4) == Padding(5, 4, 6, 7)
    assert (Padding(1, 0, 2, 3).size(10, 20), str(Padding(1, 0, 2, 3))) == ((13, 23), "1 0 2 3")
