"""Checks of files and folders to write before any work is done, and errors that name them.

A command may write over its earlier outputs, but never over a file that it reads, nor in place of
one that belongs to an accelerator's folder.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import typer

_WRITTEN = ("out", "timeline")
_NETWORKS = ("network", "networks")  # names of networks that ship, or paths
_MANIFEST = "manifest.json"
_READ_IN_FOLDERS = (_MANIFEST, "simulation.json", "synthesis.json", "sweep.json")


def inputs_stay(command: Callable[..., None]) -> Callable[..., None]:
    """A command that refuses to write over the files that it reads, named to it or found.

    It refuses the files of an accelerator's folder, too, whether they are there or not yet.
    Those that its arguments and options name are refused at once, others before they are read.
    What it writes in a folder, it checks itself with `require_apart`.
    """

    @wraps(command)
    def checked(**given: Any) -> None:
        read = [
            path
            for name, value in given.items()
            if name not in _WRITTEN
            for path in _paths(value, name in _NETWORKS)
        ]
        read += [folder / file for folder in read for file in _READ_IN_FOLDERS]
        written = {name: _paths(given.get(name)) for name in _WRITTEN}
        for name, paths in written.items():
            _require_no_accelerators_file(name, paths)

        def observe(*read: Path) -> None:
            for name, paths in written.items():
                require_apart(name, paths, read)

        observe(*read)
        from systolith.golden.files.whole_files import observed_reads

        with observed_reads(observe):
            command(**given)

    return checked


def require_apart(option: str, written: Iterable[Path], read: Iterable[Path]) -> None:
    """Refuse to write over an input, also through a link or another spelling of its path.

    Raises
    ------
    BadParameter
        A path to write is one that is read; names the option.
    """
    read = list(read)
    for path in written:
        if any(_is_same(path, each) for each in read):
            raise typer.BadParameter(
                f"{path} is an input of this command, which would be lost: choose another name",
                param_hint=f"--{option}",
            )


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


def _paths(given: Any, names: bool = False) -> list[Path]:
    """The paths in the value of an option; with `names` words are paths, too."""
    values = given if isinstance(given, list) else [given]
    return [Path(each) for each in values if isinstance(each, (Path, str) if names else Path)]


def _require_no_accelerators_file(option: str, written: Iterable[Path]) -> None:
    """Refuse a file that `generate` wrote to a folder, or that later commands write there."""
    for path in written:
        whole = Path(os.path.realpath(path))
        for folder in whole.parents[:2]:
            if whole.relative_to(folder).as_posix() in _accelerators_files(folder):
                raise typer.BadParameter(
                    f"{path} is a file of the accelerator in {folder}: choose another name",
                    param_hint=f"--{option}",
                )


def _accelerators_files(folder: Path) -> set[str]:
    """The files that the folder of an accelerator has or may have; none in other folders."""
    if not (folder / _MANIFEST).is_file():
        return set()
    from systolith.golden.errors import FileFormatError
    from systolith.hw.verilog.artifacts import RESULT_FILES
    from systolith.hw.verilog.manifest import load_manifest

    try:
        generated = load_manifest(folder).sha256()
    except (FileFormatError, OSError):
        return set()
    return {_MANIFEST, *generated, *RESULT_FILES}


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them does not exist
        return False


def _require_writable(folder: Path, wanted: Path) -> None:
    if not folder.exists():
        raise ValueError(f"{wanted}: cannot be written: there is no folder {folder}")
    if not folder.is_dir():
        raise ValueError(f"{wanted}: cannot be written: {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        reason = f"cannot be written: the folder {folder} is not writable"
        raise PermissionError(errno.EACCES, reason, str(wanted))
