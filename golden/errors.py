"""Errors that more than one module raises."""

from __future__ import annotations


class FileFormatError(ValueError):
    """A file that cannot be read: the message is one line that names the file and the reason."""
