"""Fault injection: inverts one bit of one weight, so that a user can see the comparison fail.

`simulate --inject-fault LAYER` generates the hardware of the network with the fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from systolith.golden.fixed.accumulator import accumulator_range
from systolith.golden.fixed.execution import FixedModel
from systolith.golden.fixed.integers import FixedLayer, FixedNetwork, Integers
from systolith.golden.network.graph import Convolution
from systolith.golden.qformat import RawImages

_IMAGES = 8
_MOST_TRIALS = 1000


@dataclass(frozen=True, eq=False)
class Fault:
    """An inverted bit of a weight, and the network with it.

    Parameters
    ----------
    layer
        The layer's name.
    index
        The position of the weight in the layer's `weights`.
    bit
        The bit, 0 the least significant.
    before, after
        The weight without and with the fault.
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


def find_fault(fixed: FixedNetwork, name: str, images: RawImages) -> Fault:
    """Find a bit of a weight of layer `name` that changes the layer's values for some images.

    A few of the images are tried. The width of the accumulators does not change, so that the
    hardware has the same ports.

    Raises
    ------
    ValueError
        If there is no such layer, it has no weights, or no bit that was tried changes a value.
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
    raise ValueError(f"layer {name!r}: no single bit of its weights changes its values")


def _bits(layer: FixedLayer) -> Iterator[tuple[tuple[int, ...], int]]:
    """Weights in random order, and the bits of each below the sign, the highest first."""
    assert layer.weights is not None
    indices = np.argwhere(_connected(layer))
    order = np.random.default_rng(0).permutation(len(indices))
    for position in order.tolist():
        index = tuple(indices[position].tolist())
        for bit in reversed(range(layer.weight_formats[index[-1]].bits - 1)):
            yield index, bit


def _connected(layer: FixedLayer) -> NDArray[np.bool_]:
    """Which weights have hardware; the others are zero by the connection table."""
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
