"""What the fixed values of each layer stand for: `real = gain * value + offset`.

Powers of two are the business of formats. What is left is the input's scale and offset, and the
amplitudes of squashing functions: they are folded into the next layer that has weights, and until
then they are carried along here. They follow from the graph alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from systolith.golden.network.graph import (
    AveragePooling,
    Input,
    Layer,
    MaxPooling,
    Network,
    RadialBasis,
)


@dataclass(frozen=True)
class Affine:
    """`real = gain * value + offset`, with a positive gain."""

    gain: float = 1.0
    offset: float = 0.0


def affines(network: Network) -> dict[str, Affine]:
    """For every layer, by name, what its fixed values stand for.

    The scores of a last layer whose gain is not 1 are proportional to the real ones.
    """
    found: dict[str, Affine] = {}
    for layer in network.layers:
        found[layer.name] = _affine(layer, found[layer.inputs[0]] if layer.inputs else Affine())
    return found


def pre_activation(layer: Layer, source: Affine) -> Affine:
    """What a layer's values before its activation stand for, given those of its input."""
    if isinstance(layer, Input):
        return Affine(layer.scale, layer.offset)
    if isinstance(layer, MaxPooling) or (
        isinstance(layer, AveragePooling) and layer.activation.kind == "none"
    ):
        return source
    if isinstance(layer, AveragePooling):
        return Affine(source.gain)
    if isinstance(layer, RadialBasis):
        return Affine(source.gain**2)
    return Affine()


def _affine(layer: Layer, source: Affine) -> Affine:
    if layer.activation.is_table:
        return Affine(layer.activation.amplitude)
    return pre_activation(layer, source)
