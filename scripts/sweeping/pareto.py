"""The Pareto front: what nothing else beats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def pareto_front(costs: Sequence[Sequence[float]]) -> list[bool]:
    """Of each choice whether it is on the front: no other costs less in one way and no more in any.

    Choices that cost the same in every way are on it together, or not at all.

    Parameters
    ----------
    costs
        For each choice what it costs, as many figures each; the lower, the better.
    """
    table = np.array(costs, dtype=np.float64)
    return [not ((table <= own).all(axis=1) & (table < own).any(axis=1)).any() for own in table]
