"""Engines: chosen by a bound taken from the weights, and never wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from systolith.golden.fixed.accumulator import accumulator_range
from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.fixed.execution import FixedModel
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.fixed.kernels import fastest_engine, kernel_of
from systolith.golden.network.graph import RadialBasis, Shape
from tests.golden.fixed_networks import convolution, only


def test_the_engine_follows_from_the_weights() -> None:
    for largest, engine in ((1 << 14, "float32"), (1 << 15, "float64"), (1 << 45, "int64")):
        weights = np.full((2, 2, 1, 1), largest)
        assert kernel_of(convolution(weights, None)).engine == engine
    assert fastest_engine(2**24 - 1) == "float32"
    assert fastest_engine(2**24) == "float64"
    assert fastest_engine(2**53 - 1) == "float64"
    assert fastest_engine(2**53) == "int64"
    with pytest.raises(OverflowError, match="64 bits"):
        fastest_engine(2**63)


def test_an_engine_that_is_too_narrow_is_refused() -> None:
    fixed = only(convolution(np.full((2, 2, 1, 1), 1 << 15), None))
    with pytest.raises(OverflowError, match="layer 'C': sums of up to 25 bits do not fit float32"):
        FixedModel(fixed, "float32")


def test_a_bound_that_float32_misses_by_one_would_be_wrong() -> None:
    """2**24 + 1 is the first integer that float32 lacks: the bound is no guess."""
    weights = np.array([65793, 0, 0, 1]).reshape(2, 2, 1, 1)  # 255 * 65793 = 2**24 - 1
    image = np.full((1, 4, 4, 1), 255, np.uint8)
    image[0, 1::2, 1::2] = 2
    scores = FixedModel(only(convolution(weights, None))).scores(image)
    assert int(scores[0, 0]) == 2**24 + 1


@pytest.mark.parametrize(
    ("weights", "bound"),
    [
        ([3, 2, -1, 0], 255 * 5),
        ([-3, -2, 1, 0], 255 * 5),
        ([-3, -2, -1, -1], 255 * 7),
        # Inputs are values of the kernel's type themselves.
        ([0, 0, 0, 0], 255),
    ],
)
def test_the_bound_is_that_of_the_farthest_sum_on_either_side(
    weights: list[int], bound: int
) -> None:
    layer = convolution(np.array(weights).reshape(2, 2, 1, 1), None)
    assert kernel_of(layer).bound == bound
    # Of inputs from -128 to 127 the lower end is farther from zero.
    signed = replace(layer, input_format=QFormat(8, 0))
    signed = replace(signed, accumulator_range=accumulator_range(signed))
    positive, negative = (sum(max(s * w, 0) for w in weights) for s in (1, -1))
    farthest = max(127 * positive + 128 * negative, 128 * positive + 127 * negative, 128)
    assert kernel_of(signed).bound == farthest


def test_the_bound_of_distances_is_that_of_the_farthest_input() -> None:
    """Of an unsigned input of 4 bits, shifted by one: up to 30 on either side of each centre."""
    layer = FixedLayer(
        layer=RadialBasis(name="R", inputs=("input",), units=2),
        input_shape=Shape(1, 1, 3),
        output_shape=Shape(1, 1, 2),
        input_format=QFormat(4, 0, signed=False),
        output_format=QFormat(32, 0),
        weights=np.array([[1, -5], [2, 0], [-3, 7]]),
        bias=np.zeros(2, np.int64),
        requantization=None,
        input_shift=1,
    )
    layer = replace(layer, accumulator_range=accumulator_range(layer))
    farthest = max(
        sum((30 + abs(centre)) ** 2 for centre in centres) for centres in ((1, 2, -3), (-5, 0, 7))
    )
    assert kernel_of(layer).bound == farthest


def test_an_unknown_engine_is_refused() -> None:
    half: Any = "float16"
    with pytest.raises(ValueError, match="engine 'float16': allowed are float32, float64, int64"):
        kernel_of(convolution(np.ones((1, 1, 1, 1), np.int64), None), half)
