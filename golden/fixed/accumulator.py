"""Exact ranges of accumulators, from a layer's integers and its input format."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from systolith.golden.fixed.integers import FixedLayer, Integers
from systolith.golden.network.graph import (
    AveragePooling,
    Convolution,
    Dense,
    Layer,
    MaxPooling,
    Pooling,
    RadialBasis,
    Subsampling,
)

Ends = tuple[NDArray[Any], NDArray[Any]]
"""The least and the greatest values, Python integers `(channels,)` or `(1,)`."""


def accumulator_range(layer: FixedLayer) -> tuple[int, int]:
    """The least and the greatest accumulator that any input can lead to, in any order of summation.

    Every input value may be any value of the input format. Bias and rounding constant are included,
    added before or after the rest of the sum. The sum of a sub-sampling window, before its
    coefficient, is not an accumulator of its own.

    Returns
    -------
    tuple
        Exact integers, of any size.

    Raises
    ------
    ValueError
        The layer's type or its rounding is not known here.
    """
    low, high = _sum_range(layer)
    bias = _bias(layer)
    rounding = _rounding(layer)
    lows = low + np.minimum(bias, 0)
    highs = high + np.maximum(bias, 0) + rounding
    return int(lows.min()), int(highs.max())


def _sum_range(layer: FixedLayer) -> Ends:
    """The ends of each channel's partial sums, without bias."""
    # Both ends of the input are on either side of zero, so a partial sum never leaves the range
    # of the whole.
    source = layer.input_format
    of_type = layer.layer.entry(_SUM_RANGES, "accumulator range")
    return of_type(layer, source.min_raw, source.max_raw)


def _products(layer: FixedLayer, smallest: int, largest: int) -> Ends:
    weights = _exact(layer.weights).reshape(-1, layer.output_shape.channels)
    positive = np.maximum(weights, 0).sum(axis=0)
    negative = np.minimum(weights, 0).sum(axis=0)
    return (
        positive * smallest + negative * largest,
        positive * largest + negative * smallest,
    )


def _window_sum(layer: FixedLayer, smallest: int, largest: int) -> Ends:
    size = _window_size(layer) * (1 if layer.factors is None else int(layer.factors.max()))
    return _one(size * smallest), _one(size * largest)


def _window_product(layer: FixedLayer, smallest: int, largest: int) -> Ends:
    size = _window_size(layer)
    return _products(layer, size * smallest, size * largest)


def _window_maximum(layer: FixedLayer, smallest: int, largest: int) -> Ends:
    return _one(smallest), _one(largest)


def _distances(layer: FixedLayer, smallest: int, largest: int) -> Ends:
    centres = _exact(layer.weights).reshape(-1, layer.output_shape.channels)
    ends = [((end << layer.input_shift) - centres) ** 2 for end in (smallest, largest)]
    farthest = np.maximum(*ends).sum(axis=0)
    return farthest * 0, farthest


_SUM_RANGES: dict[type[Layer], Callable[[FixedLayer, int, int], Ends]] = {
    Convolution: _products,
    Subsampling: _window_product,
    AveragePooling: _window_sum,
    MaxPooling: _window_maximum,
    Dense: _products,
    RadialBasis: _distances,
}


def _window_size(layer: FixedLayer) -> int:
    assert isinstance(layer.layer, Pooling)
    return math.prod(layer.layer.window)


def _bias(layer: FixedLayer) -> NDArray[Any]:
    return _one(0) if layer.bias is None else _exact(layer.bias)


def _rounding(layer: FixedLayer) -> NDArray[Any]:
    """The rounding constants that are added to the accumulators; other modes round later."""
    how = layer.requantization
    if how is None or how.multiplier != 1 or how.rounding in ("floor", "half_even"):
        return _one(0)
    if how.rounding == "half_up":
        halves = [1 << shift >> 1 if shift > 0 else 0 for shift in how.shifts.tolist()]
        return np.array(halves, object)
    raise ValueError(f"layer {layer.name!r}: rounding {how.rounding!r} has no accumulator range")


def _exact(integers: Integers | None) -> NDArray[Any]:
    assert integers is not None
    return integers.astype(object)


def _one(value: int) -> NDArray[Any]:
    return np.array([value], object)
