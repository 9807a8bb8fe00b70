"""Evaluation of a float or fixed network on images, which gives an accuracy report."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import metadata

import numpy as np
from numpy.typing import NDArray

from systolith.golden.files.datasets import Dataset, images_sha256
from systolith.golden.fixed.execution import FixedModel, winners
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

Progress = Callable[[int, int], None]
"""Called with the number of images that are done and the number of all images."""

_BATCH = 200


def evaluate(
    network: TrainedNetwork | QuantizedNetwork,
    dataset: Dataset,
    images: int | None = None,
    progress: Progress | None = None,
) -> AccuracyReport:
    """Compare a network's classes with labels, and each layer of a fixed one with its float parent.

    Without labels, its classes are compared with those of the float network alone.
    Memory does not grow with the number of images.

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

    Raises
    ------
    ValueError
        There are fewer images, their shape is not the network's, a label is not one of its
        classes, or its float values are not finite.
    """
    used = dataset if images is None else dataset.take(images)
    quantized = network if isinstance(network, QuantizedNetwork) else None
    parent = network if isinstance(network, TrainedNetwork) else network.parent
    check_dataset(parent.network, used)
    classes = parent.network.shapes()[parent.network.output.name].size
    counter = None if quantized is None else _LayerCounter(quantized)
    real = np.empty(len(used), np.int64)
    fixed = np.empty(len(used), np.int64)
    for start in range(0, len(used), _BATCH):
        part = slice(start, start + _BATCH)
        if counter is None:
            real[part] = float_model.classes(parent, used.images[part])
        else:
            real[part], fixed[part] = counter.add(used.images[part])
        if progress is not None:
            progress(min(part.stop, len(used)), len(used))
    predictions = real if counter is None else fixed
    confusion = np.zeros((classes, classes), np.int64)
    reference = real if used.labels is None else used.labels
    np.add.at(confusion, (reference, predictions), 1)
    correct = None if used.labels is None else int(np.count_nonzero(predictions == used.labels))
    return AccuracyReport(
        network=parent.name,
        network_sha256=network.sha256,
        kind="float" if quantized is None else "fixed",
        dataset=DatasetEntry(
            dataset.name, dataset.split, dataset.sha256, len(dataset), dataset.saturated
        ),
        images=len(used),
        correct=correct,
        agreement_with_float=float(np.mean(predictions == real)),
        labels=None if used.labels is None else tuple(used.labels.tolist()),
        predictions=tuple(predictions.tolist()),
        float_predictions=tuple(real.tolist()),
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
    )


def _calibration(quantized: QuantizedNetwork, dataset: Dataset) -> CalibrationEntry | None:
    """The calibration images, and whether they are the first of the data set."""
    known = quantized.calibrated_on
    if known is None:
        return None
    found = images_sha256(dataset.images[: known.images])
    return CalibrationEntry(known.name, known.sha256, known.images, found == known.sha256)


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

    def add(self, images: RawImages) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Add a batch to the sums; returns the classes by the float and by the fixed network."""
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
        scores = real.reshape(len(images), -1)
        fixed_scores = run.outputs[name].reshape(len(images), -1)
        return float_model.classes_of(self._quantized.parent, scores), winners(fixed, fixed_scores)

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
