"""Tables and JSON on standard output."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

_PLAIN_WIDTH = 120
"""Columns where standard output is no terminal, so that no table is cut."""


def console() -> Console:
    """The console on standard output."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=_PLAIN_WIDTH)


def print_json(value: Any) -> None:
    """One JSON document."""
    print(to_json(value), end="")


def to_json(value: Any) -> str:
    """The text of a JSON document; a number that is no number is an error, not `NaN`."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def print_line(name: str, text: str) -> None:
    """A line of a list: what it is about, and what there is to say."""
    console().print(f"  {name:<16} {text}", markup=False, soft_wrap=True)


def print_markdown(text: str) -> None:
    """Markdown, its tables drawn."""
    console().print(Markdown(text))


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    left: int = 1,
    footer: Sequence[str] | None = None,
) -> None:
    """A table whose first `left` columns are words, and whose others are right-aligned figures."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE, show_footer=footer is not None)
    for position, column in enumerate(columns):
        table.add_column(
            column,
            justify="left" if position < left else "right",
            footer=footer[position] if footer is not None else "",
            no_wrap=True,
        )
    for row in rows:
        table.add_row(*row)
    console().print(table)
