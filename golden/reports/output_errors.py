"""The errors of the outputs of a network that is no classifier, and their table.

A feature map, a regression or an embedding has no classes: what quantization changes is how far
each output is from that of the float network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

MOST_ROWS = 16
"""The most channels in a table: those with the largest RMS errors."""


@dataclass(frozen=True)
class OutputEntry:
    """A channel of the outputs, against the float network.

    Parameters
    ----------
    lowest, highest
        The range of the float network's values over all images.
    rms_error, largest_error
        Root of the mean squared difference and largest absolute difference from them; 0 for the
        float network itself.
    """

    lowest: float
    highest: float
    rms_error: float
    largest_error: float


def whole(outputs: Sequence[OutputEntry]) -> OutputEntry:
    """All channels, which have the same number of values, as one."""
    return OutputEntry(
        min(each.lowest for each in outputs),
        max(each.highest for each in outputs),
        math.sqrt(fmean(each.rms_error**2 for each in outputs)),
        max(each.largest_error for each in outputs),
    )


OUTPUT_HEADINGS = ("channel", "lowest in float", "highest", "RMS error", "largest error")
"""Headings of the rows that `output_rows` returns."""


def output_rows(outputs: Sequence[OutputEntry]) -> list[list[str]]:
    """A row for each channel, in order; of more than `MOST_ROWS` those with the largest errors."""
    worst = sorted(range(len(outputs)), key=lambda channel: -outputs[channel].rms_error)
    rows = []
    for channel in sorted(worst[:MOST_ROWS]):
        each = outputs[channel]
        numbers = (each.lowest, each.highest, each.rms_error, each.largest_error)
        rows.append([str(channel), *(f"{number:.4g}" for number in numbers)])
    return rows


def with_share(error: float, entry: OutputEntry) -> str:
    """An error in words, with its share of the range of the float values."""
    span = entry.highest - entry.lowest
    share = f" ({100 * error / span:.2g} % of the range)" if error and span else ""
    return f"{error:.4g}{share}"
