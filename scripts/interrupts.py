"""Interrupts of a command: Ctrl-C, termination and hang-up end it quietly, after its clean-up.

`main` runs each command in `interruptible`, and `entry` covers the time before.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `KeyboardInterrupt` at the first interrupt, and ignore those that follow.

    A second one would stop the clean-up that the first one started.
    """
    before = {number: signal.getsignal(number) for number in handled_signals()}
    interrupted = False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            raise KeyboardInterrupt

    try:
        for number in before:
            signal.signal(number, interrupt)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def handled_signals() -> list[signal.Signals]:
    """The signals that interrupt this process; `nohup` and shell scripts make it ignore some."""
    return [number for number in _NUMBERS if signal.getsignal(number) is not signal.SIG_IGN]
