"""Trials against networks that are quantized here, and what can be tried at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from systolith.golden.files.datasets import (
    Dataset,
    DatasetReference,
    images_sha256,
    validation_digits,
)
from systolith.golden.fixed import execution
from systolith.golden.network import float_model
from systolith.golden.network.graph import (
    Activation,
    Convolution,
    Dense,
    Input,
    MaxPooling,
    Network,
)
from systolith.golden.network.trained_network import TrainedNetwork, load_network
from systolith.golden.quantization import trials as trials_module
from systolith.golden.quantization.calibration import quantize
from systolith.golden.quantization.observation import Observations
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.golden.quantization.settings import LayerSettings, Settings
from systolith.golden.quantization.trials import Change, Trials, try_widths
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
            Input(name="input", height=5, width=5, scale=0.01, offset=-1.275),
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
    # Without biases no class always wins.
    for name in "CF":
        arrays[name]["bias"] *= 0
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
        ("C", "weight_bits", 2),
        ("C", "weight_bits", 4),
        ("C", "activation_bits", 2),
        ("C", "activation_bits", 4),
        ("F", "weight_bits", 3),
    ]


def test_what_a_change_saves(trials: Trials) -> None:
    """Eight weights of C, 4 x 4 x 2 values of its map, and 24 weights of F."""
    assert [(trial.change, trial.bits_saved) for trial in trials.trials] == [
        *([(None, None)] * 8),
        *[(-1, 8), (1, -8), (-1, 32), (1, -32), (1, -24)],
    ]
    assert trials.by_layer == trials.trials[8:]


def test_two_bits_less_are_tried(quantized: QuantizedNetwork, validation: Dataset) -> None:
    four = quantize(quantized.parent, validation.images, Settings(LayerSettings(4, 5)))
    tried = [
        (trial.key, trial.bits, trial.change)
        for trial in try_widths(four, validation.images, validation).trials
        if trial.layer == "C"
    ]
    assert tried == [
        *(("weight_bits", 4 + change, change) for change in (-2, -1, 1)),
        *(("activation_bits", 5 + change, change) for change in (-2, -1, 1)),
    ]


def test_more_bits_than_the_widest_are_not_tried(
    quantized: QuantizedNetwork, validation: Dataset
) -> None:
    """Correction of the biases neither, if they are corrected already."""
    wide = Settings(LayerSettings(16, 15, bias_correction=True))
    few = validation.take(5)
    made = try_widths(quantize(quantized.parent, few.images, wide), few.images, few)
    assert [(each.layer, each.key, each.bits, each.change) for each in made.trials] == [
        *((None, "bits", bits, None) for bits in range(2, 9)),
        *(("C", "weight_bits", 16 + change, change) for change in (-2, -1)),
        *(("C", "activation_bits", 15 + change, change) for change in (-2, -1, 1)),
        *(("F", "weight_bits", 16 + change, change) for change in (-2, -1)),
    ]
    assert made.everywhere == made.trials[:7]
    assert made.by_layer == made.trials[7:]


OFF = {"bias_correction": False}
OWN: dict[str, dict[str, Any]] = {"C": {"weight_bits": 5, "rounding": "floor"}, "F": OFF}


@pytest.mark.parametrize(
    ("change", "default", "layers"),
    [
        (Change(None, "bits", 4), LayerSettings(4, 4), {"C": {"rounding": "floor"}, "F": OFF}),
        (
            Change(None, "bias_correction", None),
            LayerSettings(7, 6, bias_correction=True),
            {"C": OWN["C"], "F": {}},
        ),
        (
            Change("C", "weight_bits", 9),
            LayerSettings(7, 6),
            {"C": {"weight_bits": 9, "rounding": "floor"}, "F": OFF},
        ),
        (
            Change("C", "activation_bits", 3),
            LayerSettings(7, 6),
            {"C": {**OWN["C"], "activation_bits": 3}, "F": OFF},
        ),
        (
            Change("M", "activation_bits", 3),
            LayerSettings(7, 6),
            {**OWN, "M": {"activation_bits": 3}},
        ),
    ],
)
def test_settings_of_a_change(
    change: Change, default: LayerSettings, layers: dict[str, dict[str, Any]]
) -> None:
    """What is changed everywhere is no longer a layer's own; all else stays."""
    before = Settings(LayerSettings(7, 6), OWN)
    assert change.settings(before) == Settings(default, layers)


def test_without_labels_the_float_network_is_right(
    quantized: QuantizedNetwork, validation: Dataset
) -> None:
    unlabelled = replace(validation, labels=None)
    made = try_widths(quantized, validation.images, unlabelled)
    wanted = float_model.classes(quantized.parent, validation.images)
    right = execution.classes(quantized.fixed, validation.images) == wanted
    assert not right.all()
    assert (made.measure, made.correct) == ("agreement", right.sum())
    for trial in made.trials[:7]:
        assert trial.bits is not None
        own = Settings(LayerSettings(trial.bits, trial.bits), {"F": MINMAX})
        network = quantize(quantized.parent, validation.images, own)
        found = execution.classes(network.fixed, validation.images) == wanted
        assert (trial.gains, trial.losses) == ((found & ~right).sum(), (right & ~found).sum())


