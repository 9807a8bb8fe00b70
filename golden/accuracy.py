"""Accuracy reports: what a network, float or fixed, makes of labelled images."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from golden import float_model
from golden.affine import affines
from golden.data import Dataset
from golden.errors import FileFormatError
from golden.files import write_whole
from golden.fixed_model import FixedModel, winners
from golden.fixed_network import FixedLayer
from golden.fixed_point import QFormat
from golden.npz import read_bytes
from golden.quantized_network import QuantizedNetwork
from golden.trained_network import TrainedNetwork

SCHEMA = "systolith.accuracy/1"
"""The schema of a report."""

Progress = Callable[[int, int], None]
"""Called with how many images are done, and of how many."""

_BATCH = 200
_MAX_BYTES = 1 << 28


@dataclass(frozen=True)
class DatasetEntry:
    """The images of a report: all that the data set has, even if only the first were used."""

    name: str
    split: str
    sha256: str
    images: int


@dataclass(frozen=True)
class FormatEntry:
    """A format, or those of all channels: one `frac_bits`, or one for each."""

    bits: int
    frac_bits: tuple[int, ...]
    signed: bool

    def __str__(self) -> str:
        low, high = min(self.frac_bits), max(self.frac_bits)
        return str(QFormat(self.bits, low, self.signed)) + (f"..{high}" if low != high else "")


@dataclass(frozen=True)
class LayerEntry:
    """A layer of a fixed network.

    Parameters
    ----------
    name
        Its name.
    formats
        Of its `input`, `weights`, table `index` and `output`, as far as it has them.
    sqnr_db
        Signal to quantization noise in dB, `10 log10(sum r**2 / sum (r - x)**2)` of the float
        model's values r and what the fixed ones stand for; None if one of the sums is zero.
    saturated
        Values that left their range when they were requantized, over all images.
    values
        Values in all.
    accumulator_bits
        Bits that no input can overflow.
    """

    name: str
    formats: Mapping[str, FormatEntry]
    sqnr_db: float | None
    saturated: int
    values: int
    accumulator_bits: int


@dataclass(frozen=True)
class AccuracyReport:
    """What a network makes of labelled images.

    Parameters
    ----------
    network, network_sha256
        Its name, and the hash of its file.
    kind
        `float` or `fixed`.
    dataset
        The images.
    images
        How many of them were used: the first.
    correct
        How many got the class of their label.
    agreement_with_float
        Fraction of images that got the class that the float network gives (1 for itself).
    labels, predictions
        One an image.
    confusion
        How many images of each label (row) got each class (column).
    quantization
        The settings, and `weight_bits_total`; None for a float network.
    layers
        Every layer after the input; empty for a float network.
    version
        The version of this program.
    """

    network: str
    network_sha256: str
    kind: Literal["float", "fixed"]
    dataset: DatasetEntry
    images: int
    correct: int
    agreement_with_float: float
    labels: tuple[int, ...]
    predictions: tuple[int, ...]
    confusion: tuple[tuple[int, ...], ...]
    quantization: Mapping[str, Any] | None
    layers: tuple[LayerEntry, ...]
    version: str

    @property
    def accuracy(self) -> float:
        """Fraction of images that got the class of their label."""
        return self.correct / self.images

    def to_json(self) -> str:
        """The report as one JSON object, `schema` first."""
        entries = {
            "schema": SCHEMA,
            "network": self.network,
            "network_sha256": self.network_sha256,
            "kind": self.kind,
            "dataset": vars(self.dataset),
            "images": self.images,
            "correct": self.correct,
            "accuracy": self.accuracy,
            "agreement_with_float": self.agreement_with_float,
            "quantization": self.quantization,
            "layers": [_layer_to_json(layer) for layer in self.layers],
            "confusion": self.confusion,
            "labels": self.labels,
            "predictions": self.predictions,
            "version": self.version,
        }
        lines = [f"  {json.dumps(key)}: {_to_lines(value)}" for key, value in entries.items()]
        return "{\n" + ",\n".join(lines) + "\n}\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON to a file, whole or not at all."""
        write_whole(path, self.to_json().encode())

    @classmethod
    def from_json(cls, text: str) -> AccuracyReport:
        """The report that `to_json` wrote; keys that it does not know are left out.

        Raises
        ------
        FileFormatError
            The text is damaged, or something else than a report.
        """
        try:
            value = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise FileFormatError(f"not an accuracy report: not JSON ({error})") from None
        schema = value.get("schema") if isinstance(value, dict) else None
        if schema != SCHEMA:
            raise FileFormatError(
                f"not an accuracy report: schema must be {SCHEMA!r}, not {_shown(schema)}"
            )
        try:
            return _from_json(_Reader(value, ""))
        except FileFormatError as error:
            raise FileFormatError(f"accuracy report: {error}") from None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> AccuracyReport:
        """Read what `save` wrote.

        Raises
        ------
        FileFormatError
            There is no such file, or it is damaged or something else.
        """
        try:
            return cls.from_json(read_bytes(path, _MAX_BYTES).decode())
        except UnicodeDecodeError:
            raise FileFormatError(f"{path}: not an accuracy report: not text") from None
        except FileFormatError as error:
            message = str(error).removeprefix(f"{path}: ")
            raise FileFormatError(f"{path}: {message}") from None


