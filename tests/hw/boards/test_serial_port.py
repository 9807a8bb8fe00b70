"""A serial port, over a pseudo-terminal, and ports that cannot be opened."""

from __future__ import annotations

import os
import pty
import select
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from systolith.hw.boards.board_client import BoardError
from systolith.hw.boards.serial_port import SerialPort, open_port


@pytest.fixture
def line() -> Iterator[tuple[int, str]]:
    """The other end of a line, and the name of the port."""
    other, port = pty.openpty()
    tty.setraw(port)
    yield other, os.ttyname(port)
    os.close(other)
    os.close(port)


def received(port: SerialPort, count: int) -> bytes:
    """At least so many bytes; they may come in pieces."""
    found = b""
    while len(found) < count:
        found += port.read(1.0)
    return found


def test_bytes_go_both_ways_and_silence_is_empty(line: tuple[int, str]) -> None:
    other, name = line
    content = bytes(range(256))
    with open_port(name, 1_000_000) as port:
        port.write(content)
        assert os.read(other, 1000) == content
        os.write(other, content)
        assert received(port, len(content)) == content
        assert port.read(0.01) == b""
        assert port.name == name


def test_what_came_before_is_dropped(line: tuple[int, str]) -> None:
    other, name = line
    os.write(other, b"old")
    with Path(name).open("rb") as port:
        select.select([port], [], [])
    with open_port(name, 115_200) as port:
        os.write(other, b"new")
        assert received(port, 3) == b"new"


def test_a_port_is_opened_once(line: tuple[int, str]) -> None:
    _, name = line
    with (
        open_port(name, 115_200),
        pytest.raises(BoardError, match=f"{name}: another program uses it"),
        open_port(name, 115_200),
    ):
        pass


def test_ports_that_are_none(tmp_path: Path) -> None:
    missing, file = tmp_path / "ttyUSB0", tmp_path / "file"
    file.touch()
    for path, message in (
        (missing, f"{missing}: there is no such port$"),
        (file, f"{file}: Could not configure port.*Inappropriate ioctl"),
        (tmp_path, f"{tmp_path}: Is a directory"),
    ):
        with pytest.raises(BoardError, match=message), open_port(str(path), 115_200):
            pass


def test_a_port_of_others_is_named_with_its_group(
    line: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, name = line

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("serial.serialposix.os.open", refuse)
    with (
        pytest.raises(BoardError, match=f"{name}: Permission denied .*dialout"),
        open_port(name, 115_200),
    ):
        pass


def test_a_board_that_is_pulled_out_is_an_error() -> None:
    other, end = pty.openpty()
    tty.setraw(end)
    name = os.ttyname(end)
    with open_port(name, 115_200) as port:
        os.close(other)
        with pytest.raises(BoardError, match=f"{name}: "):
            port.read(0.5)
    os.close(end)
