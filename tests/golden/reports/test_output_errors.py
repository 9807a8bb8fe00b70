"""Errors of outputs in tables: which channels, and their figures, by hand."""

from __future__ import annotations

import pytest

from systolith.golden.reports.output_errors import OutputEntry, output_rows, whole, with_share


def test_of_many_channels_those_with_the_largest_rms_errors_are_shown_in_order() -> None:
    """Of 20 channels the errors are 0, 7, 14, 1, 8, ...; 0 to 3 are those of 0, 3, 6 and 9."""
    outputs = [OutputEntry(-1.0, 2.0, 7 * n % 20, 100.0 - n) for n in range(20)]
    shown = output_rows(outputs)
    assert [int(row[0]) for row in shown] == [n for n in range(20) if n not in (0, 3, 6, 9)]
    assert shown[0] == ["1", "-1", "2", "7", "99"]
    assert [row[0] for row in output_rows(outputs[:16])] == [str(n) for n in range(16)]


def test_all_channels_as_one_have_the_root_of_the_mean_square() -> None:
    found = whole([OutputEntry(-1.0, 2.0, 3.0, 5.0), OutputEntry(0.5, 7.0, 4.0, 4.5)])
    assert (found.lowest, found.highest, found.largest_error) == (-1.0, 7.0, 5.0)
    assert found.rms_error == pytest.approx(12.5**0.5)


def test_an_error_has_its_share_of_the_range_of_floats() -> None:
    entry = OutputEntry(-2.0, 6.0, 0.5, 1.0)
    assert with_share(0.5, entry) == "0.5 (6.2 % of the range)"
    assert with_share(0.0, entry) == "0"
    assert with_share(0.5, OutputEntry(3.0, 3.0, 0.5, 0.5)) == "0.5"
