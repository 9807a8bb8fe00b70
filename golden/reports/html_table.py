"""Reports as HTML tables: what notebooks show of them (`_repr_html_`), without scripts."""

from __future__ import annotations

import html
from collections.abc import Sequence

from systolith.golden.files.printable import printable


def html_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    left: int,
    caption: str = "",
) -> str:
    """A table: its first `left` columns are words, aligned left, and the others are figures."""
    lines = [f"<caption>{_text(caption)}</caption>"] if caption else []
    lines.append(_row("th", headings, left))
    lines += [_row("td", row, left) for row in rows]
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def _row(kind: str, cells: Sequence[str], left: int) -> str:
    made = (
        f'<{kind} style="text-align: {"left" if place < left else "right"}">{_text(each)}</{kind}>'
        for place, each in enumerate(cells)
    )
    return f"<tr>{''.join(made)}</tr>"


def _text(text: str) -> str:
    return html.escape(printable(text))
