"""Formulas of activation functions and their slopes that are longer than a line.

They are computed value by value in the type of the argument, and overflow for none.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.floating[Any]]

MOST_EXPONENT = 80.0
"""The largest argument of an exponential; float32 overflows at 88."""

_SQRT_2_PI = math.sqrt(2 * math.pi)
_SQRT_2_BY_PI = math.sqrt(2 / math.pi)
_FAR = 30.0
"""Beyond it, curves and their limits are the same in float64."""


def sigmoid(a: Reals) -> Reals:
    """The logistic function, in a form that cannot overflow."""
    values: Reals = (np.tanh(a / 2) + 1) / 2
    return values


def sigmoid_slope(a: Reals) -> Reals:
    """The derivative of `sigmoid`."""
    values: Reals = (1 - np.square(np.tanh(a / 2))) / 4
    return values


def softplus(a: Reals) -> Reals:
    """`log(1 + exp(a))`."""
    values: Reals = np.maximum(a, 0) + np.log1p(np.exp(-np.abs(a)))
    return values


def erf(a: Reals) -> Reals:
    """The error function."""
    values: Reals = np.vectorize(math.erf, otypes=[np.float64])(a).astype(a.dtype)
    return values


def normal_density(a: Reals) -> Reals:
    """The density of the standard normal distribution."""
    values: Reals = np.exp(-np.square(_bounded(a)) / 2) / a.dtype.type(_SQRT_2_PI)
    return values


def gelu_tanh(a: Reals) -> Reals:
    """The approximation of GELU by a tanh."""
    values: Reals = a * ((np.tanh(_gelu_argument(_bounded(a))) + 1) / 2)
    return values


def gelu_tanh_slope(a: Reals) -> Reals:
    """The derivative of `gelu_tanh`."""
    a = _bounded(a)
    tanh = np.tanh(_gelu_argument(a))
    inner = a.dtype.type(_SQRT_2_BY_PI) * (1 + a.dtype.type(3 * 0.044715) * a**2)
    values: Reals = (tanh + 1) / 2 + a / 2 * (1 - tanh**2) * inner
    return values


def mish_slope(a: Reals) -> Reals:
    """The derivative of `a * tanh(softplus(a))`."""
    a = _bounded(a)
    tanh = np.tanh(softplus(a))
    values: Reals = tanh + a * (1 - tanh**2) * sigmoid(a)
    return values


def _gelu_argument(a: Reals) -> Reals:
    values: Reals = a.dtype.type(_SQRT_2_BY_PI) * (a + a.dtype.type(0.044715) * a**3)
    return values


def _bounded(a: Reals) -> Reals:
    values: Reals = np.clip(a, -_FAR, _FAR)
    return values
