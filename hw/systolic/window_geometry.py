"""Where the windows of a convolution lie on a feature map that is streamed row by row.

Pure numbers, shared by the feeder's components, their tests and the cycle model. A `band` is the
set of rows that the windows of one output row see; bands are counted as output rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from systolith.golden.network.graph import Shape


@dataclass(frozen=True)
class WindowGeometry:
    """The windows of a `kernel` over a map of shape `source`, `padding` made around it.

    Parameters
    ----------
    source
        The map as it is streamed: (height, width, channels).
    kernel
        (rows, columns) of a window.
    padding
        (vertical, horizontal), on both sides; less than the kernel.

    Raises
    ------
    ValueError
        A size below 1, a padding out of range, or a kernel larger than the padded map.
    """

    source: Shape
    kernel: tuple[int, int]
    padding: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        if min(*self.source, *self.kernel) < 1:
            raise ValueError(
                f"windows: map {self.source} and kernel {self.kernel} must be at least 1 each way"
            )
        for axis, pad, size in zip(
            ("vertical", "horizontal"), self.padding, self.kernel, strict=True
        ):
            if not 0 <= pad < size:
                raise ValueError(f"windows: {axis} padding must be from 0 to {size - 1}, not {pad}")
        if self.bands < 1 or self.columns < 1:
            raise ValueError(
                f"windows: kernel {self.kernel} does not fit a map of {self.source} "
                f"with padding {self.padding}"
            )

    @property
    def bands(self) -> int:
        """Rows of windows."""
        return self.source.height + 2 * self.padding[0] - self.kernel[0] + 1

    @property
    def columns(self) -> int:
        """Windows in a band."""
        return self.source.width + 2 * self.padding[1] - self.kernel[1] + 1

    def first_row(self, band: int) -> int:
        """The first row of the map that a band sees."""
        return max(band - self.padding[0], 0)

    def rows_needed(self, band: int) -> int:
        """Rows of the map that a band sees."""
        end = min(band - self.padding[0] + self.kernel[0], self.source.height)
        return end - self.first_row(band)

    def rows_released(self, band: int) -> int:
        """Rows of the map that no band after this one sees."""
        following = self.source.height if band == self.bands - 1 else self.first_row(band + 1)
        return following - self.first_row(band)

    @property
    def rows_to_overlap(self) -> int:
        """Rows to store so that a frame's last band and the next frame's first do not wait.

        While the last band is read, what the first one needs fits behind it.
        """
        both_ends = self.rows_needed(self.bands - 1) + self.rows_needed(0)
        return max(self.kernel[0] + 1, both_ends - 1)

    @property
    def dummy_shifts(self) -> int:
        """Columns of padding that must pass between two bands.

        The right padding of a band overlaps with the first columns and the left padding of the
        next, so that usually none are left. Padding wider than the kernel's overlap needs some,
        and so does a map too narrow to lend that many columns.
        """
        overlap = 2 * self.padding[1] - (self.kernel[1] - 1)
        return max(overlap, self.padding[1] - (self.source.width - 1), 0)

    @property
    def row_change(self) -> int:
        """Cycles from a band's last window to the next band's first, at least."""
        return self.kernel[1] - self.padding[1] - self.overlap_columns

    @property
    def overlap_columns(self) -> int:
        """Columns of the next band that stand in for a band's right padding, at most."""
        return self.padding[1] - self.dummy_shifts
