"""The multiplications of a layer, and the number of steps that an array of any size needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network import graph
from systolith.hw.folding import Order

Counts = NDArray[np.int64]


class ArraySize(NamedTuple):
    """The part of a `hw.folding.Folding` that sets a unit's cycles.

    The planner passes arrays in place of numbers, to evaluate many sizes at once.
    """

    rows: Any
    columns: Any
    lanes: Any
    order: Order = "inputs"


class Block(NamedTuple):
    """Reduction elements of a window that all feed the same outputs."""

    elements: range
    outputs: Sequence[int]


@dataclass(frozen=True)
class ArrayWork:
    """The multiplications of one window of a layer: which element feeds which output.

    A `Schedule` orders them for one array; the planner only counts their steps, for many arrays.

    Reduction elements are numbered in stream order: input map, kernel row, kernel column for a
    convolution; row, column, channel for a layer that takes its whole input.

    Parameters
    ----------
    blocks
        One block; with a connection table, one for each input map that feeds an output. No chunk
        and no fold has parts of two blocks.
    elements, outputs
        The numbers of reduction elements and of outputs of a window.
    """

    blocks: tuple[Block, ...]
    elements: int
    outputs: int

    @classmethod
    def dense(cls, elements: int, outputs: int) -> ArrayWork:
        """Every element feeds every output."""
        return cls((Block(range(elements), range(outputs)),), elements, outputs)

    @classmethod
    def connected(cls, sources: Sequence[Sequence[int]], maps: int, kernel_size: int) -> ArrayWork:
        """A convolution of `maps` input maps in which the maps `sources[o]` feed output `o`."""
        outputs = len(sources)
        fed = [[o for o in range(outputs) if m in sources[o]] for m in range(maps)]
        if all(len(outputs_of_map) == outputs for outputs_of_map in fed):
            return cls.dense(maps * kernel_size, outputs)
        blocks = tuple(
            Block(range(m * kernel_size, (m + 1) * kernel_size), outputs_of_map)
            for m, outputs_of_map in enumerate(fed)
            if outputs_of_map
        )
        return cls(blocks, maps * kernel_size, outputs)

    @property
    def sparse(self) -> bool:
        """Whether a connection table decides which output each column computes."""
        return self.blocks[0].elements != range(self.elements)

    @property
    def max_rows(self) -> int:
        """The most rows of an array that can all be busy in one step."""
        return max(len(block.elements) for block in self.blocks)

    @property
    def max_columns(self) -> int:
        """The most columns of an array that can all be busy in one step."""
        return max(len(block.outputs) for block in self.blocks)

    def steps(self, rows: Any, columns: Any) -> Any:
        """The number of steps of a window; `rows` and `columns` may be arrays."""
        sizes = Counter((len(block.elements), len(block.outputs)) for block in self.blocks)
        return sum(
            times * -(-elements // rows) * -(-outputs // columns)
            for (elements, outputs), times in sizes.items()
        )

    def max_lanes(self, columns: Any) -> Any:
        """The most lanes of the output stream; a smaller number must divide it."""
        return self.outputs + 0 * columns if self.sparse else np.gcd(columns, self.outputs)


def array_work(layer: FixedLayer) -> ArrayWork | None:
    """The work of a convolution, dense or radial basis layer; None for any other layer."""
    if isinstance(layer.layer, graph.Convolution):
        kernel_size = layer.layer.kernel[0] * layer.layer.kernel[1]
        sources = layer.layer.sources(layer.input_shape)
        return ArrayWork.connected(sources, layer.input_shape.channels, kernel_size)
    if isinstance(layer.layer, graph.Dense | graph.RadialBasis):
        return ArrayWork.dense(layer.input_shape.size, layer.layer.units)
    return None
