"""Exact ranges of accumulators, from a layer's integers and its input format."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from systolith.golden.fixed.arithmetic import Integers
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.graph import MaxPooling, Pooling, RadialBasis, Subsampling


def accumulator_range(layer: FixedLayer) -> tuple[int, int]:
    """The least and the greatest value that any input can bring about, in any order of summation.

    Every input value may be anything that the input format holds. Bias and rounding constant are
    included, before or after the rest of the sum. The sum of a sub-sampling window, before the
    coefficient, is not an accumulator of its own.

    Returns
    -------
    tuple
        Exact integers, of any size.
    """
    low, high = _sum_range(layer)
    bias = _bias(layer)
    rounding = _rounding(layer)
    lows = low + np.minimum(bias, 0)
    highs = high + np.maximum(bias, 0) + rounding
    return int(lows.min()), int(highs.max())


def _sum_range(layer: FixedLayer) -> tuple[NDArray[Any], NDArray[Any]]:
    """The ends of each channel's partial sums, without bias: Python integers, `(channels,)`."""
    source = layer.input_format
    # Both ends are on either side of zero, so a part of a sum never leaves the range of the whole.
    smallest, largest = source.min_raw, source.max_raw
    if isinstance(layer.layer, RadialBasis):
        centres = _exact(layer.weights).reshape(-1, layer.output_shape.channels)
        ends = [((end << layer.input_shift) - centres) ** 2 for end in (smallest, largest)]
        farthest = np.maximum(*ends).sum(axis=0)
        return farthest * 0, farthest
    if isinstance(layer.layer, MaxPooling):
        return _one(smallest), _one(largest)
    if isinstance(layer.layer, Pooling):
        size = layer.layer.window[0] * layer.layer.window[1]
        smallest, largest = size * smallest, size * largest
    if isinstance(layer.layer, Pooling) and not isinstance(layer.layer, Subsampling):
        return _one(smallest), _one(largest)
    weights = _exact(layer.weights).reshape(-1, layer.output_shape.channels)
    positive = np.maximum(weights, 0).sum(axis=0)
    negative = np.minimum(weights, 0).sum(axis=0)
    return (
        positive * smallest + negative * largest,
        positive * largest + negative * smallest,
    )


def _bias(layer: FixedLayer) -> NDArray[Any]:
    return _one(0) if layer.bias is None else _exact(layer.bias)


def _rounding(layer: FixedLayer) -> NDArray[Any]:
    """The constants that an adder before the shift needs; others round after it."""
    how = layer.requantization
    if how is None or how.rounding != "half_up" or how.multiplier != 1:
        return _one(0)
    return np.array([1 << shift >> 1 if shift > 0 else 0 for shift in how.shifts.tolist()], object)


def _exact(integers: Integers | None) -> NDArray[Any]:
    assert integers is not None
    return integers.astype(object)


def _one(value: int) -> NDArray[Any]:
    return np.array([value], object)
