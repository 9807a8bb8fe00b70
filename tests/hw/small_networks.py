"""Small quantized networks with random weights, for tests of whole accelerators."""

from __future__ import annotations

import numpy as np

from systolith.golden.network.graph import (
    Activation,
    AveragePooling,
    Convolution,
    Dense,
    Input,
    MaxPooling,
    Network,
    RadialBasis,
    Subsampling,
)
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.quantization.calibration import quantize
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.hw.folding import Folding, Plan

BACKGROUND = 30
TANH = Activation("tanh")

EVERY_KIND = Network(
    "every-kind",
    (
        Input(
            name="input", height=9, width=8, channels=2, border=1, background=BACKGROUND, scale=0.01
        ),
        Convolution(
            name="C1",
            inputs=("input",),
            kernel=(3, 2),
            out_channels=4,
            activation=Activation("relu"),
        ),
        MaxPooling(name="S2", inputs=("C1",), window=(1, 2)),
        Convolution(
            name="C3",
            inputs=("S2",),
            kernel=(2, 2),
            out_channels=6,
            connection_table=((0, 1), (1, 2), (2, 3), (0, 3), (0, 1, 2), (1, 2, 3)),
            activation=TANH,
        ),
        Subsampling(name="S4", inputs=("C3",), activation=TANH),
        AveragePooling(name="S5", inputs=("S4",), window=(3, 1), stride=(1, 1)),
        Dense(name="F6", inputs=("S5",), units=5, activation=TANH),
        RadialBasis(name="output", inputs=("F6",), units=3),
    ),
)
"""A layer of each kind."""

EVERY_KIND_PLAN: Plan = {
    "C1": Folding(rows=4, columns=2, lanes=2),
    "S2": Folding(lanes=1),
    "C3": Folding(rows=2, columns=3, lanes=3),
    "S4": Folding(lanes=3),
    "S5": Folding(lanes=1),
    "F6": Folding(rows=3, columns=5, lanes=5),
    "output": Folding(columns=2, lanes=1, order="outputs"),
}

ONE_LAYER = Network(
    "one-layer",
    (
        Input(name="input", height=2, width=3, background=BACKGROUND),
        Dense(name="scores", inputs=("input",), units=4),
    ),
)


def quantized(network: Network, seed: int = 0) -> QuantizedNetwork:
    """The network with random weights, calibrated on random images."""
    rng = np.random.default_rng(seed)
    arrays = {
        layer.name: {
            name: rng.normal(0, 0.5, shape) for name, shape in layer.array_shapes(source).items()
        }
        for layer, source, _ in network.computing_layers()
    }
    for layer, source, _ in network.computing_layers():
        if isinstance(layer, Convolution):
            for out, maps in enumerate(layer.sources(source)):
                absent = sorted(set(range(source.channels)) - set(maps))
                arrays[layer.name]["weights"][:, :, absent, out] = 0
    images = rng.integers(0, 256, (20, *network.input.image_shape), np.uint8)
    return quantize(TrainedNetwork(network, arrays), images)
