"""Text from elsewhere, such as names in files, made safe to show in a line of text."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""The text with every character that is not printable replaced by its escape, such as `\x1b`.

    A terminal would obey control characters, and line breaks would end a line or a cell. Characters
    that hide or reorder text, and bytes of file names that are not UTF-8, are replaced as well.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )
