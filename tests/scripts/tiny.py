"""A network so small that its hardware is generated and built in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from systolith import golden, hw
from systolith.golden.network.graph import Activation, Convolution, Dense, Input, Network
from systolith.golden.network.trained_network import TrainedNetwork


def quantized(seed: int = 1) -> golden.QuantizedNetwork:
    """A convolution and a dense layer, with random weights, on images of 5 x 4."""
    network = Network(
        "tiny",
        (
            Input(name="input", height=5, width=4),
            Convolution(
                name="conv",
                inputs=("input",),
                kernel=(3, 2),
                out_channels=2,
                activation=Activation("relu"),
            ),
            Dense(name="dense", inputs=("conv",), units=3),
        ),
    )
    rng = np.random.default_rng(seed)
    arrays = {
        layer.name: {
            name: rng.normal(size=shape) for name, shape in layer.array_shapes(source).items()
        }
        for layer, source, _ in network.computing_layers()
    }
    return golden.quantize(TrainedNetwork(network, arrays), _images(20))


def generate(folder: Path) -> None:
    """The hardware, and a data set next to it."""
    hw.generate(quantized(), folder)


def save_images(path: Path, count: int, seed: int = 2) -> None:
    """Images with labels, for `--data`; images of another seed are others."""
    np.savez(path, images=_images(count, seed), labels=np.arange(count) % 3)


def _images(count: int, seed: int = 2) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 5, 4, 1), dtype=np.uint8)
