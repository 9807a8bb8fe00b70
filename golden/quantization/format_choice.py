"""The choice of a format's binary point for some values, by a calibration method."""

from __future__ import annotations

import math

import numpy as np

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.quantization.methods import (
    LEAST_FRAC_BITS,
    MOST_FRAC_BITS,
    PERCENTILE,
    Function,
    Sample,
    Values,
    method,
)

_HOPELESS = 4.0
_MOST_BITS_LOST = 16


def choose_frac_bits(
    values: Values,
    bits: int,
    signed: bool,
    calibration: str,
    through: Function | None = None,
    ends: tuple[float, float] | None = None,
    percentile: float = PERCENTILE,
) -> int | None:
    """The `frac_bits` that a calibration method chooses for some values; None if all are zero.

    Parameters
    ----------
    values
        Finite values of any shape.
    bits, signed
        The rest of the format.
    calibration
        The name of the method, one of `METHODS`.
    through, percentile
        Parameters of some methods: see `Sample`.
    ends
        The least and the greatest of all values, if `values` are only some of them.

    Raises
    ------
    ValueError
        The values are too large for any format that is allowed, or one is not a number; or there
        is no such method.
    """
    choose = method(calibration).choose
    covering = _covering(values, bits, signed, ends)
    if covering is None:
        return None
    some = values[values != 0].astype(np.float64)
    if not some.size:
        return covering
    return choose(Sample(some, bits, signed, covering, through, percentile))


def choose_frac_bits_before(
    values: Values,
    bits: int,
    signed: bool,
    following: Function,
    ends: tuple[float, float] | None = None,
) -> int | None:
    """The `frac_bits` with the least sum of squared errors after a function of all the values.

    Parameters
    ----------
    values, bits, signed, ends
        As for `choose_frac_bits`; values have the shape that `following` takes.
    following
        The function, such as the next layer.
    """
    covering = _covering(values, bits, signed, ends)
    if covering is None:
        return None
    exact = following(values)
    best, least = covering, math.inf
    for frac_bits in range(covering, min(covering + _MOST_BITS_LOST, MOST_FRAC_BITS) + 1):
        fmt = QFormat(bits, frac_bits, signed)
        rounded = fmt.dequantize(fmt.quantize(values)).astype(values.dtype)
        error = float(np.square(following(rounded) - exact, dtype=np.float64).sum())
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
