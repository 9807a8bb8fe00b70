"""The numbers of the window feeder, against windows over arrays of row and column numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from systolith.golden.network.graph import Shape
from systolith.hw.systolic.window_geometry import WindowGeometry


def rows_covered(geometry: WindowGeometry, band: int) -> set[int]:
    """The rows of the map that a band's windows cover."""
    pad = geometry.padding[0]
    rows = np.pad(np.arange(geometry.source.height), pad, constant_values=-1)
    return set(rows[band : band + geometry.kernel[0]].tolist()) - {-1}


CASES = [
    WindowGeometry(Shape(height, 4, 1), (kernel, 1), (pad, 0))
    for height, kernel in itertools.product(range(1, 8), range(1, 6))
    for pad in range(kernel)
    if height + 2 * pad >= kernel
]


@pytest.mark.parametrize("geometry", CASES, ids=str)
def test_rows(geometry: WindowGeometry) -> None:
    seen = [rows_covered(geometry, band) for band in range(geometry.bands)]
    for band, rows in enumerate(seen):
        later: set[int] = set().union(*seen[band + 1 :])
        first = min(rows)
        assert geometry.first_row(band) == first
        assert geometry.rows_needed(band) == len(rows)
        if band == geometry.bands - 1:
            assert geometry.rows_released(band) == geometry.source.height - first
        else:
            assert geometry.rows_released(band) == len(rows - later)


def test_columns() -> None:
    assert WindowGeometry(Shape(28, 28, 1), (5, 5), (2, 2)).columns == 28
    assert WindowGeometry(Shape(28, 28, 1), (5, 5), (2, 2)).dummy_shifts == 0
    assert WindowGeometry(Shape(28, 28, 1), (5, 5), (2, 2)).overlap_columns == 2
    # Padding of 2 + 2 columns; a window of 3 columns overlaps 2 of these.
    assert WindowGeometry(Shape(9, 9, 1), (3, 3), (2, 2)).dummy_shifts == 2
    # A map of one column has none that could stand in for padding.
    assert WindowGeometry(Shape(9, 1, 1), (3, 3), (1, 1)).dummy_shifts == 1


@pytest.mark.parametrize(
    ("source", "kernel", "padding", "message"),
    [
        ((4, 4, 0), (3, 3), (0, 0), "4 x 4 x 0"),
        ((4, 4, 1), (0, 3), (0, 0), r"\(0, 3\)"),
        ((4, 4, 1), (3, 3), (3, 0), "vertical padding must be from 0 to 2, not 3"),
        ((4, 4, 1), (3, 3), (0, -1), "horizontal padding must be from 0 to 2, not -1"),
        ((4, 4, 1), (5, 3), (0, 0), "does not fit"),
    ],
)
def test_refusals(
    source: tuple[int, int, int],
    kernel: tuple[int, int],
    padding: tuple[int, int],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        WindowGeometry(Shape(*source), kernel, padding)
