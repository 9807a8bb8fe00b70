"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to `path` through a temporary file in the same folder.

    Whatever interrupts the writing, the file then has either its old content or all of `content`.
    Of a link, the file that it points to is written. What is not a regular file, such as a device
    or a pipe, is written to directly.

    Raises
    ------
    OSError
        The folder is missing, or the file cannot be written.
    """
    if is_special(path):
        Path(path).write_bytes(content)
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


def is_special(path: str | os.PathLike[str]) -> bool:
    """Whether there is something at `path` that is not a regular file, such as a device."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
