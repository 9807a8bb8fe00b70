"""Bias correction: biases that compensate the mean errors of a layer's sums.

Rounded weights and rounded inputs move the mean of every channel; its bias can move it back (M.
Nagel et al., "Data-Free Quantization through Weight Equalization and Bias Correction", 2019,
section 4.2; measured on images, as in their appendix D). Here each error is weighted by the
derivative of the activation: an error that a squashing function flattens, or a ReLU cuts off, must
not move the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from systolith.golden.fixed import execution
from systolith.golden.fixed.integers import FixedLayer, FixedNetwork
from systolith.golden.network.graph import NO_ACTIVATION, Network
from systolith.golden.qformat import RawImages

Reals = NDArray[np.floating[Any]]


def with_corrected_bias(
    network: Network,
    before: Sequence[FixedLayer],
    layer: FixedLayer,
    images: RawImages,
    exact: Reals,
    slopes: Reals,
) -> FixedLayer:
    """A layer whose sums have no mean error on some images, errors being weighted by slopes.

    Parameters
    ----------
    network, before
        The graph, and the layers before this one in integers.
    layer
        A layer with a bias.
    images
        Raw values `(images, height, width, channels)`.
    exact
        The exact sums in real numbers, of the layer's output shape for each image.
    slopes
        The derivative of the activation there, up to a factor, of the same shape.
    """
    scale = layer.input_format.step * np.array([fmt.step for fmt in layer.weight_formats])
    errors = exact - _sums(network, before, layer, images).reshape(exact.shape) * scale
    each_channel = tuple(range(errors.ndim - 1))
    weight = slopes.sum(axis=each_channel, dtype=np.float64)
    total = (errors * slopes).sum(axis=each_channel)
    # Where the activation is flat everywhere, there is nothing to correct.
    mean = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    assert layer.bias is not None
    return replace(layer, bias=layer.bias + np.rint(mean / scale).astype(np.int64))


def _sums(
    network: Network,
    before: Sequence[FixedLayer],
    layer: FixedLayer,
    images: RawImages,
) -> NDArray[np.int64]:
    """A layer's exact accumulators, bias included."""
    plain = replace(layer.layer, activation=NO_ACTIVATION)
    bare = replace(layer, layer=plain, requantization=None)
    return execution.scores(FixedNetwork(network, (*before, bare)), images)
