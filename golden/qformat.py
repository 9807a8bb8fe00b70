"""Fixed-point formats: what a raw value stands for, and how wide it is.

A number is `raw * 2**-frac_bits`. Raw values are exact 64-bit integers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

MAX_BITS = 62
"""The widest format: sums and differences of two raw values still fit 64 bits."""

MAX_FRAC_BITS = 512
"""The largest magnitude of `frac_bits`: every step is a normal float64."""

RawImages = NDArray[np.integer[Any]]
"""Raw values `(images, height, width, channels)`, of the `raw_type` of an input's format: uint8 for
pixels."""

_INT64 = np.iinfo(np.int64)
NOTATION = re.compile(r"([su])(\d{1,2})\.(-?\d{1,3})")
"""How `str` writes a format."""


@dataclass(frozen=True)
class QFormat:
    """A fixed-point format: two's complement or unsigned, full range, `raw * 2**-frac_bits`.

    Parameters
    ----------
    bits
        Width of a raw value, from 1 to `MAX_BITS`.
    frac_bits
        The binary point: may be negative or larger than `bits`.
    signed
        Two's complement, or unsigned.
    """

    bits: int
    frac_bits: int
    signed: bool = True

    def __post_init__(self) -> None:
        if type(self.bits) is not int or not 1 <= self.bits <= MAX_BITS:
            raise ValueError(f"format: bits must be from 1 to {MAX_BITS}, not {self.bits!r}")
        if type(self.frac_bits) is not int or abs(self.frac_bits) > MAX_FRAC_BITS:
            raise ValueError(
                f"format: frac_bits must be from {-MAX_FRAC_BITS} to {MAX_FRAC_BITS}, "
                f"not {self.frac_bits!r}"
            )
        if type(self.signed) is not bool:
            raise ValueError(f"format: signed must be true or false, not {self.signed!r}")

    @classmethod
    def parse(cls, text: str) -> QFormat:
        """The format that is written as `str` writes it: `s8.5` is signed, of 8 bits, 5 of them
        after the binary point; `u12.4` is unsigned.

        Raises
        ------
        ValueError
            The text is no format.
        """
        found = NOTATION.fullmatch(text)
        if found is None:
            raise ValueError(
                f"format: must be s or u, the bits, a point and the fraction bits, such as s8.5 "
                f"or u12.4, not {text!r}"
            )
        return cls(int(found[2]), int(found[3]), found[1] == "s")

    @property
    def min_raw(self) -> int:
        """The smallest raw value."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def max_raw(self) -> int:
        """The largest raw value."""
        return (1 << (self.bits - self.signed)) - 1

    @property
    def step(self) -> float:
        """What one raw unit (LSB) stands for."""
        return 2.0**-self.frac_bits

    @property
    def raw_type(self) -> np.dtype[Any]:
        """The smallest integer type of NumPy that holds a raw value."""
        size = next(size for size in (1, 2, 4, 8) if self.bits <= 8 * size)
        return np.dtype(f"{'i' if self.signed else 'u'}{size}")

    def quantize(self, x: ArrayLike) -> NDArray[np.int64]:
        """The raw values nearest to `x`, halves to even, saturated.

        Raises
        ------
        ValueError
            `x` holds a NaN.
        """
        values = np.asarray(x, dtype=np.float64)
        if np.isnan(values).any():
            raise ValueError("quantize: NaN has no fixed-point value")
        with np.errstate(over="ignore", under="ignore"):
            scaled = np.rint(np.ldexp(values, self.frac_bits))
        # Beyond 53 bits the limits are not floats, so the integers are clipped again.
        limited = np.clip(scaled, float(self.min_raw), float(self.max_raw)).astype(np.int64)
        return np.clip(limited, self.min_raw, self.max_raw)

    def dequantize(self, raw: ArrayLike) -> NDArray[np.float64]:
        """The numbers that raw values stand for, exact where float64 holds them."""
        return np.ldexp(np.asarray(raw, dtype=np.float64), -self.frac_bits)

    def contains(self, raw: ArrayLike) -> bool:
        """Whether all raw values lie in the format's range."""
        values = raw_integers(raw)
        return not values.size or bool(
            self.min_raw <= int(values.min()) and int(values.max()) <= self.max_raw
        )

    def __str__(self) -> str:
        return f"{'s' if self.signed else 'u'}{self.bits}.{self.frac_bits}"


PIXELS = QFormat(8, 0, signed=False)
"""The format of raw pixels, which an input has unless another one is declared."""


def first_outside(images: RawImages, fmt: QFormat) -> str | None:
    """The first raw value outside a format's range and its place, in words, or None.

    Its place is the number of the image and, after it, its indices.
    """
    type_range = np.iinfo(images.dtype)
    if fmt.min_raw <= type_range.min and type_range.max <= fmt.max_raw:
        return None
    if not images.size or (fmt.min_raw <= images.min() and images.max() <= fmt.max_raw):
        return None
    place = np.unravel_index(
        np.argmax((images < fmt.min_raw) | (images > fmt.max_raw)), images.shape
    )
    index = ", ".join(str(int(each)) for each in place[1:])
    return (
        f"image {int(place[0])} has the raw value {int(images[place])} at [{index}], allowed are "
        f"{fmt.min_raw} to {fmt.max_raw}"
    )


def raw_integers(x: ArrayLike) -> NDArray[np.int64]:
    """Raw values as 64-bit integers.

    Raises
    ------
    ValueError, OverflowError
        They are no integers, or leave 64 bits.
    """
    values: NDArray[Any] = np.asarray(x)
    if values.dtype.kind not in "iu":
        raise ValueError(f"raw values must be 64-bit integers, not {values.dtype}")
    if values.dtype.kind == "u" and values.size and int(values.max()) > _INT64.max:
        raise OverflowError(f"raw value {int(values.max())} leaves 64 bits")
    return values.astype(np.int64, copy=False)