def test_trials_are_networks_with_those_settings(
    trials: Trials, quantized: QuantizedNetwork, validation: Dataset
) -> None:
    settings = {
        3: Settings(LayerSettings(5, 5), {"F": MINMAX}),
        7: Settings(LayerSettings(3, 3, bias_correction=True), {"F": {"weight_bits": 2, **MINMAX}}),
        8: Settings(LayerSettings(3, 3), {"F": {"weight_bits": 2, **MINMAX}, "C": WEIGHT_2}),
        11: Settings(LayerSettings(3, 3), {"F": {"weight_bits": 2, **MINMAX}, "C": ACTIVATION_4}),
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


MINMAX = {"calibration": "minmax"}
ACTIVATION_4 = {"activation_bits": 4}
WEIGHT_2 = {"weight_bits": 2}


def test_a_trial_changes_one_setting_and_leaves_all_others(
    quantized: QuantizedNetwork, validation: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of other layers, and the other ones of its own layer."""
    given: list[dict[str, object]] = []
    images: list[int] = []

    def recorded(
        observations: Observations, settings: Settings, like: QuantizedNetwork | None = None
    ) -> QuantizedNetwork:
        if like is None:
            return quantized
        mapping = settings.to_mapping()
        own = {"weight_bits": mapping["weight_bits"], "activation_bits": mapping["activation_bits"]}
        if mapping["bias_correction"]:
            own["bias_correction"] = True
        given.append({**own, **mapping["layers"]})
        images.append(len(observations.images))
        return quantized

    monkeypatch.setattr(trials_module, "quantize_observed", recorded)
    try_widths(quantized, validation.images[:17], validation)
    three, few = {"weight_bits": 3, "activation_bits": 3}, {"weight_bits": 2, **MINMAX}
    assert given == [
        *({"weight_bits": n, "activation_bits": n, "F": MINMAX} for n in range(2, 9)),
        {**three, "bias_correction": True, "F": few},
        {**three, "F": few, "C": {"weight_bits": 2}},
        {**three, "F": few, "C": {"weight_bits": 4}},
        {**three, "F": few, "C": {"activation_bits": 2}},
        {**three, "F": few, "C": {"activation_bits": 4}},
        {**three, "F": {"weight_bits": 3, **MINMAX}},
    ]
    assert images == [17] * 13


def test_formats_are_chosen_on_other_images_than_those_that_score(
    quantized: QuantizedNetwork, validation: Dataset
) -> None:
    """Pixels near the mean choose formats that others leave."""
    grey = 112 + validation.images // 8
    made = try_widths(quantized, grey, validation)
    assert made.calibrated_on == DatasetReference("noise (validation)", images_sha256(grey), 60)
    found = made.trials
    before = execution.classes(quantized.fixed, validation.images) == validation.labels
    differs = False
    for trial in found[:7]:
        assert trial.bits is not None
        own = Settings(LayerSettings(trial.bits, trial.bits), {"F": MINMAX})
        by_grey, by_bright = (
            execution.classes(quantize(quantized.parent, images, own).fixed, validation.images)
            == validation.labels
            for images in (grey, validation.images)
        )
        assert trial.gains == (by_grey & ~before).sum()
        assert trial.losses == (before & ~by_grey).sum()
        differs |= bool((by_grey != by_bright).any())
    assert differs


def test_what_trials_are_about(trials: Trials, validation: Dataset) -> None:
    assert (trials.dataset, trials.split, trials.images) == ("noise", "validation", 60)
    assert trials.measure == "accuracy"
    # Four weights of each of two maps, three bits each, and 2 x 2 x 2 times three of two bits.
    assert trials.weight_bits_total == 3 * 8 + 2 * 24
    assert trials.shipped is None
    assert trials.calibrated_on == DatasetReference(
        "noise (validation)", images_sha256(validation.images), 60
    )
    totals = [trial.weight_bits_total for trial in trials.trials]
    assert totals == [32 * bits for bits in range(2, 9)] + [72, 64, 80, 72, 72, 96]


def test_progress_is_told(quantized: QuantizedNetwork, validation: Dataset) -> None:
    told: list[tuple[int, int]] = []
    few = validation.take(10)
    try_widths(quantized, few.images, few, lambda done, total: told.append((done, total)))
    # One by one everywhere, and then the changes of a layer together.
    assert told == [(number, 13) for number in (*range(1, 9), 12, 13)]


def test_labels_that_are_no_class_are_refused(
    quantized: QuantizedNetwork, validation: Dataset
) -> None:
    labels = np.full(len(validation), 3)
    other = Dataset("noise", "validation", validation.images, labels)
    with pytest.raises(ValueError, match="has the label 3, network 'small' has the classes 0 to 2"):
        try_widths(quantized, validation.images, other)


def test_a_network_of_the_same_name_is_not_the_one_that_ships() -> None:
    digits = validation_digits().take(20)
    trained = load_network("lenet5-relu")
    arrays = {name: dict(own) for name, own in trained.arrays.items()}
    arrays["C1"]["bias"] = arrays["C1"]["bias"] + 1
    other = TrainedNetwork(trained.network, arrays)
    shipped = [
        try_widths(quantize(each, digits.images), digits.images, digits, run=lambda _: iter(()))
        for each in (trained, other)
    ]
    assert [each.shipped for each in shipped] == ["lenet5-relu", None]
