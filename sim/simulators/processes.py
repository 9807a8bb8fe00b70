"""Runs the commands of a build, several at a time, and puts exit statuses into words.

Compilers run here, so that an interrupt leaves no process and no temporary file of theirs.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from systolith.hw.child_processes import Command, interrupts_delayed, started, temporary_folder
from systolith.sim.errors import SimulationError


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
        temporary_folder("temporary-", cwd) as temporary,
        contextlib.ExitStack() as stack,
        log.open("ab") as output,
    ):
        environment = {**(env or os.environ), "TMPDIR": temporary.name}
        while waiting or running:
            with interrupts_delayed():
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
                        raise SimulationError(
                            f"{name} {describe_status(status)}: {tail(log)}", text_of(log)
                        )
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
    return " ".join(text_of(log).split())[-characters:] or "it printed nothing"


def text_of(log: Path) -> str:
    """The text of a log; empty if there is none."""
    return log.read_text("utf-8", "replace") if log.exists() else ""
