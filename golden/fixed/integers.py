"""A quantized network as data: the formats and integers of every layer.

`fixed.execution` runs it, `hw` builds it, and neither adds arithmetic of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from systolith.golden.fixed.arithmetic import QFormat, Requantization
from systolith.golden.network.graph import Layer, Network, Shape
from systolith.golden.network.windows import NO_PADDING, Padding

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FixedLayer:
    """One layer in integers.

    It computes the exact accumulator of its type (`weights` have the graph's shape; `bias`, one a
    channel, has the accumulator's scale), then ReLU if the layer has one, then `requantization`.
    Without a requantization (max pooling; the layer that gives the scores) the accumulator is the
    value, in `output_format`.

    `input_shape` is the map as it is streamed. `padding` rows and columns of the raw value
    `padding_value` are added around it: the input's border and the layer's own padding together.

    `factors`, `(rows, columns)` of the output, multiply the sums of an average pooling whose
    windows are of different sizes, because some reach into padding that does not count.

    `weights` of a radial basis layer are its centres at a scale common to centres and inputs; its
    inputs are shifted left by `input_shift` bits to that scale.

    `accumulator_range` is the least and the greatest accumulator that any input can lead to in any
    order of summation, including bias and rounding constant.
    """

    layer: Layer
    input_shape: Shape
    output_shape: Shape
    input_format: QFormat
    output_format: QFormat
    padding: Padding = NO_PADDING
    padding_value: int = 0
    weights: Integers | None = None
    bias: Integers | None = None  # (channels,)
    weight_formats: tuple[QFormat, ...] = ()  # one a channel
    input_shift: int = 0
    factors: Integers | None = None
    requantization: Requantization | None = None
    accumulator_range: tuple[int, int] = (0, 0)

    @property
    def name(self) -> str:
        """The layer's name in the graph."""
        return self.layer.name

    @property
    def accumulator_bits(self) -> int:
        """Bits of a two's complement accumulator that no input can overflow."""
        low, high = self.accumulator_range
        return max(low.bit_length() if low >= 0 else (-low - 1).bit_length(), high.bit_length()) + 1


@dataclass(frozen=True, eq=False)
class FixedNetwork:
    """A quantized network: its graph, and a `FixedLayer` for every layer after the input."""

    network: Network
    layers: tuple[FixedLayer, ...]

    @property
    def name(self) -> str:
        """The network's name."""
        return self.network.name

    def __getitem__(self, name: str) -> FixedLayer:
        self.network[name]
        return next(layer for layer in self.layers if layer.name == name)
