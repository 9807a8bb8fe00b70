"""Pictures of maps, decoded by their library."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from systolith.scripts.pages.map_pictures import grey, maps


def decoded(address: str) -> NDArray[np.uint8]:
    kind, content = address.split(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def test_ink_is_dark() -> None:
    image = np.array([[[0], [255], [10]]], np.uint8)
    assert decoded(grey(image)).tolist() == [[255, 0, 245]]


def test_colours_tell_signs() -> None:
    values = np.array([[[-2.0], [0.0], [1.0], [9.0]]])
    low, zero, middle, high = decoded(maps(values, 2.0))[0].tolist()
    assert zero == [247, 247, 247]
    assert low[2] > low[0] and high[0] > high[2]
    assert high[0] < middle[0] < zero[0]


def test_channels_stand_side_by_side() -> None:
    picture = decoded(maps(np.ones((4, 4, 3)), 1.0))
    # Three maps and two gaps across.
    assert picture.shape == (4, 3 * 4 + 2, 3)
    assert (picture[:, 4] == picture[0, 4]).all() and (picture[:, 4] != picture[:, 3]).any()
    assert decoded(maps(np.ones((1, 1, 120)), 1.0)).shape == (8, 16, 3)


def test_maps_of_zeros_are_white() -> None:
    assert (decoded(maps(np.zeros((2, 2, 1)), 0.0)) == 247).all()
