"""Standard output and standard error: every text, table and JSON document that a command prints.

Text may come from files of others. Characters that a terminal would obey are printed as escapes.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markdown import Markdown, MarkdownElement, TableElement
from rich.table import Table
from rich.text import Text

_PLAIN_SIZE = 120, 25
"""Columns and lines where standard output is not a terminal and `COLUMNS` is not set."""

_NAME_WIDTH = 16
_LEAST_FOLDED = 20
"""The least width to which a column of words is folded so that its table fits."""

_NARROW = 60
"""Terminals with fewer columns than this get names and texts on lines of their own."""


def printable(text: str) -> str:
    """The text with escapes for what is not printable (`golden.files.printable`)."""
    # Imported here because `--help` should need neither NumPy nor time.
    from systolith.golden.files.printable import printable

    return printable(text)


def console() -> Console:
    """The console on standard output."""
    columns, lines = shutil.get_terminal_size(_PLAIN_SIZE)
    return Console(highlight=False, width=columns, height=lines)


def print_json(document: str | bytes) -> None:
    """Print a JSON document. What is not printable, or not in the encoding, becomes an escape."""
    text = document if isinstance(document, str) else document.decode()
    sys.stdout.write("\n".join(map(_escaped, text.split("\n"))))


def _escaped(line: str) -> str:
    if line.isprintable() and line.isascii():
        return line
    encoding = sys.stdout.encoding or "utf-8"
    return "".join(
        each if each.isprintable() and each.encode(encoding, "ignore") else json.dumps(each)[1:-1]
        for each in line
    )


def to_json(value: Any) -> str:
    """The text of a JSON document; NaN and infinities are errors."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The text of a CSV file with a column for every key; what a row lacks is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def print_text(text: str, style: str = "") -> None:
    """Print a line of text. It is not wrapped, so that commands and paths can be copied."""
    console().print(Text(printable(text), style), soft_wrap=True)


def print_line(name: str, text: str | Path) -> None:
    """Print a line of a list: a name, and text about it, which is wrapped between words."""
    shown = console()
    narrow = shown.width < _NARROW
    indent = 4 if narrow else 2 + _NAME_WIDTH + 1
    words = printable(str(text))
    lines = [words] if isinstance(text, Path) else _wrapped(words, shown.width - indent)
    head = f"  {printable(name):<{_NAME_WIDTH}} "
    if narrow:
        print_text(head.rstrip())
        head = " " * indent
    print_text(head + lines[0])
    for line in lines[1:]:
        print_text(" " * indent + line)


def print_error(text: str) -> None:
    """Print one line on standard error."""
    print(f"systolith: {printable(' '.join(text.split()))}", file=sys.stderr, flush=True)


def print_markdown(text: str) -> None:
    """Render Markdown; its tables fit the terminal like those of `print_table`."""
    console().print(_Markdown("\n".join(map(printable, text.split("\n")))))


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    left: int = 1,
    footer: Sequence[str] | None = None,
) -> None:
    """Print a table whose first `left` columns are words and whose other columns are figures."""
    shown = console()
    shown.print(Text(printable(title), "italic", overflow="fold"))
    shown.print(_FittedTable(columns, rows, left, footer))


@dataclass(frozen=True)
class _FittedTable:
    """A table that is never cut, however narrow the terminal is.

    It is printed whole if it fits, if need be with words in several lines. Otherwise its columns
    are divided among as few tables as possible, each of which begins with the words of the row. If
    even these do not fit, every row becomes a list.

    Parameters
    ----------
    columns, rows
        Headings, and the cells of each row.
    left
        The number of columns of words: they say what a row is about.
    footer
        The cells of a last row, such as totals, or None.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int
    footer: Sequence[str] | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        keys = list(range(max(1, self.left)))
        others = list(range(len(keys), len(self.columns)))
        whole = self._table([*keys, *others], wrap=False)
        if _natural_width(console, options, whole) <= options.max_width:
            yield whole
            return
        for count in range(1, len(others) + 1):
            ends = [len(others) * part // count for part in range(count + 1)]
            tables = [
                table
                for start, end in pairwise(ends)
                if (table := self._fitted(console, options, [*keys, *others[start:end]]))
            ]
            if len(tables) == count:
                yield from tables
                return
        yield from self._lists(keys, others)

    def _fitted(
        self, console: Console, options: ConsoleOptions, places: Sequence[int]
    ) -> Table | None:
        """A table of some columns that fits, if need be with a column of words folded."""
        table = self._table(places, wrap=True)
        excess = _natural_width(console, options, table) - options.max_width
        if excess <= 0:
            return table
        widest = max(range(max(1, self.left)), key=self._width)
        width = self._width(widest) - excess
        if width < max(_LEAST_FOLDED, self._longest_word(widest)):
            return None
        return self._table(places, wrap=True, folded=(widest, width))

    def _table(
        self, places: Sequence[int], wrap: bool, folded: tuple[int, int] | None = None
    ) -> Table:
        """A table of some columns; `folded` is one with words in lines of this width."""
        footer = self.footer or [""] * len(self.columns)
        table = Table(
            box=box.SIMPLE,
            pad_edge=False,
            collapse_padding=True,
            show_footer=any(footer[place] for place in places if place >= self.left),
        )
        for place in places:
            heading = printable(self.columns[place])
            table.add_column(
                Text("\n".join(_wrapped(heading, self._width(place))) if wrap else heading),
                Text(printable(footer[place])),
                justify="left" if place < self.left else "right",
                vertical="bottom",
                no_wrap=folded is None or place != folded[0],
                max_width=folded[1] if folded and place == folded[0] else None,
            )
        for row in self.rows:
            table.add_row(*(Text(printable(row[place])) for place in places))
        return table

    def _width(self, place: int) -> int:
        """The width of a column without its heading."""
        return max((cell_len(printable(row[place])) for row in self._all_rows()), default=0)

    def _longest_word(self, place: int) -> int:
        """The width of the longest word of a column."""
        words = (word for row in self._all_rows() for word in printable(row[place]).split())
        return max(map(cell_len, words), default=0)

    def _all_rows(self) -> list[Sequence[str]]:
        return [*self.rows, *([self.footer] if self.footer else [])]

    def _lists(self, keys: list[int], others: list[int]) -> list[RenderableType]:
        """The headings of the words, then a paragraph for each row, its figures with headings."""
        lines = ["  ".join(self.columns[place] for place in keys)]
        for row in self._all_rows():
            lines.append("  ".join(row[place] for place in keys if row[place]))
            lines += [f"  {self.columns[place]}: {row[place]}" for place in others if row[place]]
        return [Text(printable(line), overflow="fold") for line in lines]


class _MarkdownTable(TableElement):
    """A table of a Markdown text."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        headings = self.header.row.cells if self.header and self.header.row else []
        right = [cell.justify == "right" for cell in headings]
        yield _FittedTable(
            [cell.content.plain for cell in headings],
            [[cell.content.plain for cell in row.cells] for row in self.body.rows]
            if self.body
            else [],
            right.index(True) if True in right else len(right),
        )


class _Markdown(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "table_open": _MarkdownTable,
    }


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of whole words; a word that is longer than a line is not broken."""
    lines = textwrap.wrap(
        text, max(1, width), break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )
    return lines or [""]


def _natural_width(console: Console, options: ConsoleOptions, table: RenderableType) -> int:
    """The columns that a table takes if nothing in it is cut."""
    return console.measure(table, options=options.update(width=1_000_000)).maximum
