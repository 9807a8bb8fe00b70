"""Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """A table: its first `left` columns are words, aligned left, and the others are figures."""
    rule = ["---" if column < left else "---:" for column in range(len(headings))]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (headings, rule, *rows))


def cell(text: str) -> str:
    """Text with the characters escaped that Markdown would take as its own."""
    return "".join(
        f"\\{character}" if character in "\\|<>[]*_`" else character for character in text
    ).replace("\n", " ")
