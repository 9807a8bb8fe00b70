"""Tensors of a file, in every way in which ONNX stores them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from systolith.golden.errors import FileFormatError
from systolith.golden.onnx.model import onnx_tensors
from systolith.golden.onnx.model.onnx_tensors import TensorReader
from systolith.golden.onnx.model.plain_text import shown

TYPES = (
    *("float32", "float64", "bool", "int8", "int16", "int32", "int64"),
    *("uint8", "uint16", "uint32", "uint64"),
)


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("dtype", TYPES)
def test_every_type_is_read(dtype: str, raw: bool, tmp_path: Path) -> None:
    values = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    if dtype != "bool":
        least = np.iinfo(dtype).min if "int" in dtype else -2.5
        values[0, 0], values[1, 2] = least, 100
    kind = helper.np_dtype_to_tensor_dtype(values.dtype)
    content: Any = values.tobytes() if raw else values.ravel().tolist()
    found = TensorReader(tmp_path).array(helper.make_tensor("t", kind, (2, 3), content, raw))
    assert found.dtype == dtype
    assert found.tolist() == values.tolist()


def tensor(**fields: Any) -> TensorProto:
    return TensorProto(**{"name": "t", "data_type": TensorProto.FLOAT, **fields})


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (tensor(dims=[1], raw_data=b"12345"), "tensor 't': 5 bytes are no float32 values"),
        (tensor(dims=[-1, -1], float_data=[1]), "tensor 't': its shape (-1, -1) cannot be"),
        (
            tensor(dims=[1] * 33, float_data=[1]),
            "tensor 't': its shape (1, 1, 1, 1, 1, 1, 1, 1) cannot be",
        ),
        (
            tensor(dims=[2, 1], float_data=[1, 2, 3]),
            "tensor 't': has 3 values, not the 2 of its shape 2 x 1",
        ),
        (
            tensor(dims=[2, 2], float_data=[1, 2, 3]),
            "tensor 't': has 3 values, not the 4 of its shape 2 x 2",
        ),
        (
            tensor(dims=[1], data_type=TensorProto.BFLOAT16),
            "tensor 't': type 16 is none of float32, float64, bool and integers of 8 to 64 bits",
        ),
        (
            tensor(dims=[1], data_type=99),
            "tensor 't': type 99 is none of float32, float64, bool and integers of 8 to 64 bits",
        ),
    ],
)
def test_what_is_no_tensor_is_refused(made: TensorProto, reason: str, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError) as caught:
        TensorReader(tmp_path).array(made)
    assert str(caught.value) == reason


def external(**entries: object) -> TensorProto:
    made = tensor(dims=[2], data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        made.external_data.add(key=key, value=str(value))
    return made


def test_each_tensor_has_its_own_file_and_its_own_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "a").write_bytes(np.arange(5, dtype="<f4").tobytes())
    (tmp_path / "below" / "b").write_bytes(np.array([8, 9], "<f4").tobytes())
    # 20 and 8 bytes are just as many as are read.
    monkeypatch.setattr(onnx_tensors, "MAX_BYTES", 28)
    reader = TensorReader(tmp_path)
    assert reader.array(external(location="a", offset=4, length=8)).tolist() == [1, 2]
    assert reader.array(external(location="a", offset=12)).tolist() == [3, 4]
    assert reader.array(external(location="below/b")).tolist() == [8, 9]
    assert reader.array(external(location="a", length=8)).tolist() == [0, 1]
    for wrong in ({"offset": 16, "length": 8}, {"length": -8}, {"offset": -8, "length": 8}):
        message = "tensor 't': its external data extend past the 20 bytes of their file"
        with pytest.raises(FileFormatError, match=f"^{message}$"):
            reader.array(external(location="a", **wrong))
    monkeypatch.setattr(onnx_tensors, "MAX_BYTES", 27)
    reader = TensorReader(tmp_path)
    reader.array(external(location="a", length=8))
    message = "tensor 't': external data 'below/b': has 8 bytes, at most 7 are read"
    with pytest.raises(FileFormatError, match=f"^{message}$"):
        reader.array(external(location="below/b"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a b.c/d", "a b.c/d"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 57 + "..."),
        ("a\nb\x1b[1m\u202e", r"a\nb\x1b[1m\u202e"),
        ("\n" * 31, r"\n" * 28 + "\\..."),
        ("\udcff", r"\udcff"),
        ("Zähler", "Zähler"),
    ],
)
def test_names_are_shown_without_what_does_not_print(name: str, text: str) -> None:
    assert shown(name) == text
