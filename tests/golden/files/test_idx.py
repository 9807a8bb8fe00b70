import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from systolith.golden.errors import FileFormatError
from systolith.golden.files import idx

# Two images of 1 x 3, written down from the format's definition.
IMAGES = bytes.fromhex("00000803 00000002 00000001 00000003 010203 fdfeff")
PACKED = gzip.compress(IMAGES, mtime=0)


@pytest.mark.parametrize("content", [IMAGES, PACKED])
def test_plain_and_gzipped_files(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(content)
    array = idx.read(path)
    np.testing.assert_array_equal(array, np.array([[[1, 2, 3]], [[253, 254, 255]]], np.uint8))
    assert not array.flags.writeable
    assert idx.encode(array) == IMAGES


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0)))
def test_any_array_survives(array: np.ndarray) -> None:
    np.testing.assert_array_equal(idx.decode("f", idx.encode(array)), array, strict=True)


def sizes(*values: int) -> bytes:
    return b"\x00\x00\x08" + bytes([len(values)]) + struct.pack(f">{len(values)}I", *values)


BAD = [
    (b"", "is an empty file, not an IDX file: "),
    (b"PK\x03\x04", "not an IDX file of unsigned bytes: starts with 504b0304"),
    (b"\x00\x00\x0d\x01" + bytes(8), "not an IDX file of unsigned bytes: starts with 00000d01"),
    (b"\x00\x00\x08\x00", "not an IDX file of unsigned bytes: starts with 00000800"),
    (b"\x00\x00\x08\x05" + bytes(99), "not an IDX file of unsigned bytes: starts with"),
    (IMAGES[:10], "truncated in its header"),
    (IMAGES[:-1], r"truncated: has 5 of the 6 values of \(2, 1, 3\)"),
    (IMAGES + b"x", r"has more than the 6 values of \(2, 1, 3\)"),
    (sizes(2**31, 28, 28), "has 1683627180032 bytes, at most 1073741824 are read"),
    (sizes(0, 2**32 - 1, 2**32 - 1), "at most 1073741824 are read"),
    (PACKED[:-9], "not an intact gzip file"),
    (PACKED[:8], "not an intact gzip file"),
    (PACKED[:-8] + bytes(8), "not an intact gzip file"),
    (PACKED + b"junk", "not an intact gzip file"),
    (PACKED[:10] + b"\xff" * 20, "not an intact gzip file"),
    (PACKED + gzip.compress(b"x", mtime=0), "has more than the 6 values"),
]


@pytest.mark.parametrize(("content", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_other_files_are_refused_in_one_line(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=reason) as caught:
        idx.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="none: no such file"):
        idx.read(tmp_path / "none")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is an empty file, not an IDX file: the files of MNIST have this format"),
        (sizes(), "not an IDX file of unsigned bytes: starts with 00000800"),
        (sizes(1, 1, 1, 1, 1) + b"x", "not an IDX file of unsigned bytes: starts with 00000805"),
        (sizes(2, 3)[:-1], "truncated in its header"),
        (sizes(2, 3) + b"12345", "truncated: has 5 of the 6 values of (2, 3)"),
        (sizes(2, 3) + b"1234567", "has more than the 6 values of (2, 3)"),
        (gzip.compress(b"", mtime=0), "not an IDX file of unsigned bytes: starts with nothing"),
        (
            gzip.compress(sizes(2, 3) + b"12345", mtime=0),
            "truncated: has 5 of the 6 values of (2, 3)",
        ),
        (
            sizes(2**15, 2**15 + 1),
            f"shape (32768, 32769) has {2**15 * (2**15 + 1)} bytes, at most {2**30} are read",
        ),
    ],
)
def test_what_is_refused_is_said_in_full(content: bytes, reason: str) -> None:
    with pytest.raises(FileFormatError) as caught:
        idx.decode("f", content)
    assert str(caught.value) == f"f: {reason}"
