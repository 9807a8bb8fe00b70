"""What must hold for every input; each verdict says what was seen instead."""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from systolith.scripts.main import Status
from tests.fuzz.inputs import COMPARE_INTEGERS, USERS_FILE
from tests.fuzz.watched_command import Limits, Outcome

Snapshot = Mapping[str, tuple[int, ...]]
"""By path, the type, size, time and number of each file of a folder."""

_ROOT = Path(__file__).parents[2]
_TEMPORARY_NAME = re.compile(r"^\..*\.tmp$|^\.generate-|^\.front-|^building-|^systolith-")
_OUTPUT_OPTIONS = ("--out", "--timeline")
_OUTPUT_ASSIGNED = tuple(f"{option}=" for option in _OUTPUT_OPTIONS)
_OF_ONNX_RUNTIME = "tmp/.ses"
"""A file that ONNX Runtime leaves in the folder of temporary files."""

_TOOL_CHARACTERS = 40
_FRAME = re.compile(r'File "(.+?)", line (\d+), in (\S+)')
_WARNING = re.compile(r"^(.*?):\d+: (\w*Warning): (.*)", re.MULTILINE)
_FIGURE = re.compile(r"(?<![\w.\-])-?(nan|inf|infinity)(?![\w.\-])", re.IGNORECASE)
_FAILED = (Status.BAD_INPUT, Status.MACHINE_LACKS, Status.INTERRUPTED)
_LOGS = {"simulation.log", "results.xml"}  # of a simulation; of others it removes them


@dataclass(frozen=True)
class Failure:
    """A verdict that failed.

    Parameters
    ----------
    verdict
        Which.
    place
        Where in the program, or what it said: failures of one place are one kind.
    """

    verdict: str
    place: str

    def __str__(self) -> str:
        return f"{self.verdict}: {ascii(self.place)[1:-1]}"


def snapshot(folder: Path) -> Snapshot:
    """What is in a folder, links not followed."""
    found: dict[str, tuple[int, ...]] = {}
    for where, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(where) / name
            status = path.lstat()
            kind = stat.S_IFMT(status.st_mode)
            # A folder changes with what is in it.
            same = () if kind == stat.S_IFDIR else _identity(status)
            found[str(path.relative_to(folder))] = (kind, *same)
    return found


def failures(
    outcome: Outcome, before: Snapshot, after: Snapshot, root: Path, folder: Path, limits: Limits
) -> list[Failure]:
    """The verdicts that fail for one command.

    Parameters
    ----------
    outcome
        What became of it.
    before, after
        What was in `root`.
    root
        A folder with the current folder of the command and, as `tmp`, that for temporary files.
    folder
        The current folder.
    limits
        What it may take.
    """
    found = list(_of_process(outcome, limits))
    if not found:
        found += _of_output(outcome)
    changed = {path for path in {*before, *after} if before.get(path) != after.get(path)}
    found += _of_files(outcome, before, after, changed, root, folder)
    return found


def hardware_failures(simulation: Outcome) -> list[Failure]:
    """Those of a simulation of hardware that was generated without an error: it is bit-exact."""
    if simulation.status not in (Status.CHECK_FAILED, Status.MACHINE_LACKS):
        return []
    said = _kind_of(simulation.stderr)[:_TOOL_CHARACTERS]
    return [Failure("hardware", f"{simulation.arguments[0]}: {simulation.status}: {said}")]


def _of_process(outcome: Outcome, limits: Limits) -> Iterator[Failure]:
    command = outcome.arguments[0]
    if outcome.hung:
        yield Failure("hang", f"{command}: over {limits.seconds:g} s")
    elif outcome.peak_bytes > limits.resident_bytes or "out of memory" in outcome.stderr:
        yield Failure("memory", f"{command}: over {limits.resident_bytes / 1e9:g} GB")
    elif "Traceback (most recent call last)" in outcome.stderr:
        yield Failure("traceback", _place(outcome.stderr))
    elif outcome.status not in set(Status):
        yield Failure("status", f"{command}: {outcome.status}: {_kind_of(outcome.stderr)}")
    elif outcome.status == Status.CHECK_FAILED and command == COMPARE_INTEGERS:
        yield Failure("integers", _kind_of(outcome.stderr))


def _of_output(outcome: Outcome) -> Iterator[Failure]:
    command, error = outcome.arguments[0], outcome.stderr
    if warned := _WARNING.search(error):
        file = os.path.relpath(os.path.realpath(warned[1]), _ROOT)
        yield Failure("warning", f"{command}: {file}: {warned[2]}: {_kind_of(warned[3])}")
    elif outcome.status in (Status.BAD_INPUT, Status.MACHINE_LACKS):
        # A line for every node that is not imported precedes the error.
        last = error.splitlines()[-1] if command == "import" and error else error
        if last.removesuffix("\n").count("\n") or not error.endswith("\n") or not last.strip():
            yield Failure("lines", f"{command}: {error.count(chr(10))}: {_kind_of(error)}")
        if not last.startswith("systolith: "):
            yield Failure("lines", f"{command}: not by name: {_kind_of(error)}")
        if not last.removeprefix("systolith:").strip(" \n"):
            yield Failure("lines", f"{command}: an empty message")
    for name, text in (("standard error", error), ("standard output", outcome.stdout)):
        if not text.replace("\n", "").isprintable():
            yield Failure("control", f"{command}: on {name}")
    if outcome.status == Status.DONE:
        if "--json" in outcome.arguments and "--help" not in outcome.arguments:
            try:
                _strict_json(outcome.stdout)
            except ValueError as error_of_json:
                yield Failure("output", f"{command}: --json: {_kind_of(str(error_of_json))}")
        elif (shown := _FIGURE.search(outcome.stdout)) and not any(
            shown[1].lower() in word.lower() for word in outcome.arguments
        ):
            yield Failure("figure", f"{command}: prints {shown[0]}")


