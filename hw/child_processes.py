"""Child processes and temporary folders that no interrupt leaves behind.

Compilers, simulators and synthesizers are started here, and folders of temporary files are made
here, since an interrupt in the middle of `subprocess.Popen` or `tempfile.mkdtemp` would lose them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

Command = Sequence[str | os.PathLike[str]]

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def started(command: Command, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process in a session of its own; the end of the context kills it and its children.

    The interrupt of a terminal does not reach it: its parent gets that and leaves the context.
    `options` are those of `subprocess.Popen`.
    """
    process: subprocess.Popen[bytes] | None = None
    try:
        with interrupts_delayed():
            process = subprocess.Popen(command, start_new_session=True, **options)
        yield process
    finally:
        if process is not None:
            _certainly(lambda: _end(process))


@contextlib.contextmanager
def temporary_folder(prefix: str, parent: str | os.PathLike[str] | None = None) -> Iterator[Path]:
    """Make a folder that only its owner may read; the end of the context removes it.

    Parameters
    ----------
    prefix
        The start of its name.
    parent
        The folder that it is made in; without one, the folder of temporary files.

    Raises
    ------
    OSError
        It cannot be made.
    """
    folder: Path | None = None
    try:
        with interrupts_delayed():
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        yield folder
    finally:
        if folder is not None:
            _certainly(lambda: shutil.rmtree(folder, ignore_errors=True))


@contextlib.contextmanager
def interrupts_delayed() -> Iterator[None]:
    """Delay interrupts of this process until the end of the context.

    An interrupted `subprocess.Popen` forgets the process that it has started, and one that is
    interrupted while it waits for the status may never get it.
    """
    pending: list[int] = []
    handled = {
        number: handler for number in _INTERRUPTS if callable(handler := signal.getsignal(number))
    }
    if threading.current_thread() is not threading.main_thread():
        handled = {}  # Python runs handlers in the main thread only
    for number in handled:
        signal.signal(number, lambda number, _: pending.append(number))
    try:
        yield
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)
        if pending:
            signal.raise_signal(pending[0])


def _certainly(clean_up: Callable[[], None]) -> None:
    """Clean up, also if an interrupt comes just before the delay begins."""
    try:
        with interrupts_delayed():
            clean_up()
    except KeyboardInterrupt:
        clean_up()
        raise


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
