"""A cache of results in a folder: an interrupted sweep continues, and a longer one adds to it."""

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
from systolith.golden.files.whole_files import is_special, write_whole
from systolith.scripts.console import to_json
from systolith.scripts.outputs import writing

_KEY_CHARACTERS = 24
_MAX_BYTES = 1 << 20


class _Cached(msgspec.Struct, frozen=True):
    inputs: dict[str, Any]
    result: msgspec.Raw
    sha256: str


@dataclass(frozen=True, eq=False)
class Task:
    """A piece of work whose result depends on nothing but its inputs.

    Parameters
    ----------
    kind
        Its kind: part of the name and of the schema of its result's file.
    inputs
        Everything that the result depends on, as JSON; hashes represent networks and images.
    result
        The type of the result.
    job, arguments
        The function that computes it, in any process.
    """

    kind: str
    inputs: Mapping[str, Any]
    result: type[msgspec.Struct]
    job: Callable[..., Any]
    arguments: tuple[Any, ...]

    @property
    def schema(self) -> str:
        """The schema of its result's file."""
        return f"systolith.sweep_{self.kind}/1"

    @property
    def key(self) -> str:
        """A hash of its inputs, in hex."""
        return _digest({"schema": self.schema, "inputs": self.inputs})[:_KEY_CHARACTERS]


class ResultCache:
    """A folder with one file for each result.

    Parameters
    ----------
    folder
        The folder, which need not exist yet.
    warn
        Called with a line about each damaged file. A damaged file counts as missing.
    """

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        self._folder = folder
        self._warn = warn

    def path(self, task: Task) -> Path:
        """The file of a result."""
        return self._folder / f"{task.kind}-{task.key}.json"

    def load(self, task: Task) -> Any:
        """The cached result, or None.

        Raises
        ------
        FileFormatError
            A folder, a device or a pipe has the name of the file.
        OSError
            The file exists and cannot be read.
        """
        path = self.path(task)
        if is_special(path):
            raise FileFormatError(f"{path}: is not a file, so no result can be cached there")
        if not path.exists():
            return None
        try:
            cached = json_files.read(path, _Cached, task.schema, _MAX_BYTES)
            result = json_files.decode_part(cached.result, task.result)
            if cached.inputs != task.inputs or cached.sha256 != _digest(_document(task, result)):
                raise FileFormatError("its hash is another")
            return result
        except FileFormatError:
            self._warn(f"{path}: damaged, so it is computed again")
            return None

    def save(self, task: Task, result: msgspec.Struct) -> None:
        """Cache a result.

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
    """The sha256 of a value's JSON, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()
