"""Differences and probabilities as tables show them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scipy.stats import binomtest

from systolith.golden.reports.paired_difference import (
    Difference,
    chance_text,
    paired_differences,
    signed,
)
from systolith.golden.reports.statistics import paired_interval


def test_what_rounds_to_zero_has_no_sign() -> None:
    assert [signed(each) for each in (0.0, -0.00004, 0.00004)] == ["0.0000"] * 3
    assert [signed(each) for each in (-0.00006, 0.01, -0.5)] == ["-0.0001", "+0.0100", "-0.5000"]


def test_a_chance_that_is_too_small_for_a_float_is_not_zero() -> None:
    assert [chance_text(each) for each in (0.0, 2.9e-158, 1.0)] == ["<1e-300", "2.9e-158", "1"]
    (found,) = paired_differences([(0, 5000)], 10_000)
    assert found.figures.endswith("; 0 gained, 5,000 lost; chance <1e-300)")


def test_every_figure_of_two_differences() -> None:
    """Of a thousand images; the smaller chance is doubled, and the other as large as it was."""
    better, worse = paired_differences([(24, 4), (2, 9)], 1000)
    chances = [binomtest(24, 28).pvalue, binomtest(2, 11).pvalue]
    for found, gains, losses, chance, factor in (
        (better, 24, 4, chances[0], 2),
        (worse, 2, 9, chances[1], 1),
    ):
        assert found.accuracy == (gains - losses) / 1000
        assert found.interval == paired_interval(gains, losses, 1000)
        assert (found.gains, found.losses, found.changed) == (gains, losses, gains + losses)
        assert found.chance == pytest.approx(chance)
        assert found.corrected == pytest.approx(factor * chance)
    assert (better.verdict, worse.verdict) == ("better", "no difference shown")
    low, high = paired_interval(24, 4, 1000)
    assert better.interval_text == f"{low:+.4f} to {high:+.4f}"
    assert better.figures == (
        f"+0.0200 ({low:+.4f} to {high:+.4f}; 24 gained, 4 lost; chance {2 * chances[0]:.2g})"
    )


def test_a_verdict_is_given_below_the_level_only() -> None:
    """Of the corrected chance, whatever the other is."""
    found = Difference(0.1, (0.05, 0.15), 3, 1, chance=0.9, corrected=0.05)
    assert found.verdict == "no difference shown"
    assert replace(found, corrected=0.0499).verdict == "better"
    assert replace(found, corrected=0.0499, gains=1, losses=3).verdict == "worse"
