"""Trials: a network quantized with other widths, and evaluated on validation images.

They show which widths limit the accuracy, by measurement: more bits do not always mean more images
classified correctly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from systolith.golden.files.datasets import Dataset
from systolith.golden.files.json_files import Count
from systolith.golden.fixed.execution import FixedModel
from systolith.golden.network.dataset_check import check_dataset
from systolith.golden.quantization.calibration import quantize_observed
from systolith.golden.quantization.observation import observe
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.golden.quantization.settings import (
    MAX_BITS,
    MIN_BITS,
    LayerSettings,
    Settings,
    keys_of,
)

UNIFORM_BITS = tuple(range(2, 9))
"""Widths that are tried for all weights and feature maps together."""

WEIGHTS, ACTIVATIONS, BOTH = "weight_bits", "activation_bits", "bits"
CORRECTION = "bias_correction"
_MORE, _FEWER = 1, -1

MAX_IMAGES = 10**6
"""The largest number of validation images in a report that is read."""


@dataclass(frozen=True)
class Trial:
    """A network with other widths, compared with the network as it is.

    Parameters
    ----------
    layer
        The layer with another width; None for all layers.
    key
        The setting that is changed: `weight_bits`, `activation_bits`, or `bits` for both; or
        `bias_correction`, which leaves the widths as they are.
    bits
        The width; None for bias correction.
    correct
        The number of images whose class is their label.
    gains, losses
        The number of images that only this network classifies correctly, and that only the network
        as it is does.
    weight_bits_total
        Bits of all its weights.
    """

    layer: str | None
    key: str
    bits: Count | None
    correct: Count
    gains: Count
    losses: Count
    weight_bits_total: Count


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
        The number that the network as it is classifies correctly.
    weight_bits_total
        Bits of all its weights.
    trials
        In the order in which they were made.
    """

    dataset: str
    split: str
    images: Annotated[int, msgspec.Meta(ge=1, le=MAX_IMAGES)]
    correct: Count
    weight_bits_total: Count
    trials: tuple[Trial, ...]

    @property
    def everywhere(self) -> tuple[Trial, ...]:
        """The trials with one width for all weights and feature maps."""
        return tuple(trial for trial in self.trials if trial.key == BOTH)


def try_widths(
    quantized: QuantizedNetwork,
    calibration_images: NDArray[np.uint8],
    validation: Dataset,
    progress: Callable[[int, int], None] | None = None,
) -> Trials:
    """Quantize a network with other widths, and count the validation images classified correctly.

    The trials are `UNIFORM_BITS` everywhere; bias correction, if it is off; and in each layer that
    has these settings, one bit more for the weights, one bit more for the feature map, and one bit
    fewer for the weights.

    Parameters
    ----------
    quantized
        The network as it is.
    calibration_images
        The images on which formats are chosen, as for `quantize`.
    validation
        Images and labels, none of them from the test set, because widths are chosen by the result.
    progress
        Called with the number of finished trials and the number of all trials.

    Raises
    ------
    CalibrationError, ValueError
        As `quantize`; or the images do not fit the network.
    """
    check_dataset(quantized.fixed.network, validation)
    labels = validation.labels
    observations = observe(quantized.parent, calibration_images)
    right = FixedModel(quantized.fixed).classes(validation.images) == labels
    tried = []
    wanted = list(_widths(quantized))
    for number, (layer, key, bits, settings) in enumerate(wanted):
        other = quantize_observed(observations, settings)
        found = FixedModel(other.fixed).classes(validation.images) == labels
        tried.append(
            Trial(
                layer=layer,
                key=key,
                bits=bits,
                correct=int(found.sum()),
                gains=int((found & ~right).sum()),
                losses=int((right & ~found).sum()),
                weight_bits_total=other.weight_bits_total,
            )
        )
        if progress is not None:
            progress(number + 1, len(wanted))
    return Trials(
        dataset=validation.name,
        split=validation.split,
        images=len(validation),
        correct=int(right.sum()),
        weight_bits_total=quantized.weight_bits_total,
        trials=tuple(tried),
    )


def _widths(quantized: QuantizedNetwork) -> Iterator[tuple[str | None, str, int | None, Settings]]:
    """Every trial's layer, key and bits, and its settings."""
    settings, network = quantized.settings, quantized.fixed.network
    for bits in UNIFORM_BITS:
        default = replace(settings.default, weight_bits=bits, activation_bits=bits)
        yield None, BOTH, bits, _everywhere(settings, default, WEIGHTS, ACTIVATIONS)
    if not settings.default.bias_correction:
        corrected = replace(settings.default, bias_correction=True)
        yield None, CORRECTION, None, _everywhere(settings, corrected, CORRECTION)
    for layer in quantized.fixed.layers:
        allowed = keys_of(layer.layer, network)
        for key, change in ((WEIGHTS, _MORE), (ACTIVATIONS, _MORE), (WEIGHTS, _FEWER)):
            bits = getattr(settings.of(layer.name), key) + change
            if key in allowed and MIN_BITS <= bits <= MAX_BITS:
                own = {**settings.layers.get(layer.name, {}), key: bits}
                yield (
                    layer.name,
                    key,
                    bits,
                    Settings(settings.default, {**settings.layers, layer.name: own}),
                )


def _everywhere(settings: Settings, default: LayerSettings, *keys: str) -> Settings:
    """Another default, which no layer has its own values of some keys instead of."""
    layers = {
        name: {key: value for key, value in own.items() if key not in keys}
        for name, own in settings.layers.items()
    }
    return Settings(default, layers)
