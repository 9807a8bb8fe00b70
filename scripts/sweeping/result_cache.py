"""Results that are kept in a folder as they come, so that work goes on where it was stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from systolith.golden.errors import FileFormatError
from systolith.golden.files import json_files
from systolith.golden.files.whole_files import write_whole
from systolith.scripts.console import to_json
from systolith.scripts.outputs import writing

_KEY_CHARACTERS = 24
_MAX_BYTES = 1 << 20


class _Kept(msgspec.Struct, frozen=True):
    inputs: dict[str, Any]
    result: msgspec.Raw
    sha256: str


@dataclass(frozen=True, eq=False)
class Task:
    """A piece of work whose result depends on nothing but its inputs.

    Parameters
    ----------
    kind
        What it is: part of its file's name and schema.
    inputs
        Everything that the result depends on, as JSON: hashes stand for what is large.
    result
        The type of the result.
    call, arguments
        What computes it, in any process.
    """

    kind: str
    inputs: Mapping[str, Any]
    result: type[msgspec.Struct]
    call: Callable[..., Any]
    arguments: tuple[Any, ...]

    @property
    def schema(self) -> str:
        """The schema of its result's file."""
        return f"systolith.sweep_{self.kind}/1"

    @property
    def key(self) -> str:
        """A name for its inputs, in hex."""
        return _digest({"schema": self.schema, "inputs": self.inputs})[:_KEY_CHARACTERS]


class KeptResults:
    """A folder with a file for each result.

    Parameters
    ----------
    folder
        It need not exist yet.
    tell
        Called with a line about each file that is damaged, which counts as missing.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self._folder = folder
        self._tell = tell

    def path(self, task: Task) -> Path:
        """The file of a result."""
        return self._folder / f"{task.kind}-{task.key}.json"

    def load(self, task: Task) -> Any:
        """The result that was kept, or None.

        Raises
        ------
        OSError
            The file is there and cannot be read.
        """
        path = self.path(task)
        if not path.exists():
            return None
        try:
            kept = json_files.read(path, _Kept, task.schema, _MAX_BYTES)
            result = json_files.decode_part(kept.result, task.result)
            if kept.inputs != task.inputs or kept.sha256 != _digest(_document(task, result)):
                raise FileFormatError("its hash is another")
            return result
        except FileFormatError:
            self._tell(f"{path}: damaged, so it is computed again")
            return None

    def save(self, task: Task, result: msgspec.Struct) -> None:
        """Keep a result.

        Raises
        ------
        OSError
            The file cannot be written.
        """
        path = self.path(task)
        document = _document(task, result)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, to_json({**document, "sha256": _digest(document)}).encode())


def _document(task: Task, result: msgspec.Struct) -> dict[str, Any]:
    """What a file says, but for the hash of it."""
    return {
        "schema": task.schema,
        "inputs": task.inputs,
        "result": msgspec.to_builtins(result),
    }


def _digest(value: Any) -> str:
    """The sha256 of a value's JSON, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()
