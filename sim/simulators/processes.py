"""Child processes that end no later than their parent wants."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from systolith.sim.errors import SimulationError

Command = Sequence[str | os.PathLike[str]]


@contextlib.contextmanager
def started(command: Command, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a process group of its own, killed with its children on the way out.

    `options` are those of `subprocess.Popen`. In a session of its own it does not get the
    terminal's interrupt: its parent does, and leaves this context.
    """
    process: subprocess.Popen[bytes] | None = None
    try:
        with _interrupts_put_off():
            process = subprocess.Popen(command, start_new_session=True, **options)
        yield process
    finally:
        if process is not None:
            with _interrupts_put_off():
                _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


@contextlib.contextmanager
def _interrupts_put_off() -> Iterator[None]:
    """Handle what interrupts this process when the context is left.

    A `subprocess.Popen` that is interrupted forgets a process that it has started, and one that is
    interrupted while it asks for the status may never get it.
    """
    came: list[int] = []
    handled = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM)
        if callable(handler := signal.getsignal(number))
    }
    if threading.current_thread() is not threading.main_thread():
        handled = {}  # handlers run in the main thread alone
    for number in handled:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def run_all(
    commands: Sequence[Command],
    *,
    log: Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    jobs: int = 1,
    timeout: float = 1800.0,
) -> None:
    """Run `commands`, `jobs` at a time, their output appended to the file `log`.

    Raises
    ------
    SimulationError
        If one ends with a status other than 0, or all together take more than `timeout` seconds.
        The rest is killed.
    """
    deadline = time.monotonic() + timeout
    waiting = list(commands)
    running: list[tuple[str, subprocess.Popen[bytes]]] = []
    with contextlib.ExitStack() as stack, log.open("ab") as output:
        while waiting or running:
            with _interrupts_put_off():
                while waiting and len(running) < jobs:
                    command = waiting.pop(0)
                    options = {"cwd": cwd, "env": env, "stdout": output}
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
    """The end of a log, on one line."""
    text = log.read_text("utf-8", "replace") if log.exists() else ""
    return " ".join(text.split())[-characters:] or "it said nothing"
