import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from systolith.golden.errors import FileFormatError
from systolith.golden.files import npz

SCHEMA = "test.file/1"
ARRAYS: dict[str, np.ndarray] = {
    "b/w": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a": np.array([1, 2], np.int64),
}
TYPES = (
    hnp.integer_dtypes(endianness="<")
    | hnp.unsigned_integer_dtypes(endianness="<")
    | hnp.floating_dtypes(endianness="<", sizes=(32, 64))
)


def member(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array)
    return file.getvalue()


def header(text: str = '{"schema":"test.file/1"}') -> bytes:
    return member(np.frombuffer(text.encode(), np.uint8))


def archive(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return file.getvalue()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file.npz"
    npz.write(path, SCHEMA, {"x": [1, "ä"], "y": None}, ARRAYS)
    content, arrays = npz.read(path, dict[str, Any], SCHEMA)
    assert content == {"schema": SCHEMA, "x": [1, "ä"], "y": None}
    assert list(arrays) == ["a", "b/w"]
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)


@settings(max_examples=50)
@given(st.dictionaries(st.text("ab/_", min_size=1), hnp.arrays(TYPES, SHAPES), max_size=2))
def test_any_finite_array_survives(arrays: dict[str, np.ndarray]) -> None:
    finite = {name: np.nan_to_num(array) for name, array in arrays.items()}
    content = npz.encode(SCHEMA, {}, finite)
    _, read = npz.decode("f", content, dict, SCHEMA)
    assert read.keys() == finite.keys()
    for name, array in finite.items():
        np.testing.assert_array_equal(read[name], array, strict=True)
    assert npz.encode(SCHEMA, {}, read) == content


def test_numpy_reads_it_and_schema_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "file.npz"
    npz.write(path, SCHEMA, {"x": 1}, ARRAYS)
    with np.load(path, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["b/w"], ARRAYS["b/w"])
        assert file["header"].tobytes() == b'{"schema":"test.file/1","x":1}'


def test_the_same_content_gives_the_same_bytes() -> None:
    first = npz.encode(SCHEMA, {"x": 1}, ARRAYS)
    other_order = dict(reversed(list(ARRAYS.items())))
    other_layout = {name: np.asfortranarray(array) for name, array in other_order.items()}
    big_endian = {name: a.astype(a.dtype.newbyteorder(">")) for name, a in other_layout.items()}
    assert npz.encode(SCHEMA, {"x": 1}, big_endian) == first
    assert npz.digest(SCHEMA, {"x": 1}, big_endian) == npz.digest(SCHEMA, {"x": 1}, ARRAYS)
    assert npz.digest(SCHEMA, {"x": 2}, ARRAYS) != npz.digest(SCHEMA, {"x": 1}, ARRAYS)


def test_what_cannot_be_stored_is_refused() -> None:
    with pytest.raises(ValueError, match="array 'o' of type object cannot be stored"):
        npz.encode(SCHEMA, {}, {"o": np.array([None])})
    with pytest.raises(ValueError, match="array 'header' of type int64 cannot be stored"):
        npz.encode(SCHEMA, {}, {"header": np.array([1])})
    with pytest.raises(ValueError, match="JSON"):
        npz.encode(SCHEMA, {"x": float("nan")}, {})


GOOD = npz.encode(SCHEMA, {}, ARRAYS)


class _Object:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return pytest.fail, ("a pickle was loaded",)


def _with(**changes: bytes) -> bytes:
    return archive({"header.npy": header(), "a.npy": member(np.arange(3)), **changes})


def _resized(shape: str) -> bytes:
    """An array whose header claims another shape."""
    right, wrong = b"(3,), }", f"{shape}, }}".encode()
    content = member(np.arange(3))
    resized = content.replace(right + b" " * (len(wrong) - len(right)), wrong)
    assert len(resized) == len(content) and wrong in resized
    return resized


