"""Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence

from systolith.golden.files.printable import printable


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """A table: its first `left` columns are words, aligned left, and the others are figures."""
    rule = ["---" if column < left else "---:" for column in range(len(headings))]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (headings, rule, *rows))


def cell(text: str) -> str:
    """Text that is shown as it is, and cannot break out of its cell."""
    return "".join(f"\\{each}" if each in "\\|<>[]*_`~&" else each for each in printable(text))
