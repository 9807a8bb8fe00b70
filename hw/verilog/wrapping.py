"""Breaks long lines of Verilog, and writes wide constants on several lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

COLUMNS = 100
"""Lines are no longer where they can be broken."""

_DIGITS = 32
"""Hexadecimal digits of each part of a wide constant."""

_WIDE = re.compile(r"(\d+)'h([0-9a-f]{64,})")
_ASSIGNMENT = re.compile(r" (<?=) ")
_BREAK = re.compile(r" (?!<?= |\?|\)|\}|;)")


def start_value(constant: str) -> str:
    """A constant; a wide zero as a repetition."""
    return _WIDE.sub(_parts, constant)


def wrapped(line: str) -> Iterator[str]:
    """The lines that a long line of code is broken into, at spaces."""
    if len(line) <= COLUMNS:
        yield line
        return
    line = _WIDE.sub(_parts, line)
    indent = " " * (len(line) - len(line.lstrip()))
    sides = _ASSIGNMENT.split(line.strip(), maxsplit=1)
    if len(sides) == 3 and len(indent) + 4 + max(len(sides[0]), len(sides[2])) <= COLUMNS:
        yield f"{indent}{sides[0]} {sides[1]}"
        yield f"{indent}    {sides[2]}"
        return
    words = _BREAK.split(line.strip())
    row = indent + words[0]
    for word in words[1:]:
        if len(row) + 1 + len(word) > COLUMNS:
            yield row
            row = f"{indent}    {word}"
        else:
            row = f"{row} {word}"
    yield row


def _parts(constant: re.Match[str]) -> str:
    """A wide constant as a concatenation of narrower ones."""
    width, digits = int(constant[1]), constant[2]
    if not digits.strip("0"):
        return f"{{ {width}{{1'h0}} }}"
    parts = []
    while digits:
        low, digits = digits[-_DIGITS:], digits[:-_DIGITS]
        bits = min(width, 4 * _DIGITS)
        parts.append(f"{bits}'h{low}")
        width -= bits
    return f"{{ {', '.join(reversed(parts))} }}"
