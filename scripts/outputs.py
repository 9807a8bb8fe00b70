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
    OSError
        It is a folder, or a device that cannot be written, or its folder is missing or cannot be
        written.
    """
    from systolith.golden.files.whole_files import is_special

    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "cannot be written: it is a folder", str(path))
    if is_special(path):
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, "cannot be written: not permitted", str(path))
    else:
        _require_writable(Path(os.path.realpath(path)).parent, path)


def require_folder(path: Path) -> None:
    """Refuse a folder that can neither be written nor made.

    Raises
    ------
    OSError
        It, or the nearest folder above it that exists, is a file or cannot be written.
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
        reason = f"there is no folder {folder}"
    elif not folder.is_dir():
        reason = f"{folder} is not a folder"
    elif not os.access(folder, os.W_OK | os.X_OK):
        reason = f"the folder {folder} is not writable"
    else:
        return
    raise OSError(errno.EACCES, f"cannot be written: {reason}", str(wanted))
