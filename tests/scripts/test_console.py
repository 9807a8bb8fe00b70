from __future__ import annotations

import io
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from systolith.scripts.console import (
    print_error,
    print_json,
    print_line,
    print_markdown,
    print_table,
    print_text,
    to_csv,
    to_json,
)

HOSTILE = "a\x1b[31mb\rc\nd\x9be\u202ef\udcffg"
SAFE = r"a\x1b[31mb\rc\nd\x9be\u202ef\udcffg"

COLUMNS = ("layer", "some figure", "another", "last")
ROWS = [("first", "1,234,567", "89", "1"), ("second", "7", "1,000,000,000", "2")]


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)


def table(capsys: pytest.CaptureFixture[str], columns: int) -> list[list[str]]:
    """The words of every line of a table on some columns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        print_table("title", COLUMNS, ROWS, footer=("total", "1,234,574", "", "3"))
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= columns
    return [words for line in lines if (words := line.replace("─", "").split())]


def test_a_table_that_fits_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert table(capsys, 60) == [
        ["title"],
        ["layer", "some", "figure", "another", "last"],
        ["first", "1,234,567", "89", "1"],
        ["second", "7", "1,000,000,000", "2"],
        ["total", "1,234,574", "3"],
    ]


def test_words_are_flush_left_and_figures_flush_right(capsys: pytest.CaptureFixture[str]) -> None:
    columns, rows = ("layer", "unit", "cycles", "load"), [("C1", "conv", "1,234", "5")]
    rows.append(("output", "x", "7", "100.0%"))
    print_table("title", columns, rows, left=2, footer=("total", "", "1,241", ""))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert [line for line in lines if line.replace("─", "").strip()] == [
        "title",
        " layer   unit  cycles    load",
        " C1      conv   1,234       5",
        " output  x          7  100.0%",
        " total          1,241",
    ]
    # A footer without figures is none.
    print_table("title", columns, rows, left=2, footer=("total", "", "", ""))
    assert "total" not in capsys.readouterr().out


def test_a_list_has_no_empty_figures_and_ends_with_the_footer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "12")
    rows = [("a", "12345678901", ""), ("b", "", "7")]
    print_table("t", ("name", "one", "two"), rows, footer=("total", "98765432109", ""))
    assert capsys.readouterr().out.split() == [
        *("t", "name", "a", "one:", "12345678901", "b", "two:", "7"),
        *("total", "one:", "98765432109"),
    ]


def test_a_csv_file_has_a_column_for_each_key_in_the_order_in_which_they_come() -> None:
    rows: list[dict[str, Any]] = [{"b": 1, "a": None}, {"a": 2.5, "c": 'x,"y"'}, {}]
    assert to_csv(rows) == 'b,a,c\r\n1,,\r\n,2.5,"x,""y"""\r\n,,\r\n'


def test_headings_are_wrapped_before_a_table_is_divided(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert table(capsys, 41)[1:3] == [["some"], ["layer", "figure", "another", "last"]]


def test_a_wide_table_is_divided_and_names_its_rows_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert table(capsys, 34) == [
        ["title"],
        ["some"],
        ["layer", "figure"],
        ["first", "1,234,567"],
        ["second", "7"],
        ["total", "1,234,574"],
        ["layer", "another", "last"],
        ["first", "89", "1"],
        ["second", "1,000,000,000", "2"],
        ["total", "3"],
    ]


def test_what_fits_no_table_is_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert table(capsys, 20)[1:7] == [
        ["layer"],
        ["first"],
        ["some", "figure:"],
        ["1,234,567"],
        ["another:", "89"],
        ["last:", "1"],
    ]


def test_a_name_longer_than_a_line_is_wrapped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "n" * 70
    monkeypatch.setenv("COLUMNS", "40")
    print_table("title", ("layer", "figure"), [(name, "123")])
    out = capsys.readouterr().out
    assert name in out.replace("\n", "")
    assert "figure: 123" in out


def test_words_are_folded_rather_than_a_table_divided(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_table("title", ("report", "figure"), [("some words that need two lines", "1234567")])
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert ("some words that need two", "lines 1234567") in pairwise(lines)


def test_tables_of_markdown_are_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    print_markdown("| a | b | c |\n|---|---:|---:|\n| `x` | 1234567890 | 12345678901 |\n")
    words = [line.replace("─", "").split() for line in capsys.readouterr().out.splitlines()]
    assert [each for each in words if each] == [
        *(["a", "b"], ["x", "1234567890"], ["a", "c"], ["x", "12345678901"])
    ]


def test_elsewhere_than_on_a_terminal_there_are_120_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for given in (None, "0", "wide"):
        if given is not None:
            monkeypatch.setenv("COLUMNS", given)
        print_line("name", "word " * 40)
        assert len(capsys.readouterr().out.splitlines()[0].rstrip()) in range(110, 121)


@pytest.mark.parametrize(("columns", "lines"), [(60, 1), (59, 2)])
def test_names_stand_on_lines_of_their_own_on_fewer_than_60_columns(
    columns: int,
    lines: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    print_line("name", "text")
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == (
        [["name", "text"]] if lines == 1 else [["name"], ["text"]]
    )


@pytest.mark.parametrize("columns", [80, 40])
def test_lines_are_wrapped_between_words(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = " ".join(f"word-{number}" for number in range(30))
    print_line("name", text)
    out = capsys.readouterr().out
    assert out.split() == ["name", *text.split()]
    assert max(map(len, out.splitlines())) <= columns


def test_paths_and_commands_are_not_wrapped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    path = Path("a folder/with spaces", "x" * 60)
    print_line("name", path)
    print_text(f"command {path}")
    out = capsys.readouterr().out
    assert f"    {path}\n" in out
    assert f"command {path}\n" in out


def test_nothing_of_a_text_reaches_the_terminal_as_a_control(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_text(HOSTILE)
    print_line("name", HOSTILE)
    print_line(HOSTILE, Path(HOSTILE))
    print_table(HOSTILE, (HOSTILE, "figure"), [(HOSTILE, "1")], footer=(HOSTILE, "1"))
    print_markdown(HOSTILE)
    print_error(HOSTILE)
    out, err = capsys.readouterr()
    assert out.count(SAFE) == 8
    assert out.replace("\n", "").isprintable()
    assert err == "systolith: " + SAFE.replace(r"\rc\nd", " c d") + "\n"


def test_json_has_escapes_for_what_is_not_printable(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"name": "é\x1b\x9b\u202e\U000e0001|", "figure": 1.5}
    print_json(json.dumps(value, ensure_ascii=False))
    out = capsys.readouterr().out
    assert out.isprintable() and "é" in out
    assert json.loads(out) == value


def test_json_stays_json_in_an_encoding_that_lacks_a_character(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(buffer, "ascii", write_through=True))
    print_json('{"name": "é"}')
    assert json.loads(buffer.getvalue()) == {"name": "é"}


def test_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(float("nan"))
