"""What a chain of nodes computes, step by step: each step makes a map of the one before it.

Values of a map stand in stream order (row, column, channel). Arithmetic is float64; weights that
nothing was done to may be float32, as they are stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from systolith.golden.network.graph import Activation, Shape
from systolith.golden.network.windows import SINGLE_VALUES, Windows
from systolith.golden.onnx.model.onnx_graph import Node

Reals = NDArray[np.float64]
Weights = NDArray[np.floating[Any]]
Order = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Step:
    """A step, and where its values are found in ONNX's graph.

    Parameters
    ----------
    source
        The step before it; none before the input.
    shape
        The shape of its map. Of an input whose layout is not known yet: one row, one column.
    node
        The node that says so; none for the input.
    tensor
        The name of the tensor that holds its values.
    order
        Of each element of that tensor (batch included), `image * size + place in the stream`.
    """

    source: Step | None
    shape: Shape
    node: Node | None
    tensor: str
    order: Order

    def chain(self) -> Iterator[Step]:
        """The step and those before it, the last first."""
        step: Step | None = self
        while step is not None:
            yield step
            step = step.source

    def endings(self) -> list[Node]:
        """The nodes of the chain that the network leaves out, the last first."""
        return [step.node for step in self.chain() if isinstance(step, Ending) and step.node]


@dataclass(frozen=True, eq=False, kw_only=True)
class Source(Step):
    """The graph's input: its places are those of the ONNX tensor; axes have no meaning yet.

    `image` is what a row of values was declared to be: its pixels row by row, channels ascending.
    """

    image: Shape | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Layout(Step):
    """Which axes of the input are rows, columns and channels.

    `places[row, column, channel]` is the place in the tensor of one image.
    """

    places: Order


@dataclass(frozen=True, eq=False, kw_only=True)
class Border(Step):
    """`width` pixels of a value around the input."""

    width: int
    value: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Products(Step):
    """A convolution, weights `(rows, columns, in, out)`; or a dense layer, `(values, out)`.

    Dense layers have neither windows nor groups.
    """

    weights: Weights
    bias: Reals
    windows: Windows = SINGLE_VALUES
    groups: int = 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Pool(Step):
    """The largest value, or the mean, of windows; `count_padding` is that of `AveragePooling`."""

    kind: Literal["max", "average"]
    windows: Windows
    count_padding: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Scaling(Step):
    """`gain * x + offset`, each an array with an entry for every value of the map."""

    gain: Reals
    offset: Reals


@dataclass(frozen=True, eq=False, kw_only=True)
class Polynomial(Step):
    """A polynomial of every value, the constant first; a layer has it in an activation only."""

    coefficients: tuple[float, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Squashing(Step):
    """An activation."""

    activation: Activation


@dataclass(frozen=True, eq=False, kw_only=True)
class Ending(Step):
    """An operator at the end that changes scores but not the winning class."""


_MOST_STEPS = 16
"""The most steps in a row that an activation is written as."""


def last_shared(one: Step, other: Step, kinds: tuple[type[Step], ...]) -> Step | None:
    """The last step of two chains after which both have only a few steps, of these kinds."""

    def end(step: Step) -> Iterator[Step]:
        for each in islice(step.chain(), _MOST_STEPS):
            yield each
            if not isinstance(each, kinds):
                return

    ending = set(end(one))
    return next((each for each in end(other) if each in ending), None)
