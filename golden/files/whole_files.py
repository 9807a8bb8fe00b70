"""Reading a file of bounded size, and writing a file whole or not at all.

Every reader and writer of this project goes through these two functions.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from systolith.golden.errors import FileFormatError

_observer: ContextVar[Callable[[Path], None] | None] = ContextVar("observer", default=None)


@contextmanager
def observed_reads(observe: Callable[[Path], None]) -> Iterator[None]:
    """Call `observe` with each file that this thread reads, just before it reads it.

    It sees also those that nobody named, such as labels next to images. What it raises ends the
    reading.
    """
    before = _observer.set(observe)
    try:
        yield
    finally:
        _observer.reset(before)


def read_whole(path: str | os.PathLike[str], limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes.

    Raises
    ------
    FileFormatError
        There is no such file, it is not a regular one, or it is larger.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or a pipe"
            raise FileFormatError(f"{path}: is {what}, not a file")
        if status.st_size > limit:
            raise FileFormatError(f"{path}: has {status.st_size} bytes, at most {limit} are read")
        observe = _observer.get()
        if observe is not None:
            observe(Path(path))
        return Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise FileFormatError(f"{path}: no such file") from None


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to `path` through a temporary file in the same folder.

    Whatever interrupts the writing, the file then has either its old content or all of `content`.
    Of a link, the file that it points to is written. What is not a regular file, such as a device
    or a pipe, is written to directly.

    Raises
    ------
    OSError
        The folder is missing, the file cannot be written, or it is a pipe that no process reads.
    """
    if is_special(path):
        _write_special(path, content)
        return
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _write_special(path: str | os.PathLike[str], content: bytes) -> None:
    """Write to a device or a pipe, without waiting for somebody who reads it."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(error.errno, "no process reads this pipe", str(path)) from None
        raise
    os.set_blocking(descriptor, True)
    with open(descriptor, "wb") as file:
        file.write(content)


def is_special(path: str | os.PathLike[str]) -> bool:
    """Whether there is something at `path` that is not a regular file, such as a device."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
