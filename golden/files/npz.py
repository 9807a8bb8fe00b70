"""The container of every binary file of this project: an `.npz` that holds no objects.

It has one member more than its arrays, `header`: JSON text in a uint8 array, an object whose
first key is `schema`, a name and a version such as `systolith.trained-network/1`. Members are
stored uncompressed, in C order, little-endian, without a date, so that the same content gives the
same bytes; `numpy.load` reads them. Reading never unpickles, and checks every size before memory
is allocated for it.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import tokenize
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from systolith.golden.errors import FileFormatError
from systolith.golden.files import foreign, json_files
from systolith.golden.files.whole_files import read_whole, write_whole

MAX_BYTES = 2**30
"""The largest file that is read, in bytes."""

_HEADER = "header"
_SUFFIX = ".npy"
_FILE_SUFFIX = ".npz"
_KINDS = "iuf"
_MAX_DIMENSIONS = 32
_MAX_VALUES = 2**48

T = TypeVar("T")


def encode(schema: str, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The bytes of a file.

    Parameters
    ----------
    schema
        Name and version, `name/version`.
    header
        What JSON can hold, floats finite; its keys stay in order. `schema` is put before them.
    arrays
        Integer or float arrays by name, stored in the order of their names. A name may contain
        slashes (`C1/weights`).

    Raises
    ------
    ValueError
        If an array has the name `header` or a type that is neither integer nor float.
    """
    text = json.dumps({"schema": schema, **header}, allow_nan=False, separators=(",", ":"))
    members = {_HEADER: np.frombuffer(text.encode(), np.uint8)}
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        if name == _HEADER or array.dtype.kind not in _KINDS:
            raise ValueError(f"array {name!r} of type {array.dtype} cannot be stored")
        members[name] = array.astype(array.dtype.newbyteorder("<"), copy=False)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in members.items():
            info = zipfile.ZipInfo(name + _SUFFIX)
            info.create_system = 3
            info.external_attr = 0o644 << 16
            content = io.BytesIO()
            npy.write_array(content, array, version=(1, 0), allow_pickle=False)
            archive.writestr(info, content.getvalue())
    return buffer.getvalue()


