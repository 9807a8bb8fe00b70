"""A small network, generated once for a run of tests."""

from __future__ import annotations

import numpy as np

from systolith import golden
from systolith.golden.fixed.execution import classes
from systolith.golden.network.graph import (
    Activation,
    Convolution,
    Dense,
    Input,
    MaxPooling,
    Network,
)
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.hw.folding import Folding, Plan

# Pooling drops the last row and column, and Verilator changes the name of the convolution.
NETWORK = Network(
    "small-one",
    (
        Input(name="input", height=7, width=5, channels=2),
        MaxPooling(name="pool", inputs=("input",), window=(2, 2)),
        Convolution(
            name="conv__x",
            inputs=("pool",),
            kernel=(2, 2),
            out_channels=3,
            connection_table=((0,), (1,), (0, 1)),
            activation=Activation("tanh"),
        ),
        Dense(name="dense", inputs=("conv__x",), units=4),
    ),
)

PLAN: Plan = {
    "pool": Folding(lanes=1),
    "conv__x": Folding(rows=2, columns=2, lanes=3),
    "dense": Folding(rows=2, columns=2, lanes=2),
}

WEIGHTED = ("conv__x", "dense")


def quantized() -> golden.QuantizedNetwork:
    rng = np.random.default_rng(5)
    arrays = {
        layer.name: {
            name: rng.normal(size=shape) for name, shape in layer.array_shapes(source).items()
        }
        for layer, source, _ in NETWORK.computing_layers()
    }
    convolution = arrays["conv__x"]["weights"]
    convolution[:, :, 1, 0] = convolution[:, :, 0, 1] = 0
    return golden.quantize(TrainedNetwork(NETWORK, arrays), dataset(20).images)


def dataset(count: int) -> golden.Dataset:
    """Random images, whose labels are not all right."""
    images = np.random.default_rng(2).integers(0, 256, (count, 7, 5, 2), dtype=np.uint8)
    return golden.Dataset("random", "custom", images, np.arange(count) % 4)


def right(network: golden.QuantizedNetwork, data: golden.Dataset) -> int:
    """Images that the fixed-point model puts into the class of their label."""
    return int(np.count_nonzero(classes(network.fixed, data.images) == data.labels))
