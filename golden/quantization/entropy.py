"""The information that a format loses of a distribution: the Kullback-Leibler divergence.

The method is TensorRT's (S. Migacz, "8-bit Inference with TensorRT", GTC 2017), which counts
magnitudes in 2,048 bins, 16 for each of the 128 levels of 8 bits. For every candidate range it
makes two distributions: the values, with those outside the range in its last bin; and those inside
it, spread evenly over the bins of each level. It chooses the range where the two diverge least.
Here negative values have bins and levels of their own; ranges are a factor of two apart, as steps
are powers of two; and the last bin is the outermost one that has a value, since an empty one would
make the divergence infinite.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from systolith.golden.fixed.arithmetic import QFormat

Values = NDArray[np.floating[Any]]

_LEVEL_BITS = 4
_MOST_BITS = 12


def least_divergence(values: Values, bits: int, signed: bool, covering: int) -> int:
    """The `frac_bits` with the least divergence; on a tie the fewest.

    Parameters
    ----------
    values
        Values that are not zero; zeros are exact in every format.
    bits, signed
        The rest of the format.
    covering
        The most fraction bits with which nothing saturates. They are the first candidate; the last
        one has two bins a level. From 11 bits on they are the only one: 4,096 bins are then no more
        than two a level from the start.
    """
    fine = covering + min(_LEVEL_BITS, _MOST_BITS - bits)
    bins, counts = np.unique(np.floor(values * 2.0**fine), return_counts=True)
    candidates = range(covering, max(fine, covering + 1))
    return min(candidates, key=lambda f: divergence(bins, counts, fine, QFormat(bits, f, signed)))


def divergence(bins: Values, counts: NDArray[np.int64], fine: int, fmt: QFormat) -> float:
    """The divergence between a histogram and the same in a format, in nats.

    Parameters
    ----------
    bins
        The bins that are not empty, ascending; bin b goes from `b * 2**-fine` to the next.
    counts
        The number of values in each.
    fine
        More than the format's fraction bits, so that every bin belongs to one level.
    fmt
        The format.
    """
    levels = np.rint((bins + 0.5) * 2.0 ** (fmt.frac_bits - fine))
    first, end = np.searchsorted(levels, (fmt.min_raw, fmt.max_raw + 1))
    if first == end:
        return np.inf
    kept = counts[first:end].astype(np.float64)
    starts = np.flatnonzero(np.diff(levels[first:end], prepend=np.inf))
    sizes = np.diff(starts, append=end - first)
    even = np.repeat(np.add.reduceat(kept, starts) / sizes, sizes) / kept.sum()
    kept[0] += counts[:first].sum()
    kept[-1] += counts[end:].sum()
    kept /= counts.sum()
    return float((kept * np.log(kept / even)).sum())
