from __future__ import annotations

from pathlib import Path

import pytest
import typer

from systolith.golden.network.graph import Dense, Input, Network
from systolith.golden.qformat import QFormat
from systolith.scripts.options import (
    file_to_write,
    fraction,
    load_data,
    positive_number,
    whole_number,
)


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


def test_counts_are_exact_as_floats() -> None:
    assert whole_number("--images", 1)(str(2**53)) == 2**53


@pytest.mark.parametrize(
    ("given", "value"),
    [("0", 0.0), ("1", 1.0), ("0.5", 0.5), ("-0.01", None), ("1.01", None), ("nan", None)],
)
def test_a_fraction_is_from_0_to_1(given: str, value: float | None) -> None:
    if value is not None:
        assert fraction("--drop")(given) == value
        return
    with pytest.raises(typer.BadParameter) as caught:
        fraction("--drop")(given)
    assert caught.value.format_message() == (
        f"Invalid value for --drop: must be a fraction from 0 to 1, not {given!r}"
    )


def test_positive_number_allows_its_limit() -> None:
    assert positive_number("--mhz", 1000)("1000") == 1000
    with pytest.raises(typer.BadParameter, match=r"at most 1,000, not '1000\.001'"):
        positive_number("--mhz", 1000)("1000.001")


def network_of(fmt: QFormat, units: int) -> Network:
    first = Input(name="input", height=1, width=2, format=fmt)
    return Network("sensor", (first, Dense(name="y", inputs=("input",), units=units)))


@pytest.mark.parametrize(
    ("fmt", "units", "labels", "lines"),
    [
        # From -2 to 1.75 in steps of a quarter: 3 and -2.5 are outside.
        (
            QFormat(4, 2),
            3,
            True,
            [
                (
                    "systolith: warning: 2 of 6 values of a.csv are out of the range of s4.2, -2 "
                    "to 1.75, and saturate"
                )
            ],
        ),
        (QFormat(8, 2), 3, True, []),
        (QFormat(8, 2), 3, False, []),
        # A single value is no class.
        (
            QFormat(8, 2),
            1,
            True,
            [
                (
                    "systolith: warning: the labels of a.csv are not used: network 'sensor' is no "
                    "classifier, its outputs have no classes"
                )
            ],
        ),
        (QFormat(8, 2), 1, False, []),
    ],
)
def test_what_is_lost_of_a_file_is_said(
    fmt: QFormat,
    units: int,
    labels: bool,
    lines: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = ["a,b,label", "3,1,0", "-2.5,0.5,2", "0,0,1"]
    text = "\n".join(row if labels else row.rpartition(",")[0] for row in rows)
    (tmp_path / "a.csv").write_text(text + "\n")
    found = load_data(tmp_path / "a.csv", network_of(fmt, units))
    assert capsys.readouterr().err.splitlines() == lines
    known = labels and units > 1
    assert (found.labels is None) != known
    assert not known or found.known_labels.tolist() == [0, 2, 1]


def test_file_to_write_has_one_of_the_suffixes(tmp_path: Path) -> None:
    parse = file_to_write("--out", ".json", ".md")
    assert parse(str(tmp_path / "a.md")) == tmp_path / "a.md"
    with pytest.raises(typer.BadParameter, match=r"must end with \.json or \.md, not 'a\.html'"):
        parse("a.html")
