"""Values from files as the raw values that a network takes; what does not fit is never silent."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from systolith.golden.errors import FileFormatError
from systolith.golden.qformat import PIXELS, QFormat, RawImages, first_outside


class Taker(Protocol):
    """What takes images: the `Input` of a network (`network.input`)."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""

    @property
    def format(self) -> QFormat:
        """The format of its raw values."""


Counts = NDArray[np.int64]
"""One number for each image."""


def raw_images(values: NDArray[Any], taker: Taker) -> tuple[RawImages, Counts]:
    """Images of the raw type of an input, and for each the number of values that saturated.

    Parameters
    ----------
    values
        `(images, height, width, channels)`, without channels, or a row of values for each image:
        pixel by pixel, row by row, channels ascending. Integers are raw values. Floats are real
        numbers, which are rounded to the format, halves to even, and saturate; pixels are never
        floats.
    taker
        What takes them.

    Raises
    ------
    FileFormatError
        A raw value is out of range, a float is not finite, a row has another number of values, or
        pixels are floats.
    """
    fmt, shape = taker.format, taker.image_shape
    if values.ndim == 2:
        size = shape[0] * shape[1] * shape[2]
        if values.shape[1] != size:
            raise FileFormatError(
                f"images have {values.shape[1]} values each, the network takes {size} "
                f"({' x '.join(map(str, shape))})"
            )
        values = values.reshape(-1, *shape)
    elif values.ndim == 3:
        values = values[..., np.newaxis]
    if values.ndim == 4 and values.shape[1:] != shape:
        given = " x ".join(map(str, values.shape[1:]))
        raise FileFormatError(
            f"images are {given}, the network takes {' x '.join(map(str, shape))}"
        )
    if values.dtype.kind == "f":
        return _quantized(values, fmt)
    found = first_outside(values, fmt)
    if found is not None:
        raise FileFormatError(f"the network takes {fmt}: {found}")
    return values.astype(fmt.raw_type, copy=False), np.zeros(len(values), np.int64)


def quantized(values: NDArray[np.floating[Any]], fmt: QFormat) -> tuple[RawImages, Counts]:
    """Finite real numbers as raw values, and for each image the number of those that saturated."""
    raw = fmt.quantize(values)
    # A value saturates if the raw integer next to it is beyond the range.
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.rint(np.ldexp(values.astype(np.float64), fmt.frac_bits))
    outside = (scaled < fmt.min_raw) | (scaled > fmt.max_raw)
    counts = np.count_nonzero(outside.reshape(len(values), -1), axis=1)
    return raw.astype(fmt.raw_type), counts.astype(np.int64)


def _quantized(values: NDArray[np.floating[Any]], fmt: QFormat) -> tuple[RawImages, Counts]:
    if fmt == PIXELS:
        raise FileFormatError(
            f"images must be integers, as the network takes pixels from 0 to 255, "
            f"not {values.dtype}: no value is rounded unless an input format is declared"
        )
    finite = np.isfinite(values)
    if not finite.all():
        place = np.unravel_index(np.argmin(finite), values.shape)
        index = ", ".join(str(int(each)) for each in place[1:])
        raise FileFormatError(f"image {int(place[0])} has {values[place]} at [{index}]")
    return quantized(values, fmt)
