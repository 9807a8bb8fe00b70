"""Biases that take back mean errors: of one layer, and of networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from systolith.golden.files.datasets import validation_digits
from systolith.golden.fixed import execution
from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network import float_model
from systolith.golden.network.trained_network import load_network
from systolith.golden.quantization.bias_correction import with_corrected_bias
from systolith.golden.quantization.calibration import quantize
from systolith.golden.quantization.settings import LayerSettings, Settings
from tests.golden.fixed_networks import convolution, only
from tests.golden.random_networks import input_of_some_size, random_trained

CHANNELS = 3


def layer_and_images(seed: int) -> tuple[FixedLayer, NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    layer = convolution(rng.integers(-9, 10, (2, 2, 1, CHANNELS)), None)
    layer = replace(layer, weight_formats=(QFormat(8, 0),) * CHANNELS)
    return layer, rng.integers(0, 256, (5, 4, 4, 1), dtype=np.uint8)


@given(st.integers(0, 2**32 - 1))
def test_no_mean_error_is_left(seed: int) -> None:
    layer, images = layer_and_images(seed)
    rng = np.random.default_rng(seed + 1)
    shape = (5, 3, 3, CHANNELS)
    exact = rng.normal(100, 50, shape)
    slopes = rng.uniform(0, 1, shape) * (rng.random(shape) < 0.5)
    slopes[..., 2] = 0
    network = only(layer)
    made = with_corrected_bias(network.network, (), layer, images, exact, slopes)
    left = exact - execution.scores(only(made), images).reshape(shape)
    for channel in range(2):
        weights = slopes[..., channel] + 1e-300
        assert abs(np.average(left[..., channel], weights=weights)) <= 0.5 + 1e-9
    assert made.bias is not None and made.bias[2] == 0


def test_sums_that_are_right_stay() -> None:
    layer, images = layer_and_images(0)
    network = only(layer)
    sums = execution.scores(network, images).reshape(5, 3, 3, CHANNELS).astype(np.float64)
    made = with_corrected_bias(network.network, (), layer, images, sums, np.ones_like(sums))
    assert made.bias is not None and not made.bias.any()


@given(st.integers(0, 2**32 - 1))
@input_of_some_size()
def test_scores_of_random_networks_have_the_mean_of_the_float_ones(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_trained(rng)
    shape = network.network.input.image_shape
    pixels = rng.integers(0, 256, (9, *shape), dtype=np.uint8)
    made = quantize(network, pixels, Settings(LayerSettings(4, 4, bias_correction=True))).fixed
    last = made.layers[-1]
    if last.requantization is not None or last.bias is None:
        return
    scores = execution.run(made, pixels).outputs[last.name]
    real = float_model.run(network, pixels)[last.name].astype(np.float64)
    step = last.output_format.step
    error = (scores * step - real).mean(axis=(0, 1, 2))
    assert np.abs(error).max() <= step / 2 + 1e-5 * np.abs(real).max()


@pytest.mark.parametrize("name", ["lenet5", "lenet5-sigmoid", "lenet5-relu"])
def test_three_bits_lose_less(name: str) -> None:
    digits, network = validation_digits(), load_network(name)
    images = digits.images[:200]
    right = []
    for on in (False, True):
        made = quantize(network, images, Settings(LayerSettings(3, 3, bias_correction=on))).fixed
        classes = execution.classes(made, digits.images[1000:3000])
        right.append(int(np.count_nonzero(classes == digits.known_labels[1000:3000])))
    assert right[1] > right[0]


def test_layers_choose_for_themselves() -> None:
    network = load_network("lenet5-relu")
    images = validation_digits().images[:50]
    plain = quantize(network, images, Settings(LayerSettings(4, 4))).fixed
    one = Settings(LayerSettings(4, 4), {"C3": {"bias_correction": True}})
    for layer, other in zip(plain.layers, quantize(network, images, one).fixed.layers, strict=True):
        if layer.bias is not None and other.bias is not None:
            assert np.array_equal(layer.bias, other.bias) == (layer.name != "C3")
