"""Differences and probabilities as tables show them."""

from __future__ import annotations

from systolith.golden.reports.paired_difference import chance_text, paired_differences, signed


def test_what_rounds_to_zero_has_no_sign() -> None:
    assert [signed(each) for each in (0.0, -0.00004, 0.00004)] == ["0.0000"] * 3
    assert [signed(each) for each in (-0.00006, 0.01, -0.5)] == ["-0.0001", "+0.0100", "-0.5000"]


def test_a_chance_that_is_too_small_for_a_float_is_not_zero() -> None:
    assert [chance_text(each) for each in (0.0, 2.9e-158, 1.0)] == ["<1e-300", "2.9e-158", "1"]
    (found,) = paired_differences([(0, 5000)], 10_000)
    assert found.figures.endswith("; 0 gained, 5,000 lost; chance <1e-300)")
