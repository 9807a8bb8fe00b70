"""Feature maps as small pictures, embedded in a page."""

from __future__ import annotations

import base64
import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from systolith.golden.qformat import PIXELS, QFormat, RawImages

_GAP = 1
_BACKGROUND = 205
_NEGATIVE, _ZERO, _POSITIVE = (
    np.array([33, 102, 172]),
    np.array([247, 247, 247]),
    np.array([178, 24, 43]),
)


def grey(image: RawImages, fmt: QFormat = PIXELS) -> str:
    """Raw values `(height, width, channels)`, dark on light, as a `data:` address.

    The range of their format is that from white to black.
    """
    share = (image[..., 0].astype(np.int64) - fmt.min_raw) * 255 // (fmt.max_raw - fmt.min_raw)
    return _address((255 - share).astype(np.uint8))


def maps(values: NDArray[Any], limit: float) -> str:
    """Maps `(height, width, channels)` side by side, as a `data:` address.

    Blue is `-limit`, white zero, red `limit`.
    """
    share = np.clip(_tiled(values / limit if limit else np.zeros_like(values)), -1, 1)[..., None]
    colours = np.where(
        share < 0, _ZERO + (_ZERO - _NEGATIVE) * share, _ZERO + (_POSITIVE - _ZERO) * share
    )
    return _address(np.where(np.isnan(share), _BACKGROUND, colours).astype(np.uint8))


def _tiled(values: NDArray[Any]) -> NDArray[np.float64]:
    """The channels in rows, about twice as wide as high, separated by NaN."""
    height, width, channels = values.shape
    across = min(channels, math.ceil(math.sqrt(2 * channels * height / width)))
    down = -(-channels // across)
    gap = _GAP if height * width > 1 else 0
    tiled = np.full((down * (height + gap) - gap, across * (width + gap) - gap), np.nan)
    for channel in range(channels):
        row, column = divmod(channel, across)
        top, left = row * (height + gap), column * (width + gap)
        tiled[top : top + height, left : left + width] = values[..., channel]
    return tiled


def _address(pixels: NDArray[np.uint8]) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
