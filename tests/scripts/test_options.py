from __future__ import annotations

from pathlib import Path

import pytest
import typer

from systolith.scripts.options import file_to_write, positive_number, whole_number


@pytest.mark.parametrize("given", ["2", "16", 7])
def test_whole_number_within_limits(given: str | int) -> None:
    assert whole_number("--bits", 2, 16)(given) == int(given)


@pytest.mark.parametrize("given", ["1", "17", "-3", "4.0", "four", "", "1e1"])
def test_whole_number_names_what_was_given_and_what_is_allowed(given: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        whole_number("--bits", 2, 16)(given)
    assert caught.value.format_message() == (
        f"Invalid value for --bits: must be a whole number from 2 to 16, not {given!r}"
    )


def test_whole_number_without_upper_limit() -> None:
    assert whole_number("--images", 1)("123456") == 123456
    with pytest.raises(typer.BadParameter, match="of at least 1, not '0'"):
        whole_number("--images", 1)("0")
    for given in ("9007199254740993", "9" * 400, 10**400):
        with pytest.raises(typer.BadParameter, match="must be at most 9007199254740992"):
            whole_number("--images", 1)(given)


@pytest.mark.parametrize("given", ["0", "-1", "nan", "inf", "1e308", "1000001", "fast"])
def test_positive_number_has_limits(given: str) -> None:
    assert positive_number("--mhz", 1000)("0.5") == 0.5
    with pytest.raises(typer.BadParameter, match="a number above 0 and at most 1,000,000, not '"):
        positive_number("--mhz", 1_000_000)(given)


def test_file_to_write_has_one_of_the_suffixes(tmp_path: Path) -> None:
    parse = file_to_write("--out", ".json", ".md")
    assert parse(str(tmp_path / "a.md")) == tmp_path / "a.md"
    with pytest.raises(typer.BadParameter, match=r"must end with \.json or \.md, not 'a\.html'"):
        parse("a.html")
