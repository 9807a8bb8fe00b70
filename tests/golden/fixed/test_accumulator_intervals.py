"""The accumulators of whole networks, recomputed by interval arithmetic in Python integers."""

from __future__ import annotations

import numpy as np
import pytest

from systolith.golden import QuantizedNetwork, load, quantize, validation_digits
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.graph import MaxPooling, Pooling, RadialBasis, Subsampling
from systolith.golden.network.shipped import names
from systolith.golden.network.trained_network import TrainedNetwork
from tests.golden.random_networks import random_images, random_trained

Interval = tuple[int, int]


def channel_interval(layer: FixedLayer, channel: int) -> Interval:
    """What one output channel's sum can be, on the way and at the end."""
    ends = (layer.input_format.min_raw, layer.input_format.max_raw)
    size = layer.layer.window[0] * layer.layer.window[1] if isinstance(layer.layer, Pooling) else 1
    if isinstance(layer.layer, MaxPooling):
        size = 1
    if layer.factors is not None:
        # The sum of a window of an average may be that of any window, times its factor.
        size *= max(layer.factors.ravel().tolist())
    if layer.weights is None:
        terms = [sorted(size * end for end in ends)]
    else:
        column = layer.weights.reshape(-1, layer.output_shape.channels)[:, channel].tolist()
        if isinstance(layer.layer, RadialBasis):
            shift = 2**layer.input_shift
            terms = [[0, max((end * shift - centre) ** 2 for end in ends)] for centre in column]
        else:
            scale = size if isinstance(layer.layer, Subsampling) else 1
            terms = [sorted(end * scale * weight for end in ends) for weight in column]
    # A part of the sum may be added before the rest, the bias and the rounding constant, too.
    if layer.bias is not None:
        terms.append([int(layer.bias[channel])] * 2)
    how = layer.requantization
    # Behind a multiplier, rounding is no addition to the accumulator.
    if how is not None and how.multiplier == 1 and how.shifts[channel] > 0:
        terms.append([0, 2 ** (int(how.shifts[channel]) - 1)])
    return sum(min(low, 0) for low, _ in terms), sum(max(high, 0) for _, high in terms)


def bits_for(interval: Interval) -> int:
    """The least two's complement width, found by trying."""
    bits = 1
    while not -(2 ** (bits - 1)) <= interval[0] <= interval[1] < 2 ** (bits - 1):
        bits += 1
    return bits


def check(quantized: QuantizedNetwork) -> None:
    for layer in quantized.fixed.layers:
        channels = [channel_interval(layer, each) for each in range(layer.output_shape.channels)]
        whole = min(low for low, _ in channels), max(high for _, high in channels)
        assert (layer.name, layer.accumulator_range) == (layer.name, whole)
        assert (layer.name, layer.accumulator_bits) == (layer.name, bits_for(whole))


@pytest.mark.parametrize("name", names())
def test_networks_that_ship(name: str) -> None:
    trained = load(name)
    assert isinstance(trained, TrainedNetwork)
    check(quantize(trained, validation_digits().images[:100]))


@pytest.mark.parametrize("seed", range(20))
def test_random_networks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trained = random_trained(rng)
    check(quantize(trained, random_images(rng, trained.network, 8)))
