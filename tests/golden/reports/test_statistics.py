"""Intervals and tests of pairs, against published figures and counting."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from systolith.golden.reports.statistics import mcnemar, wilson_interval


@pytest.mark.parametrize(
    ("correct", "images", "low", "high"),
    [
        # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_published_intervals(correct: int, images: int, low: float, high: float) -> None:
    assert wilson_interval(correct, images) == pytest.approx((low, high), abs=0.00005)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_share_lies_in_its_interval(pair: tuple[int, int]) -> None:
    correct, images = pair
    low, high = wilson_interval(correct, images)
    assert 0 <= low <= correct / images <= high <= 1
    assert low < high


@pytest.mark.parametrize(("correct", "images"), [(0, 0), (2, 1), (-1, 5)])
def test_what_is_no_share(correct: int, images: int) -> None:
    with pytest.raises(ValueError, match=f"{correct} of {images} is no share"):
        wilson_interval(correct, images)


@given(st.integers(0, 6), st.integers(0, 6))
def test_mcnemar_counts_outcomes(gains: int, losses: int) -> None:
    """Of all ways in which coins can fall, those at least as uneven."""
    coins = list(product((0, 1), repeat=gains + losses))
    uneven = [abs(2 * sum(each) - len(each)) >= abs(gains - losses) for each in coins]
    assert mcnemar(gains, losses) == pytest.approx(sum(uneven) / len(coins))


def test_mcnemar_of_many() -> None:
    # The normal distribution beyond 1.99 (two hundred, less one for continuity, over a hundred).
    assert mcnemar(4900, 5100) == pytest.approx(0.04659, abs=0.00001)
    assert mcnemar(0, 5000) == 0.0


def test_counts_are_not_negative() -> None:
    with pytest.raises(ValueError, match="gains and losses are counts, not -1 and 2"):
        mcnemar(-1, 2)
