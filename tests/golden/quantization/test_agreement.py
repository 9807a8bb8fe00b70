"""Formats of a network that are not those of its settings or its graph, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.fixed.consistency import FixedNetworkError
from systolith.golden.fixed.integers import FixedLayer, FixedNetwork
from systolith.golden.network.graph import (
    Activation,
    AveragePooling,
    Convolution,
    Dense,
    Input,
    MaxPooling,
    Network,
    RadialBasis,
)
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.quantization.agreement import check_agreement
from systolith.golden.quantization.calibration import quantize
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.golden.quantization.settings import LayerSettings, Settings
from tests.golden.random_networks import random_arrays, random_images

LAYERS = (
    Input(name="input", height=7, width=7, border=1, background=20, scale=0.01, offset=-0.3),
    Convolution(
        name="C",
        inputs=("input",),
        kernel=(3, 3),
        out_channels=3,
        activation=Activation("clip", parameters=(-0.5, 1.5)),
    ),
    Convolution(
        name="D",
        inputs=("C",),
        kernel=(2, 2),
        out_channels=2,
        padding=(1, 0),
        activation=Activation("relu"),
    ),
    MaxPooling(name="M", inputs=("D",), window=(2, 1), padding=(1, 0)),
    AveragePooling(name="A", inputs=("M",), padding=(1, 0)),
    Dense(name="T", inputs=("A",), units=3, activation=Activation("tanh")),
    RadialBasis(name="R", inputs=("T",), units=2),
)
OWN: dict[str, dict[str, Any]] = {
    "C": {"weight_bits": 5, "activation_bits": 6, "granularity": "channel"},
    "D": {"activation_bits": 5, "rounding": "half_even"},
    "A": {"rounding": "half_up"},
    "T": {"table_index_bits": 9, "activation_bits": 4},
    "R": {"weight_bits": 6},
}
SETTINGS = Settings(LayerSettings(7, 8, "minmax", "tensor", rounding="floor"), OWN)


def odd_network() -> QuantizedNetwork:
    """A clamp, padding, windows of different sizes, a table and centres, with settings by layer."""
    network = Network("agreed", LAYERS)
    rng = np.random.default_rng(2)
    arrays = {
        layer.name: random_arrays(rng, layer, source)
        for layer, source, _ in network.computing_layers()
    }
    # One channel of three has weights of another scale.
    arrays["C"]["weights"][..., 2] /= 16
    arrays["C"]["bias"] /= 16
    # Centres on a coarser scale than their inputs, which has zeros below it.
    arrays["R"]["weights"] *= 16
    return quantize(TrainedNetwork(network, arrays), random_images(rng, network, 9), SETTINGS)


@pytest.fixture(scope="module")
def fixed() -> FixedNetwork:
    return odd_network().fixed


def test_a_network_agrees_with_the_settings_it_was_made_of(fixed: FixedNetwork) -> None:
    check_agreement(fixed, SETTINGS)
    assert [layer.padding_value for layer in fixed.layers] == [20, 0, 0, 0, 0, 0]
    assert len({fmt.frac_bits for fmt in fixed["C"].weight_formats}) == 2


@pytest.mark.parametrize(
    ("layer", "changes", "message"),
    [
        ("C", {"weight_bits": 7}, "bits of weights: 5, but graph and settings say 7"),
        ("C", {"activation_bits": 8}, "bits of values: 6, but graph and settings say 8"),
        ("C", {"granularity": "tensor"}, "weights have several scales, the settings say"),
        ("D", {"activation_bits": 8}, "bits of values: 5, but graph and settings say 8"),
        ("D", {"rounding": "floor"}, "rounding: half_even, but graph and settings say floor"),
        ("A", {"rounding": "floor"}, "rounding: half_up, but graph and settings say floor"),
        ("T", {"table_index_bits": 10}, "bits of its table's index: 9, but .* say 10"),
        ("T", {"table_index_bits": None}, "bits of its table's index: 9, but .* say 6"),
        ("T", {"activation_bits": 8}, "bits of values: 4, but graph and settings say 8"),
        ("R", {"weight_bits": 16}, "centres are not of the 16 bits of the settings"),
        ("R", {"weight_bits": 3}, "centres are not of the 3 bits of the settings"),
    ],
)
def test_other_settings_of_a_layer_are_refused(
    fixed: FixedNetwork, layer: str, changes: dict[str, Any], message: str
) -> None:
    own = {**OWN, layer: {**OWN[layer], **changes}}
    with pytest.raises(FixedNetworkError, match=f" '{layer}': {message}"):
        check_agreement(fixed, Settings(SETTINGS.default, own))


def how(layer: FixedLayer, **changes: Any) -> FixedLayer:
    assert layer.requantization is not None
    return replace(layer, requantization=replace(layer.requantization, **changes))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("C", lambda c: how(c, limits=(None, None)), "limits of values: .None, None., but .* say"),
        ("C", lambda c: how(c, limits=(c.requantization.limits[0], 3)), "limits of values: "),
        ("D", lambda d: how(d, limits=(0, None)), "limits of values: .0, None., but .*None, None"),
        ("C", lambda c: replace(c, padding_value=0), "padding value: 0, but .* say 20"),
        ("D", lambda d: replace(d, padding_value=20), "padding value: 20, but .* say 0"),
        ("M", lambda m: replace(m, padding_value=1), "padding value: 1, but .* say 0"),
        ("T", lambda t: replace(t, padding_value=20), "padding value: 20, but .* say 0"),
        (
            "A",
            lambda a: how(a, target=QFormat(5, a.input_format.frac_bits + 1, signed=False)),
            "format of values: u5.*, but graph and settings say u5",
        ),
        (
            "C",
            lambda c: replace(
                c, weight_formats=(*c.weight_formats[:2], QFormat(6, c.weight_formats[2].frac_bits))
            ),
            "bits of weights: 6, but graph and settings say 5",
        ),
        # A centre between two of the six bits' levels, or inputs and centres that both move.
        ("R", lambda r: replace(r, weights=r.weights + 1), "centres are not of the 6 bits"),
        ("R", lambda r: replace(r, input_shift=1), "centres are not of the 6 bits"),
    ],
)
def test_other_formats_of_a_layer_are_refused(
    fixed: FixedNetwork, name: str, change: Callable[[Any], FixedLayer], message: str
) -> None:
    layers = tuple(change(layer) if layer.name == name else layer for layer in fixed.layers)
    with pytest.raises(FixedNetworkError, match=f" '{name}': {message}"):
        check_agreement(replace(fixed, layers=layers), SETTINGS)
