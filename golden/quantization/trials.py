"""Trials: a network quantized with other widths, and evaluated on validation images.

They show which widths limit the accuracy, by measurement: more bits do not always mean more images
classified correctly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from systolith.golden.files.datasets import Dataset, DatasetReference, Measure, images_sha256
from systolith.golden.files.json_files import MAX_COUNT, Count
from systolith.golden.fixed.execution import FixedModel, classes_of_variants
from systolith.golden.network import float_model, shipped
from systolith.golden.network.dataset_check import check_dataset
from systolith.golden.network.trained_network import TrainedNetwork, load_network
from systolith.golden.qformat import RawImages
from systolith.golden.quantization.calibration import quantize_observed
from systolith.golden.quantization.observation import Observations, observe
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.golden.quantization.settings import (
    MAX_BITS,
    MIN_BITS,
    Settings,
    keys_of,
)

UNIFORM_BITS = tuple(range(2, 9))
"""Widths that are tried for all weights and feature maps together."""

CHANGES = (-2, -1, 1)
"""Bits by which the weights and the feature map of each layer are tried wider."""

WEIGHTS, ACTIVATIONS, BOTH = "weight_bits", "activation_bits", "bits"
CORRECTION = "bias_correction"

MAX_IMAGES = 10**6
"""The largest number of validation images in a report that is read."""


_Change = Annotated[int, msgspec.Meta(ge=-MAX_BITS, le=MAX_BITS)]
_Saved = Annotated[int, msgspec.Meta(ge=-MAX_COUNT, le=MAX_COUNT)]


@dataclass(frozen=True)
class Change:
    """What a trial changes in the settings of a network.

    Parameters
    ----------
    layer
        The layer with another width; None for all layers.
    key
        The setting: `weight_bits`, `activation_bits`, or `bits` for both; or `bias_correction`,
        which leaves the widths as they are.
    bits
        The width; None for bias correction.
    """

    layer: str | None
    key: str
    bits: int | None

    def settings(self, before: Settings) -> Settings:
        """The settings with this change."""
        if self.layer is not None:
            own = {**before.layers.get(self.layer, {}), self.key: self.bits}
            return Settings(before.default, {**before.layers, self.layer: own})
        if self.key == CORRECTION:
            return _everywhere(before, {CORRECTION: True})
        return _everywhere(before, {WEIGHTS: self.bits, ACTIVATIONS: self.bits})


@dataclass(frozen=True)
class Trial:
    """A network with other widths, compared with the network as it is.

    Parameters
    ----------
    layer, key, bits
        As in `Change`.
    correct
        The number of images whose class is their label.
    gains, losses
        The number of images that only this network classifies correctly, and that only the network
        as it is does.
    weight_bits_total
        Bits of all its weights.
    change
        The bits that the layer's weights or its feature map have more than in the network as it is;
        None for all layers.
    bits_saved
        The bits that the change saves, in all weights, or in the layer's feature map of an image;
        negative if it needs more; None for all layers.
    """

    layer: str | None
    key: str
    bits: Count | None
    correct: Count
    gains: Count
    losses: Count
    weight_bits_total: Count
    change: _Change | None = None
    bits_saved: _Saved | None = None


@dataclass(frozen=True)
class Trials:
    """Trials on the same images.

    Parameters
    ----------
    dataset, split
        Where the images are from.
    images
        The number of images.
    correct
        The number that the network as it is classifies correctly; or, by `measure`, as the float
        network does.
    weight_bits_total
        Bits of all its weights.
    trials
        In the order in which they were made.
    calibrated_on
        The images on which the formats of the trials were chosen; None if it is not known.
    shipped
        The name under which the float network ships; None for other networks.
    measure
        `accuracy`, or `agreement` with the float network if the images have no labels.
    """

    dataset: str
    split: str
    images: Annotated[int, msgspec.Meta(ge=1, le=MAX_IMAGES)]
    correct: Count
    weight_bits_total: Count
    trials: tuple[Trial, ...]
    calibrated_on: DatasetReference | None = None
    shipped: str | None = None
    measure: Measure = "accuracy"

    @property
    def everywhere(self) -> tuple[Trial, ...]:
        """The trials with one width for all weights and feature maps."""
        return tuple(trial for trial in self.trials if trial.key == BOTH)

    @property
    def by_layer(self) -> tuple[Trial, ...]:
        """The trials with another width in one layer."""
        return tuple(trial for trial in self.trials if trial.layer is not None)


@dataclass(frozen=True, eq=False)
class TrialBench:
    """What trials need: the same in every process, and it can be sent to another one.

    Parameters
    ----------
    trained, settings
        The float network, and the settings of the network as it is.
    calibration_images
        The images on which formats are chosen.
    validation
        The images on which trials are scored.
    reference
        The right class of each: its label, or the float network's class if it has none.
    right
        Whether the network as it is classifies each of them so.
    """

    trained: TrainedNetwork
    settings: Settings
    calibration_images: RawImages
    validation: Dataset
    reference: NDArray[np.int64]
    right: NDArray[np.bool_]

    @property
    def groups(self) -> list[tuple[Change, ...]]:
        """The changes to try, in order: those in one group have much of their work in common."""
        alone = [Change(None, BOTH, bits) for bits in UNIFORM_BITS]
        if not self.settings.default.bias_correction:
            alone.append(Change(None, CORRECTION, None))
        network = self.trained.network
        by_layer = (
            tuple(
                Change(layer.name, key, bits)
                for key in (WEIGHTS, ACTIVATIONS)
                if key in keys_of(layer, network)
                for bits in (self._bits(layer.name, key) + change for change in CHANGES)
                if MIN_BITS <= bits <= MAX_BITS
            )
            for layer in network.layers[1:]
        )
        return [*((change,) for change in alone), *filter(None, by_layer)]

    def run(self, changes: Sequence[Change]) -> list[Trial]:
        """The trials of a group.

        Raises
        ------
        CalibrationError
            As `quantize`.
        """
        made = [
            quantize_observed(self._observations, each.settings(self.settings), self._base)
            for each in changes
        ]
        found = classes_of_variants([each.fixed for each in made], self.validation.images)
        return [
            self._trial(change, network, given == self.reference)
            for change, network, given in zip(changes, made, found, strict=True)
        ]

    @cached_property
    def _observations(self) -> Observations:
        return observe(self.trained, self.calibration_images, self.validation.title)

    @cached_property
    def _base(self) -> QuantizedNetwork:
        """The network as it is, if its formats were chosen on the same images."""
        return quantize_observed(self._observations, self.settings)

    def _bits(self, layer: str, key: str) -> int:
        bits: int = getattr(self.settings.of(layer), key)
        return bits

    def _trial(self, what: Change, made: QuantizedNetwork, found: NDArray[np.bool_]) -> Trial:
        change = saved = None
        if what.layer is not None and what.bits is not None:
            change = what.bits - self._bits(what.layer, what.key)
            saved = self._base.weight_bits_total - made.weight_bits_total
            if what.key == ACTIVATIONS:
                saved = -change * made.fixed[what.layer].output_shape.size
        return Trial(
            layer=what.layer,
            key=what.key,
            bits=what.bits,
            correct=int(found.sum()),
            gains=int((found & ~self.right).sum()),
            losses=int((self.right & ~found).sum()),
            weight_bits_total=made.weight_bits_total,
            change=change,
            bits_saved=saved,
        )


def one_after_another(bench: TrialBench) -> Iterator[list[Trial]]:
    """The trials of each group, made in this process."""
    return map(bench.run, bench.groups)


def try_widths(
    quantized: QuantizedNetwork,
    calibration_images: RawImages,
    validation: Dataset,
    progress: Callable[[int, int], None] | None = None,
    run: Callable[[TrialBench], Iterator[list[Trial]]] = one_after_another,
) -> Trials:
    """Quantize a network with other widths, and count the validation images classified correctly.

    The trials are `UNIFORM_BITS` everywhere; bias correction, if it is off; and in each layer that
    has these settings, `CHANGES` of the bits of the weights and of the feature map.

    Parameters
    ----------
    quantized
        The network as it is.
    calibration_images
        The images on which formats are chosen, as for `quantize`.
    validation
        Images, none of them from the test set, because widths are chosen by the result. Without
        labels, agreement with the float network is counted.
    progress
        Called with the number of finished trials and the number of all trials.
    run
        Makes the trials of each group, in the order of `TrialBench.groups`.

    Raises
    ------
    CalibrationError, ValueError
        As `quantize`; or the images do not fit the network.
    """
    check_dataset(quantized.fixed.network, validation)
    trained = quantized.parent
    reference = validation.labels
    if reference is None:
        reference = float_model.classes(trained, validation.images)
    right = FixedModel(quantized.fixed).classes(validation.images) == reference
    bench = TrialBench(
        trained, quantized.settings, calibration_images, validation, reference, right
    )
    total = sum(map(len, bench.groups))
    tried: list[Trial] = []
    for group in run(bench):
        tried += group
        if progress is not None:
            progress(len(tried), total)
    return Trials(
        dataset=validation.name,
        split=validation.split,
        images=len(validation),
        correct=int(right.sum()),
        weight_bits_total=quantized.weight_bits_total,
        trials=tuple(tried),
        calibrated_on=DatasetReference(
            validation.title, images_sha256(calibration_images), len(calibration_images)
        ),
        shipped=_shipped_name(trained),
        measure=validation.measure,
    )


def _everywhere(settings: Settings, changed: Mapping[str, Any]) -> Settings:
    """Other values of some keys in all layers, also in those that have their own."""
    layers = {
        name: {key: value for key, value in own.items() if key not in changed}
        for name, own in settings.layers.items()
    }
    return Settings(replace(settings.default, **changed), layers)


def _shipped_name(trained: TrainedNetwork) -> str | None:
    """The name under which a network ships; another network may have the same name."""
    name = trained.name
    if name in shipped.names() and load_network(name).sha256 == trained.sha256:
        return name
    return None
