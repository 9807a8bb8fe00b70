"""The order in which a layer's multiplications are laid onto an array of rows x columns.

A window of inputs is cut into chunks of `rows` reduction elements, its outputs into folds of
`columns`. In a step a chunk is in the array, and every column works for one output. In the order
"inputs" the array holds each chunk for as many steps as it has folds; in the order "outputs" it
goes through all chunks for each fold, so that a fold's outputs are finished together. Reduction
elements are numbered as the window streams: input map, kernel row, kernel column for a convolution;
row, column, channel for a layer that takes its whole input.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
"""The reduction element in each row, or None: no element, its input is presented as 0."""


class Step(NamedTuple):
    """What the array does in one cycle: a chunk, and the output that each column works for."""

    chunk: int
    outputs: tuple[int | None, ...]


@dataclass(frozen=True)
class Schedule:
    """The steps of one window on an array.

    Parameters
    ----------
    work
        What is to be done.
    rows, columns
        The array's.
    order
        "inputs": for each chunk in order, its folds. "outputs": for each fold, all chunks; with a
        single chunk or a single fold that is the same, and `order` becomes "inputs".

    Raises
    ------
    ValueError
        `rows` or `columns` that could never all be used.
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
            self.work.most_rows,
            "elements of the kernel, as chunks go map by map"
            if sparse
            else "reduction elements of a window",
        )
        _require(
            "columns",
            self.columns,
            self.work.most_columns,
            "most outputs that one map feeds" if sparse else "outputs",
        )
        if self.order == "outputs" and 1 in (len(self._chunk_folds), self._chunk_folds[0]):
            object.__setattr__(self, "order", "inputs")

    @property
    def sparse(self) -> bool:
        """Whether a connection table decides which output a column works for.

        If not, column `c` works for output `f * columns + c` in fold `f` of every chunk.
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
        """The reduction elements in the rows, chunk by chunk."""
        return tuple(
            chunk for block in self.work.blocks for chunk in _slices(block.elements, self.rows)
        )

    @cached_property
    def step_count(self) -> int:
        """The steps of a window."""
        return int(self.work.steps(self.rows, self.columns))

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The fold order."""
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
        """The folds of each chunk."""
        return tuple(
            -(-len(block.outputs) // self.columns)
            for block in self.work.blocks
            for _ in range(-(-len(block.elements) // self.rows))
        )

    @cached_property
    def folds(self) -> tuple[int, ...]:
        """The steps for which each chunk is held, whenever it is in the array."""
        if self.order == "outputs":
            return (1,) * self.step_count
        return self._chunk_folds

    @cached_property
    def groups(self) -> tuple[int, ...]:
        """How many outputs are finished together, in order: all, or those of each fold."""
        if self.order == "inputs":
            return (self.outputs,)
        folds = self._chunk_folds[0]
        return (self.columns,) * (folds - 1) + (self.outputs - (folds - 1) * self.columns,)

    @property
    def group_steps(self) -> int:
        """The steps of each group."""
        return self.step_count // len(self.groups)

    @property
    def lanes_unit(self) -> int:
        """What the lanes of the output stream must divide."""
        return int(self.work.lanes_unit(self.columns))

    @cached_property
    def serving_columns(self) -> tuple[tuple[int, ...], ...]:
        """For each output, the columns that ever work for it, ascending."""
        serving: list[set[int]] = [set() for _ in range(self.outputs)]
        for step in self.steps:
            for column, output in enumerate(step.outputs):
                if output is not None:
                    serving[output].add(column)
        return tuple(tuple(sorted(columns)) for columns in serving)

    def weights(self, weights: Integers) -> Integers:
        """Weights `(elements, outputs)` in fold order, `(steps, rows, columns)`; 0 for None."""
        if weights.shape != (self.elements, self.outputs):
            raise ValueError(
                f"schedule: weights must be of shape {(self.elements, self.outputs)}, "
                f"not {weights.shape}"
            )
        # The border of zeros is what index -1 (None) finds.
        bordered = np.pad(weights, ((0, 1), (0, 1)))
        elements = _indices(self.chunks)[[step.chunk for step in self.steps]]
        outputs = _indices([step.outputs for step in self.steps])
        laid: Integers = bordered[elements[:, :, None], outputs[:, None, :]]
        return laid


def layer_schedule(layer: FixedLayer, folding: Folding) -> Schedule:
    """The schedule of a convolution, dense or radial basis layer.

    Raises
    ------
    UnitError
        Another type of layer, a folding with rows or columns that could never all be used, or the
        order "outputs" for a layer that does not take its whole input.
    """
    work = array_work(layer)
    if work is None:
        raise UnitError(
            layer, "only convolution, dense and radial basis layers are laid onto an array"
        )
    if folding.order != "inputs" and isinstance(layer.layer, graph.Convolution):
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
    """The layer's weights as `(reduction elements, outputs)`, elements numbered as in a window."""
    if layer.weights is None:
        raise UnitError(layer, "has no weights")
    if isinstance(layer.layer, graph.Convolution):
        outputs = layer.layer.out_channels
        by_map: Integers = layer.weights.transpose(2, 0, 1, 3).reshape(-1, outputs)
        return by_map
    return layer.weights


def as_dense(layer: FixedLayer) -> FixedLayer | None:
    """The layer as one that takes its whole input, if it is one.

    A convolution whose kernel covers its input, with no padding and every connection, is a dense
    layer: the view has the same name, formats and integers, the weights in stream order.
    """
    conv = layer.layer
    if isinstance(conv, graph.Dense):
        return layer
    if not isinstance(conv, graph.Convolution) or layer.weights is None:
        return None
    complete = conv.links(layer.input_shape) == layer.input_shape.channels * conv.out_channels
    if not complete or layer.padding != (0, 0) or layer.output_shape[:2] != (1, 1):
        return None
    view = graph.Dense(
        name=conv.name, inputs=conv.inputs, activation=conv.activation, units=conv.out_channels
    )
    return replace(layer, layer=view, weights=layer.weights.reshape(-1, conv.out_channels))


def _require(what: str, given: int, limit: int, why: str) -> None:
    if not 1 <= given <= limit:
        raise ValueError(f"{what} must be from 1 to {limit} ({why}), not {given}")


def _slices(items: range, size: int) -> Iterator[tuple[int | None, ...]]:
    for start in range(0, len(items), size):
        part = items[start : start + size]
        yield (*part, *[None] * (size - len(part)))


def _indices(rows: Sequence[tuple[int | None, ...]]) -> NDArray[np.int64]:
    return np.array([[-1 if i is None else i for i in row] for row in rows], dtype=np.int64)


def _assign_columns(
    fed: Sequence[Sequence[int]], outputs: int, columns: int
) -> Iterator[list[list[int]]]:
    """For each map, the outputs of each column, so that an output keeps to few columns.

    Greedy, map by map: as many outputs as possible (a matching) stay in a column that served them
    before; the others open the column that they share with the fewest rivals.
    """
    feeds = np.array([[o in to_place for o in range(outputs)] for to_place in map(set, fed)], int)
    serves = np.zeros((outputs, columns), int)
    for m, to_place in enumerate(fed):
        capacity = -(-len(to_place) // columns)
        by_column: list[list[int]] = [[] for _ in range(columns)]
        waiting = [o for o in to_place if not _place(o, serves, by_column, capacity, set())]
        # For each pair of outputs, the maps still to come that feed both: they need two columns.
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
    """Put an output into a column that knows it, moving others where that helps."""
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
