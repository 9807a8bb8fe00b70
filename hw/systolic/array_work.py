"""What a layer lays onto an array, and the steps that arrays of any size need for it."""

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
    """What a `hw.folding.Folding` says of a unit's pace; all but the order may be arrays."""

    rows: Any
    columns: Any
    lanes: Any
    order: Order = "inputs"


class Block(NamedTuple):
    """Reduction elements of a window that each feed the same outputs."""

    elements: range
    outputs: Sequence[int]


@dataclass(frozen=True)
class ArrayWork:
    """The multiplications of one window.

    Reduction elements are numbered as the window streams: input map, kernel row, kernel column for
    a convolution; row, column, channel for a layer that takes its whole input.

    Parameters
    ----------
    blocks
        Neither chunks nor folds reach from one block into another. There is one, or with a
        connection table one for each map that feeds an output.
    elements, outputs
        Of a window.
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
        """A convolution of `maps` input maps whose output `o` is fed by the maps `sources[o]`."""
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
        """Whether a connection table decides which output a column works for."""
        return self.blocks[0].elements != range(self.elements)

    @property
    def most_rows(self) -> int:
        """As many as could ever all be used."""
        return max(len(block.elements) for block in self.blocks)

    @property
    def most_columns(self) -> int:
        """As many as could ever all be used."""
        return max(len(block.outputs) for block in self.blocks)

    def steps(self, rows: Any, columns: Any) -> Any:
        """The steps of a window on arrays of these sizes, whole numbers or arrays of them."""
        sizes = Counter((len(block.elements), len(block.outputs)) for block in self.blocks)
        return sum(
            times * -(-elements // rows) * -(-outputs // columns)
            for (elements, outputs), times in sizes.items()
        )

    def lanes_unit(self, columns: Any) -> Any:
        """What the lanes of the output stream must divide."""
        return self.outputs + 0 * columns if self.sparse else np.gcd(columns, self.outputs)


def array_work(layer: FixedLayer) -> ArrayWork | None:
    """The work of a convolution, dense or radial basis layer; None of any other."""
    if isinstance(layer.layer, graph.Convolution):
        kernel_size = layer.layer.kernel[0] * layer.layer.kernel[1]
        sources = layer.layer.sources(layer.input_shape)
        return ArrayWork.connected(sources, layer.input_shape.channels, kernel_size)
    if isinstance(layer.layer, graph.Dense | graph.RadialBasis):
        return ArrayWork.dense(layer.input_shape.size, layer.layer.units)
    return None
