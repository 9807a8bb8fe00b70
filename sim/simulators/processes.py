"""Starts child processes, and kills them with their children when the context ends.

Compilers and simulators are started here, so that an interrupt leaves no process and no temporary
file of theirs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from systolith.sim.errors import SimulationError

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
        with _interrupts_delayed():
            process = subprocess.Popen(command, start_new_session=True, **options)
        yield process
    finally:
        if process is not None:
            with _interrupts_delayed():
                _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


@contextlib.contextmanager
def _interrupts_delayed() -> Iterator[None]:
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


def run_all(
    commands: Sequence[Command],
    *,
    log: Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    jobs: int = 1,
    timeout: float = 1800.0,
) -> None:
    """Run `commands`, `jobs` at a time, and append their output to the file `log`.

    Their temporary files are in a folder in `cwd`, which is removed at the end; a killed compiler
    leaves some. Its path is relative, since Icarus passes it to a shell without quotes.

    Raises
    ------
    SimulationError
        If one ends with a status other than 0, or all together take more than `timeout` seconds.
        The others are killed.
    """
    deadline = time.monotonic() + timeout
    waiting = list(commands)
    running: list[tuple[str, subprocess.Popen[bytes]]] = []
    with (
        tempfile.TemporaryDirectory(prefix="temporary-", dir=cwd) as temporary,
        contextlib.ExitStack() as stack,
        log.open("ab") as output,
    ):
        environment = {**(env or os.environ), "TMPDIR": Path(temporary).name}
        while waiting or running:
            with _interrupts_delayed():
                while waiting and len(running) < jobs:
                    command = waiting.pop(0)
                    options = {"cwd": cwd, "env": environment, "stdout": output}
                    context = started(
                        command, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, **options
                    )
                    running.append((Path(command[0]).name, stack.enter_context(context)))
                still_running = []
                for name, process in running:
                    status = process.poll()
                    if status:
                        raise SimulationError(f"{name} {describe_status(status)}: {tail(log)}")
                    if status is None and time.monotonic() > deadline:
                        raise SimulationError(
                            f"{name} took more than {timeout:g} seconds: {tail(log)}"
                        )
                    if status is None:
                        still_running.append((name, process))
                running = still_running
            time.sleep(0.005)


def describe_status(status: int) -> str:
    """An exit status in words."""
    if status < 0:
        return f"was killed by signal {-status}"
    return f"ended with status {status}"


def tail(log: Path, characters: int = 400) -> str:
    """The last characters of a log, on one line."""
    text = log.read_text("utf-8", "replace") if log.exists() else ""
    return " ".join(text.split())[-characters:] or "it printed nothing"
