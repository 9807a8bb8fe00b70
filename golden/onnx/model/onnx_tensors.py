"""Tensors of an ONNX file as arrays: sizes are checked, and no file outside its folder is read."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from systolith.golden.errors import FileFormatError
from systolith.golden.files.whole_files import read_whole
from systolith.golden.onnx.model.plain_text import shown

if TYPE_CHECKING:
    import onnx

MAX_BYTES = 2**28
"""The largest file that is read, in bytes: of a model, and of its files of weights."""

_STORED_AS: dict[str, str] = {
    # By NumPy's name of the type: the field that holds values where there are no raw bytes.
    **dict.fromkeys(("float32",), "float_data"),
    **dict.fromkeys(("float64",), "double_data"),
    **dict.fromkeys(("int64",), "int64_data"),
    **dict.fromkeys(("uint32", "uint64"), "uint64_data"),
    **dict.fromkeys(("int32", "int16", "int8", "uint16", "uint8", "bool"), "int32_data"),
}


class TensorReader:
    """Reads the tensors of one model; each of its files of weights is read once.

    Parameters
    ----------
    folder
        The model's folder: external data lie in it or below, links followed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Path(os.path.realpath(folder))
        self._files: dict[str, bytes] = {}

    def array(self, tensor: onnx.TensorProto) -> NDArray[Any]:
        """The values of a tensor.

        Raises
        ------
        FileFormatError
            Shape and data do not fit each other, the type is none that NumPy has, or its data lie
            outside the folder, are missing or too large.
        """
        from onnx import TensorProto

        name, dims = shown(str(tensor.name)), tuple(tensor.dims)
        dtype = _dtype(tensor)
        if any(size < 0 for size in dims) or len(dims) > 32:
            raise FileFormatError(f"tensor {name!r}: its shape {dims[:8]} cannot be")
        if tensor.data_location == TensorProto.EXTERNAL:
            content: bytes | None = self._external(tensor)
        else:
            content = tensor.raw_data if tensor.HasField("raw_data") else None
        if content is None:
            values: NDArray[Any] = np.array(getattr(tensor, _STORED_AS[dtype.name]), dtype)
        elif len(content) % dtype.itemsize:
            raise FileFormatError(f"tensor {name!r}: {len(content)} bytes are no {dtype} values")
        else:
            values = np.frombuffer(content, dtype.newbyteorder("<"))
        if values.size != math.prod(dims):
            raise FileFormatError(
                f"tensor {name!r}: has {values.size:,} values, not the {math.prod(dims):,} of "
                f"its shape {' x '.join(map(str, dims[:8]))}"
            )
        return values.reshape(dims)

    def _external(self, tensor: onnx.TensorProto) -> bytes:
        name = shown(str(tensor.name))
        entries = {str(each.key): str(each.value) for each in tensor.external_data}
        content = self._file(name, entries.get("location", ""))
        try:
            offset = int(entries.get("offset", "0"))
            length = int(entries.get("length", str(len(content) - offset)))
        except ValueError:
            raise FileFormatError(f"tensor {name!r}: its external data are not placed") from None
        if offset < 0 or length < 0 or offset + length > len(content):
            raise FileFormatError(
                f"tensor {name!r}: its external data extend past the {len(content):,} bytes "
                f"of their file"
            )
        return content[offset : offset + length]

    def _file(self, name: str, location: str) -> bytes:
        """The content of a file in the model's folder."""
        if location not in self._files:
            where = f"tensor {name!r}: external data {shown(location)!r}"
            path = Path(os.path.realpath(self._folder / location)) if "\0" not in location else None
            if path is None or not path.is_relative_to(self._folder):
                raise FileFormatError(f"{where} are outside the folder of the model")
            used = sum(map(len, self._files.values()))
            try:
                self._files[location] = read_whole(path, MAX_BYTES - used)
            except (FileFormatError, OSError) as error:
                reason = str(error).rpartition(": ")[2]
                raise FileFormatError(f"{where}: {reason}") from None
        return self._files[location]


def _dtype(tensor: onnx.TensorProto) -> np.dtype[Any]:
    from onnx import helper

    try:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except (KeyError, TypeError, ValueError):
        dtype = np.dtype(object)
    if dtype.name not in _STORED_AS:
        raise FileFormatError(
            f"tensor {shown(str(tensor.name))!r}: type {tensor.data_type} is none of float32, "
            f"float64, bool and integers of 8 to 64 bits"
        )
    return dtype
