"""Pictures of maps, decoded by their library."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from systolith.golden.fixed.arithmetic import QFormat
from systolith.scripts.pages.map_pictures import grey, maps


def decoded(address: str) -> NDArray[np.uint8]:
    kind, content = address.split(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def test_ink_is_dark() -> None:
    image = np.array([[[0], [255], [10]]], np.uint8)
    assert decoded(grey(image)).tolist() == [[255, 0, 245]]


def test_of_several_channels_the_first_is_shown() -> None:
    image = np.array([[[0, 9, 200], [255, 7, 1]]], np.uint8)
    assert decoded(grey(image)).tolist() == [[255, 0]]


@pytest.mark.parametrize(
    ("fmt", "raw", "shades"),
    [
        # The least value is white, the greatest black, and those between are spread evenly.
        (QFormat(3, 1), [-4, -1, 0, 3], [255, 146, 110, 0]),
        (QFormat(12, 4, signed=False), [0, 2048, 4095], [255, 128, 0]),
        (QFormat(16, 13), [-(2**15), -1, 2**15 - 1], [255, 128, 0]),
    ],
)
def test_values_of_any_format_have_the_shades_of_its_range(
    fmt: QFormat, raw: list[int], shades: list[int]
) -> None:
    image = np.array(raw, fmt.raw_type).reshape(1, -1, 1)
    assert decoded(grey(image, fmt)).tolist() == [shades]


def test_colours_tell_signs() -> None:
    values = np.array([[[-2.0], [0.0], [1.0], [9.0]]])
    low, zero, middle, high = decoded(maps(values, 2.0))[0].tolist()
    assert zero == [247, 247, 247]
    assert low[2] > low[0] and high[0] > high[2]
    assert high[0] < middle[0] < zero[0]


def test_the_ends_and_the_middle_are_those_of_colorbrewer_s_red_and_blue() -> None:
    blue, white, red = [0x21, 0x66, 0xAC], [0xF7, 0xF7, 0xF7], [0xB2, 0x18, 0x2B]
    picture = decoded(maps(np.array([[[-9.0], [-4.0], [0.0], [4.0], [9.0], [2.0]]]), 4.0))
    assert picture[0].tolist()[:5] == [blue, blue, white, red, red]
    half = [(a + b) // 2 for a, b in zip(white, red, strict=True)]
    assert np.abs(picture[0, 5] - np.array(half)).max() <= 1


def test_each_channel_has_its_own_place_row_by_row() -> None:
    """Five maps of 2 x 3: sqrt(2 * 5 * 2 / 3) = 2.6 across, so three and then two."""
    values = np.zeros((2, 3, 5))
    for channel in range(5):
        values[:, :, channel] = 0.2 * (channel + 1)
    values[1, 2, :] = -1
    picture = decoded(maps(values, 1.0)).astype(int)
    assert picture.shape == (2 * 2 + 1, 3 * 3 + 2, 3)
    for channel in range(5):
        top, left = channel // 3 * 3, channel % 3 * 4
        tile = picture[top : top + 2, left : left + 3]
        assert tile[1, 2].tolist() == [33, 102, 172]
        green = 247 + (24 - 247) * 0.2 * (channel + 1)
        assert np.abs(tile.reshape(-1, 3)[:5, 1] - green).max() <= 1
    grey = [(2, 0), (2, 10), (0, 3), (1, 7), (4, 3), (3, 8), (4, 10)]
    assert len({tuple(picture[place]) for place in grey}) == 1
    assert len(set(picture[2, 0])) == 1


def test_channels_stand_side_by_side() -> None:
    picture = decoded(maps(np.ones((4, 4, 3)), 1.0))
    # Three maps and two gaps across.
    assert picture.shape == (4, 3 * 4 + 2, 3)
    assert (picture[:, 4] == picture[0, 4]).all() and (picture[:, 4] != picture[:, 3]).any()
    assert decoded(maps(np.ones((1, 1, 120)), 1.0)).shape == (8, 16, 3)
    # Only maps of a single value have no gaps: sqrt(2 * 6 * 1 / 2) = 2.4 across, in two rows.
    assert decoded(maps(np.ones((1, 2, 6)), 1.0)).shape == (2 + 1, 3 * 2 + 2, 3)


def test_maps_of_zeros_are_white() -> None:
    assert (decoded(maps(np.zeros((2, 2, 1)), 0.0)) == 247).all()
