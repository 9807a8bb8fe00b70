from __future__ import annotations

import os
import signal
import string
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest

from systolith.sim.errors import SimulationError
from systolith.sim.simulators.processes import describe_status, run_all
from tests.leftover_processes import SLEEPER, wait_until_gone

LETTERS = string.ascii_lowercase + string.digits


def test_output_goes_to_the_log_and_commands_run(tmp_path: Path) -> None:
    log = tmp_path / "log"
    commands = [[sys.executable, "-c", f"print('number {n}')"] for n in range(3)]
    run_all(commands, log=log, cwd=tmp_path, jobs=2)
    assert sorted(log.read_text().split("\n")) == ["", "number 0", "number 1", "number 2"]


def test_the_error_has_the_status_and_the_output(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no such port')"]
    with pytest.raises(SimulationError, match=r"python\S* ended with status 1: no such port"):
        run_all([command], log=tmp_path / "log", cwd=tmp_path)


def test_the_error_names_the_signal(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    with pytest.raises(SimulationError, match="was killed by signal 9: it printed nothing"):
        run_all([command], log=tmp_path / "log", cwd=tmp_path)


def test_the_message_ends_with_the_last_words_and_the_log_has_all(tmp_path: Path) -> None:
    words = " ".join(f"word{number}" for number in range(300))
    (tmp_path / "log").write_text("before\n")
    command = [sys.executable, "-c", f"print('first\\n{words}'); raise SystemExit(4)"]
    with pytest.raises(SimulationError, match=r"python\S* ended with status 4: ") as failed:
        run_all([command], log=tmp_path / "log", cwd=tmp_path)
    assert str(failed.value).rpartition(": ")[2] == words[-400:]
    assert failed.value.log == f"before\nfirst\n{words}\n"


@pytest.mark.parametrize("jobs", [1, 2])
def test_no_more_commands_run_at_a_time_than_jobs(tmp_path: Path, jobs: int) -> None:
    script = (
        "import pathlib, sys, time; mine = pathlib.Path(sys.argv[1]); mine.touch();"
        "print(len(list(pathlib.Path().glob('running*')))); time.sleep(0.1); mine.unlink()"
    )
    commands = [[sys.executable, "-c", script, f"running{n}"] for n in range(3)]
    run_all(commands, log=tmp_path / "log", cwd=tmp_path, jobs=jobs)
    counts = list(map(int, (tmp_path / "log").read_text().split()))
    assert len(counts) == 3 and max(counts) <= jobs
    assert not list(tmp_path.glob("running*"))


def test_statuses_in_words() -> None:
    assert describe_status(3) == "ended with status 3"
    assert describe_status(-11) == "was killed by signal 11"


def test_one_that_fails_ends_the_others(tmp_path: Path) -> None:
    log = tmp_path / "log"
    fails = [sys.executable, "-c", "import time; time.sleep(1); raise SystemExit(2)"]
    with pytest.raises(SimulationError):
        run_all([[sys.executable, "-c", SLEEPER], fails], log=log, cwd=tmp_path, jobs=2)
    assert wait_until_gone(int(log.read_text().split()[0]))


def test_a_command_that_takes_too_long_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match=r"took more than 0.2 seconds"):
        run_all([["sleep", "60"]], log=tmp_path / "log", cwd=tmp_path, timeout=0.2)


LEAVES_A_FILE = """
import os, pathlib, signal, sys, tempfile
tempfile.NamedTemporaryFile(prefix="cc", delete=False)
pathlib.Path(sys.argv[1]).touch()
signal.pause()
"""


def test_temporary_files_of_a_killed_command_go(tmp_path: Path) -> None:
    folder = tmp_path / "build"
    folder.mkdir()
    command = [sys.executable, "-c", LEAVES_A_FILE, tmp_path / "started"]
    program = (
        "from pathlib import Path\n"
        "from systolith.sim.simulators.processes import run_all\n"
        f"run_all([{list(map(str, command))!r}], log=Path('log'), cwd=Path({str(folder)!r}))\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, env=environment) as run:
        while not (tmp_path / "started").exists():
            assert run.poll() is None
            time.sleep(0.02)
        run.send_signal(signal.SIGINT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["build", "log", "started"]
    assert not list(folder.iterdir())


def test_commands_get_a_temporary_folder_without_special_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange = tmp_path / 'a "b" $c'
    strange.mkdir()
    monkeypatch.setenv("TMPDIR", str(strange))
    command = [sys.executable, "-c", "import os; print(os.environ['TMPDIR'])"]
    run_all([command], log=tmp_path / "log", cwd=strange)
    assert set((tmp_path / "log").read_text()) <= set("temporary-\n_" + LETTERS)


class InterruptedStart(subprocess.Popen[bytes]):
    """Interrupted when the process runs, before the caller knows of it."""

    pids: ClassVar[list[int]] = []

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.pids.append(self.pid)
        signal.raise_signal(signal.SIGINT)


class InterruptedPoll(subprocess.Popen[bytes]):
    """Interrupted while it holds the lock with which it waits for the status."""

    pids: ClassVar[list[int]] = []

    def poll(self) -> int | None:
        if not self.pids:
            signal.raise_signal(signal.SIGINT)
            self.pids.append(self.pid)
        return super().poll()


@pytest.mark.parametrize("interrupted", [InterruptedStart, InterruptedPoll])
def test_an_interrupt_leaves_no_process(
    interrupted: type[InterruptedStart] | type[InterruptedPoll],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subprocess, "Popen", interrupted)
    interrupted.pids.clear()
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        run_all([["sleep", "60"]], log=tmp_path / "log", cwd=tmp_path)
    (pid,) = interrupted.pids
    assert wait_until_gone(pid)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
