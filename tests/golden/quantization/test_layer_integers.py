"""Scales of weights by exact fractions, and biases by sums in plain floats."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.network.graph import Activation, AveragePooling, Dense, Input, Network
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.quantization import observation
from systolith.golden.quantization.calibration import quantize
from systolith.golden.quantization.settings import LayerSettings, Settings

Reals = NDArray[np.float64]
PIXELS = np.random.default_rng(4).integers(0, 256, (40, 3), dtype=np.uint8)


def two_layers(weights: Any, activation: Activation, bias: Any = (0.25, -0.5)) -> TrainedNetwork:
    """Three pixels, a layer of two units with these weights, and a layer of scores."""
    network = Network(
        "two-layers",
        (
            Input(name="input", height=1, width=3, scale=1 / 256, offset=-0.25),
            Dense(name="F", inputs=("input",), units=2, activation=activation),
            Dense(name="G", inputs=("F",), units=2),
        ),
    )
    given = np.asarray(weights, np.float32)
    return TrainedNetwork(
        network,
        {
            "F": {"weights": given, "bias": np.array(bias, np.float32)},
            "G": {
                "weights": np.array([[1, -1], [0.5, 1]], np.float32),
                "bias": np.zeros(2, np.float32),
            },
        },
    )


def finest(weights: list[float], bits: int) -> int:
    """The most fraction bits with which no weight leaves a signed format, tried one by one."""
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return max(
        frac_bits
        for frac_bits in range(-8, 24)
        if all(low <= round(Fraction(w) * Fraction(2) ** frac_bits) <= high for w in weights)
    )


@pytest.mark.parametrize("large", [0, 1])
def test_one_scale_a_layer_is_that_of_all_its_channels(large: int) -> None:
    weights = np.full((3, 2), 0.0078125)
    weights[1, large] = 0.75
    network = two_layers(weights, Activation("relu"), bias=(0, 0))
    images = PIXELS.reshape(-1, 1, 3, 1)
    # The integers of weights take in the input's scale.
    scaled = (weights / 256).tolist()
    for granularity, expected in (
        ("tensor", [finest(functools.reduce(operator.iadd, scaled, []), 6)] * 2),
        ("channel", [finest([row[channel] for row in scaled], 6) for channel in (0, 1)]),
    ):
        settings = Settings.from_mapping(
            {"weight_bits": 6, "calibration": "minmax", "granularity": granularity}
        )
        formats = quantize(network, images, settings).fixed["F"].weight_formats
        assert [fmt.frac_bits for fmt in formats] == expected
    assert len(set(expected)) == 2


@pytest.mark.parametrize(("inputs", "bits"), [(1, 16), (2, 17), (3, 18), (4, 18), (5, 19)])
@pytest.mark.parametrize("granularity", ["channel", "tensor"])
def test_weights_far_below_their_bias_are_as_fine_as_its_sum_allows(
    inputs: int, bits: int, granularity: str
) -> None:
    """A bias takes as many bits as the sum of so many products of 8 by 8 bits, and no more."""
    network = Network(
        "biased",
        (
            Input(name="input", height=1, width=inputs),
            Dense(name="F", inputs=("input",), units=2, activation=Activation("relu")),
            Dense(name="G", inputs=("F",), units=1),
        ),
    )
    arrays = {
        "F": {"weights": np.full((inputs, 2), 1e-12), "bias": np.array([0.75, 0.25])},
        "G": {"weights": np.ones((2, 1)), "bias": np.zeros(1)},
    }
    images = np.full((2, 1, inputs, 1), 9, np.uint8)
    settings = Settings.from_mapping({"granularity": granularity})
    made = quantize(TrainedNetwork(network, arrays), images, settings).fixed["F"]
    assert made.bias is not None
    used = [int(raw).bit_length() + 1 for raw in made.bias]
    # One scale for both is that of the larger bias, which is between one and three quarters.
    assert used == [bits, bits if granularity == "channel" else bits - 1]


def sigmoid(a: Reals) -> Reals:
    return np.asarray(1 / (1 + np.exp(-a)))


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize(
    ("activation", "derivative"),
    [
        (Activation("tanh", 1.7159, 0.1), lambda a: 1 - np.tanh(0.1 * a) ** 2),
        (Activation("tanh", 1.0, 4.0), lambda a: 1 - np.tanh(4 * a) ** 2),
        (Activation("sigmoid", 0.7, 3.0), lambda a: sigmoid(3 * a) * (1 - sigmoid(3 * a))),
        (Activation("relu"), lambda a: (a > 0).astype(float)),
        (Activation(), np.ones_like),
    ],
    ids=["flat tanh", "steep tanh", "sigmoid", "relu", "none"],
)
def test_a_corrected_bias_takes_back_the_mean_error_weighted_by_the_slope(
    activation: Activation,
    derivative: Callable[[Reals], Reals],
    every: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On the images that were sampled: of many, not all are."""
    monkeypatch.setattr(observation, "_SAMPLED_VALUES", -(-2 * len(PIXELS) // every))
    weights = np.array([[0.9, -1.3], [-2.1, 0.37], [1.45, 2.2]], np.float32)
    network = two_layers(weights, activation)
    images = PIXELS.reshape(-1, 1, 3, 1)
    plain, corrected = (
        quantize(network, images, Settings(LayerSettings(3, 8, bias_correction=on))).fixed["F"]
        for on in (False, True)
    )
    assert plain.weights is not None and plain.bias is not None and corrected.bias is not None
    sampled = PIXELS[::every]
    exact = (sampled / 256 - 0.25) @ weights.astype(float) + [0.25, -0.5]
    for channel, fmt in enumerate(plain.weight_formats):
        raw = sampled.astype(int) @ plain.weights[:, channel] + plain.bias[channel]
        error = exact[:, channel] - raw * 2.0**-fmt.frac_bits
        slopes = derivative(exact[:, channel])
        mean = (error * slopes).sum() / slopes.sum()
        assert corrected.bias[channel] == plain.bias[channel] + round(mean * 2.0**fmt.frac_bits)
    assert corrected.bias.tolist() != plain.bias.tolist()


@pytest.mark.parametrize("window", [(2, 2), (3, 3), (5, 5), (7, 6)])
def test_factors_of_windows_fit_the_multipliers_of_fpgas(window: tuple[int, int]) -> None:
    """Of 18 bits with a sign; the mean of equal values misses them by less than a 65,536th."""
    padding = (window[0] // 2, window[1] // 2)
    network = Network(
        "averaged",
        (
            Input(name="input", height=8, width=8),
            AveragePooling(name="A", inputs=("input",), window=window, padding=padding),
            Dense(name="O", inputs=("A",), units=1),
        ),
    )
    size = network.shapes()["A"].size
    arrays = {"O": {"weights": np.ones((size, 1), np.float32), "bias": np.zeros(1, np.float32)}}
    images = np.full((1, 8, 8, 1), 255, np.uint8)
    layer = quantize(TrainedNetwork(network, arrays), images).fixed["A"]
    assert layer.factors is not None and layer.requantization is not None
    assert layer.factors.max() < 2**17
    shift = int(layer.requantization.shifts[0])
    counted = np.outer(inside(window[0]), inside(window[1]))
    assert layer.factors.shape == counted.shape
    nearest = [[round(Fraction(2**shift, n)) for n in row] for row in counted.tolist()]
    assert layer.factors.tolist() == nearest
    np.testing.assert_allclose(layer.factors * counted, 2.0**shift, rtol=2**-16)


@pytest.mark.parametrize(
    ("window", "multiplier", "shift"),
    # 16 bits and those of the size; a power of two needs no multiplier.
    [((3, 3), 116508, 20), ((1, 5), 104858, 19), ((2, 2), 1, 2), ((1, 7), 74898, 19)],
)
def test_a_mean_is_a_multiplication_and_a_shift(
    window: tuple[int, int], multiplier: int, shift: int
) -> None:
    network = Network(
        "mean",
        (
            Input(name="input", height=7, width=7),
            AveragePooling(name="A", inputs=("input",), window=window),
        ),
    )
    images = np.full((1, 7, 7, 1), 9, np.uint8)
    how = quantize(TrainedNetwork(network, {}), images).fixed["A"].requantization
    assert how is not None
    assert (how.multiplier, how.shifts.tolist(), how.target) == (
        *(multiplier, [shift], QFormat(8, 0, signed=False)),
    )


def inside(size: int) -> list[int]:
    """The elements of each window that lie in a row of 8, with half a window of padding around."""
    starts = range(-(size // 2), 8 + size // 2 - size + 1, size)
    return [sum(0 <= start + place < 8 for place in range(size)) for start in starts]
