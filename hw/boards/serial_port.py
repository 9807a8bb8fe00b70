"""A serial port of this machine, by pyserial."""

from __future__ import annotations

import errno
import os
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from systolith.hw.boards.board_client import BoardError

if TYPE_CHECKING:
    import serial

_WRITE_SECONDS = 10.0


class SerialPort:
    """An open port; a `boards.board_client.Port`. `open_port` opens it."""

    def __init__(self, name: str, port: serial.Serial) -> None:
        self.name = name
        self._port = port

    def write(self, content: bytes) -> None:
        """Send bytes; blocks while the system's buffer is full.

        Raises
        ------
        BoardError
            The port is gone, or takes nothing for a time.
        """
        with _named_errors(self.name):
            self._port.write(content)

    def read(self, seconds: float) -> bytes:
        """Wait for at least one byte; none came within that time if it returns none.

        Raises
        ------
        BoardError
            The port is gone.
        """
        with _named_errors(self.name):
            if self._port.timeout != seconds:
                self._port.timeout = seconds
            return bytes(self._port.read(max(1, self._port.in_waiting)))


@contextmanager
def open_port(name: str, baud: int) -> Iterator[SerialPort]:
    """Open a serial port for this process alone, 8 data bits, no parity, 1 stop bit.

    Parameters
    ----------
    name
        Such as `/dev/ttyUSB0`, or a URL of pyserial.
    baud
        Bits a second.

    Raises
    ------
    BoardError
        There is no such port, it may not be opened, or it cannot do this speed.
    ModuleNotFoundError
        pyserial is not installed.
    """
    import serial

    with _named_errors(name):
        port = serial.serial_for_url(name, baud, write_timeout=_WRITE_SECONDS, do_not_open=True)
        port.exclusive = True
        port.open()
    with port:
        with _named_errors(name):
            port.reset_input_buffer()
        yield SerialPort(name, port)


@contextmanager
def _named_errors(name: str) -> Iterator[None]:
    """Errors of pyserial as errors of one line that have the port's name."""
    try:
        yield
    except (OSError, ValueError, termios.error) as error:
        raise BoardError(f"{name}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number in (errno.EAGAIN, errno.EBUSY):
        return "another program uses it"
    if number == errno.EACCES:
        return f"{os.strerror(number)} (ports often belong to the group dialout)"
    if number == errno.ENOENT:
        return "there is no such port"
    return os.strerror(number) if number else str(error).strip().splitlines()[0]
