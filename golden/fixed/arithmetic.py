"""Fixed-point arithmetic: formats, rounding, overflow. All arithmetic is defined here, once.

A number is `raw * 2**-frac_bits`. Raw values are exact 64-bit integers: what would leave them is
an `OverflowError`, never a wrong number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from systolith.golden.qformat import MAX_BITS as MAX_BITS
from systolith.golden.qformat import MAX_FRAC_BITS as MAX_FRAC_BITS
from systolith.golden.qformat import QFormat as QFormat
from systolith.golden.qformat import raw_integers

Rounding = Literal["floor", "half_up", "half_even"]
Overflow = Literal["saturate", "wrap"]

MAX_SHIFT = 62
"""The largest magnitude of a shift."""

MAX_INDEX_BITS = 18
"""The widest index of an activation table."""

_INT64 = np.iinfo(np.int64)


def shift_right(x: ArrayLike, shift: ArrayLike, rounding: Rounding) -> NDArray[np.int64]:
    """`x / 2**shift`, rounded once; a negative shift is an exact left shift.

    Parameters
    ----------
    x
        Integers of any shape.
    shift
        One shift, or an array that broadcasts with `x` (such as one a channel); from
        `-MAX_SHIFT` to `MAX_SHIFT`.
    rounding
        | x / 2**shift | -2.5 | -1.5 | -0.5 | 0.5 | 1.5 | 2.5 |
        |--------------|------|------|------|-----|-----|-----|
        | `floor`      |   -3 |   -2 |   -1 |   0 |   1 |   2 |
        | `half_up`    |   -2 |   -1 |    0 |   1 |   2 |   3 |
        | `half_even`  |   -2 |   -2 |    0 |   0 |   2 |   2 |

    Raises
    ------
    OverflowError
        A left shift leaves 64 bits.
    ValueError
        An unknown rounding or a shift out of range.
    """
    values, shifts = np.broadcast_arrays(raw_integers(x), raw_integers(shift))
    if shifts.size and (shifts.min() < -MAX_SHIFT or shifts.max() > MAX_SHIFT):
        worst = int(shifts.flat[np.argmax(np.abs(shifts))])
        raise ValueError(f"shift must be from {-MAX_SHIFT} to {MAX_SHIFT}, not {worst}")
    left = np.maximum(-shifts, 0)
    right = np.maximum(shifts, 0)
    widened: NDArray[np.int64] = values << left
    if (widened >> left != values).any():
        raise OverflowError("shift: a left shift leaves 64 bits")
    floor: NDArray[np.int64] = widened >> right
    if rounding == "floor":
        return floor
    # The bit below the binary point; rounding by it needs no sum that could overflow.
    half: NDArray[np.int64] = (widened >> np.maximum(right - 1, 0)) & (right > 0)
    if rounding == "half_up":
        return floor + half
    if rounding == "half_even":
        below = np.left_shift(np.int64(1), np.maximum(right - 1, 0)) - 1
        tie = (widened & below) == 0
        half &= ~tie | (floor & 1)
        return floor + half
    raise ValueError(f"rounding {rounding!r}: allowed are {', '.join(get_args(Rounding))}")


def overflow(x: ArrayLike, fmt: QFormat, mode: Overflow) -> NDArray[np.int64]:
    """Integers brought into a format's range: `saturate`, or `wrap` to the low bits."""
    values = raw_integers(x)
    if mode == "saturate":
        return np.clip(values, fmt.min_raw, fmt.max_raw)
    if mode == "wrap":
        low = values & ((1 << fmt.bits) - 1)
        return np.where(low > fmt.max_raw, low - (1 << fmt.bits), low)
    raise ValueError(f"overflow {mode!r}: allowed are {', '.join(get_args(Overflow))}")


@dataclass(frozen=True, eq=False)
class Requantization:
    """How an exact accumulator becomes a raw value: shift, rounding, overflow, and maybe a table.

    A channel's result is `(acc * multiplier) / 2**shifts[channel]`, rounded once and brought into
    `target`; a negative shift is an exact left shift. With `table` (one entry for each raw value of
    `target`, from the smallest up) the result is an index, and the entry is the layer's value.
    `limits`, raw values of `target` or None, are a least and a greatest result: a value beyond one
    of them has not left its range.
    """

    shifts: NDArray[np.int64]  # (channels,)
    target: QFormat
    multiplier: int = 1
    rounding: Rounding = "half_up"
    overflow: Overflow = "saturate"
    table: NDArray[np.int64] | None = None  # (2**target.bits,)
    limits: tuple[int | None, int | None] = (None, None)

    @property
    def range(self) -> tuple[int, int]:
        """The least and the greatest result, before a table."""
        low, high = self.limits
        return (
            self.target.min_raw if low is None else low,
            self.target.max_raw if high is None else high,
        )


def requantize(acc: ArrayLike, how: Requantization) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Raw values of exact accumulators `(..., channels)`, and the count by channel that saturates.

    A value counts if it leaves the target's range, whether it is saturated or wrapped.

    Raises
    ------
    OverflowError
        A product with the multiplier, or a left shift, leaves 64 bits.
    """
    values = raw_integers(acc)
    if how.multiplier != 1:
        values = _product(values, how.multiplier)
    shifted = shift_right(values, how.shifts, how.rounding)
    raw = overflow(shifted, how.target, how.overflow)
    outside = np.zeros(shifted.shape, bool)
    low, high = how.limits
    if low is None:
        outside |= shifted < how.target.min_raw
    if high is None:
        outside |= shifted > how.target.max_raw
    left = np.count_nonzero(outside, axis=tuple(range(outside.ndim - 1)))
    raw = np.clip(raw, *how.range)
    if how.table is not None:
        raw = how.table[raw - how.target.min_raw]
    return raw, np.asarray(left, np.int64)


def _product(values: NDArray[np.int64], multiplier: int) -> NDArray[np.int64]:
    largest = max(-int(values.min()), int(values.max())) if values.size else 0
    if largest * abs(multiplier) > _INT64.max:
        raise OverflowError(f"multiplier {multiplier}: a product leaves 64 bits")
    return values * np.int64(multiplier)
