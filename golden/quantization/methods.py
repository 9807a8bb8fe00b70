"""The calibration methods, each of which chooses the binary point of a format for some values.

To add one, write a function that takes a `Sample`, and add a `Method` to `METHODS`. Settings, the
command line and the choice of formats take names and help from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from systolith.golden.choices import choice
from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.quantization.entropy import least_divergence

Values = NDArray[np.floating[Any]]
Function = Callable[[Values], Values]

LEAST_FRAC_BITS, MOST_FRAC_BITS = -256, 256
"""The limits of a choice; values too small for them count as zero."""

PERCENTILE = 99.99
"""The share of a feature map that must not saturate, in per cent, unless the settings have it."""


@dataclass(frozen=True, eq=False)
class Sample:
    """The values that a method chooses a binary point for, and the rest of their format.

    Parameters
    ----------
    values
        Finite float64 values of any order, at least one; zeros, which every format holds exactly,
        are left out.
    bits, signed
        The rest of the format.
    covering
        The largest `frac_bits` with which no value of the whole feature map saturates.
    through
        A function whose errors count rather than those of the values, for a method that minimizes
        errors: the activation whose table these values index.
    percentile
        For a method that takes it, the share of the values that must not saturate, in per cent.
    """

    values: Values
    bits: int
    signed: bool
    covering: int
    through: Function | None = None
    percentile: float = PERCENTILE

    def format(self, frac_bits: int) -> QFormat:
        """The format with this binary point."""
        return QFormat(self.bits, frac_bits, self.signed)


@dataclass(frozen=True)
class Method:
    """A calibration method, and all that any part of the project asks about it.

    Parameters
    ----------
    help
        What it chooses, as the command line says it.
    formula
        The `frac_bits` f that it chooses, where q(x) is x in the format with f.
    choose
        The `frac_bits` for a sample; the fewest on a tie.
    suits_weights
        Whether weights are calibrated by it too. A channel has too few weights for the others;
        they use `DEFAULT` for weights.
    takes_percentile
        Whether the setting `percentile` is for it.
    minimizes_errors
        Whether it minimizes errors, which can then be measured after a function of the values.
    """

    help: str
    formula: str
    choose: Callable[[Sample], int]
    suits_weights: bool = False
    takes_percentile: bool = False
    minimizes_errors: bool = False


def _least_squares(sample: Sample) -> int:
    values, through = sample.values, sample.through
    exact = values if through is None else through(values)
    best, least = sample.covering, math.inf
    # Fewer fraction bits than cover the range only make the steps larger.
    for frac_bits in range(sample.covering, MOST_FRAC_BITS + 1):
        fmt = sample.format(frac_bits)
        scaled = np.rint(values * 2.0**frac_bits)
        outside = (scaled < fmt.min_raw) | (scaled > fmt.max_raw)
        squares = _rounded(scaled, fmt, through)
        squares -= exact
        squares *= squares
        error = float(squares.sum())
        if error < least:
            best, least = frac_bits, error
        # The error of a saturated value grows with every further bit.
        if float(squares[outside].sum()) >= least:
            break
    return best


def _rounded(scaled: Values, fmt: QFormat, through: Function | None) -> Values:
    """The values that a format, or a table it indexes, gives for values scaled to raw units."""
    if through is None:
        return np.clip(scaled, fmt.min_raw, fmt.max_raw) * fmt.step
    levels = through(fmt.dequantize(np.arange(fmt.min_raw, fmt.max_raw + 1)))
    index = np.clip(scaled, fmt.min_raw, fmt.max_raw) - fmt.min_raw
    return np.take(levels, index.astype(np.intp), mode="clip")


def _covering(sample: Sample) -> int:
    return sample.covering


def _covering_most(sample: Sample) -> int:
    values = sample.values
    allowed = len(values) - math.ceil(len(values) * sample.percentile / 100)
    if not allowed:
        return sample.covering
    # A value that saturates still does with a further bit.
    for frac_bits in range(sample.covering + 1, MOST_FRAC_BITS + 1):
        fmt = sample.format(frac_bits)
        scaled = np.rint(values * 2.0**frac_bits)
        if np.count_nonzero((scaled < fmt.min_raw) | (scaled > fmt.max_raw)) > allowed:
            return frac_bits - 1
    return MOST_FRAC_BITS


def _least_divergence(sample: Sample) -> int:
    return least_divergence(sample.values, sample.bits, sample.signed, sample.covering)


METHODS: dict[str, Method] = {
    "mse": Method(
        help="the least squared error",
        formula="argmin over f of sum (q(x) - x)**2",
        choose=_least_squares,
        suits_weights=True,
        minimizes_errors=True,
    ),
    "minmax": Method(
        help="the finest step that covers the range",
        formula="max f such that no x saturates",
        choose=_covering,
        suits_weights=True,
    ),
    "percentile": Method(
        help="the finest step that covers most of it",
        formula="max f such that at most (1 - percentile / 100) of all x != 0 saturate",
        choose=_covering_most,
        takes_percentile=True,
    ),
    "entropy": Method(
        help="the least divergence of the distributions",
        formula="argmin over f of the sum over bins of p * log(p / p of q(x))",
        choose=_least_divergence,
    ),
}
"""The methods by name, in the order in which they are listed to users."""

DEFAULT = "mse"
"""The method unless the settings have another."""


def method(name: str) -> Method:
    """The method of this name.

    Raises
    ------
    ValueError
        There is none; says which there are.
    """
    return choice(METHODS, name, "calibration")
