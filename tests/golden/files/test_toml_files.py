"""TOML: what is read, and what is refused before it costs memory or breaks the parser."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from systolith.golden.errors import FileFormatError
from systolith.golden.files.toml_files import MAX_DEPTH, read_toml


def test_what_is_read(tmp_path: Path) -> None:
    text = """
# 1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19.20.21.22.23.24.25.26.27.28.29.30.31.32.33.34
layers.C3.weight_bits = 4
"a.b" = "................................................."
[layers.C1]
list = [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 0.1, 1.1, 2.1, 3.1, 4.1, 5.1, 6.1]
ends = [-9223372036854775808, 9223372036854775807]
rows = 13 # ..................................................
"""
    (tmp_path / "a.toml").write_text(text)
    assert read_toml(tmp_path / "a.toml") == tomllib.loads(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a b", "not TOML: "),
        (b"\xff", "not TOML: "),
        (b"a = " + b"[" * 100_000, "not TOML: nested too deeply"),
        (b"a = " + b"[" * 20 + b"]" * 20, "is nested deeper than 16 levels"),
        (b".".join([b"a"] * 40_000) + b" = 1", "line 1: has too many dots"),
        (b'x = 1\n"a"' + b'. "a"' * 40 + b" = 1", "line 2: has too many dots"),
        (b"[" + b".".join([b"a"] * 40_000) + b"]", "line 1: has too many dots"),
        (b"a = " + b"9" * 401, "a: must be an integer of 64 bits"),
        (b"a = 0x" + b"f" * 5000, "a: must be an integer of 64 bits"),
        (b"a = " + b"9" * 5000, "must have integers of 64 bits only$"),
        (b"a.b = [1, 1e999]", r"a\.b\[1\]: must be a finite number, not inf"),
        (b"a = nan", "a: must be a finite number, not nan"),
        (b"a = 9223372036854775808", "a: must be an integer of 64 bits$"),
        (b"a = -9223372036854775809", "a: must be an integer of 64 bits$"),
        (b"[[a]]\n[[a]]\nb.c = -inf", r"toml: a\[1\]\.b\.c: must be a finite number, not -inf$"),
        (
            b"a = [" + b"1.5, " * 32 + b"1]\nb = [" + b"1.5, " * 33 + b"1]",
            "line 2: has too many dots",
        ),
        (b'{"schema": "systolith.plan/1"}', "is a report of a plan, not a TOML file: docs/quantiz"),
        (
            b'{"schema": "systolith.plan/1", "seconds": [' + b"1.5, " * 40 + b"1]}",
            "is a report of a plan, not a TOML file: docs/quantization.md has settings, docs/plan",
        ),
    ],
)
def test_what_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=message) as caught:
        read_toml(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_the_deepest(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(".".join(["a"] * MAX_DEPTH) + " = 1")
    assert read_toml(path)
    path.write_text(".".join(["a"] * (MAX_DEPTH + 1)) + " = 1")
    with pytest.raises(FileFormatError, match="nested deeper than 16 levels"):
        read_toml(path)
