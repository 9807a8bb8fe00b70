"""A command in a process of its own, whose time and memory are watched."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

Program = Callable[[Sequence[str]], int]

_POLL_SECONDS = 0.004
_GRACE_SECONDS = 3.0
_SHOWN_BYTES = 2_000_000


@dataclass(frozen=True)
class Limits:
    """What a command may take.

    Parameters
    ----------
    seconds
        Time, after which it is ended.
    resident_bytes
        Memory that it uses at most; it is ended soon after it uses more.
    data_bytes
        Memory that the system gives it (what it only reserves does not count).
    """

    seconds: float = 60.0
    resident_bytes: int = 10**9
    data_bytes: int = 4 * 10**9


@dataclass(frozen=True)
class Outcome:
    """The outcome of a command: `status` is negative if a signal ended it."""

    arguments: tuple[str, ...]
    status: int
    stdout: str
    stderr: str
    seconds: float
    peak_bytes: int
    hung: bool


def run(
    program: Program, arguments: Sequence[str], folder: Path, temporary: Path, limits: Limits
) -> Outcome:
    """Call `program` in a fork of this process, in `folder`, with `temporary` for its files."""
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        start = time.monotonic()
        with warnings.catch_warnings():
            # BLAS has threads, which it ends before a fork.
            warnings.simplefilter("ignore", DeprecationWarning)
            process = os.fork()
        if not process:
            _become(
                program, arguments, folder, temporary, limits, (stdout.fileno(), stderr.fileno())
            )
        status, peak, hung = _watch(process, start, limits)
        seconds = time.monotonic() - start
        return Outcome(tuple(arguments), status, _text(stdout), _text(stderr), seconds, peak, hung)


def in_new_process(arguments: Sequence[str]) -> int:
    """Systolith as a user starts it: Python anew."""
    return subprocess.call([sys.executable, "-m", "systolith.scripts.main", *arguments])


def _become(
    program: Program,
    arguments: Sequence[str],
    folder: Path,
    temporary: Path,
    limits: Limits,
    outputs: tuple[int, int],
) -> None:
    """In the child: call the program, and end as Python would."""
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        null = os.open(os.devnull, os.O_RDONLY)
        for target, source in enumerate((null, *outputs)):
            os.dup2(source, target)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (limits.data_bytes, limits.data_bytes))
        os.environ["TMPDIR"] = str(temporary)
        tempfile.tempdir = None
        os.chdir(folder)
        sys.stdout, sys.stderr = _stream(1, "strict"), _stream(2, "backslashreplace")
        try:
            status = int(program(arguments))
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        sys.stdout.flush()
    finally:
        if (error := sys.exception()) is not None:
            traceback.print_exception(error)
        sys.stderr.flush()
        os._exit(status & 0xFF)


def _stream(descriptor: int, errors: str) -> io.TextIOWrapper:
    raw = io.FileIO(descriptor, "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", errors)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(_SHOWN_BYTES).decode("utf-8", "surrogateescape")


def _watch(process: int, start: float, limits: Limits) -> tuple[int, int, bool]:
    """Status, peak of memory and whether it took too long, once the process has ended."""
    peak, hung, ended_at = 0, False, None
    while True:
        found, wait_status, usage = os.wait4(process, os.WNOHANG)
        now = time.monotonic()
        if found:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
            unit = 1 if sys.platform == "darwin" else 1024
            peak = max(peak, usage.ru_maxrss * unit)
            return os.waitstatus_to_exitcode(wait_status), peak, hung
        peak = max(peak, resident_bytes(process))
        if ended_at is None and (now - start > limits.seconds or peak > limits.resident_bytes):
            hung = peak <= limits.resident_bytes
            ended_at = now
            os.kill(process, signal.SIGTERM)
        elif ended_at is not None and now - ended_at > _GRACE_SECONDS:
            os.kill(process, signal.SIGKILL)
        time.sleep(_POLL_SECONDS if now - start < 1 else 10 * _POLL_SECONDS)


def resident_bytes(process: int) -> int:
    """The memory that a process uses, if the system reports it."""
    try:
        pages = Path(f"/proc/{process}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * resource.getpagesize()
