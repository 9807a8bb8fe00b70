"""Trials against networks that are quantized here, and what can be tried at all."""

from __future__ import annotations

import numpy as np
import pytest

from systolith.golden.files.datasets import Dataset
from systolith.golden.fixed import execution
from systolith.golden.network.graph import (
    Activation,
    Convolution,
    Dense,
    Input,
    MaxPooling,
    Network,
)
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.quantization.calibration import quantize
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.golden.quantization.settings import LayerSettings, Settings
from systolith.golden.quantization.trials import Trials, try_widths
from tests.golden.random_networks import random_arrays


@pytest.fixture(scope="module")
def validation() -> Dataset:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 5, 5, 1), dtype=np.uint8)
    return Dataset("noise", "validation", images, rng.integers(0, 3, 60))


@pytest.fixture(scope="module")
def quantized(validation: Dataset) -> QuantizedNetwork:
    network = Network(
        "small",
        (
            Input(name="input", height=5, width=5, scale=0.005),
            Convolution(
                name="C",
                inputs=("input",),
                kernel=(2, 2),
                out_channels=2,
                activation=Activation("relu"),
            ),
            MaxPooling(name="M", inputs=("C",), window=(2, 2)),
            Dense(name="F", inputs=("M",), units=3),
        ),
    )
    rng = np.random.default_rng(1)
    arrays = {
        layer.name: random_arrays(rng, layer, source)
        for layer, source, _ in network.computing_layers()
    }
    settings = Settings(LayerSettings(3, 3), {"F": {"weight_bits": 2, "calibration": "minmax"}})
    return quantize(TrainedNetwork(network, arrays), validation.images, settings)


@pytest.fixture(scope="module")
def trials(quantized: QuantizedNetwork, validation: Dataset) -> Trials:
    return try_widths(quantized, validation.images, validation)


def test_what_is_tried(trials: Trials) -> None:
    """Pooling has no widths, the last layer no feature map, and 2 bits are the fewest."""
    assert [(trial.layer, trial.key, trial.bits) for trial in trials.trials] == [
        *((None, "bits", bits) for bits in range(2, 9)),
        (None, "bias_correction", None),
        ("C", "weight_bits", 4),
        ("C", "activation_bits", 4),
        ("C", "weight_bits", 2),
        ("F", "weight_bits", 3),
    ]


def test_trials_are_networks_with_those_settings(
    trials: Trials, quantized: QuantizedNetwork, validation: Dataset
) -> None:
    minmax = {"calibration": "minmax"}
    settings = {
        3: Settings(LayerSettings(5, 5), {"F": minmax}),
        7: Settings(LayerSettings(3, 3, bias_correction=True), {"F": {"weight_bits": 2, **minmax}}),
        9: Settings(LayerSettings(3, 3), {"F": {"weight_bits": 2, **minmax}, "C": ACTIVATION_4}),
        10: Settings(LayerSettings(3, 3), {"F": {"weight_bits": 2, **minmax}, "C": WEIGHT_2}),
    }
    before = execution.classes(quantized.fixed, validation.images) == validation.labels
    assert trials.correct == before.sum()
    for place, wanted in settings.items():
        network = quantize(quantized.parent, validation.images, wanted)
        after = execution.classes(network.fixed, validation.images) == validation.labels
        trial = trials.trials[place]
        assert trial.correct == after.sum()
        assert trial.gains - trial.losses == trial.correct - trials.correct
        assert trial.gains + trial.losses == (before != after).sum()
        assert trial.weight_bits_total == network.weight_bits_total


ACTIVATION_4 = {"activation_bits": 4}
WEIGHT_2 = {"weight_bits": 2}


def test_progress_is_told(quantized: QuantizedNetwork, validation: Dataset) -> None:
    told: list[tuple[int, int]] = []
    few = validation.take(10)
    try_widths(quantized, few.images, few, lambda done, total: told.append((done, total)))
    assert told == [(number, 12) for number in range(1, 13)]


def test_labels_that_are_no_class_are_refused(
    quantized: QuantizedNetwork, validation: Dataset
) -> None:
    labels = np.full(len(validation), 3)
    other = Dataset("noise", "validation", validation.images, labels)
    with pytest.raises(ValueError, match="has the label 3, network 'small' has the classes 0 to 2"):
        try_widths(quantized, validation.images, other)
