"""Names from a file, made safe to print: they can neither move a cursor nor fill a screen."""

from __future__ import annotations

_LONGEST = 60


def shown(name: str) -> str:
    """A name in at most 60 characters, with escapes for what does not print."""
    text = "".join(
        each if each.isprintable() else each.encode("unicode_escape", "backslashreplace").decode()
        for each in name[: _LONGEST + 1]
    )
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
