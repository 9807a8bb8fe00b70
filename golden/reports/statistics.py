"""Statistics of correct classifications: confidence intervals, and tests for paired results."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

_Z95 = 1.959963984540054
"""A normal variable is within this number of standard deviations with a probability of 0.95."""

_NEGLIGIBLE = 1e-17
"""A smaller share does not change a sum."""

_SERIES_FROM = 16
"""From here on four terms of a series are as exact as a float."""

_HALVINGS = 60
"""More halvings of an interval of a length of two do not change a float."""


def wilson_interval(correct: int, images: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share, by Wilson's score.

    Unlike the textbook's normal interval it stays between 0 and 1, and has a width at 0 and 1 too.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    Journal of the American Statistical Association 22 (1927).

    Raises
    ------
    ValueError
        There are no images, or fewer images than correct ones.
    """
    if not 0 <= correct <= images or not images:
        raise ValueError(f"{correct} of {images} is no share")
    share, squared = correct / images, _Z95**2
    centre = share + squared / (2 * images)
    spread = _Z95 * math.sqrt(share * (1 - share) / images + squared / (4 * images**2))
    whole = 1 + squared / images
    # Rounding must not leave the share outside of its own interval.
    low, high = (centre - spread) / whole, (centre + spread) / whole
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def mcnemar(gains: int, losses: int) -> float:
    """The probability of gains and losses at least as uneven as these, if both are equally likely.

    The exact, two-sided form of McNemar's test: a binomial distribution with a share of one half.
    1 if there is no difference at all.

    Source: Q. McNemar, "Note on the sampling error of the difference between correlated proportions
    or percentages", Psychometrika 12 (1947).

    Raises
    ------
    ValueError
        A count is negative.
    """
    if gains < 0 or losses < 0:
        raise ValueError(f"gains and losses are counts, not {gains} and {losses}")
    changed, fewer = gains + losses, min(gains, losses)
    # All terms as shares of the largest, which is the last: each from the one above it.
    term = total = 1.0
    for count in range(fewer, 0, -1):
        term *= count / (changed - count + 1)
        if term < _NEGLIGIBLE * total:
            break
        total += term
    return min(1.0, 2 * total * _of_fair_coins(fewer, changed))


def _of_fair_coins(heads: int, coins: int) -> float:
    """The probability that a number of coins, at most half of all, show heads.

    Source: C. Loader, "Fast and accurate computation of binomial probabilities" (2000): without the
    differences of large logarithms that `lgamma` would need.
    """
    if not heads:
        return math.ldexp(1.0, -coins)
    tails = coins - heads
    uneven = (tails - heads) / coins
    exponent = _stirling_error(coins) - _stirling_error(heads) - _stirling_error(tails)
    exponent -= heads * math.log1p(-uneven) + tails * math.log1p(uneven)
    return math.exp(exponent) * math.sqrt(coins / (2 * math.pi * heads * tails))


def _stirling_error(count: int) -> float:
    """The logarithm of a factorial minus Stirling's approximation of it."""
    if count < _SERIES_FROM:
        whole = (count + 0.5) * math.log(count) - count + 0.5 * math.log(2 * math.pi)
        return math.lgamma(count + 1) - whole
    squared = count * count
    return (1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * squared)) / squared) / squared) / count


def paired_interval(gains: int, losses: int, images: int) -> tuple[float, float]:
    """The 95 % confidence interval of the difference of two shares of the same images.

    `gains` and `losses` are the images that only the one and only the other has right; the
    difference is `(gains - losses) / images`. The interval has all differences that the score test
    of paired shares does not reject, so it has a width even without gains and losses.

    Source: T. Tango, "Equivalence test and confidence interval for the difference in proportions
    for the paired-sample design", Statistics in Medicine 17 (1998).

    Raises
    ------
    ValueError
        There are no images, or fewer images than gains and losses, or a count is negative.
    """
    if min(gains, losses) < 0 or gains + losses > images or not images:
        raise ValueError(f"{gains} gains and {losses} losses of {images} images are no counts")
    difference = (gains - losses) / images

    def rejected(delta: float) -> bool:
        distance = images * (difference - delta)
        variance = images * (2 * _lost(gains, losses, images, delta) + delta * (1 - delta))
        return distance**2 > _Z95**2 * variance

    return _first_not(rejected, -1.0, difference), _first_not(rejected, 1.0, difference)


def _lost(gains: int, losses: int, images: int, delta: float) -> float:
    """The likeliest share of losses if the difference of the shares is `delta`."""
    linear = (2 * images - gains + losses) * delta - gains - losses
    root = linear**2 + 8 * images * losses * delta * (1 - delta)
    return (math.sqrt(max(root, 0.0)) - linear) / (4 * images)


def _first_not(rejected: Callable[[float], bool], end: float, inside: float) -> float:
    """The border between what is rejected, towards `end`, and what is not, towards `inside`."""
    if not rejected(end):
        return end
    for _ in range(_HALVINGS):
        middle = (end + inside) / 2
        if rejected(middle):
            end = middle
        else:
            inside = middle
    return inside


def holm(chances: Sequence[float]) -> tuple[float, ...]:
    """Probabilities of several tests, corrected so that the smallest of many means no more.

    If no test has a true effect, one of the results is below a level with no more than that
    probability.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal
    of Statistics 6 (1979).
    """
    corrected = [1.0] * len(chances)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        highest = max(highest, min(1.0, (len(chances) - rank) * chances[place]))
        corrected[place] = highest
    return tuple(corrected)
