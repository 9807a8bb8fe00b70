from __future__ import annotations

import errno
import os
import signal
from importlib import metadata

import pytest

from systolith import golden
from systolith.scripts.main import app, main
from systolith.sim.errors import MissingToolError, SimulationError

_COMMANDS = [
    command.name or command.callback.__name__
    for command in app.registered_commands
    if command.callback
]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"systolith {metadata.version('systolith')}\n"


def test_without_a_command_it_helps(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert [name for name in _COMMANDS if name not in out] == []


@pytest.mark.parametrize("command", _COMMANDS)
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert "Examples" in out
    assert f" systolith {command} " in out.partition("Examples")[2] + " "


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ValueError("bits:\n  too  many"), 2, "bits: too many"),
        (
            MissingToolError("g++", "the compiler", "apt-get install g++"),
            3,
            "`apt-get install g++`",
        ),
        (SimulationError("it died"), 3, "it died"),
        (OSError(errno.ENOSPC, "No space left on device", "q.npz"), 3, "q.npz: No space left"),
        (OSError("the build did not make it"), 3, "the build did not make it"),
        (MemoryError(), 3, "out of memory"),
    ],
)
def test_an_error_is_one_line_and_a_status(
    error: BaseException,
    status: int,
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(name: str) -> None:
        raise error

    monkeypatch.setattr(golden, "load", load)
    assert main(["describe", "lenet5"]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("systolith: ")
    assert err.count("\n") == 1
    assert line in err


def test_an_error_nobody_expected_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(golden, "load", load)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["describe", "lenet5"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_is_quiet(
    number: signal.Signals, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str) -> None:
        os.kill(os.getpid(), number)

    monkeypatch.setattr(golden, "load", load)
    assert main(["describe", "lenet5"]) == 130
    assert capsys.readouterr() == ("", "")
