from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from importlib import metadata

import pytest

from systolith import golden
from systolith.golden.errors import FileFormatError
from systolith.hw.errors import MisfitError, MissingToolError
from systolith.scripts.main import app, main
from systolith.sim.errors import SimulationError

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
        (OSError(errno.EIO, "Input/output error"), 3, "Input/output error"),
        (OverflowError("too large a number"), 2, "too large a number"),
        (MisfitError("net does not fit the device"), 1, "net does not fit the device"),
        (FileFormatError("q.npz: is empty"), 2, "q.npz: is empty"),
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


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("synth rtl", "Missing option '--target' (see systolith synth --help)"),
        ("describe", "Missing argument 'NETWORK' (see systolith describe --help)"),
        ("nothing", "No such command 'nothing' (see systolith --help)"),
    ],
)
def test_a_line_that_is_not_understood_names_the_help_of_its_command(
    arguments: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments.split()) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"systolith: {line}\n")


def test_an_error_nobody_expected_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(golden, "load", load)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["describe", "lenet5"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_is_quiet(
    number: signal.Signals, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str) -> None:
        os.kill(os.getpid(), number)

    monkeypatch.setattr(golden, "load", load)
    assert main(["describe", "lenet5"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_interrupt_does_not_stop_the_clean_up(
    number: signal.Signals, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cleaned = False

    def load(name: str) -> None:
        nonlocal cleaned
        try:
            os.kill(os.getpid(), number)
        finally:
            os.kill(os.getpid(), number)
            cleaned = True

    monkeypatch.setattr(golden, "load", load)
    assert main(["describe", "lenet5"]) == 130
    assert capsys.readouterr() == ("", "")
    assert cleaned


def test_a_signal_that_is_ignored_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        raise ValueError("it goes on")

    monkeypatch.setattr(golden, "load", load)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert main(["describe", "lenet5"]) == 2
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_while_modules_load_is_quiet(number: signal.Signals) -> None:
    program = (
        "import builtins, os, sys\n"
        "from systolith.scripts import entry\n"
        "load = builtins.__import__\n"
        "def slow(name, *rest):\n"
        f"    os.kill(os.getpid(), {int(number)}) if name == 'typer' else None\n"
        "    return load(name, *rest)\n"
        "builtins.__import__ = slow\n"
        "sys.exit(entry.main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
