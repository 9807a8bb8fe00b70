"""Whether processes that a test started still run."""

from __future__ import annotations

import time
from pathlib import Path

# Starts a process, prints its number, and waits for its end.
SLEEPER = """
import subprocess
process = subprocess.Popen(["sleep", "60"])
print(process.pid, flush=True)
process.wait()
"""


def is_running(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_gone(pid: int) -> bool:
    for _ in range(200):
        if not is_running(pid):
            return True
        time.sleep(0.02)
    return False
