"""Text from elsewhere is shown on one line, without what a terminal obeys."""

from __future__ import annotations

import pytest

from systolith.golden.files.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("Zähler", "Zähler"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b[2J", r"\x1b[2J"),
        ("Zähler\u202e", r"Zähler\u202e"),
        ("\udcff", r"\udcff"),
        ("\U000e0001", r"\U000e0001"),
        ("'\x07", r"'\x07"),
        ("", ""),
    ],
)
def test_what_does_not_print_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
