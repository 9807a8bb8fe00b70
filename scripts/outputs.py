"""Checks of files and folders to write before any work is done, and errors that name them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def require_file(path: Path) -> None:
    """Refuse a file that cannot be written.

    Raises
    ------
    ValueError
        It is a folder, or its folder is missing or is a file: the path is wrong.
    PermissionError
        It is a device that may not be written, or its folder may not.
    """
    from systolith.golden.files.whole_files import is_special

    if path.is_dir():
        raise ValueError(f"{path}: cannot be written: it is a folder")
    if is_special(path):
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, "cannot be written: not permitted", str(path))
    else:
        _require_writable(Path(os.path.realpath(path)).parent, path)


def require_folder(path: Path) -> None:
    """Refuse a folder that can neither be written nor made.

    Raises
    ------
    ValueError
        It, or the nearest folder above it that exists, is a file: the path is wrong.
    PermissionError
        The folder may not be written.
    """
    nearest = path
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    _require_writable(nearest, path)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Make a system error name `path`, and not a temporary file next to it."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, f"cannot be written: {error.strerror}", str(path)) from None


def _require_writable(folder: Path, wanted: Path) -> None:
    if not folder.exists():
        raise ValueError(f"{wanted}: cannot be written: there is no folder {folder}")
    if not folder.is_dir():
        raise ValueError(f"{wanted}: cannot be written: {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        reason = f"cannot be written: the folder {folder} is not writable"
        raise PermissionError(errno.EACCES, reason, str(wanted))
