"""Errors that more than one module raises."""

from __future__ import annotations


class FileFormatError(ValueError):
    """A file that is not what it should be: one line that names the file and the reason."""
