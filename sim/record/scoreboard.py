"""Compares the values of a layer with those expected, exactly, and keeps the first mismatch.

Every bench has one `LayerScoreboard` for each layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Mismatch:
    """A wrong value, and its position in a layer's output."""

    image: int
    row: int
    column: int
    channel: int
    expected: int
    found: int

    def __str__(self) -> str:
        return (
            f"image {self.image}, row {self.row}, column {self.column}, channel {self.channel}: "
            f"expected {self.expected}, found {self.found}"
        )


@dataclass(frozen=True)
class LayerResult:
    """The result of comparing a layer.

    Parameters
    ----------
    name
        The layer's.
    values
        The number of values compared.
    mismatches
        The number of values that differ.
    first_mismatch
        The first of them, by image, row, column and channel.
    """

    name: str
    values: int
    mismatches: int
    first_mismatch: Mismatch | None

    def __str__(self) -> str:
        if self.first_mismatch is None:
            return f"{self.name}: {self.values} values, all equal"
        return (
            f"{self.name}: {self.mismatches} of {self.values} values differ, "
            f"the first in {self.first_mismatch}"
        )


class LayerScoreboard:
    """Compares the frames of one layer, exactly.

    Parameters
    ----------
    name
        The layer's.
    """

    def __init__(self, name: str) -> None:
        self.result = LayerResult(name, 0, 0, None)

    def compare(self, first_image: int, expected: Integers, found: Integers) -> None:
        """Compare the frames of some images, which may come in any order.

        Parameters
        ----------
        first_image
            The number of the first image.
        expected, found
            Shape `(images, height, width, channels)` both.

        Raises
        ------
        ValueError
            If the shapes differ.
        """
        before = self.result
        if expected.shape != found.shape or expected.ndim != 4:
            raise ValueError(
                f"{before.name}: frames of shape {found.shape} cannot be compared with "
                f"{expected.shape}"
            )
        different = expected != found
        mismatches = int(np.count_nonzero(different))
        first = before.first_mismatch
        if mismatches:
            place = np.unravel_index(int(np.argmax(different)), different.shape)
            image, row, column, channel = map(int, place)
            image += first_image
            if first is None or image < first.image:
                values = int(expected[place]), int(found[place])
                first = Mismatch(image, row, column, channel, *values)
        self.result = LayerResult(
            before.name, before.values + expected.size, before.mismatches + mismatches, first
        )
