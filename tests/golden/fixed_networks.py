"""Fixed networks of one layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from systolith.golden.fixed.accumulator import accumulator_range
from systolith.golden.fixed.arithmetic import QFormat, Requantization
from systolith.golden.fixed.integers import FixedLayer, FixedNetwork
from systolith.golden.network.graph import Activation, Convolution, Input, Network, Shape


def convolution(
    weights: NDArray[np.int64], how: Requantization | None, activation: str = "none"
) -> FixedLayer:
    """A 2 x 2 convolution of a 4 x 4 image."""
    layer = FixedLayer(
        layer=Convolution(
            name="C",
            inputs=("input",),
            kernel=(2, 2),
            out_channels=weights.shape[-1],
            activation=Activation(activation),
        ),
        input_shape=Shape(4, 4, 1),
        output_shape=Shape(3, 3, weights.shape[-1]),
        input_format=QFormat(8, 0, signed=False),
        output_format=QFormat(8, 0) if how is None else how.target,
        weights=weights,
        bias=np.zeros(weights.shape[-1], np.int64),
        requantization=how,
    )
    return replace(layer, accumulator_range=accumulator_range(layer))


def only(layer: FixedLayer) -> FixedNetwork:
    network = Network("one", (Input(name="input", height=4, width=4), layer.layer))
    return FixedNetwork(network, (layer,))