BAD = [
    (b"", "is an empty file, not test.file/1"),
    (b"hello", "not an intact .npz file"),
    (GOOD[: len(GOOD) // 2], "not an intact .npz file"),
    (GOOD[:-1], "not an intact .npz file"),
    (GOOD[:200] + bytes(50) + GOOD[250:], "(not an intact .npz file|member 'header' is not)"),
    (pickle.dumps(_Object()), "is a Python pickle, such as a PyTorch file, not test.file/1"),
    (
        archive({"a.npy": member(np.arange(3))}),
        "is an .npz file of arrays, not test.file/1",
    ),
    (archive({"header.npy": header(), "a.txt": b""}), "unexpected member 'a.txt'"),
    (
        archive({"header.npy": header()}, zipfile.ZIP_DEFLATED),
        "member 'header.npy' is compressed",
    ),
    (
        archive({"header.npy": member(np.arange(3))}),
        "member 'header' is not text",
    ),
    *(
        (archive({"header.npy": member(array)}), "member 'header' is not text")
        for array in (np.array([[123]], np.uint8), np.array([123], np.int8))
    ),
    (archive({"header.npy": header("{")}), "Input data was truncated"),
    (archive({"header.npy": header("[" * 100_000)}), "Expected `object`"),
    (
        archive({"header.npy": header('{"a":' + "[" * 100_000)}),
        "lists and objects are nested too deeply",
    ),
    (
        archive({"header.npy": header('{"schema":"test.file/1","a":NaN}')}),
        "JSON is malformed",
    ),
    (
        archive({"header.npy": header('{"schema":"test.file/1","a":1e999}')}),
        r"\$\[...\]: Number out of range",
    ),
    (archive({"header.npy": header("[]")}), "Expected `object`, got `array`"),
    (archive({"header.npy": header("{}")}), "schema: is missing, must be 'test.file/1'"),
    (
        archive({"header.npy": header('{"schema":"other/1"}')}),
        "schema: must be 'test.file/1', not 'other/1'",
    ),
    (
        archive({"header.npy": header('{"schema":"test.file/2"}')}),
        "schema: must be 'test.file/1', not 'test.file/2', which is another version",
    ),
    (
        _with(**{"b.npy": member(np.array([_Object()]))}),
        "array 'b' has type object: allowed are little-endian integers and floats",
    ),
    (_with(**{"b.npy": member(np.array(["text"]))}), "array 'b' has type <U4"),
    (_with(**{"b.npy": member(np.arange(2).astype(">i4"))}), "array 'b' has type >i4"),
    (
        _with(**{"b.npy": member(np.asfortranarray(np.ones((2, 2))))}),
        "array 'b' is in Fortran order",
    ),
    (_with(**{"b.npy": member(np.array([1.0, np.nan]))}), "array 'b' has values that are not"),
    (
        _with(**{"b.npy": member(np.array([np.inf]))}),
        "array 'b' has values that are not finite",
    ),
    (_with(**{"b.npy": b"x"}), "array 'b' is damaged"),
    (_with(**{"b.npy": member(np.arange(3))[:-4]}), r"shape \(3,\) has 20 bytes, not 24"),
    (_with(**{"b.npy": member(np.arange(3)) + b"x"}), r"shape \(3,\) has 25 bytes, not 24"),
    (_with(**{"b.npy": member(np.array([-np.inf]))}), "array 'b' has values that are not finite"),
    (
        _with(**{"b.npy": member(np.asfortranarray(np.ones((2, 3, 4))))}),
        "array 'b' is in Fortran order",
    ),
    (
        _with(**{"b.npy": member(np.arange(3)).replace(b"NUMPY\x01", b"NUMPY\x02")}),
        r"array 'b' is damaged \(version \(2, 0\)\)",
    ),
    (_with(**{"b.npy": _resized("(1000000000000,)")}), "has 24 bytes, not 8000000000000"),
    (_with(**{"b.npy": _resized("(-3,)")}), r"array 'b' is damaged \(shape \(-3,\)\)"),
    (_with(**{"b.npy": _resized("(((((")}), "array 'b' is damaged"),
    (_with(**{"b.npy": _resized("(True,)")}), r"array 'b' is damaged \(shape \(True,\)\)"),
    (_with(**{"b.npy": _resized("(0, 9223372036854775808)")}), "array 'b' is damaged"),
    (_with(**{"b.npy": member(np.ones((1,) * 33))}), "array 'b' is damaged"),
]


@pytest.mark.parametrize(("content", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_what_is_no_such_file_is_refused_in_one_line(
    content: bytes, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=reason) as caught:
        npz.read(path, dict[str, Any], SCHEMA)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@given(st.data())
def test_damaged_bytes_never_raise_anything_else(data: st.DataObject) -> None:
    content = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(GOOD) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(GOOD)))
    with suppress(FileFormatError):
        npz.decode("f", bytes(content[:end]), dict, SCHEMA)


def directory_entry(info: zipfile.ZipInfo) -> bytes:
    name = info.filename.encode()
    sizes = (info.CRC, info.compress_size, info.file_size, len(name))
    rest = (0, 0, 0, 0, 0, info.header_offset)
    return struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 33, *sizes, *rest) + name


def test_members_inside_each_other_do_not_grow_beyond_the_file() -> None:
    content = member(np.zeros(1000))
    infos, starts = [], []
    for name in ("a.npy", "b.npy", "header.npy"):
        info = zipfile.ZipInfo(name)
        info.CRC = zlib.crc32(content)
        info.file_size = info.compress_size = len(content)
        content = info.FileHeader() + content
        infos.append(info)
        starts.append(len(content))
    for info, start in zip(infos, starts, strict=True):
        info.header_offset = len(content) - start
    directory = b"".join(map(directory_entry, infos))
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 3, 3, len(directory), len(content), 0)
    with pytest.raises(FileFormatError, match="f: members are larger than the file"):
        npz.decode("f", content + directory + end, dict, SCHEMA)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"none\.npz: no such file"):
        npz.read(tmp_path / "none.npz", dict, SCHEMA)
    with pytest.raises(FileFormatError, match="is a folder, not a file"):
        npz.read(tmp_path, dict, SCHEMA)


