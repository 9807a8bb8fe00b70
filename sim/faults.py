"""A fault on purpose: one bit of one weight, so that a check can be seen to fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from systolith.golden.fixed.accumulator import accumulator_range
from systolith.golden.fixed.execution import FixedModel
from systolith.golden.fixed.integers import FixedLayer, FixedNetwork, Integers
from systolith.golden.network.graph import Convolution

_IMAGES = 8
_MOST_TRIALS = 1000


@dataclass(frozen=True, eq=False)
class Fault:
    """A bit that was inverted, and the network that has it.

    Parameters
    ----------
    layer
        The layer's name.
    index
        Of the weight in the layer's `weights`.
    bit
        Which bit, 0 the least significant.
    before, after
        The weight.
    fixed
        The network with the altered weight.
    """

    layer: str
    index: tuple[int, ...]
    bit: int
    before: int
    after: int
    fixed: FixedNetwork

    def __str__(self) -> str:
        index = ", ".join(map(str, self.index))
        return (
            f"{self.layer}: bit {self.bit} of weight [{index}] inverted, "
            f"{self.before} became {self.after}"
        )


def find_fault(fixed: FixedNetwork, name: str, images: NDArray[np.uint8]) -> Fault:
    """A bit of a weight of layer `name` that alters its values for some of the images.

    The first of them are tried. Accumulators keep their width, and with it the hardware its ports.

    Raises
    ------
    ValueError
        If there is no such layer, it has no weights, or no single bit makes a difference.
    """
    layer = fixed[name] if name != fixed.network.input.name else None
    if layer is None or layer.weights is None:
        weighted = ", ".join(each.name for each in fixed.layers if each.weights is not None)
        raise ValueError(f"layer {name!r} has no weights: layers with weights are {weighted}")
    few = images[:_IMAGES]
    expected = FixedModel(fixed).run(few).outputs[name]
    for trial, (index, bit) in enumerate(_bits(layer)):
        if trial == _MOST_TRIALS:
            break
        before = int(layer.weights[index])
        after = _inverted(before, bit, layer.weight_formats[index[-1]].bits)
        altered = _altered(layer, index, after)
        if altered.accumulator_bits != layer.accumulator_bits:
            continue
        layers = tuple(altered if each is layer else each for each in fixed.layers)
        network = replace(fixed, layers=layers)
        if np.any(FixedModel(network).run(few).outputs[name] != expected):
            return Fault(name, index, bit, before, after, network)
    raise ValueError(f"layer {name!r}: no single bit of its weights alters its values")


def _bits(layer: FixedLayer) -> Iterator[tuple[tuple[int, ...], int]]:
    """Weights and their bits: those spread over the layer, below the sign from the highest down."""
    assert layer.weights is not None
    indices = np.argwhere(_connected(layer))
    order = np.random.default_rng(0).permutation(len(indices))
    for position in order.tolist():
        index = tuple(indices[position].tolist())
        for bit in reversed(range(layer.weight_formats[index[-1]].bits - 1)):
            yield index, bit


def _connected(layer: FixedLayer) -> NDArray[np.bool_]:
    """Which weights exist; the others are zero, and have no hardware."""
    assert layer.weights is not None
    connected = np.ones(layer.weights.shape, bool)
    if isinstance(layer.layer, Convolution):
        connected[:] = False
        for out, maps in enumerate(layer.layer.sources(layer.input_shape)):
            connected[:, :, list(maps), out] = True
    return connected


def _inverted(value: int, bit: int, bits: int) -> int:
    raw = (value ^ (1 << bit)) & ((1 << bits) - 1)
    return raw - (1 << bits) if raw >> (bits - 1) else raw


def _altered(layer: FixedLayer, index: tuple[int, ...], value: int) -> FixedLayer:
    assert layer.weights is not None
    weights: Integers = layer.weights.copy()
    weights[index] = value
    altered = replace(layer, weights=weights)
    return replace(altered, accumulator_range=accumulator_range(altered))
