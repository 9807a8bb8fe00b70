"""Features from CSV files: a line for each image, a column for each value, one for the label."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from systolith.golden.errors import FileFormatError
from systolith.golden.files.printable import printable
from systolith.golden.files.raw_values import Counts, Taker, quantized
from systolith.golden.files.whole_files import read_whole
from systolith.golden.qformat import PIXELS, QFormat, RawImages

LABEL = "label"
"""The name of a last column that holds labels without being asked for."""

MAX_BYTES = 2**28
"""The largest file that is read, in bytes."""

_MOST_LABEL = 2**31 - 1
_SHOWN = 30


Features = tuple[RawImages, NDArray[np.int64] | None, Counts]
"""Images, their labels if they are known, and for each image how many values saturated."""


def read_features(path: Path, taker: Taker, label_column: str | None) -> Features:
    """The images in a CSV file, their labels if it has them, and how many values saturated.

    Columns are separated by commas. The first line is a header if one of its cells is no number;
    its other cells may be the numbers of columns, from 0 or 1. The columns, but for that of the
    labels, are the values of an image: pixel by pixel, row by row, channels ascending. They are
    real numbers, which are rounded to the input's format, halves to even, and saturate; pixels are
    whole numbers from 0 to 255.

    Parameters
    ----------
    path
        The file, UTF-8, of at most `MAX_BYTES`.
    taker
        What takes the images.
    label_column
        The name of the column of labels; by default the last one, if it is called `label`.

    Raises
    ------
    FileFormatError
        A cell is no such number, lines differ in length, it is not known whether the first line is
        a header or which column has the labels, or there are more or fewer values than the network
        takes. The message has the line and the column.
    """
    try:
        return _Reader(path, taker, label_column).read()
    except (csv.Error, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path}: is no CSV file in UTF-8 ({error})") from None


class _Reader:
    """Reads one file."""

    def __init__(self, path: Path, taker: Taker, label_column: str | None) -> None:
        self._path = path
        self._format: QFormat = taker.format
        self._shape = taker.image_shape
        self._label_column = label_column
        self._names: list[str] | None = None
        self._label: int | None = None
        self._columns = 0

    def read(self) -> Features:
        text = read_whole(self._path, MAX_BYTES).decode("utf-8-sig")
        self._check_width(text[: text.find("\n")])
        rows = self._rows(text)
        line, first = next(rows, (1, []))
        if not first:
            raise FileFormatError(f"{self._path}: has no lines")
        self._begin(line, first)
        images, labels, saturated = [], [], []
        pending = [] if self._names is not None else [(line, first)]
        for number, row in (*pending, *rows):
            values = self._numbers(number, row)
            if self._label is not None:
                labels.append(self._label_of(number, row[self._label], values[self._label]))
                values = np.delete(values, self._label)
            raw, outside = self._raw(number, values[np.newaxis])
            images.append(raw)
            saturated.append(outside)
        if not images:
            raise FileFormatError(f"{self._path}: has a header and no other line")
        stacked: RawImages = np.concatenate(images).reshape(-1, *self._shape)
        known = None if self._label is None else np.array(labels, np.int64)
        return stacked, known, np.concatenate(saturated)

    def _check_width(self, first: str) -> None:
        """Refuse far too many columns before millions of cells are made of them."""
        columns, size = first.count(",") + 1, math.prod(self._shape)
        if columns > size + 1 and '"' not in first:
            raise FileFormatError(
                f"{self._path}: has {columns:,} columns, and the network takes {size:,} values"
            )

    def _rows(self, text: str) -> Iterator[tuple[int, list[str]]]:
        """The lines with their numbers; those that are empty at the end hold nothing."""
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        empty = None
        for row in reader:
            if not row:
                empty = empty or reader.line_num
                continue
            if empty is not None:
                raise FileFormatError(f"{self._path}: line {empty} is empty")
            yield reader.line_num, row

    def _begin(self, line: int, first: Sequence[str]) -> None:
        """Find out from the first line whether it is a header, and which column has the labels."""
        self._columns = len(first)
        numeric = [cell.strip() for cell in first if _numbers([cell]) is not None]
        size = math.prod(self._shape)
        counted = any(
            numeric == [str(start + place) for place in range(len(numeric))] for start in (0, 1)
        )
        if len(numeric) == len(first) and len(first) > 1 and counted:
            raise FileFormatError(
                f"{self._path}: line {line} may be a header or values: give the columns names that "
                "are no numbers"
            )
        if len(numeric) < len(first) and counted:
            self._names = [cell.strip() for cell in first]
        self._label = self._label_place()
        values = self._columns - (self._label is not None)
        if values == size:
            return
        given = f"{self._path}: has {self._columns} column{'s' if self._columns > 1 else ''}"
        if self._label is not None:
            given += f", one of them of labels ({self._column(self._label)})"
        message = f"{given}, and the network takes {size} values"
        if self._label is None and values == size + 1:
            message += (
                ": name the column of labels with --label-column"
                if self._names is not None
                else ": the column of labels needs a name, in a header line"
            )
        elif self._columns == 1 and ";" in first[0]:
            message += ": columns are separated by commas, not semicolons"
        raise FileFormatError(message)

    def _label_place(self) -> int | None:
        """The place of the column of labels, if there is one."""
        wanted, names = self._label_column, self._names
        if wanted is None:
            known = names is not None and names[-1] == LABEL
            return self._columns - 1 if known else None
        if names is None:
            raise FileFormatError(
                f"{self._path}: has no header line, so that no column is named {wanted!r}"
            )
        if names.count(wanted) != 1:
            shown = ", ".join(printable(name[:_SHOWN]) for name in names[-5:])
            raise FileFormatError(
                f"{self._path}: has {names.count(wanted)} columns named {wanted!r}; "
                f"{'the last ones are' if len(names) > 5 else 'it has'} {shown}"
            )
        return names.index(wanted)

    def _numbers(self, line: int, row: Sequence[str]) -> NDArray[np.float64]:
        """The numbers of a line, those of the label too."""
        if len(row) != self._columns:
            raise FileFormatError(
                f"{self._path}: line {line} has {len(row)} column{'s' if len(row) > 1 else ''}, "
                f"not {self._columns}"
            )
        values = _numbers(row)
        if values is None:
            place = next(place for place, cell in enumerate(row) if _numbers([cell]) is None)
            raise self._refused(line, place, row[place], "must be a number")
        return values

    def _raw(self, line: int, values: NDArray[np.float64]) -> tuple[RawImages, Counts]:
        if self._format != PIXELS:
            return quantized(values, self._format)
        wrong = (values < 0) | (values > PIXELS.max_raw) | (values != np.rint(values))
        if wrong.any():
            place = int(np.argmax(wrong))
            place += self._label is not None and place >= self._label
            value = values.flat[int(np.argmax(wrong))]
            allowed = (
                "must be a whole number from 0 to 255, as the network was imported for pixels and "
                "not with an --input-format"
            )
            raise self._refused(line, place, f"{value:g}", allowed)
        return values.astype(np.uint8), np.zeros(1, np.int64)

    def _label_of(self, line: int, cell: str, value: float) -> int:
        if not 0 <= value <= _MOST_LABEL or value != int(value):
            assert self._label is not None
            allowed = "must be a class, a whole number from 0 (leave out a column of other targets)"
            raise self._refused(line, self._label, cell, allowed)
        return int(value)

    def _refused(self, line: int, place: int, cell: str, allowed: str) -> FileFormatError:
        return FileFormatError(
            f"{self._path}: line {line}, column {self._column(place)}: {allowed}, "
            f"not {cell[:_SHOWN]!r}"
        )

    def _column(self, place: int) -> str:
        """A column by its number, from 1, and its name."""
        if self._names is None or not self._names[place]:
            return str(place + 1)
        return f"{place + 1} ({printable(self._names[place][:_SHOWN])})"


def _numbers(cells: Sequence[str]) -> NDArray[np.float64] | None:
    """The finite numbers in cells, in plain or scientific notation, or None if one is none."""
    text = "".join(cells)
    # Python also takes digits of other scripts, and underscores between digits.
    if not text.isascii() or "_" in text:
        return None
    try:
        values = np.array(list(map(float, cells)))
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None
