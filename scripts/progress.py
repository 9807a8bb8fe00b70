"""Progress of long work on standard error: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

SECONDS_BETWEEN_LINES = 10.0
"""Elsewhere than on a terminal, a line is printed as often as this."""


class Progress(Protocol):
    """Receives the progress of some work."""

    def __call__(self, done: int, total: int) -> None:
        """Report the number of items that are done, and the number of all."""

    def announce(self, step: str) -> None:
        """Say what is done from now on, such as `compiling`; counts start anew."""


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """Show the progress of work called `title` on standard error, until the context ends."""
    with _bar(title) if sys.stderr.isatty() else _plain_lines(title) as shown:
        yield shown


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(title, total=None, count="")

        class Bar:
            def __call__(self, done: int, total: int) -> None:
                bars.update(task, completed=done, total=total, count=f"{done:,}/{total:,}")

            def announce(self, step: str) -> None:
                # Without a total the bar shows only that work goes on.
                nonlocal task
                bars.remove_task(task)
                task = bars.add_task(f"{title}: {step}", total=None, count="")

        yield Bar()


@dataclass
class _State:
    """The latest that is known about some work."""

    step: str = ""
    count: str = ""

    def __call__(self, done: int, total: int) -> None:
        self.count = f": {done:,} of {total:,}"

    def announce(self, step: str) -> None:
        self.step, self.count = f": {step}", ""


@contextmanager
def _plain_lines(title: str) -> Iterator[Progress]:
    state, ended = _State(), threading.Event()

    def print_now_and_then() -> None:
        while not ended.wait(SECONDS_BETWEEN_LINES):
            print(f"{title}{state.step}{state.count}", file=sys.stderr, flush=True)

    thread = threading.Thread(target=print_now_and_then, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        ended.set()
        thread.join()
