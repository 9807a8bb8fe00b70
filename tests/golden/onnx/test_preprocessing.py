from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from systolith.golden.onnx.preprocessing import Preprocessing
from systolith.golden.qformat import PIXELS, QFormat


def test_the_formula_is_torchvision_s() -> None:
    images = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
    mean, std = (0.5, 0.4, 0.3), (0.1, 0.2, 0.4)
    expected = (images / 255 - np.array(mean)) / np.array(std)
    assert np.allclose(Preprocessing((1 / 255,), mean, std).apply(images), expected)


def test_without_numbers_pixels_are_raw() -> None:
    assert Preprocessing().is_raw
    assert not Preprocessing((0.5,)).is_raw
    images = np.arange(4, dtype=np.uint8).reshape(1, 2, 2, 1)
    assert (Preprocessing().apply(images) == images).all()


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        ({"scale": (0.0,)}, "scale must be above 0, not 0.0"),
        ({"std": (1.0, -1.0)}, "std must be above 0, not -1.0"),
        ({"mean": (float("nan"),)}, "mean must be finite numbers"),
        ({"mean": ()}, "mean must be finite numbers"),
    ],
)
def test_numbers_that_cannot_be(numbers: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Preprocessing(**numbers)


@pytest.mark.parametrize(
    "numbers",
    [
        {"scale": (1e308,)},
        {"scale": (1e-320,)},
        {"mean": (1e300,), "std": (1e-300,)},
        {"scale": (1.0, 2e36), "std": (1.0, 1.0)},
    ],
)
def test_what_float32_does_not_hold(numbers: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be within float32's range"):
        Preprocessing(**numbers).affine(2)


@pytest.mark.parametrize(("fmt", "word"), [(PIXELS, "pixel"), (QFormat(8, 5), "value")])
def test_pixels_are_called_so_and_other_raw_values_are_not(fmt: QFormat, word: str) -> None:
    with pytest.raises(ValueError, match=rf"\({word} \* scale - mean\) .*: a step of {word}s is "):
        Preprocessing(scale=(1e308,), format=fmt).affine(1)


def test_one_number_or_one_a_channel() -> None:
    with pytest.raises(ValueError, match="std must be 1 number or 3, one a channel, not 2"):
        Preprocessing(std=(1.0, 2.0)).affine(3)