def evaluate(
    network: TrainedNetwork | QuantizedNetwork,
    dataset: Dataset,
    images: int | None = None,
    progress: Progress | None = None,
) -> AccuracyReport:
    """Hold a network against labels and, a fixed one, layer by layer against its float parent.

    Memory does not grow with the number of images.

    Parameters
    ----------
    network
        Float or fixed.
    dataset
        Images and labels.
    images
        Use only the first so many.
    progress
        Told now and then how far it is.

    Raises
    ------
    ValueError
        There are not so many images, they do not have the shape that the network takes, or a
        label is none of the network's classes.
    """
    used = dataset if images is None else dataset.take(images)
    quantized = network if isinstance(network, QuantizedNetwork) else None
    parent = network if isinstance(network, TrainedNetwork) else network.parent
    classes = list(parent.network.shapes().values())[-1].size
    if used.labels.max() >= classes:
        raise ValueError(
            f"dataset {dataset.name!r}: label {used.labels.max()} is none of the {classes} "
            f"classes of network {parent.name!r}"
        )
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
    np.add.at(confusion, (used.labels, predictions), 1)
    return AccuracyReport(
        network=parent.name,
        network_sha256=network.sha256,
        kind="float" if quantized is None else "fixed",
        dataset=DatasetEntry(dataset.name, dataset.split, dataset.sha256, len(dataset)),
        images=len(used),
        correct=int(np.count_nonzero(predictions == used.labels)),
        agreement_with_float=float(np.mean(predictions == real)),
        labels=tuple(used.labels.tolist()),
        predictions=tuple(predictions.tolist()),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        quantization=None
        if quantized is None
        else {
            **quantized.settings.to_mapping(),
            "weight_bits_total": quantized.weight_bits_total,
        },
        layers=() if counter is None else counter.entries(),
        version=_version(),
    )


