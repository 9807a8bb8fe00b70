"""Standard streams whose reader may go away, as in `systolith compare ... --json | head -1`.

They take any text: what their encoding lacks is written as an escape.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast


class _Stream:
    """A text stream that discards what is written after its reader has gone.

    Characters that its encoding lacks become escapes: that a path cannot be printed is no reason to
    fail once the file is written.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        encoding = self._stream.encoding or "utf-8"
        try:
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            return len(text)
        except OSError as error:
            self._discard(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._discard(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _discard(self, error: OSError) -> None:
        """Send everything from now on, and what is buffered, to the null device.

        Errors other than a closed pipe, such as a full disk, are raised.
        """
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)
        if not isinstance(error, BrokenPipeError):
            raise error


@contextmanager
def closed_pipes_are_quiet() -> Iterator[None]:
    """Let a program continue, and end with its own status, when its output is no longer read.

    A stream that is closed from the beginning is replaced by the null device.
    """
    before = sys.stdout, sys.stderr
    with open(os.devnull, "w", encoding="utf-8") as null:
        sys.stdout, sys.stderr = (cast(TextIO, _Stream(each or null)) for each in before)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before
