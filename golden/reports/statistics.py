"""Statistics of correct classifications: confidence intervals, and a test for paired results."""

from __future__ import annotations

import math
from itertools import accumulate

_Z95 = 1.959963984540054
"""A normal variable is within this number of standard deviations with a probability of 0.95."""


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
    # Binomial coefficients, each from the one before it.
    terms = accumulate(
        range(fewer), lambda term, below: term * (changed - below) // (below + 1), initial=1
    )
    return min(1.0, 2 * sum(terms) / (1 << changed))
