"""The entry point of the program: an interrupt is quiet while Python still loads the modules.

Loading them takes some tenths of a second, in which nothing has been started or written yet.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from systolith.scripts.interrupts import handled_signals

_INTERRUPTED = 130


def main() -> int:
    """Run the process's command line and return its exit status."""
    for number in handled_signals():
        signal.signal(number, _exit)
    from systolith.scripts.main import main as run

    status = run()
    # The work is done. Python resets other handlers as it ends, and a late interrupt would kill it.
    for number in handled_signals():
        signal.signal(number, signal.SIG_IGN)
    return status


def _exit(_number: int, _frame: FrameType | None) -> None:
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
