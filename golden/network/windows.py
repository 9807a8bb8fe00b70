"""Where the windows of convolutions and poolings stand on a map.

Every part that cuts windows out of maps asks these classes, so that there is one rule for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Padding(NamedTuple):
    """Rows and columns around a map."""

    above: int = 0
    left: int = 0
    below: int = 0
    right: int = 0

    def __str__(self) -> str:
        return " ".join(map(str, self))

    def widened(self, border: int) -> Padding:
        """The padding with a border of the same width on all sides added to it."""
        return Padding(*(side + border for side in self))

    def size(self, height: int, width: int) -> tuple[int, int]:
        """The height and the width of a padded map."""
        return height + self.above + self.below, width + self.left + self.right


NO_PADDING = Padding()


@dataclass(frozen=True)
class Windows:
    """The windows of a kernel on a padded map; each pair is `(vertical, horizontal)`.

    Window `(r, c)` has its element `(i, j)` at row `r * stride[0] + i * dilation[0]` and column
    `c * stride[1] + j * dilation[1]` of the padded map. Rows and columns after the last whole
    window are dropped.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: Padding = NO_PADDING

    @property
    def reach(self) -> tuple[int, int]:
        """Rows and columns from the first to the last element of a window."""
        (rows, columns), (down, across) = self.kernel, self.dilation
        return (rows - 1) * down + 1, (columns - 1) * across + 1

    def count(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of windows on a map of this size; below 1 if none fits."""
        rows, columns = (
            (size - reach) // stride + 1
            for size, reach, stride in zip(
                self.padding.size(height, width), self.reach, self.stride, strict=True
            )
        )
        return rows, columns

    def places(self, row: int, column: int, count: tuple[int, int]) -> tuple[slice, slice]:
        """Where element `(row, column)` of every window stands in the padded map."""
        down, across = (
            slice(element * dilation, element * dilation + (windows - 1) * stride + 1, stride)
            for element, dilation, windows, stride in zip(
                (row, column), self.dilation, count, self.stride, strict=True
            )
        )
        return down, across

    def __str__(self) -> str:
        """As `3 x 3 / 2, dilation 2, pad 0 1 1 0`."""
        text = f"{self.kernel[0]} x {self.kernel[1]}"
        if self.stride != (1, 1):
            text += f" / {_pair(self.stride)}"
        if self.dilation != (1, 1):
            text += f", dilation {_pair(self.dilation)}"
        return text + (f", pad {self.padding}" if any(self.padding) else "")


def _pair(values: tuple[int, int]) -> str:
    """One number if both are equal."""
    return str(values[0]) if values[0] == values[1] else f"{values[0]} x {values[1]}"


SINGLE_VALUES = Windows((1, 1))
"""A window for every value."""