def digest(schema: str, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """The sha256 of the bytes of a file, in hex."""
    return hashlib.sha256(encode(schema, header, arrays)).hexdigest()


def write(
    path: str | os.PathLike[str],
    schema: str,
    header: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
) -> None:
    """Write a file (see `encode`), whole or not at all."""
    write_whole(path, encode(schema, header, arrays))


def read(
    path: str | os.PathLike[str], kind: type[T], schema: str
) -> tuple[T, dict[str, NDArray[Any]]]:
    """The header and the arrays of a file that `write` made.

    Every array is of integers or finite floats; names and shapes are the caller's to check.

    Parameters
    ----------
    path
        The file.
    kind
        The type of the header (see `json_files.read`).
    schema
        What its key `schema` must be.

    Raises
    ------
    FileFormatError
        The file is missing, foreign, truncated, too large, of another schema or version, or holds
        anything but integers and finite floats.
    """
    return decode(path, read_content(path), kind, schema)


def read_schema(path: str | os.PathLike[str]) -> str:
    """The schema that a file says it has, `name/version`.

    Raises
    ------
    FileFormatError
        The file is missing, foreign, truncated or too large.
    """
    content = read_content(path)
    try:
        schema = json_files.schema_of(_header(_members(content)))
        if schema is None:
            raise FileFormatError("has no schema: not a file of this program")
    except FileFormatError as error:
        raise foreign.refusal(path, content, foreign.NETWORK, error) from None
    return schema


def read_content(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file, for `decode`.

    Raises
    ------
    FileFormatError
        It is missing, too large, or a folder: the message names the `.npz` file in it, if there is
        just one.
    """
    if os.path.isdir(path):
        files = sorted(file.name for file in Path(path).glob(f"*{_FILE_SUFFIX}"))
        inside = f": it has {os.path.join(path, files[0])}" if len(files) == 1 else ""
        raise FileFormatError(f"{path}: is a folder, not a file{inside}")
    return read_whole(path, MAX_BYTES)


def decode(
    path: str | os.PathLike[str], content: bytes, kind: type[T], schema: str
) -> tuple[T, dict[str, NDArray[Any]]]:
    """What `read` returns, from the bytes of a file; `path` is only for errors."""
    try:
        members = _members(content)
        header = json_files.decode(_header(members), kind, schema)
        arrays = {
            name: _parse_array(name, member) for name, member in members.items() if name != _HEADER
        }
    except FileFormatError as error:
        raise foreign.refusal(path, content, foreign.of_schema(schema), error) from None
    return header, arrays


def _members(content: bytes) -> dict[str, bytes]:
    """The members of a zip archive without compression, so that none is larger than the file."""
    members: dict[str, bytes] = {}
    total = 0
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for info in archive.infolist():
                name = info.filename.removesuffix(_SUFFIX)
                if name == info.filename or name in members:
                    raise FileFormatError(f"unexpected member {info.filename!r}")
                if info.compress_type != zipfile.ZIP_STORED:
                    raise FileFormatError(f"member {info.filename!r} is compressed")
                total += info.file_size
                if total > len(content):
                    raise FileFormatError("members are larger than the file")
                members[name] = archive.read(info)
    except FileFormatError:
        raise
    # What zipfile raises for damaged archives in addition to its own error.
    except (
        zipfile.BadZipFile,
        ValueError,
        EOFError,
        OSError,
        RuntimeError,
        OverflowError,
    ) as error:
        raise FileFormatError(f"not an intact .npz file ({error})") from None
    return members


def _header(members: dict[str, bytes]) -> bytes:
    """The JSON text of the header."""
    if _HEADER not in members:
        raise FileFormatError(f"no member {_HEADER!r}: not a file of this program")
    array = _parse_array(_HEADER, members[_HEADER])
    if array.dtype != np.uint8 or array.ndim != 1:
        raise FileFormatError(f"member {_HEADER!r} is not text")
    return array.tobytes()


def array_header(name: str, file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran order, and type of the `.npy` array that starts in `file`.

    Raises
    ------
    FileFormatError
        There is no such header, or it is of an unusual version; `name` is the array's.
    """
    try:
        version = npy.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"version {version}")
        shape, fortran_order, dtype = npy.read_array_header_1_0(file)
        # NumPy's reader accepts True as a size, and makes no array of huge sides even if one is 0.
        if (
            any(type(side) is not int or side < 0 for side in shape)
            or len(shape) > _MAX_DIMENSIONS
            or math.prod(side or 1 for side in shape) > _MAX_VALUES
        ):
            raise ValueError(f"shape {shape}")
    # A header that is no Python literal raises these in addition to ValueError.
    except (
        ValueError,
        SyntaxError,
        TypeError,
        RecursionError,
        MemoryError,
        tokenize.TokenError,
    ) as error:
        reason = str(error).partition("\n")[0]
        raise FileFormatError(f"array {name!r} is damaged ({reason})") from None
    return shape, fortran_order, dtype


def _parse_array(name: str, member: bytes) -> NDArray[Any]:
    file = io.BytesIO(member)
    shape, fortran_order, dtype = array_header(name, file)
    if dtype.kind not in _KINDS or dtype.byteorder == ">":
        raise FileFormatError(
            f"array {name!r} has type {dtype}: allowed are little-endian integers and floats"
        )
    if fortran_order:
        raise FileFormatError(f"array {name!r} is in Fortran order")
    size = math.prod(shape) * dtype.itemsize
    left = len(member) - file.tell()
    if size != left:
        raise FileFormatError(f"array {name!r} of shape {shape} has {left} bytes, not {size}")
    array = np.frombuffer(member, dtype, offset=file.tell()).reshape(shape)
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise FileFormatError(f"array {name!r} has values that are not finite")
    return array
