"""The schedule of a layer on an array: which inputs and outputs each step multiplies.

A window of inputs is cut into chunks of `rows` reduction elements, its outputs into folds of
`columns`. In each step the array holds one chunk, and each column computes one output. In the order
"inputs" the array holds each chunk for all its folds. In the order "outputs" all chunks pass the
array for each fold, so that the outputs of a fold are finished together. Reduction elements are
numbered in stream order: input map, kernel row, kernel column for a convolution; row, column,
channel for a layer that takes its whole input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from systolith.golden.fixed.integers import FixedLayer, Integers
from systolith.golden.network import graph
from systolith.hw.errors import UnitError
from systolith.hw.folding import Folding, Order
from systolith.hw.systolic.array_work import ArrayWork, array_work

Chunk = tuple[int | None, ...]
"""The reduction element in each row, or None where there is none and the input is 0."""


class Step(NamedTuple):
    """What the array multiplies in one cycle: a chunk, and the output of each column."""

    chunk: int
    outputs: tuple[int | None, ...]


@dataclass(frozen=True)
class Schedule:
    """The steps of one window on an array.

    The core, its weight memory and its accumulators are built from it; `layer_schedule` makes it
    for a layer and its folding.

    Parameters
    ----------
    work
        The multiplications of a window.
    rows, columns
        The size of the array.
    order
        "inputs": for each chunk in order, its folds. "outputs": for each fold, all chunks. With a
        single chunk or a single fold both are the same, and `order` becomes "inputs".

    Raises
    ------
    ValueError
        More rows or columns than can all be busy in a step, or fewer than 1.
    """

    work: ArrayWork
    rows: int
    columns: int
    order: Order = "inputs"

    def __post_init__(self) -> None:
        sparse = self.work.sparse
        _require(
            "rows",
            self.rows,
            self.work.max_rows,
            "elements of the kernel, as chunks go map by map"
            if sparse
            else "reduction elements of a window",
        )
        _require(
            "columns",
            self.columns,
            self.work.max_columns,
            "most outputs that one map feeds" if sparse else "outputs",
        )
        if self.order == "outputs" and 1 in (len(self._chunk_folds), self._chunk_folds[0]):
            object.__setattr__(self, "order", "inputs")

    @property
    def sparse(self) -> bool:
        """Whether a connection table decides which output each column computes.

        If not, column `c` computes output `f * columns + c` in fold `f` of every chunk.
        """
        return self.work.sparse

    @property
    def elements(self) -> int:
        """Reduction elements of a window."""
        return self.work.elements

    @property
    def outputs(self) -> int:
        """Outputs of a window."""
        return self.work.outputs

    @cached_property
    def chunks(self) -> tuple[Chunk, ...]:
        """The reduction elements of each chunk."""
        return tuple(
            chunk for block in self.work.blocks for chunk in _slices(block.elements, self.rows)
        )

    @cached_property
    def step_count(self) -> int:
        """The number of steps of a window."""
        return int(self.work.steps(self.rows, self.columns))

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The steps, in order."""
        chunks = range(len(self.chunks))
        if not self.sparse:
            folds = tuple(_slices(range(self.outputs), self.columns))
            if self.order == "outputs":
                return tuple(Step(chunk, fold) for fold in folds for chunk in chunks)
            return tuple(Step(chunk, fold) for chunk in chunks for fold in folds)
        steps: list[Step] = []
        number = count()
        fed = [block.outputs for block in self.work.blocks]
        for block, by_column in zip(
            self.work.blocks, _assign_columns(fed, self.outputs, self.columns), strict=True
        ):
            folds = tuple(
                tuple(served[fold] if fold < len(served) else None for served in by_column)
                for fold in range(-(-len(block.outputs) // self.columns))
            )
            for _ in range(-(-len(block.elements) // self.rows)):
                chunk = next(number)
                steps += [Step(chunk, fold) for fold in folds]
        return tuple(steps)

    @cached_property
    def _chunk_folds(self) -> tuple[int, ...]:
        """The number of folds of each chunk."""
        return tuple(
            -(-len(block.outputs) // self.columns)
            for block in self.work.blocks
            for _ in range(-(-len(block.elements) // self.rows))
        )

    @cached_property
    def folds(self) -> tuple[int, ...]:
        """The number of steps for which the array holds each chunk, in the order of the chunks."""
        if self.order == "outputs":
            return (1,) * self.step_count
        return self._chunk_folds

    @cached_property
    def groups(self) -> tuple[int, ...]:
        """The numbers of outputs that are finished together: of all outputs, or of each fold."""
        if self.order == "inputs":
            return (self.outputs,)
        folds = self._chunk_folds[0]
        return (self.columns,) * (folds - 1) + (self.outputs - (folds - 1) * self.columns,)

    @property
    def group_steps(self) -> int:
        """The number of steps of each group."""
        return self.step_count // len(self.groups)

    @property
    def max_lanes(self) -> int:
        """The most lanes of the output stream; a smaller number must divide it."""
        return int(self.work.max_lanes(self.columns))

    @cached_property
    def serving_columns(self) -> tuple[tuple[int, ...], ...]:
        """For each output, the columns that compute it in any step, ascending."""
        serving: list[set[int]] = [set() for _ in range(self.outputs)]
        for step in self.steps:
            for column, output in enumerate(step.outputs):
                if output is not None:
                    serving[output].add(column)
        return tuple(tuple(sorted(columns)) for columns in serving)

    def weights(self, weights: Integers) -> Integers:
        """Weights `(elements, outputs)` in the order of the steps: `(steps, rows, columns)`.

        They are 0 where a step has no element or no output.
        """
        if weights.shape != (self.elements, self.outputs):
            raise ValueError(
                f"schedule: weights must be of shape {(self.elements, self.outputs)}, "
                f"not {weights.shape}"
            )
        # Index -1 (None) selects the border of zeros.
        bordered = np.pad(weights, ((0, 1), (0, 1)))
        elements = _indices(self.chunks)[[step.chunk for step in self.steps]]
        outputs = _indices([step.outputs for step in self.steps])
        ordered: Integers = bordered[elements[:, :, None], outputs[:, None, :]]
        return ordered


def layer_schedule(layer: FixedLayer, folding: Folding) -> Schedule:
    """The schedule of a convolution, dense or radial basis layer.

    Raises
    ------
    UnitError
        Another type of layer, more rows or columns than can all be busy in a step, or the order
        "outputs" for a layer that does not take its whole input.
    """
    work = array_work(layer)
    if work is None:
        raise UnitError(
            layer, "only convolution, dense and radial basis layers are laid onto an array"
        )
    if folding.order != "inputs" and not isinstance(layer.layer, graph.Dense | graph.RadialBasis):
        raise UnitError(
            layer,
            "order must be 'inputs', as it does not take its whole input at once, "
            f"not {folding.order!r}",
        )
    try:
        return Schedule(work, folding.rows, folding.columns, folding.order)
    except ValueError as error:
        raise UnitError(layer, str(error)) from None


def reduction_weights(layer: FixedLayer) -> Integers:
    """The layer's weights as `(reduction elements, outputs)`, elements in stream order.

    Raises
    ------
    GraphError
        The layer's type has no weights for an array.
    UnitError
        The layer has no weights.
    """
    if layer.weights is None:
        raise UnitError(layer, "has no weights")
    return layer.layer.entry(_BY_ELEMENT, "order of weights")(layer.weights)


def constant_multipliers(layer: FixedLayer, folding: Folding) -> int:
    """The number of multipliers of a layer's array whose weight is 0 in every step.

    Their product is always 0, so that synthesis builds none of them. In a layer with a single step,
    every weight that is 0 is such a one.
    """
    dense = as_dense(layer) or layer
    if not isinstance(dense.layer, graph.Convolution | graph.Dense):
        return 0
    weights = layer_schedule(dense, folding).weights(reduction_weights(dense))
    return int((weights == 0).all(axis=0).sum())


def _by_map(weights: Integers) -> Integers:
    return weights.transpose(2, 0, 1, 3).reshape(-1, weights.shape[-1])


_BY_ELEMENT: dict[type[graph.Layer], Callable[[Integers], Integers]] = {
    graph.Convolution: _by_map,
    graph.Dense: lambda weights: weights,
    graph.RadialBasis: lambda weights: weights,
}


def as_dense(layer: FixedLayer) -> FixedLayer | None:
    """The layer as a dense layer, if it is equivalent to one; otherwise None.

    A convolution is if its kernel covers its whole input, with every connection and no padding.
    The result has the same name, formats and integers, with the weights in stream order.
    """
    conv = layer.layer
    if isinstance(conv, graph.Dense):
        return layer
    if not isinstance(conv, graph.Convolution) or layer.weights is None:
        return None
    complete = conv.links(layer.input_shape) == layer.input_shape.channels * conv.out_channels
    if not complete or any(layer.padding) or conv.kernel != layer.input_shape[:2]:
        return None
    view = graph.Dense(
        name=conv.name, inputs=conv.inputs, activation=conv.activation, units=conv.out_channels
    )
    return replace(layer, layer=view, weights=layer.weights.reshape(-1, conv.out_channels))


def _require(name: str, value: int, limit: int, reason: str) -> None:
    if not 1 <= value <= limit:
        raise ValueError(f"{name} must be from 1 to {limit} ({reason}), not {value}")


def _slices(items: range, size: int) -> Iterator[tuple[int | None, ...]]:
    for start in range(0, len(items), size):
        part = items[start : start + size]
        yield (*part, *[None] * (size - len(part)))


def _indices(rows: Sequence[tuple[int | None, ...]]) -> NDArray[np.int64]:
    return np.array([[-1 if i is None else i for i in row] for row in rows], dtype=np.int64)


def _assign_columns(
    fed: Sequence[Sequence[int]], outputs: int, columns: int
) -> Iterator[list[list[int]]]:
    """For each map, the outputs of each column, such that few columns compute each output.

    Every column that an output uses costs an input of its multiplexer. The assignment is greedy,
    map by map: as many outputs as possible (a matching) stay in a column that computed them before;
    each other output gets the column with the fewest outputs that it competes with.
    """
    feeds = np.array([[o in to_place for o in range(outputs)] for to_place in map(set, fed)], int)
    serves = np.zeros((outputs, columns), int)
    for m, to_place in enumerate(fed):
        capacity = -(-len(to_place) // columns)
        by_column: list[list[int]] = [[] for _ in range(columns)]
        waiting = [o for o in to_place if not _place(o, serves, by_column, capacity, set())]
        # For each pair of outputs, the remaining maps that feed both: these need two columns.
        rivals = feeds[m:].T @ feeds[m:]
        for o in waiting:
            free = [column for column in range(columns) if len(by_column[column]) < capacity]
            column = min(free, key=(rivals[o] @ serves).__getitem__)
            by_column[column].append(o)
            serves[o, column] = 1
        yield [sorted(served) for served in by_column]


def _place(
    output: int,
    serves: NDArray[np.int64],
    by_column: list[list[int]],
    capacity: int,
    tried: set[int],
) -> bool:
    """Assign an output to a column that computed it before; move others if that makes room."""
    for column in map(int, np.flatnonzero(serves[output])):
        if column in tried:
            continue
        tried.add(column)
        if len(by_column[column]) < capacity:
            by_column[column].append(output)
            return True
        for other in by_column[column]:
            if _place(other, serves, by_column, capacity, tried):
                by_column[column].remove(other)
                by_column[column].append(output)
                return True
    return False
