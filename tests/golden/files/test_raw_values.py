"""Values of `.npz` files as the raw values of a format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from systolith.golden.errors import FileFormatError
from systolith.golden.files.datasets import Dataset, load_dataset
from systolith.golden.network.graph import Input
from systolith.golden.qformat import QFormat
from tests.golden.files.test_csv_features import PIXELS, RAW, ROWS, SENSOR

NARROW = Input(name="input", height=1, width=2, channels=2, format=QFormat(12, 4, signed=False))


def load(folder: Path, values: np.ndarray[Any, Any], taker: Input) -> Dataset:
    np.savez(folder / "few.npz", images=values)
    return load_dataset(folder / "few.npz", taker)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_are_real_numbers_and_integers_are_raw(dtype: type, tmp_path: Path) -> None:
    real = load(tmp_path, np.array(ROWS, dtype), SENSOR)
    raw = load(tmp_path, np.array(RAW).reshape(2, 1, 2, 2), SENSOR)
    for found in (real, raw):
        assert (found.images.dtype.name, found.images.shape) == ("int8", (2, 1, 2, 2))
        assert found.images.reshape(2, -1).tolist() == RAW
        assert found.saturated == 0


def test_what_saturates_is_counted(tmp_path: Path) -> None:
    found = load(tmp_path, np.array([[0, 255.96, 255.97, -0.1]]), NARROW)
    assert found.images.ravel().tolist() == [0, 4095, 4095, 0]
    assert (found.images.dtype.name, found.saturated) == ("uint16", 2)


@pytest.mark.parametrize(
    ("values", "taker", "message"),
    [
        (
            [[0, 1, 2, 128]],
            SENSOR,
            r"takes s8.5: image 0 has the raw value 128 at \[0, 1, 1\], ",
        ),
        ([[0, 1, 2, 3], [0, -129, 2, 3]], SENSOR, r"image 1 has the raw value -129 at \[0, 0, 1\]"),
        ([[0, 1, 2, 4096]], NARROW, r"takes u12.4: image 0 has the raw value 4096 .* 0 to 4095"),
        ([[0, 1, 2, 256]], PIXELS, r"takes u8.0: image 0 has the raw value 256"),
        ([[0, 1, float("nan"), 3]], SENSOR, r"image 0 has nan at \[0, 1, 0\]"),
        ([[0, 1, float("-inf"), 3]], SENSOR, r"image 0 has -inf at \[0, 1, 0\]"),
        ([[0, 1, 2.0, 3]], PIXELS, "must be integers, as the network takes pixels .* not float64"),
        (
            [[0, 1, 2, 3], [0, 1, 2, 3], [0, float("inf"), 2, 3]],
            SENSOR,
            r"image 2 has inf at \[0, 0, 1\]",
        ),
        (
            np.zeros((2, 2, 1, 2), np.uint8),
            SENSOR,
            "images are 2 x 1 x 2, the network takes 1 x 2 x 2$",
        ),
        (
            np.zeros((2, 1, 2), np.uint8),
            SENSOR,
            "images are 1 x 2 x 1, the network takes 1 x 2 x 2$",
        ),
        ([[0, 1, 2]], SENSOR, r"images have 3 values each, the network takes 4 \(1 x 2 x 2\)"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(
    values: list[list[float]] | np.ndarray[Any, Any], taker: Input, message: str, tmp_path: Path
) -> None:
    with pytest.raises(FileFormatError, match=message):
        load(tmp_path, np.array(values), taker)


def test_types_of_raw_values_have_hashes_of_their_own(tmp_path: Path) -> None:
    zeros = np.zeros((1, 4), int)
    found = {load(tmp_path, zeros, taker).sha256 for taker in (PIXELS, SENSOR, NARROW)}
    assert len(found) == 3


def test_what_saturates_is_counted_for_each_image_and_at_both_ends(tmp_path: Path) -> None:
    """The format has -4 to 3.96875: values within half a step of an end are rounded to it."""
    values = [[-4.0, -4.015, -4.02, -9.0], [3.96875, 3.98, 3.99, 0.0], [0.0, 0.5, 1.0, 2.0]]
    found = load(tmp_path, np.array(values), SENSOR)
    assert found.saturated_values is not None
    assert found.saturated_values.tolist() == [2, 1, 0]


def test_half_floats_are_real_numbers_too(tmp_path: Path) -> None:
    found = load(tmp_path, np.array([[0.5, -1, 2, 3.5]], np.float16), SENSOR)
    assert found.images.ravel().tolist() == [16, -32, 64, 112]


def test_an_image_without_an_axis_of_channels_has_one_channel(tmp_path: Path) -> None:
    single = Input(name="input", height=2, width=3)
    values = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    found = load(tmp_path, values, single)
    assert found.images.shape == (2, 2, 3, 1)
    assert np.array_equal(found.images[..., 0], values)


def test_rows_are_images_row_by_row_with_channels_ascending(tmp_path: Path) -> None:
    taker = Input(name="input", height=2, width=3, channels=4)
    rows = np.arange(48, dtype=np.uint8).reshape(2, 24)
    found = load(tmp_path, rows, taker)
    assert found.images.shape == (2, 2, 3, 4)
    assert found.images[1, 1, 2].tolist() == [44, 45, 46, 47]
    assert found.saturated_values is not None and found.saturated_values.tolist() == [0, 0]
    message = r"images have 10 values each, the network takes 24 \(2 x 3 x 4\)$"
    with pytest.raises(FileFormatError, match=message):
        load(tmp_path, rows[:, :10], taker)
