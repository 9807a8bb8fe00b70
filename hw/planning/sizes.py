"""The sizes of units that a planner chooses from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from systolith.golden.fixed.integers import FixedLayer
from systolith.hw.systolic.array_work import ArraySize, ArrayWork, Counts, array_work
from systolith.hw.systolic.schedule import as_dense
from systolith.hw.units.registry import unit_type


class Options(NamedTuple):
    """The sizes that a layer's unit could have, with their cost: arrays of equal length."""

    size: ArraySize
    multipliers: Counts
    cycles: Counts


@dataclass(frozen=True)
class GivenSize:
    """The sizes of a layer's unit that a plan must have; the planner chooses those that are None.

    Parameters
    ----------
    rows, columns, lanes
        As in `hw.folding.Folding`.
    """

    rows: int | None = None
    columns: int | None = None
    lanes: int | None = None


NOT_GIVEN = GivenSize()


def unit_options(layer: FixedLayer, input_lanes: int, given: GivenSize = NOT_GIVEN) -> Options:
    """Every reasonable size of a layer's unit after a stream of `input_lanes`; may be none.

    An array has the fewest rows for its number of chunks. It has the fewest columns for its number
    of folds, or columns that divide the outputs, as these allow more lanes. Rows and columns that
    are given need not be reasonable.
    """
    work = array_work(as_dense(layer) or layer)
    size = _pooling_sizes(input_lanes) if work is None else _array_sizes(work, given)
    fits = np.ones(len(size.lanes), bool)
    for sizes, wanted in zip(size[:3], (given.rows, given.columns, given.lanes), strict=True):
        if wanted is not None:
            fits &= sizes == wanted
    size = ArraySize(size.rows[fits], size.columns[fits], size.lanes[fits])
    unit = unit_type(layer)
    multipliers = unit.count_multipliers(layer, size)
    return Options(size, multipliers, unit.frame_cycles(layer, size, input_lanes))


def _pooling_sizes(input_lanes: int) -> ArraySize:
    lanes = np.array(_divisors(input_lanes))
    return ArraySize(np.ones_like(lanes), np.ones_like(lanes), lanes)


def _array_sizes(work: ArrayWork, given: GivenSize) -> ArraySize:
    rows = sorted({size for block in work.blocks for size in _fewest(len(block.elements))})
    columns = {size for block in work.blocks for size in _fewest(len(block.outputs))}
    columns.update(size for size in _divisors(work.outputs) if size <= work.max_columns)
    if given.rows is not None:
        rows = [given.rows]
    if given.columns is not None:
        columns = {given.columns}
    sizes = [
        (column, lanes)
        for column in sorted(columns)
        for lanes in _divisors(int(work.max_lanes(column)))
    ]
    return ArraySize(
        np.repeat(rows, len(sizes)),
        np.tile([column for column, _ in sizes], len(rows)),
        np.tile([lanes for _, lanes in sizes], len(rows)),
    )


def _fewest(items: int) -> set[int]:
    """For each number of slices that `items` can be cut into, the smallest size of a slice."""
    return {-(-items // slices) for slices in range(1, items + 1)}


def _divisors(number: int) -> list[int]:
    """The divisors of a number, ascending."""
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]
