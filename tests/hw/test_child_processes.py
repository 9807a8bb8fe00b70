from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from systolith.hw import child_processes
from systolith.hw.child_processes import interrupts_delayed, started, temporary_folder
from tests.leftover_processes import SLEEPER, is_running, wait_until_gone


def test_leaving_the_context_kills_children_too() -> None:
    with started([sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        grandchild = int(process.stdout.readline())
        assert is_running(grandchild)
    assert process.returncode == -9
    assert wait_until_gone(grandchild)


def test_processes_start_in_other_threads() -> None:
    with ThreadPoolExecutor() as threads:
        assert threads.submit(_status_of_true).result() == 0


def _status_of_true() -> int:
    with started(["true"]) as process:
        return process.wait()


def test_a_process_has_a_group_of_its_own() -> None:
    with started(["sleep", "60"]) as process:
        assert os.getpgid(process.pid) == process.pid != os.getpgid(0)


def test_a_process_that_an_interrupt_hits_at_the_end_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stack = ExitStack()
    process = stack.enter_context(started(["sleep", "60"]))
    _interrupt_before_the_delay(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        stack.close()
    assert not is_running(process.pid)


def test_a_temporary_folder_goes_whenever_the_interrupt_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = tempfile.mkdtemp

    def interrupted(**options: str) -> str:
        name = make(**options)
        signal.raise_signal(signal.SIGINT)
        return name

    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "mkdtemp", interrupted)
        with pytest.raises(KeyboardInterrupt), temporary_folder("a-", tmp_path):
            pytest.fail("the interrupt did not come")
    assert not list(tmp_path.iterdir())
    stack = ExitStack()
    (stack.enter_context(temporary_folder("b-", tmp_path)) / "file").touch()
    _interrupt_before_the_delay(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        stack.close()
    assert not list(tmp_path.iterdir())


def _interrupt_before_the_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        monkeypatch.setattr(child_processes, "interrupts_delayed", interrupts_delayed)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(child_processes, "interrupts_delayed", interrupted)
