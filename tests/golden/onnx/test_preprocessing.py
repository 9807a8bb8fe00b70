from __future__ import annotations

import re
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


LARGEST = float(np.finfo(np.float32).max)
SMALLEST = float(np.finfo(np.float32).tiny)
SIGNED = QFormat(8, 5)
"""From -4 to 3.96875, in steps of 1/32."""


@pytest.mark.parametrize(
    ("preprocessing", "is_held"),
    [
        (Preprocessing((LARGEST / 4.001,), format=SIGNED), True),
        # -4 is too large where 3.96875 is not.
        (Preprocessing((LARGEST / 3.99,), format=SIGNED), False),
        (Preprocessing((LARGEST / 255.1,)), True),
        (Preprocessing((LARGEST / 254.9,)), False),
        (Preprocessing((LARGEST / 510,), (-LARGEST / 1.9,)), False),
        (Preprocessing((LARGEST / 510,), (LARGEST / 2.1,)), True),
        (Preprocessing((SMALLEST * 1.01,)), True),
        (Preprocessing((SMALLEST * 0.99,)), False),
        (Preprocessing((1.0, SMALLEST * 0.99)), False),
        (Preprocessing((SMALLEST * 32.1,), format=SIGNED), True),
        (Preprocessing((SMALLEST * 31.9,), format=SIGNED), False),
    ],
)
def test_the_ends_of_what_float32_holds(preprocessing: Preprocessing, is_held: bool) -> None:
    if is_held:
        preprocessing.affine(2)
    else:
        with pytest.raises(ValueError, match="must be within float32's range"):
            preprocessing.affine(2)


def test_the_range_is_said_in_full() -> None:
    message = (
        "preprocessing: (value * scale - mean) / std must be within float32's range: a step of "
        "values is 1.25e+37, the largest input up to 1.8e+39"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Preprocessing((2e38,), (-1e38,), (0.5,), SIGNED).affine(1)


def test_raw_values_of_a_format_stand_for_fractions() -> None:
    images = np.array([-128, -1, 0, 32, 127], np.int8).reshape(1, 1, 5, 1)
    found = Preprocessing((3.0,), (0.5,), (2.0,), SIGNED).apply(images)
    expected = [(raw / 32 * 3 - 0.5) / 2 for raw in (-128, -1, 0, 32, 127)]
    assert found.ravel().tolist() == pytest.approx(expected)


def test_only_pixels_as_they_are_are_raw() -> None:
    others = ({"scale": (2.0,)}, {"mean": (1.0,)}, {"std": (2.0,)}, {"format": SIGNED})
    assert [Preprocessing(**each).is_raw for each in others] == [False] * 4


def test_channels_must_be_as_many_as_the_numbers() -> None:
    three = Preprocessing(mean=(1.0, 2.0, 3.0))
    assert [three.fits(channels) for channels in (1, 2, 3, 4)] == [False, False, True, False]
    both = Preprocessing(mean=(1.0, 2.0, 3.0), std=(1.0, 2.0))
    assert not any(both.fits(channels) for channels in (1, 2, 3))
    for channels in (2, 4):
        message = f"^preprocessing: mean must be 1 number or {channels}, one a channel, not 3$"
        with pytest.raises(ValueError, match=message):
            three.affine(channels)
    with pytest.raises(ValueError, match=r"^preprocessing: std must be above 0, not -2\.0$"):
        Preprocessing(std=(1.0, -2.0, -1.0))
    with pytest.raises(ValueError, match=r"^preprocessing: scale must be above 0, not -1\.0$"):
        Preprocessing(scale=(-1.0,))
    Preprocessing(mean=(-1.0,))
