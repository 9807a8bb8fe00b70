"""Evaluation of a float or fixed network on images, which gives an accuracy report."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from systolith.golden.files.datasets import Dataset, images_sha256
from systolith.golden.files.seeded_choice import chosen_numbers
from systolith.golden.fixed.execution import FixedModel
from systolith.golden.fixed.integers import FixedLayer, Integers
from systolith.golden.network import float_model
from systolith.golden.network.affine import affines
from systolith.golden.network.dataset_check import check_dataset
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.qformat import RawImages
from systolith.golden.quantization.padding import padded_with
from systolith.golden.quantization.quantized_network import QuantizedNetwork, weight_counts
from systolith.golden.reports.accuracy import (
    CLIPPED_SHARE,
    AccuracyReport,
    CalibrationEntry,
    DatasetEntry,
    LayerEntry,
)
from systolith.golden.reports.format_entry import layer_formats
from systolith.golden.reports.output_errors import OutputEntry

Progress = Callable[[int, int], None]
"""Called with the number of images that are done and the number of all images."""

_BATCH = 200


def evaluate(
    network: TrainedNetwork | QuantizedNetwork,
    dataset: Dataset,
    images: int | None = None,
    progress: Progress | None = None,
    by_class: bool | None = None,
) -> AccuracyReport:
    """Compare a network's classes with labels, and each layer of a fixed one with its float parent.

    Without labels, its classes are compared with those of the float network alone. Of a network
    without classes the outputs are compared with those of the float network, and labels are not
    used. Memory does not grow with the number of images.

    Parameters
    ----------
    network
        Float or fixed.
    dataset
        Images, with labels or without.
    images
        The number of images to use, from the first on; None for all.
    progress
        Called after each batch.
    by_class
        Whether the network is a classifier; by default what its form says (`Network.has_classes`).

    Raises
    ------
    ValueError
        There are fewer images, their shape is not the network's, a label is not one of its
        classes, or its float values are not finite.
    """
    used = dataset if images is None else dataset.take(images)
    quantized = network if isinstance(network, QuantizedNetwork) else None
    parent = network if isinstance(network, TrainedNetwork) else network.parent
    if by_class is None:
        by_class = parent.network.has_classes
    if not by_class:
        used = replace(used, labels=None)
    check_dataset(parent.network, used, by_class)
    outputs = None if by_class else _OutputCounter(parent)
    counter = None if quantized is None else _LayerCounter(quantized)
    real = np.empty(len(used), np.int64)
    fixed = np.empty(len(used), np.int64)
    for start in range(0, len(used), _BATCH):
        part = slice(start, start + _BATCH)
        scores: NDArray[Any]
        raw: Integers | None = None
        if counter is None:
            scores = float_model.scores(parent, used.images[part])
        else:
            scores, raw = counter.add(used.images[part])
        if outputs is not None:
            outputs.add(scores, scores if counter is None or raw is None else counter.held(raw))
        else:
            real[part] = float_model.classes_of(parent, scores)
            fixed[part] = real[part] if raw is None else float_model.winners(parent.network, raw)
        if progress is not None:
            progress(min(part.stop, len(used)), len(used))
    classes = parent.network.shapes()[parent.network.output.name].size if by_class else 0
    confusion = np.zeros((classes, classes), np.int64)
    if by_class:
        np.add.at(confusion, (real if used.labels is None else used.labels, fixed), 1)
    correct = None if used.labels is None else int(np.count_nonzero(fixed == used.labels))
    return AccuracyReport(
        network=parent.name,
        network_sha256=network.sha256,
        kind="float" if quantized is None else "fixed",
        dataset=DatasetEntry(
            dataset.name, dataset.split, dataset.sha256, len(dataset), dataset.saturated
        ),
        images=len(used),
        correct=correct,
        agreement_with_float=float(np.mean(fixed == real)) if by_class else None,
        labels=None if used.labels is None else tuple(used.labels.tolist()),
        predictions=tuple(fixed.tolist()) if by_class else (),
        float_predictions=tuple(real.tolist()) if by_class else (),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        quantization=None
        if quantized is None
        else {
            **quantized.settings.to_mapping(),
            "weight_bits_total": quantized.weight_bits_total,
        },
        layers=() if counter is None else counter.entries(),
        version=_version(),
        calibrated_on=None if quantized is None else _calibration(quantized, dataset),
        weights=sum(weight_counts(parent.network).values()),
        outputs=None if outputs is None else outputs.entries(),
    )


def _calibration(quantized: QuantizedNetwork, dataset: Dataset) -> CalibrationEntry | None:
    """The calibration images, and whether the data set has them: its first ones, or chosen ones."""
    known = quantized.calibrated_on
    if known is None:
        return None
    in_dataset = len(dataset) >= known.images and any(
        images_sha256(dataset.images[numbers]) == known.sha256
        for numbers in (slice(known.images), chosen_numbers(len(dataset), known.images))
    )
    return CalibrationEntry(known.name, known.sha256, known.images, in_dataset)


class _OutputCounter:
    """Range and errors of every output channel, over batches of images."""

    def __init__(self, trained: TrainedNetwork) -> None:
        self._trained = trained
        self._shape = trained.network.shapes()[trained.network.output.name]
        channels = self._shape.channels
        self._lowest = np.full(channels, np.inf)
        self._highest = np.full(channels, -np.inf)
        self._largest = np.zeros(channels)
        self._squares = np.zeros(channels)
        self._images = 0

    def add(self, real: NDArray[Any], held: NDArray[Any]) -> None:
        """Add the outputs of a batch, `(images, outputs)`, of the float and of this network."""
        float_model.check_scores(self._trained, real)
        by_channel = real.astype(np.float64).reshape(-1, self._shape.channels)
        errors = np.abs(held.reshape(by_channel.shape) - by_channel)
        self._lowest = np.minimum(self._lowest, by_channel.min(axis=0))
        self._highest = np.maximum(self._highest, by_channel.max(axis=0))
        self._largest = np.maximum(self._largest, errors.max(axis=0))
        self._squares += np.square(errors).sum(axis=0)
        self._images += len(real)

    def entries(self) -> tuple[OutputEntry, ...]:
        """The channels' entries in a report."""
        values = self._images * self._shape.height * self._shape.width
        columns = (self._lowest, self._highest, np.sqrt(self._squares / values), self._largest)
        return tuple(OutputEntry(*each) for each in np.stack(columns, axis=1).tolist())


