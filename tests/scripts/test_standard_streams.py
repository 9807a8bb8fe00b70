from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_COMMAND = [sys.executable, "-m", "systolith.scripts.main"]


def ended(
    arguments: str, stdout: int, stderr: int = subprocess.PIPE, **environment: str
) -> tuple[int, bytes]:
    """The status of a command, and its standard error."""
    done = subprocess.run(
        [*_COMMAND, *arguments.split()],
        cwd=_ROOT,
        stdout=stdout,
        stderr=stderr,
        check=False,
        env={**os.environ, "PYTHONPATH": str(_ROOT), **environment},
    )
    return done.returncode, done.stderr or b""


@pytest.fixture
def closed() -> int:
    """The end of a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize(
    "arguments",
    ["describe lenet5", "describe lenet5 --json", "--help", "evaluate --help", "--version"],
)
def test_a_closed_pipe_is_quiet(arguments: str, closed: int) -> None:
    assert ended(arguments, closed) == (0, b"")


def test_the_status_stays_that_of_the_work(closed: int) -> None:
    assert ended("describe lenet6", closed, closed)[0] == 2


def test_a_closed_output_is_quiet() -> None:
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *_COMMAND, "describe", "lenet5"],
        cwd=_ROOT,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_path_that_the_encoding_lacks_is_printed_with_escapes(tmp_path: Path) -> None:
    out = tmp_path / "é.npz"
    with (tmp_path / "output").open("w+b") as output:
        arguments = f"quantize lenet5-relu --out {out}"
        assert ended(arguments, output.fileno(), PYTHONIOENCODING="ascii") == (0, b"")
    assert rb"\xe9.npz" in (tmp_path / "output").read_bytes()
    assert out.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no /dev/full")
def test_a_full_disk_is_an_error() -> None:
    with open("/dev/full", "wb") as full:
        status, error = ended("describe lenet5 --json", full.fileno())
    assert (status, error) == (3, b"systolith: No space left on device\n")
