"""Engines: chosen by a bound taken from the weights, and never wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from systolith.golden.fixed.execution import FixedModel
from systolith.golden.fixed.kernels import fastest_engine, kernel_of
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


def test_an_unknown_engine_is_refused() -> None:
    half: Any = "float16"
    with pytest.raises(ValueError, match="engine 'float16': allowed are float32, float64, int64"):
        kernel_of(convolution(np.ones((1, 1, 1, 1), np.int64), None), half)
