"""The windows of a convolution on a feature map that is streamed row by row, as plain numbers.

The line buffer, the window feeder, their cycle models and tests all use it. A `band` is the set of
input rows from the first to the last one that the windows of one output row cover; bands are
numbered as output rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from systolith.golden.network.graph import Shape
from systolith.golden.network.windows import Windows
from systolith.hw.systolic.schedule import Chunk


@dataclass(frozen=True)
class WindowGeometry:
    """Where `windows` stand on a map of shape `source`, and in which order its pixels reach them.

    Parameters
    ----------
    source
        The shape of the streamed map: (height, width, channels).
    windows
        Kernel, stride, dilation and padding; each padding is less than a window's reach.

    Raises
    ------
    ValueError
        A size below 1, a padding out of range, or a window larger than the padded map.
    """

    source: Shape
    windows: Windows

    def __post_init__(self) -> None:
        windows = self.windows
        if min(*self.source, *windows.kernel, *windows.stride, *windows.dilation) < 1:
            raise ValueError(
                f"windows: map {self.source}, kernel {windows.kernel}, stride {windows.stride} and "
                f"dilation {windows.dilation} must be at least 1 each way"
            )
        above, left, below, right = windows.padding
        rows, columns = windows.reach
        for axis, pads, reach in (
            ("vertical", (above, below), rows),
            ("horizontal", (left, right), columns),
        ):
            for pad in pads:
                if not 0 <= pad < reach:
                    raise ValueError(
                        f"windows: {axis} padding must be from 0 to {reach - 1}, not {pad}"
                    )
        if self.bands < 1 or self.columns < 1:
            raise ValueError(f"windows: {windows} does not fit a map of {self.source}")

    @property
    def count(self) -> tuple[int, int]:
        """The numbers of bands, and of windows in a band."""
        return self.windows.count(self.source.height, self.source.width)

    @property
    def bands(self) -> int:
        """The number of rows of windows."""
        return self.count[0]

    @property
    def columns(self) -> int:
        """The number of windows in a band."""
        return self.count[1]

    def windows_inside(self, axis: int, element: int) -> range:
        """The numbers of the windows along an axis in which an element of the kernel is on the map.

        Axis 0 is for a row of the kernel and the numbers of bands, axis 1 for a column of the
        kernel and the numbers of windows in a band.
        """
        stride = self.windows.stride[axis]
        first = self.windows.padding[axis] - element * self.windows.dilation[axis]
        end = first + self.source[axis]
        return range(max(-(-first // stride), 0), min(-(-end // stride), self.count[axis]))

    def first_row(self, band: int) -> int:
        """The first row of the map that a band covers."""
        return max(band * self.windows.stride[0] - self.windows.padding.above, 0)

    def rows_needed(self, band: int) -> int:
        """The number of rows of the map that a band covers."""
        top = band * self.windows.stride[0] - self.windows.padding.above
        return min(top + self.windows.reach[0], self.source.height) - self.first_row(band)

    def rows_released(self, band: int) -> int:
        """The number of rows of the map, from the first of a band, that no later band covers.

        Some of them may be below the band: those between two bands, and those after the last.
        """
        following = self.source.height if band == self.bands - 1 else self.first_row(band + 1)
        return following - self.first_row(band)

    @property
    def rows_skipped(self) -> int:
        """The most rows that are released before all of their pixels were taken."""
        # Where windows leave out the last columns, a band is read before its last row is complete.
        open_row = int(self.columns_used < self.source.width)
        early = [self.rows_released(b) - self.rows_needed(b) + open_row for b in range(self.bands)]
        return max(0, *early)

    @property
    def band_step(self) -> int:
        """The number of rows from the top of a band to the top of the next one."""
        return self.windows.stride[0]

    @property
    def frame_step(self) -> int:
        """The same from the last band of a frame to the first one of the next frame."""
        return self.source.height - (self.bands - 1) * self.band_step

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
            Fewer than a window reaches over.
        """
        if rows < self.windows.reach[0]:
            raise ValueError(
                f"row buffer: needs at least the {self.windows.reach[0]} rows of a window, "
                f"not {rows}"
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
        kernel = self.windows.kernel
        elements = kernel[0] * kernel[1] * self.source.channels
        for element in (e for chunk in chunks for e in chunk if e is not None):
            if not 0 <= element < elements:
                raise ValueError(f"windows: elements are from 0 to {elements - 1}, not {element}")
        return lengths.pop()

    @property
    def rows_to_overlap(self) -> int:
        """The number of stored rows with which windows follow each other without a stall.

        While a band is read, the rows that the next one needs fit in, be it a band of the next
        frame. Bands that are mostly padding follow each other faster than the rows arrive: the
        rows that arrive while these are read fit in as well. Rows of one pixel pass faster than
        they are read and freed.
        """
        most_steps = max(self.band_step, 2 * self.band_step - 1 - self.frame_step)
        both_ends = self.rows_released(self.bands - 1) + self.rows_needed(0)
        passing = 2 if self.source.width == 1 else 0
        return max(self.windows.reach[0] + most_steps, both_ends - 1) + passing

    def columns_to(self, column: int) -> int:
        """The number of columns of the map, and of padding to its right, up to a window's last."""
        stride, reach = self.windows.stride[1], self.windows.reach[1]
        return column * stride + reach - self.windows.padding.left

    @property
    def columns_used(self) -> int:
        """The number of columns of the map up to the last one that windows cover."""
        return min(self.source.width, self.columns_to(self.columns - 1))

    @property
    def right_padding(self) -> int:
        """The number of columns to the right of the map that windows cover."""
        return self.columns_to(self.columns - 1) - self.columns_used

    @property
    def overlap_columns(self) -> int:
        """The most columns of the next band that are shifted in place of a band's right padding.

        The right padding of a band overlaps with the left padding and the first columns of the
        next band. The last column of that band's first window is never among these, nor the map's
        last one.
        """
        return min(self.right_padding, self.columns_to(0) - 1, self.columns_used - 1)

    @property
    def dummy_shifts(self) -> int:
        """The number of shifts between two bands that load no column of the map; usually 0.

        Padding that is wider than the overlap of two windows needs some, and so does a map that is
        not wider than its padding.
        """
        return self.right_padding - self.overlap_columns

    @property
    def row_change(self) -> int:
        """The fewest cycles from a band's last window to the first window of the next band."""
        return self.columns_to(0) - self.overlap_columns

    @property
    def most_shifts(self) -> int:
        """The most shifts from one window to the next."""
        return max(self.windows.stride[1], self.row_change)
