from __future__ import annotations

import subprocess
import sys

import pytest

# Interrupted when the command has ended, and Python has not.
LATE = """
import atexit, os, signal, sys
from systolith.scripts.entry import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
atexit.register(os.kill, os.getpid(), signal.{signal})
sys.argv = ["systolith", *{arguments}]
sys.exit(main())
"""


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize(("arguments", "status"), [(["--version"], 0), (["describe", "none"], 2)])
def test_an_interrupt_after_the_work_changes_nothing(
    signal: str, arguments: list[str], status: int
) -> None:
    program = LATE.format(signal=signal, arguments=arguments)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert done.returncode == status
