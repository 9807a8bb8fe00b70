"""The real numbers that each layer's fixed-point values stand for: `real = gain * value + offset`.

Formats account for powers of two. What remains is the input's scale and offset, and the amplitudes
of activations: they are folded into the next layer that has weights, and carried along here until
then. They follow from the graph alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from systolith.golden.network.graph import (
    AveragePooling,
    Convolution,
    Dense,
    Input,
    Layer,
    MaxPooling,
    Network,
    RadialBasis,
    Subsampling,
)


@dataclass(frozen=True)
class Affine:
    """`real = gain * value + offset`, with a positive gain."""

    gain: float = 1.0
    offset: float = 0.0


def affines(network: Network) -> dict[str, Affine]:
    """What the fixed-point values of every layer stand for, by layer name.

    The scores of a last layer whose gain is not 1 are proportional to the real ones.

    Raises
    ------
    GraphError
        A layer's type is not known here.
    """
    found: dict[str, Affine] = {}
    for layer in network.layers:
        found[layer.name] = _affine(layer, found[layer.inputs[0]] if layer.inputs else Affine())
    return found


def pre_activation(layer: Layer, source: Affine) -> Affine:
    """What a layer's values before its activation stand for, given those of its input.

    Raises
    ------
    GraphError
        The layer's type is not known here.
    """
    return layer.entry(_STANDS_FOR, "scale")(layer, source)


def _affine(layer: Layer, source: Affine) -> Affine:
    if layer.activation.is_table:
        return Affine(layer.activation.amplitude)
    return pre_activation(layer, source)


def _weighted(layer: Layer, source: Affine) -> Affine:
    # Weights and bias take in the scale and the offset of the input.
    return Affine()


def _average(layer: AveragePooling, source: Affine) -> Affine:
    # An activation needs real zeros, so a bias takes in the offset.
    return source if layer.activation.is_identity else Affine(source.gain)


_STANDS_FOR: dict[type[Layer], Callable[[Any, Affine], Affine]] = {
    Input: lambda layer, source: Affine(layer.scale, layer.offset),
    Convolution: _weighted,
    Subsampling: _weighted,
    AveragePooling: _average,
    MaxPooling: lambda layer, source: source,
    Dense: _weighted,
    RadialBasis: lambda layer, source: Affine(source.gain**2),
}
