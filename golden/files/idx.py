"""The IDX format of the MNIST files: unsigned bytes of one to four dimensions, gzipped or not.

Two zero bytes, the type (8: unsigned byte), the number of dimensions, each size as 32 bits
big-endian, then the values in C order.
"""

from __future__ import annotations

import gzip
import io
import math
import os
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from systolith.golden.errors import FileFormatError
from systolith.golden.files import foreign
from systolith.golden.files.whole_files import read_whole

MAX_BYTES = 2**30
"""The largest array that is read, in bytes."""

_MAX_DIMENSIONS = 4
_MAGIC = b"\x00\x00\x08"
_GZIP_MAGIC = b"\x1f\x8b"


def encode(array: NDArray[np.uint8]) -> bytes:
    """The bytes of an IDX file, not gzipped."""
    header = _MAGIC + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def read(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """The array in an IDX file, gzipped or not, read-only.

    Raises
    ------
    FileFormatError
        The file is missing, foreign, truncated, too large, or longer than its header says.
    """
    return decode(path, read_whole(path, MAX_BYTES))


def decode(path: str | os.PathLike[str], content: bytes) -> NDArray[np.uint8]:
    """What `read` returns, from the bytes of a file; `path` is only for errors."""
    try:
        if not content.startswith(_GZIP_MAGIC):
            return _decode(io.BytesIO(content))
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            return _decode(file)
    except FileFormatError as error:
        if content.startswith(_GZIP_MAGIC):
            raise FileFormatError(f"{path}: {error}") from None
        raise foreign.refusal(path, content, foreign.IDX, error) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise FileFormatError(f"{path}: not an intact gzip file ({error})") from None


def _decode(file: io.BufferedIOBase) -> NDArray[np.uint8]:
    magic = file.read(4)
    if magic[:3] != _MAGIC or len(magic) < 4 or not 1 <= magic[3] <= _MAX_DIMENSIONS:
        raise FileFormatError(
            f"not an IDX file of unsigned bytes: starts with {magic.hex() or 'nothing'}"
        )
    header = file.read(4 * magic[3])
    if len(header) != 4 * magic[3]:
        raise FileFormatError("truncated in its header")
    shape = struct.unpack(f">{magic[3]}I", header)
    size = math.prod(shape)
    # NumPy makes no array of huge sides even if another is 0.
    if (limited := math.prod(side or 1 for side in shape)) > MAX_BYTES:
        raise FileFormatError(f"shape {shape} has {limited} bytes, at most {MAX_BYTES} are read")
    values = file.read(size)
    if len(values) != size:
        raise FileFormatError(f"truncated: has {len(values)} of the {size} values of {shape}")
    if file.read(1):
        raise FileFormatError(f"has more than the {size} values of {shape}")
    return np.frombuffer(values, np.uint8).reshape(shape)