def _of_files(
    outcome: Outcome,
    before: Snapshot,
    after: Snapshot,
    changed: set[str],
    root: Path,
    folder: Path,
) -> Iterator[Failure]:
    command = outcome.arguments[0]
    for path in sorted(changed - {_OF_ONNX_RUNTIME}):
        kind, old = after.get(path, (0,))[0], before.get(path, (0,))[0]
        if Path(path).parts[0] == "tmp" or _TEMPORARY_NAME.match(Path(path).name):
            yield Failure("left", f"{command}: {_kind_of(Path(path).name)}")
        elif not kind:
            # Hardware that was there before goes, with what was written about it.
            log = command == "simulate" and Path(path).name in _LOGS
            if not log and (command != "generate" or path.endswith(USERS_FILE)):
                yield Failure("deleted", f"{command}: {_kind_of(Path(path).name)}")
        elif old and kind != old and str(root / path) in _outputs(outcome, folder):
            yield Failure("replaced", f"{command}: {_TYPES[old]} by {_TYPES[kind]}")
        elif not _allowed(outcome, root / path, folder):
            yield Failure("written", f"{command}: {_kind_of(Path(path).name)}, not named")
        elif outcome.status == Status.MACHINE_LACKS and Path(path).name in _LOGS:
            continue
        elif outcome.status in _FAILED and command != "sweep":
            yield Failure("written", f"{command}, and failed: {_kind_of(outcome.stderr)}")
        elif kind == stat.S_IFREG and (damage := _damage(root / path)):
            yield Failure("output", f"{command}: {Path(path).suffix}: {damage}")


def _allowed(outcome: Outcome, path: Path, folder: Path) -> bool:
    """Whether a path is, or lies in, what the command line says is to be written."""
    # What stands in the place of folders on the way to a result is made with it.
    return any(
        each == str(path) or each.startswith(f"{path}/") or str(path).startswith(f"{each}/")
        for each in _outputs(outcome, folder)
    )


def _outputs(outcome: Outcome, folder: Path) -> list[str]:
    """The files and folders that a command line says are to be written."""
    command, *words = outcome.arguments
    found = [after for word, after in pairwise(words) if word in _OUTPUT_OPTIONS]
    found += [word.partition("=")[2] for word in words if word.startswith(_OUTPUT_ASSIGNED)]
    if command in ("simulate", "synth", "board"):
        found += words  # among them the folder, in which it writes what it finds
    if command == "run":
        found.append("systolith-out")  # without --out
    named = [os.path.normpath(folder / word) for word in found if "\0" not in word]
    return [*named, *map(os.path.realpath, named)]  # of a link, its target is written


def _damage(path: Path) -> str | None:
    """Why a file that was written is not whole, by its suffix."""
    try:
        content = path.read_bytes()
        if path.suffix == ".json":
            _strict_json(content.decode())
        elif path.suffix == ".toml":
            tomllib.loads(content.decode())
        elif path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                if (bad := archive.testzip()) is not None:
                    return f"member {bad}"
        elif path.suffix in (".md", ".html", ".svg", ".v"):
            content.decode()
        return None if content else "empty"
    except (ValueError, RecursionError, zipfile.BadZipFile) as error:
        return _kind_of(str(error))


def _strict_json(text: str) -> None:
    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not a number")

    json.loads(text, parse_constant=refuse)


def _place(error: str) -> str:
    """The innermost function of the program in a traceback, and the error."""
    frames = [
        f"{os.path.relpath(os.path.realpath(file), _ROOT)}:{function}"
        for file, _, function in _FRAME.findall(error)
        if os.path.realpath(file).startswith(f"{_ROOT}/")
        and not os.path.realpath(file).startswith(f"{_ROOT}/tests/fuzz/watched_command")
    ]
    last = next((line for line in reversed(error.splitlines()) if re.match(r"\w", line)), "")
    return f"{frames[-1] if frames else 'outside'}: {last.partition(':')[0]}"


def _kind_of(text: str) -> str:
    """A message without what differs from input to input."""
    first = text.strip().partition("\n")[0]
    first = re.sub(r"'.*?'|\".*?\"|\S*/\S*", "…", first)
    return re.sub(r"\d+", "N", re.sub(r"[0-9a-f]{8,}", "N", first))[:100]


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_ino


_TYPES = {
    0: "nothing",
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
}