class _LayerCounter:
    """Signal, noise and saturation of every layer, summed over batches of images."""

    def __init__(self, quantized: QuantizedNetwork) -> None:
        self._quantized = quantized
        self._model = FixedModel(quantized.fixed)
        self._standing = affines(quantized.fixed.network)
        names = [layer.name for layer in quantized.fixed.layers]
        self._signal = dict.fromkeys(names, 0.0)
        self._noise = dict.fromkeys(names, 0.0)
        self._saturated = {
            layer.name: np.zeros(layer.output_shape.channels, np.int64)
            for layer in quantized.fixed.layers
        }
        self._lowest: dict[str, Integers] = {}
        self._highest: dict[str, Integers] = {}
        self._values = dict.fromkeys(names, 0)

    def add(self, images: RawImages) -> tuple[NDArray[Any], Integers]:
        """Add a batch to the sums; returns the scores of the float and the fixed network.

        Both are `(images, outputs)`, those of the fixed network raw integers.
        """
        fixed = self._quantized.fixed
        run = self._model.run(images)
        for name, values in run.outputs.items():
            pixels = values.reshape(-1, values.shape[-1])
            low, high = pixels.min(axis=0), pixels.max(axis=0)
            self._saturated[name] += run.saturated[name]
            self._lowest[name] = np.minimum(self._lowest.get(name, low), low)
            self._highest[name] = np.maximum(self._highest.get(name, high), high)
        for name, _, real in float_model.intermediates(self._quantized.parent, images):
            if name not in run.outputs:
                continue
            standing = self._standing[name]
            scale = standing.gain * fixed[name].output_format.step
            noise = run.outputs[name] * scale
            noise += standing.offset
            with np.errstate(over="ignore", invalid="ignore"):
                noise -= real
                self._noise[name] += float(np.square(noise, out=noise).sum())
                self._signal[name] += float(np.square(real, dtype=np.float64).sum())
            if not math.isfinite(self._noise[name] + self._signal[name]):
                raise ValueError(
                    f"network {fixed.name!r}: float values of layer {name!r} are not finite, or "
                    "too large"
                )
            self._values[name] += real.size
        return real.reshape(len(images), -1), run.outputs[name].reshape(len(images), -1)

    def held(self, scores: Integers) -> NDArray[np.float64]:
        """The real numbers that raw scores stand for."""
        last = self._quantized.fixed.layers[-1]
        standing = self._standing[last.name]
        return np.asarray(scores * (standing.gain * last.output_format.step) + standing.offset)

    def entries(self) -> tuple[LayerEntry, ...]:
        """The layers' entries in a report."""
        return tuple(self._entry(layer) for layer in self._quantized.fixed.layers)

    def _entry(self, layer: FixedLayer) -> LayerEntry:
        name, saturated = layer.name, self._saturated[layer.name]
        low, high = self._lowest[name], self._highest[name]
        by_channel = self._values[name] / len(saturated)
        fmt = layer.output_format
        return LayerEntry(
            name=name,
            formats=layer_formats(layer),
            sqnr_db=_decibels(self._signal[name], self._noise[name]),
            channels=len(saturated),
            saturated=int(saturated.sum()),
            clipped_channels=_places(saturated > CLIPPED_SHARE * by_channel),
            dead_channels=_places(low == high),
            range_use=(int(high.max()) - int(low.min())) / (fmt.max_raw - fmt.min_raw),
            values=self._values[name],
            accumulator_bits=layer.accumulator_bits,
            form=layer.layer.form,
            padded_with=padded_with(layer, self._standing[layer.layer.inputs[0]]),
        )


def _places(flags: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(np.flatnonzero(flags).tolist())


def _decibels(signal: float, noise: float) -> float | None:
    if not signal or not noise:
        return None
    return round(10 * math.log10(signal / noise), 3)


def _version() -> str:
    try:
        return metadata.version("systolith")
    except metadata.PackageNotFoundError:
        return "not installed"