def test_json_numbers_keep_their_value() -> None:
    value = {"third": 1 / 3, "large": 2**70}
    content, _ = npz.decode("f", npz.encode(SCHEMA, value, {}), dict[str, Any], SCHEMA)
    assert json.dumps(content) == json.dumps({"schema": SCHEMA, **value})


def test_read_schema(tmp_path: Path) -> None:
    npz.write(tmp_path / "a.npz", "some/1", {}, {"x": np.zeros(3)})
    assert npz.read_schema(tmp_path / "a.npz") == "some/1"
    np.savez(tmp_path / "foreign.npz", x=np.zeros(3))
    (tmp_path / "text.npz").write_text("text")
    for name in ("foreign.npz", "text.npz", "missing.npz"):
        with pytest.raises(FileFormatError, match=name):
            npz.read_schema(tmp_path / name)


def test_members_have_no_date_and_the_permissions_of_files() -> None:
    with zipfile.ZipFile(io.BytesIO(GOOD)) as opened:
        infos = opened.infolist()
    assert [info.filename for info in infos] == ["header.npy", "a.npy", "b/w.npy"]
    for info in infos:
        assert (info.create_system, info.external_attr >> 16) == (3, 0o644)
        assert info.date_time == (1980, 1, 1, 0, 0, 0)
        assert info.compress_type == zipfile.ZIP_STORED


def test_two_members_of_a_name_are_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr("header.npy", header())
        with pytest.warns(UserWarning, match="Duplicate name"):
            opened.writestr("header.npy", header())
    with pytest.raises(FileFormatError, match=r"^f: unexpected member 'header\.npy'$"):
        npz.decode("f", file.getvalue(), dict, SCHEMA)


def test_a_folder_names_the_file_in_it_if_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "one.npz").touch()
    (tmp_path / "notes.txt").touch()
    inside = f"^{tmp_path}: is a folder, not a file: it has {tmp_path}/one.npz$"
    with pytest.raises(FileFormatError, match=inside):
        npz.read_content(tmp_path)
    (tmp_path / "two.npz").touch()
    with pytest.raises(FileFormatError, match=f"^{tmp_path}: is a folder, not a file$"):
        npz.read_content(tmp_path)


def test_a_header_without_a_schema_is_none_of_this_program(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(archive({"header.npy": header("{}")}))
    with pytest.raises(FileFormatError, match=r"has no schema: not a file of this program$"):
        npz.read_schema(tmp_path / "a.npz")
