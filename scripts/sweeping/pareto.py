"""The Pareto front: the choices that no other choice beats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def pareto_front(costs: Sequence[Sequence[float]]) -> list[bool]:
    """Whether each choice is on the Pareto front.

    A choice is on the front unless another one costs less in some respect and no more in any.
    Choices with equal costs are all on the front, or none of them is.

    Parameters
    ----------
    costs
        The costs of each choice, the same number for all; lower is better.
    """
    table = np.array(costs, dtype=np.float64)
    return [not ((table <= own).all(axis=1) & (table < own).any(axis=1)).any() for own in table]


def distinct_front(costs: Sequence[Sequence[float]]) -> list[int]:
    """The places of the choices on the Pareto front; of equal costs, that of the first alone."""
    first: dict[tuple[float, ...], int] = {}
    for place, (own, is_on) in enumerate(zip(costs, pareto_front(costs), strict=True)):
        if is_on:
            first.setdefault(tuple(own), place)
    return list(first.values())
