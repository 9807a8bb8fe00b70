"""The windows of a convolution on a feature map that is streamed row by row, as plain numbers.

The line buffer, the window feeder, their cycle models and tests all use it. A `band` is the set of
input rows that the windows of one output row cover; bands are numbered as output rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from systolith.golden.network.graph import Shape
from systolith.hw.systolic.schedule import Chunk


@dataclass(frozen=True)
class WindowGeometry:
    """The windows of a `kernel` over a map of shape `source` with `padding` around it.

    Parameters
    ----------
    source
        The shape of the streamed map: (height, width, channels).
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
        """The number of rows of windows."""
        return self.source.height + 2 * self.padding[0] - self.kernel[0] + 1

    @property
    def columns(self) -> int:
        """The number of windows in a band."""
        return self.source.width + 2 * self.padding[1] - self.kernel[1] + 1

    def first_row(self, band: int) -> int:
        """The first row of the map that a band covers."""
        return max(band - self.padding[0], 0)

    def rows_needed(self, band: int) -> int:
        """The number of rows of the map that a band covers."""
        end = min(band - self.padding[0] + self.kernel[0], self.source.height)
        return end - self.first_row(band)

    def rows_released(self, band: int) -> int:
        """The number of rows of the map that no later band covers."""
        following = self.source.height if band == self.bands - 1 else self.first_row(band + 1)
        return following - self.first_row(band)

    def beats_per_pixel(self, input_lanes: int) -> int:
        """The beats of a pixel, with `input_lanes` values in a beat.

        Raises
        ------
        ValueError
            The lanes do not divide the channels.
        """
        channels = self.source.channels
        if input_lanes < 1 or channels % input_lanes:
            raise ValueError(
                f"row buffer: input lanes must divide the {channels} channels, not {input_lanes}"
            )
        return channels // input_lanes

    def require_rows(self, rows: int) -> None:
        """Check the number of rows in a line buffer.

        Raises
        ------
        ValueError
            Fewer than the kernel's.
        """
        if rows < self.kernel[0]:
            raise ValueError(
                f"row buffer: needs at least the kernel's {self.kernel[0]} rows, not {rows}"
            )

    def chunk_length(self, chunks: Sequence[Chunk]) -> int:
        """The length of the chunks of a window.

        Raises
        ------
        ValueError
            No chunks, chunks of different lengths, or an element that is not in the window.
        """
        lengths = {len(chunk) for chunk in chunks}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(
                f"windows: needs chunks of one length, at least 1, not {sorted(lengths)}"
            )
        elements = self.kernel[0] * self.kernel[1] * self.source.channels
        for element in (e for chunk in chunks for e in chunk if e is not None):
            if not 0 <= element < elements:
                raise ValueError(f"windows: elements are from 0 to {elements - 1}, not {element}")
        return lengths.pop()

    @property
    def rows_to_overlap(self) -> int:
        """The number of stored rows with which frames overlap without a stall.

        The rows that the next frame's first band needs fit in while the last band is read.
        """
        both_ends = self.rows_needed(self.bands - 1) + self.rows_needed(0)
        return max(self.kernel[0] + 1, both_ends - 1)

    @property
    def dummy_shifts(self) -> int:
        """The number of shifts between two bands that load no column of the map.

        The right padding of a band overlaps with the left padding and the first columns of the
        next band, so that usually no such shift is needed. Padding that is wider than the kernel's
        overlap needs some, and so does a map that is not wider than its padding.
        """
        overlap = 2 * self.padding[1] - (self.kernel[1] - 1)
        return max(overlap, self.padding[1] - (self.source.width - 1), 0)

    @property
    def row_change(self) -> int:
        """The fewest cycles from a band's last window to the first window of the next band."""
        return self.kernel[1] - self.padding[1] - self.overlap_columns

    @property
    def overlap_columns(self) -> int:
        """The most columns of the next band that are shifted in place of a band's right padding."""
        return self.padding[1] - self.dummy_shifts
