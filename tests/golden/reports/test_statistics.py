"""Intervals and tests of pairs, against published figures, counting, SciPy and simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from systolith.golden.reports.statistics import holm, mcnemar, paired_interval, wilson_interval


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


def test_mcnemar_is_the_binomial_test_of_scipy() -> None:
    rng = np.random.default_rng(1)
    for scale in (10, 100, 3000, 300_000):
        for gains, losses in rng.integers(0, scale, (400, 2)).tolist():
            expected = binomtest(gains, gains + losses).pvalue if gains + losses else 1.0
            assert mcnemar(gains, losses) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_published_interval_of_pairs() -> None:
    """M. W. Fagerland, S. Lydersen, P. Laake, Statistics in Medicine 33 (2014): 1 and 7 of 21."""
    assert paired_interval(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=0.0005)


@pytest.mark.parametrize("images", [1000, 10_000])
@pytest.mark.parametrize(("gained", "lost"), [(0.01, 0.01), (0.005, 0.012), (0.1, 0.2), (0.3, 0.3)])
def test_intervals_of_pairs_cover_the_difference(images: int, gained: float, lost: float) -> None:
    """Of 10,000 simulated tables, 95 % within 1 %; the standard error is 0.2 %."""
    rng = np.random.default_rng(2)
    drawn = rng.multinomial(images, [gained, lost, 1 - gained - lost], 10_000)[:, :2]
    tables, counts = np.unique(drawn, axis=0, return_counts=True)
    covered = 0
    for (gains, losses), count in zip(tables.tolist(), counts.tolist(), strict=True):
        low, high = paired_interval(gains, losses, images)
        covered += count * (low <= gained - lost <= high)
    assert 0.94 <= covered / 10_000 <= 0.96


@given(st.integers(1, 10**5), st.data())
def test_a_difference_lies_in_its_interval(images: int, data: st.DataObject) -> None:
    gains = data.draw(st.integers(0, images))
    losses = data.draw(st.integers(0, images - gains))
    low, high = paired_interval(gains, losses, images)
    assert -1 <= low <= (gains - losses) / images <= high <= 1
    assert low < high
    assert paired_interval(losses, gains, images) == pytest.approx((-high, -low), abs=1e-9)


def test_no_change_is_no_certainty() -> None:
    """Without gains and losses the interval is that of Wilson around nothing of all images."""
    _, most = wilson_interval(0, 500)
    assert paired_interval(0, 0, 500) == pytest.approx((-most, most))


@pytest.mark.parametrize("counts", [(1, 1, 1), (0, 0, 0), (-1, 0, 5)])
def test_what_are_no_pairs(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="images are no counts"):
        paired_interval(*counts)


def test_holm_by_hand() -> None:
    # Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1: the last two are no smaller than before.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx((0.06, 0.04, 0.06, 0.06))
    assert holm([0.7, 0.6]) == (1.0, 1.0)
    assert holm([0.2]) == (0.2,)
    assert holm([]) == ()
