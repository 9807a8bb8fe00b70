"""The binary point for given values: a function for each method of choosing it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.quantization.entropy import least_divergence
from systolith.golden.quantization.settings import PERCENTILE, Calibration

Values = NDArray[np.floating[Any]]
Function = Callable[[Values], Values]

LEAST_FRAC_BITS, MOST_FRAC_BITS = -256, 256
"""Limits of a choice; values too small for them count as zero."""

_HOPELESS = 4.0
_MOST_BITS_LOST = 16


def choose_frac_bits(
    values: Values,
    bits: int,
    signed: bool,
    method: Calibration,
    through: Function | None = None,
    ends: tuple[float, float] | None = None,
    percentile: float = PERCENTILE,
) -> int | None:
    """The `frac_bits` that suit some values, or None if all of them are zero.

    Parameters
    ----------
    values
        Finite values of any shape.
    bits, signed
        The rest of the format.
    method
        `minmax`: the most fraction bits with which no value saturates. `percentile`: the most with
        which no more values saturate than are beyond the percentile. `mse`: those with the least
        sum of squared errors. `entropy`: those with the least divergence (see `entropy`).
        On a tie the fewest. The last three leave zeros out, which are exact in every format.
    through
        For `mse`, a function whose errors count, rather than those of the values: the squashing
        function of which they will be the index.
    ends
        The least and the greatest of all values, if `values` are only some of them.
    percentile
        For `percentile`, how much of the values must not saturate, in per cent.

    Raises
    ------
    ValueError
        The values are too large for any format that is allowed, or one is not a number.
    """
    covering = _covering(values, bits, signed, ends)
    if covering is None or method == "minmax":
        return covering
    some = values[values != 0].astype(np.float64)
    if not some.size:
        return covering
    if method == "percentile":
        return _covering_most(some, bits, signed, covering, percentile)
    if method == "entropy":
        return least_divergence(some, bits, signed, covering)
    return _least_squares(some, bits, signed, covering, through)


def choose_frac_bits_before(
    values: Values,
    bits: int,
    signed: bool,
    following: Function,
    ends: tuple[float, float] | None = None,
) -> int | None:
    """The `frac_bits` with the least sum of squared errors of what follows.

    Parameters
    ----------
    values, bits, signed, ends
        As for `choose_frac_bits`; values have the shape that `following` takes.
    following
        What is made of the values, such as the next layer.
    """
    covering = _covering(values, bits, signed, ends)
    if covering is None:
        return None
    exact = following(values)
    best, least = covering, math.inf
    for frac_bits in range(covering, min(covering + _MOST_BITS_LOST, MOST_FRAC_BITS) + 1):
        fmt = QFormat(bits, frac_bits, signed)
        held = fmt.dequantize(fmt.quantize(values)).astype(values.dtype)
        error = float(np.square(following(held) - exact, dtype=np.float64).sum())
        if error < least:
            best, least = frac_bits, error
        # Once so much is lost by saturation, a further bit only loses more.
        if error > _HOPELESS * least or not error:
            break
    return best


def _covering(
    values: Values, bits: int, signed: bool, ends: tuple[float, float] | None
) -> int | None:
    """The most fraction bits with which nothing saturates, or None if all values are zero."""
    low, high = ends or (float(values.min()), float(values.max()))
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"values must be finite, not from {low:g} to {high:g}")
    if not signed:
        low, high = max(low, 0.0), max(high, 0.0)
    largest = max(-low, high)
    if largest < math.ldexp(1.0, -MOST_FRAC_BITS):
        return None
    start = min(MOST_FRAC_BITS, bits + 1 - math.frexp(largest)[1])
    for frac_bits in range(start, LEAST_FRAC_BITS - 1, -1):
        fmt = QFormat(bits, frac_bits, signed)
        least, greatest = round(math.ldexp(low, frac_bits)), round(math.ldexp(high, frac_bits))
        if fmt.min_raw <= least and greatest <= fmt.max_raw:
            return frac_bits
    raise ValueError(f"values up to {largest:g} are too large for {bits} bits")


def _covering_most(
    values: Values, bits: int, signed: bool, covering: int, percentile: float
) -> int:
    allowed = len(values) - math.ceil(len(values) * percentile / 100)
    if not allowed:
        return covering
    # What saturates still does with a further bit.
    for frac_bits in range(covering + 1, MOST_FRAC_BITS + 1):
        fmt = QFormat(bits, frac_bits, signed)
        scaled = np.rint(values * 2.0**frac_bits)
        if np.count_nonzero((scaled < fmt.min_raw) | (scaled > fmt.max_raw)) > allowed:
            return frac_bits - 1
    return MOST_FRAC_BITS


def _least_squares(
    values: Values, bits: int, signed: bool, covering: int, through: Function | None
) -> int:
    # Fewer fraction bits than cover the range only make the steps larger.
    exact = values if through is None else through(values)
    best, least = covering, math.inf
    for frac_bits in range(covering, MOST_FRAC_BITS + 1):
        fmt = QFormat(bits, frac_bits, signed)
        scaled = np.rint(values * 2.0**frac_bits)
        outside = (scaled < fmt.min_raw) | (scaled > fmt.max_raw)
        squares = _held(scaled, fmt, through)
        squares -= exact
        squares *= squares
        error = float(squares.sum())
        if error < least:
            best, least = frac_bits, error
        # What saturates is farther away with every further bit.
        if float(squares[outside].sum()) >= least:
            break
    return best


def _held(scaled: Values, fmt: QFormat, through: Function | None) -> Values:
    """What a format, or a table whose index it is, makes of values that are scaled to its raws."""
    if through is None:
        return np.clip(scaled, fmt.min_raw, fmt.max_raw) * fmt.step
    levels = through(fmt.dequantize(np.arange(fmt.min_raw, fmt.max_raw + 1)))
    index = np.clip(scaled, fmt.min_raw, fmt.max_raw) - fmt.min_raw
    return np.take(levels, index.astype(np.intp), mode="clip")
