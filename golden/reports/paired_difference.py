"""Differences of accuracies on the same images: an interval, a corrected test, and a verdict.

Comparisons of reports and trials of other widths both use them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from systolith.golden.reports.statistics import holm, mcnemar, paired_interval

LEVEL = 0.05
"""An accuracy is better or worse if its corrected probability by chance alone is below this."""

Verdict = Literal["better", "worse", "no difference shown"]


@dataclass(frozen=True)
class Difference:
    """An accuracy compared with the first of the same images, image by image.

    Parameters
    ----------
    accuracy, interval
        The accuracy (or, without labels, the agreement with the float network) minus the first,
        and the ends of the 95 % confidence interval.
    gains, losses
        The number of images that only this network has right, and that only the first has right;
        without labels, the class of the float network is right.
    chance
        The probability that gains and losses are at least as uneven by chance alone: McNemar's
        exact test.
    corrected
        The same by Holm's correction: for the smallest of several it is multiplied by their number.
    """

    accuracy: float
    interval: tuple[float, float]
    gains: int
    losses: int
    chance: float
    corrected: float

    @property
    def changed(self) -> int:
        """The number of images that only one of the two has right."""
        return self.gains + self.losses

    @property
    def interval_text(self) -> str:
        """The ends of the interval in tables."""
        return " to ".join(map(signed, self.interval))

    @property
    def figures(self) -> str:
        """The difference, its interval, gains, losses and chance in words."""
        return (
            f"{signed(self.accuracy)} ({self.interval_text}; {self.gains:,} gained, "
            f"{self.losses:,} lost; chance {chance_text(self.corrected)})"
        )

    @property
    def verdict(self) -> Verdict:
        """Whether it is better or worse than the first at `LEVEL`."""
        if self.corrected >= LEVEL:
            return "no difference shown"
        return "better" if self.gains > self.losses else "worse"


def signed(difference: float) -> str:
    """A difference of accuracies in tables; one that rounds to zero has no sign."""
    text = f"{difference:+.4f}"
    return text if text.strip("+-0.") else text[1:]


def chance_text(chance: float) -> str:
    """A probability in tables; one that is too small for a float is not shown as zero."""
    return f"{chance:.2g}" if chance else "<1e-300"


def paired_differences(changes: Sequence[tuple[int, int]], images: int) -> tuple[Difference, ...]:
    """The differences of several accuracies from the same first one.

    Parameters
    ----------
    changes
        Gains and losses of each; their tests are corrected for their number.
    images
        The number of images.
    """
    chances = [mcnemar(gains, losses) for gains, losses in changes]
    return tuple(
        Difference(
            accuracy=(gains - losses) / images,
            interval=paired_interval(gains, losses, images),
            gains=gains,
            losses=losses,
            chance=chance,
            corrected=corrected,
        )
        for (gains, losses), chance, corrected in zip(changes, chances, holm(chances), strict=True)
    )
