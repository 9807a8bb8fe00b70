"""The numbers of the window feeder, against windows over arrays of row and column numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from systolith.golden.network.graph import Shape
from systolith.golden.network.windows import Padding, Windows
from systolith.hw.systolic.window_geometry import WindowGeometry
from tests.hw.systolic.test_window import any_geometry, plain, strided


def places(geometry: WindowGeometry, axis: int) -> NDArray[np.int64]:
    """For each window along an axis, the rows or columns of its elements; -1 is padding."""
    windows, size = geometry.windows, geometry.source[axis]
    numbers = np.pad(
        np.arange(size), (windows.padding[axis], windows.padding[axis + 2]), constant_values=-1
    )
    reach, stride, dilation = windows.reach[axis], windows.stride[axis], windows.dilation[axis]
    starts = range(0, len(numbers) - reach + 1, stride)
    return np.array([numbers[start : start + reach : dilation] for start in starts])


def covered(geometry: WindowGeometry, axis: int) -> list[range]:
    """For each window along an axis, the rows or columns of the map from its first to its last."""
    windows = geometry.windows
    above = windows.padding[axis]
    starts = range(0, len(places(geometry, axis)) * windows.stride[axis], windows.stride[axis])
    return [
        range(
            max(start - above, 0),
            min(start - above + windows.reach[axis], geometry.source[axis]),
        )
        for start in starts
    ]


SMALL = [
    plain((height, 4, 1), (kernel, 1), (pad, 0))
    for height, kernel in itertools.product(range(1, 8), range(1, 6))
    for pad in range(kernel)
    if height + 2 * pad >= kernel
]


@pytest.mark.parametrize("geometry", SMALL, ids=str)
def test_rows(geometry: WindowGeometry) -> None:
    check_bands(geometry)


@settings(max_examples=300, deadline=None)
@given(geometry=any_geometry())
def test_rows_and_columns_of_any_windows(geometry: WindowGeometry) -> None:
    check_bands(geometry)
    check_columns(geometry)
    for axis, kernel in enumerate(geometry.windows.kernel):
        of_window = places(geometry, axis)
        assert len(of_window) == geometry.count[axis]
        for element in range(kernel):
            inside = set(geometry.windows_inside(axis, element))
            assert inside == set(np.flatnonzero(of_window[:, element] >= 0).tolist())


def check_bands(geometry: WindowGeometry) -> None:
    """Hold what is said of each band against the rows that it covers."""
    bands = covered(geometry, 0)
    tops = np.arange(geometry.bands) * geometry.windows.stride[0]
    assert geometry.bands == len(bands)
    taken = 0
    for band, (rows, of_elements) in enumerate(
        zip(bands, places(geometry, 0).tolist(), strict=True)
    ):
        later = [row for after in bands[band + 1 :] for row in after]
        assert geometry.first_row(band) == rows[0]
        assert geometry.rows_needed(band) == len(rows)
        assert set(of_elements) - {-1} <= set(rows)
        taken += geometry.rows_released(band)
        assert taken == min(later, default=geometry.source.height)
        last_is_open = geometry.columns_used < geometry.source.width
        assert rows[-1] + 1 - last_is_open + geometry.rows_skipped >= taken
    assert taken == geometry.source.height
    assert set(np.diff(tops).tolist()) <= {geometry.band_step}
    assert geometry.frame_step == geometry.source.height - tops[-1]


def check_columns(geometry: WindowGeometry) -> None:
    """Follow the shifts of two bands: the next band's first window comes after the row change."""
    left, width = geometry.windows.padding.left, geometry.source.width
    ends = [
        number * geometry.windows.stride[1] + geometry.windows.reach[1] - left
        for number in range(geometry.columns)
    ]
    assert [geometry.columns_to(number) for number in range(geometry.columns)] == ends
    assert geometry.columns_used == max(range_.stop for range_ in covered(geometry, 1))
    # Columns of the next band may take the place of padding on the right, the last ones of it.
    assert geometry.columns_used + geometry.dummy_shifts + geometry.overlap_columns == ends[-1]
    assert geometry.row_change == ends[0] - geometry.overlap_columns >= 1
    assert 0 <= geometry.overlap_columns < width


def test_columns() -> None:
    assert plain((28, 28, 1), (5, 5), (2, 2)).columns == 28
    assert plain((28, 28, 1), (5, 5), (2, 2)).dummy_shifts == 0
    assert plain((28, 28, 1), (5, 5), (2, 2)).overlap_columns == 2
    # Padding of 2 + 2 columns; a window of 3 columns overlaps 2 of these.
    assert plain((9, 9, 1), (3, 3), (2, 2)).dummy_shifts == 2
    # A map of one column has none that could stand in for padding.
    assert plain((9, 1, 1), (3, 3), (1, 1)).dummy_shifts == 1
    # Every second window: the last column is not used, nor is the padding to its right.
    assert strided((9, 8, 1), (3, 3), (1, 2), padding=(0, 0, 0, 0)).columns_used == 7
    assert strided((9, 8, 1), (3, 3), (1, 2), padding=(0, 1, 0, 1)).right_padding == 0


@pytest.mark.parametrize(
    ("source", "windows", "message"),
    [
        ((4, 4, 0), Windows((3, 3)), "4 x 4 x 0"),
        ((4, 4, 1), Windows((0, 3)), r"\(0, 3\)"),
        ((4, 4, 1), Windows((3, 3), (0, 1)), r"stride \(0, 1\)"),
        ((4, 4, 1), Windows((3, 3), (1, 1), (1, 0)), r"dilation \(1, 0\)"),
        (
            (4, 4, 1),
            Windows((3, 3), padding=Padding(below=3)),
            "vertical padding must be from 0 to 2, not 3",
        ),
        (
            (4, 4, 1),
            Windows((3, 3), padding=Padding(left=-1)),
            "horizontal padding must be from 0 to 2, not -1",
        ),
        ((4, 4, 1), Windows((5, 3)), "5 x 3 does not fit a map of 4 x 4 x 1"),
        ((4, 4, 1), Windows((3, 3), dilation=(1, 2)), "dilation 1 x 2 does not fit"),
    ],
)
def test_refusals(source: tuple[int, int, int], windows: Windows, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WindowGeometry(Shape(*source), windows)
