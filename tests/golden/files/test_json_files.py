"""JSON: typed reading, with the path of what is wrong."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from systolith.golden.errors import FileFormatError
from systolith.golden.files import json_files
from systolith.golden.files.json_files import MAX_COUNT, Count, PositiveCount


class Part(msgspec.Struct):
    count: Count
    share: float = 0.0


class Whole(msgspec.Struct):
    parts: tuple[Part, ...]
    size: PositiveCount = 1


def read(path: Path, content: str | bytes) -> Whole:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return json_files.read(path, Whole, "test.whole/1", 10_000_000)


def of(part: str, more: str = "") -> str:
    return f'{{"schema": "test.whole/1", "parts": [{{"count": 0}}, {part}]{more}}}'


def test_what_is_read(tmp_path: Path) -> None:
    found = read(tmp_path / "a", of('{"count": 3, "share": 1, "more": {}}', ', "more": [1]'))
    assert found == Whole((Part(0), Part(3, 1.0)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "a.json: is an empty file, not test.whole/1"),
        ("{", "a.json: not JSON: "),
        ("3", r"a.json: \$: Expected `object`, got `int`"),
        ('{"parts": []}', r"\$\.schema: is missing, must be 'test.whole/1'"),
        ('{"schema": "other/1"}', r"\$\.schema: must be 'test.whole/1', not 'other/1'"),
        (
            '{"schema": "test.whole/2"}',
            r"\$\.schema: .*, not 'test.whole/2', which is another version",
        ),
        ('{"schema": "test.whole/1"}', r"a.json: \$: Object missing required field `parts`"),
        (of("{}"), r"\$\.parts\[1\]: .*missing required field `count`"),
        (of('{"count": -1}'), r"\$\.parts\[1\]\.count: Expected `int` >= 0"),
        (of('{"count": true}'), "Expected `int`, got `bool`"),
        (of('{"count": null}'), "Expected `int`, got `null`"),
        (of('{"count": 1.0}'), "Expected `int`, got `float`"),
        (of(f'{{"count": {MAX_COUNT + 1}}}'), rf"\$\.parts.*: .*`int` <= {MAX_COUNT}"),
        (of(f'{{"count": {"9" * 401}}}'), rf"\$\.parts.*: .*`int` <= {MAX_COUNT}"),
        (of(f'{{"count": {"9" * 9999}}}'), "Integer value out of range"),
        (of('{"count": 1, "share": 1e999}'), r"\.share: Number out of range"),
        (of('{"count": 1, "share": NaN}'), "not JSON: JSON is malformed"),
        (of('{"count": 1, "share": Infinity}'), "not JSON: JSON is malformed"),
        (of('{"count": 1}', ', "size": 0'), r"\$\.size: Expected `int` >= 1"),
        (of("[" * 100_000), "nested too deeply"),
        (of('{"count": 1, "more": ' + "[" * 100_000), "nested too deeply"),
        (of('{"count": 1, "more": ' + '{"a":' * 100_000), "nested too deeply"),
        (b"\xff\xfe", "a.json: not JSON: "),
        (of('{"count": "é"}').encode("latin-1"), r"a.json: \$\.parts\[1\]\.count: Expected `int`"),
    ],
)
def test_what_is_refused_by_path(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(FileFormatError, match=message) as caught:
        read(tmp_path / "a.json", content)
    assert str(caught.value).startswith(f"{tmp_path / 'a.json'}: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_no_file_and_too_large_a_file(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no such file"):
        json_files.read(tmp_path / "none", Whole, "test.whole/1", 3)
    (tmp_path / "a").write_text("{   }")
    with pytest.raises(FileFormatError, match="has 5 bytes, at most 3 are read"):
        json_files.read(tmp_path / "a", Whole, "test.whole/1", 3)


def test_the_ends_of_counts_are_read() -> None:
    text = f'{{"schema": "test.whole/1", "parts": [{{"count": {2**53}}}], "size": {2**53}}}'
    assert json_files.decode(text, Whole, "test.whole/1") == Whole((Part(2**53),), 2**53)


def test_a_part_of_a_document_is_named_by_its_place() -> None:
    with pytest.raises(FileFormatError, match=r"^\$\.a\[3\]\.parts\[0\]: Object missing required"):
        json_files.decode_part('{"parts": [{}]}', Whole, "$.a[3]")
    with pytest.raises(FileFormatError, match=r"^\$\.a\[3\]: Expected `object`, got `int`$"):
        json_files.decode_part("3", Whole, "$.a[3]")


def test_another_file_is_named_with_what_writes_the_right_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"GIF89a")
    message = "a: is a GIF picture, not an accuracy report: systolith evaluate --out writes one$"
    with pytest.raises(FileFormatError, match=message):
        json_files.read(tmp_path / "a", Whole, "systolith.accuracy/1", 99)