class _LayerCounter:
    """Signal, noise and saturation of every layer, summed over batches of images."""

    def __init__(self, quantized: QuantizedNetwork) -> None:
        self._quantized = quantized
        self._model = FixedModel(quantized.fixed)
        self._standing = affines(quantized.fixed.network)
        names = [layer.name for layer in quantized.fixed.layers]
        self._signal = dict.fromkeys(names, 0.0)
        self._noise = dict.fromkeys(names, 0.0)
        self._saturated = dict.fromkeys(names, 0)
        self._values = dict.fromkeys(names, 0)

    def add(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Count a batch in; returns the classes by the float and by the fixed network."""
        fixed = self._quantized.fixed
        run = self._model.run(images)
        for name, count in run.saturated.items():
            self._saturated[name] += count
        for name, _, real in float_model.intermediates(self._quantized.parent, images):
            if name not in run.outputs:
                continue
            standing = self._standing[name]
            scale = standing.gain * fixed[name].output_format.step
            noise = run.outputs[name] * scale
            noise += standing.offset
            noise -= real
            self._noise[name] += float(np.square(noise, out=noise).sum())
            self._signal[name] += float(np.square(real, dtype=np.float64).sum())
            self._values[name] += real.size
        rows = real.reshape(len(images), -1)
        smallest = fixed.network.output.winner == "smallest"
        best = rows.argmin(axis=1) if smallest else rows.argmax(axis=1)
        return best, winners(fixed, run.outputs[name].reshape(len(images), -1))

    def entries(self) -> tuple[LayerEntry, ...]:
        """What a report says of the layers."""
        return tuple(
            LayerEntry(
                name=layer.name,
                formats=_formats(layer),
                sqnr_db=_decibels(self._signal[layer.name], self._noise[layer.name]),
                saturated=self._saturated[layer.name],
                values=self._values[layer.name],
                accumulator_bits=layer.accumulator_bits,
            )
            for layer in self._quantized.fixed.layers
        )


def _decibels(signal: float, noise: float) -> float | None:
    if not signal or not noise:
        return None
    return round(10 * math.log10(signal / noise), 3)


def _formats(layer: FixedLayer) -> dict[str, FormatEntry]:
    formats = {"input": _entry(layer.input_format)}
    if layer.weight_formats:
        formats["weights"] = _entry(*layer.weight_formats)
    if layer.requantization is not None and layer.requantization.table is not None:
        formats["index"] = _entry(layer.requantization.target)
    formats["output"] = _entry(layer.output_format)
    return formats


def _entry(*formats: QFormat) -> FormatEntry:
    fractions = tuple(fmt.frac_bits for fmt in formats)
    if len(set(fractions)) == 1:
        fractions = fractions[:1]
    return FormatEntry(formats[0].bits, fractions, formats[0].signed)


def _version() -> str:
    try:
        return metadata.version("systolith")
    except metadata.PackageNotFoundError:
        return "not installed"


def _layer_to_json(layer: LayerEntry) -> dict[str, Any]:
    return {
        **vars(layer),
        "formats": {
            name: {
                "bits": entry.bits,
                "frac_bits": entry.frac_bits[0] if len(entry.frac_bits) == 1 else entry.frac_bits,
                "signed": entry.signed,
            }
            for name, entry in layer.formats.items()
        },
    }


def _to_lines(value: Any) -> str:
    """A value on one line, but lists of lists and of objects with a line for each."""
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], (dict, tuple)):
        return (
            "[\n    "
            + ",\n    ".join(json.dumps(each, allow_nan=False) for each in value)
            + "\n  ]"
        )
    return json.dumps(value, allow_nan=False)


def _from_json(top: _Reader) -> AccuracyReport:
    dataset = top.reader("dataset")
    quantization = top.value("quantization", (dict, type(None)))
    report = AccuracyReport(
        network=top.string("network"),
        network_sha256=top.string("network_sha256"),
        kind=_kind(top.string("kind")),
        dataset=DatasetEntry(
            dataset.string("name"),
            dataset.string("split"),
            dataset.string("sha256"),
            dataset.count("images"),
        ),
        images=top.count("images"),
        correct=top.count("correct"),
        agreement_with_float=top.number("agreement_with_float"),
        labels=top.counts("labels"),
        predictions=top.counts("predictions"),
        confusion=tuple(
            _Reader({"row": row}, "confusion.").counts("row")
            for row in top.value("confusion", (list,))
        ),
        quantization=quantization,
        layers=tuple(
            _layer_from_json(_Reader(layer, f"layers.{position}."))
            for position, layer in enumerate(top.value("layers", (list,)))
        ),
        version=top.string("version"),
    )
    _check(report, top.number("accuracy"))
    return report


def _check(report: AccuracyReport, accuracy: float) -> None:
    """Refuse figures that contradict each other."""
    pairs = list(zip(report.labels, report.predictions, strict=False))
    if not report.images or not len(report.labels) == len(report.predictions) == report.images:
        raise FileFormatError(f"needs a label and a prediction for each of {report.images} images")
    if report.correct != sum(label == given for label, given in pairs):
        raise FileFormatError(f"{report.correct} correct are not those of labels and predictions")
    if accuracy != report.accuracy:
        raise FileFormatError(f"accuracy {accuracy} is not {report.correct} of {report.images}")
    if not 0 <= report.agreement_with_float <= 1:
        raise FileFormatError(f"agreement_with_float {report.agreement_with_float} is no fraction")
    size = len(report.confusion)
    found = [[0] * size for _ in range(size)]
    if max(map(max, pairs)) >= size or any(len(row) != size for row in report.confusion):
        raise FileFormatError("confusion must have a row and a column for each class")
    for label, given in pairs:
        found[label][given] += 1
    if tuple(map(tuple, found)) != report.confusion:
        raise FileFormatError("confusion is not that of labels and predictions")


def _layer_from_json(reader: _Reader) -> LayerEntry:
    formats = reader.reader("formats")
    sqnr_db = reader.value("sqnr_db", (int, float, type(None)))
    return LayerEntry(
        name=reader.string("name"),
        formats={name: _format_from_json(formats.reader(name)) for name in formats.keys},
        sqnr_db=None if sqnr_db is None else float(sqnr_db),
        saturated=reader.count("saturated"),
        values=reader.count("values"),
        accumulator_bits=reader.count("accumulator_bits"),
    )


def _format_from_json(reader: _Reader) -> FormatEntry:
    fractions = reader.value("frac_bits", (int, list))
    listed = fractions if isinstance(fractions, list) else [fractions]
    signed = reader.value("signed", (bool,))
    try:
        formats = [QFormat(reader.count("bits"), each, signed) for each in listed]
    except ValueError as error:
        raise FileFormatError(f"{reader.path}frac_bits: {error}") from None
    if not formats:
        raise FileFormatError(f"{reader.path}frac_bits: is empty")
    return FormatEntry(formats[0].bits, tuple(listed), signed)


def _kind(given: str) -> Literal["float", "fixed"]:
    if given == "float":
        return "float"
    if given == "fixed":
        return "fixed"
    raise FileFormatError(f"kind must be float or fixed, not {_shown(given)}")


class _Reader:
    """The keys of a JSON object, by type; `path` says where it stands."""

    def __init__(self, entries: Any, path: str) -> None:
        if not isinstance(entries, dict):
            raise FileFormatError(f"{path.rstrip('.')}: must be an object, not {_shown(entries)}")
        self._entries: dict[str, Any] = entries
        self.path = path

    @property
    def keys(self) -> list[str]:
        return list(self._entries)

    def value(self, key: str, types: tuple[type, ...]) -> Any:
        if key not in self._entries:
            raise FileFormatError(f"key {self.path + key!r} is missing")
        value = self._entries[key]
        # A bool is an int to Python, but not to JSON.
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise FileFormatError(f"key {self.path + key!r} cannot be {_shown(value)}")
        return value

    def reader(self, key: str) -> _Reader:
        return _Reader(self.value(key, (dict,)), f"{self.path}{key}.")

    def string(self, key: str) -> str:
        value: str = self.value(key, (str,))
        return value

    def number(self, key: str) -> float:
        return float(self.value(key, (int, float)))

    def count(self, key: str) -> int:
        value: int = self.value(key, (int,))
        if value < 0:
            raise FileFormatError(f"key {self.path + key!r} cannot be {value}")
        return value

    def counts(self, key: str) -> tuple[int, ...]:
        values = self.value(key, (list,))
        for value in values:
            if type(value) is not int or value < 0:
                raise FileFormatError(f"key {self.path + key!r} cannot have {_shown(value)}")
        return tuple(values)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
