"""Reading JSON into typed structs: every reader of JSON in this project uses these functions.

Errors start with the path of what is missing, of a wrong type or out of range, such as
`$.layers[2].name`.
Keys that a struct does not have are ignored, unless it is declared with `forbid_unknown_fields`.
Numbers are finite.
"""

from __future__ import annotations

import os
import re
from typing import Annotated, TypeVar

import msgspec

from systolith.golden.errors import FileFormatError
from systolith.golden.files import foreign
from systolith.golden.files.whole_files import read_whole

MAX_COUNT = 2**53
"""The largest count that is read: counts are exact as floats."""

Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]
"""A whole number of things, 0 included."""

PositiveCount = Annotated[int, msgspec.Meta(ge=1, le=MAX_COUNT)]
"""A whole number of things, at least 1."""

Scalar = bool | int | float | str | None
"""A value without parts."""

T = TypeVar("T")

_MESSAGE_AND_PATH = re.compile(r"(.*) - at `\$(.*)`", re.DOTALL)
"""How msgspec words an error in a part of a document."""


class _Head(msgspec.Struct, frozen=True):
    schema: str | None = None


def read(path: str | os.PathLike[str], kind: type[T], schema: str, limit: int) -> T:
    """The content of a JSON file of a schema, as a type that msgspec knows.

    Parameters
    ----------
    path
        The file.
    kind
        The type: a struct or a dataclass with types and ranges of its fields.
    schema
        What the key `schema` must be, name and version such as `systolith.accuracy/1`.
    limit
        The largest file that is read, in bytes.

    Raises
    ------
    FileFormatError
        The file is missing, too large, not JSON, of another schema or version, or not of the type.
    """
    content = read_whole(path, limit)
    try:
        return decode(content, kind, schema)
    except FileFormatError as error:
        raise foreign.refusal(path, content, foreign.of_schema(schema), error) from None


def decode(content: bytes | str, kind: type[T], schema: str) -> T:
    """What `read` returns, from the bytes of a file.

    Raises
    ------
    FileFormatError
        As `read`; the message does not name the file.
    """
    found = schema_of(content)
    if found == schema:
        return decode_part(content, kind)
    if found is None:
        raise FileFormatError(f"$.schema: is missing, must be {schema!r}")
    same_name = found.rpartition("/")[0] == schema.rpartition("/")[0]
    note = ", which is another version" if same_name else ""
    raise FileFormatError(f"$.schema: must be {schema!r}, not {found!r}{note}")


def schema_of(content: bytes | str) -> str | None:
    """The schema that a JSON text says it has; None if the key is missing.

    Raises
    ------
    FileFormatError
        It is not the JSON of an object.
    """
    return decode_part(content, _Head).schema


def decode_part(content: bytes | str | msgspec.Raw, kind: type[T], root: str = "$") -> T:
    """A value of a type from its JSON text, which need not have a schema.

    Parameters
    ----------
    content
        The text.
    kind
        The type (see `read`).
    root
        The path of the value in its document, with which paths in errors start.

    Raises
    ------
    FileFormatError
        It is not JSON, or not of the type; the message names the path of what is wrong.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        found = _MESSAGE_AND_PATH.fullmatch(str(error))
        message, inside = found.groups() if found else (str(error), "")
        raise FileFormatError(f"{root}{inside}: {message}") from None
    # Malformed JSON, and text that is not UTF-8.
    except ValueError as error:
        raise FileFormatError(f"not JSON: {error}") from None
    except RecursionError:
        raise FileFormatError("not JSON: lists and objects are nested too deeply") from None
