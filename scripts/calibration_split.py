"""Which images choose formats and which ones score the result, so that no image does both."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from systolith.golden import Dataset

CALIBRATION_IMAGES = 1000
"""More images choose the same formats, and take longer."""


def calibration_images() -> NDArray[np.uint8]:
    """The digits on which formats are chosen: validation digits, which no training has seen."""
    from systolith.golden import validation_digits

    return validation_digits().images[:CALIBRATION_IMAGES]


def split(data: Dataset) -> tuple[Dataset, Dataset]:
    """The images on which formats are chosen, at most half of a data set, and the others.

    Raises
    ------
    ValueError
        There are fewer than two images.
    """
    count = min(CALIBRATION_IMAGES, len(data) // 2)
    if not count:
        raise ValueError(f"data {data.name!r}: needs at least 2 images, to choose formats and rank")
    rest = replace(data, images=data.images[count:], labels=data.labels[count:])
    return data.take(count), rest
