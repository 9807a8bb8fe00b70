"""The sizes of units that a planner chooses from."""

from __future__ import annotations

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


def unit_options(layer: FixedLayer, input_lanes: int) -> Options:
    """Every reasonable size of a layer's unit after a stream of `input_lanes`.

    An array has the fewest rows for its number of chunks. It has the fewest columns for its number
    of folds, or columns that divide the outputs, as these allow more lanes.
    """
    work = array_work(as_dense(layer) or layer)
    size = _pooling_sizes(input_lanes) if work is None else _array_sizes(work)
    unit = unit_type(layer)
    multipliers = unit.count_multipliers(layer, size)
    return Options(size, multipliers, unit.frame_cycles(layer, size, input_lanes))


def _pooling_sizes(input_lanes: int) -> ArraySize:
    lanes = np.array(_divisors(input_lanes))
    return ArraySize(np.ones_like(lanes), np.ones_like(lanes), lanes)


def _array_sizes(work: ArrayWork) -> ArraySize:
    rows = sorted({size for block in work.blocks for size in _fewest(len(block.elements))})
    columns = {size for block in work.blocks for size in _fewest(len(block.outputs))}
    columns.update(size for size in _divisors(work.outputs) if size <= work.max_columns)
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
