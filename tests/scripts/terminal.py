"""A terminal for the tests: what a command prints on it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import termios
import threading

import pytest

from systolith.scripts.main import main


def printed(monkeypatch: pytest.MonkeyPatch, columns: int, *arguments: str) -> str:
    """The standard output of a command on a terminal of some columns, without colours."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    parts: list[bytes] = []

    def read() -> None:
        try:
            while part := os.read(leader, 4096):
                parts.append(part)
        except OSError:  # the other end was closed
            pass

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with monkeypatch.context() as patch, open(follower, "w", encoding="utf-8") as stream:
            patch.delenv("COLUMNS", raising=False)
            patch.setenv("TERM", "xterm-256color")
            patch.setattr(sys, "stdout", stream)
            patch.setattr(sys, "__stdout__", stream)
            assert main(arguments) == 0
    finally:
        reader.join()
        os.close(leader)
    text = b"".join(parts).decode().replace("\r\n", "\n")
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
