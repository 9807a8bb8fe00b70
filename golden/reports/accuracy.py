"""Accuracy reports: what a network, float or fixed, makes of labelled images."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from systolith.golden.errors import FileFormatError
from systolith.golden.files.json_reader import JsonReader, shown
from systolith.golden.files.npz import read_bytes
from systolith.golden.files.whole_files import write_whole
from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.quantization.trials import Trials
from systolith.golden.reports.statistics import wilson_interval

SCHEMA = "systolith.accuracy/1"
"""The schema of a report."""

CLIPPED_SHARE = 0.01
"""A channel of which more values than this fraction saturate counts as clipped."""

_MAX_BYTES = 1 << 28
_ROUNDING = 1e-9


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
    channels
        Channels of its feature map.
    saturated
        Values that left their range when they were requantized, over all images.
    clipped_channels
        Channels of which more than `CLIPPED_SHARE` of the values saturated.
    dead_channels
        Channels that had one and the same value everywhere, in all images.
    range_use
        The fraction of the output format's range between the least and the greatest value.
    values
        Values in all.
    accumulator_bits
        Bits that no input can overflow.
    """

    name: str
    formats: Mapping[str, FormatEntry]
    sqnr_db: float | None
    channels: int
    saturated: int
    clipped_channels: tuple[int, ...]
    dead_channels: tuple[int, ...]
    range_use: float
    values: int
    accumulator_bits: int

    @property
    def saturated_share(self) -> float:
        """The fraction of the values that saturated."""
        return self.saturated / self.values


@dataclass(frozen=True)
class HardwareEntry:
    """The accelerator that was generated from a network.

    Parameters
    ----------
    multipliers
        Physical multipliers.
    interval_cycles, latency_cycles
        Predicted cycles from one result to the next, and from the first pixel to the result.
    bit_exact
        Whether the simulation of it equalled the fixed network; None if there was none.
    """

    multipliers: int
    interval_cycles: int
    latency_cycles: int
    bit_exact: bool | None


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
    labels, predictions, float_predictions
        One an image; the last by the float network.
    confusion
        How many images of each label (row) got each class (column).
    quantization
        The settings, and `weight_bits_total`; None for a float network.
    layers
        Every layer after the input; empty for a float network.
    version
        The version of this program.
    trials
        What other widths would change, on validation images; None if it was not tried.
    hardware
        The accelerator; None if it is not known.
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
    float_predictions: tuple[int, ...]
    confusion: tuple[tuple[int, ...], ...]
    quantization: Mapping[str, Any] | None
    layers: tuple[LayerEntry, ...]
    version: str
    trials: Trials | None = None
    hardware: HardwareEntry | None = None

    @property
    def accuracy(self) -> float:
        """Fraction of images that got the class of their label."""
        return self.correct / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """The accuracy's 95 % confidence interval."""
        return wilson_interval(self.correct, self.images)

    @property
    def disagreements(self) -> tuple[int, ...]:
        """The images that did not get the class that the float network gives."""
        pairs = zip(self.predictions, self.float_predictions, strict=True)
        return tuple(image for image, (given, real) in enumerate(pairs) if given != real)

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
            "interval": self.interval,
            "agreement_with_float": self.agreement_with_float,
            "quantization": self.quantization,
            "hardware": None if self.hardware is None else vars(self.hardware),
            "trials": None if self.trials is None else self.trials.to_json(),
            "layers": [_layer_to_json(layer) for layer in self.layers],
            "confusion": self.confusion,
            "labels": self.labels,
            "predictions": self.predictions,
            "float_predictions": self.float_predictions,
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
                f"not an accuracy report: schema must be {SCHEMA!r}, not {shown(schema)}"
            )
        try:
            return _from_json(JsonReader(value, ""))
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


def _from_json(top: JsonReader) -> AccuracyReport:
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
        float_predictions=top.counts("float_predictions"),
        confusion=tuple(
            JsonReader({"row": row}, "confusion.").counts("row")
            for row in top.value("confusion", (list,))
        ),
        quantization=quantization,
        layers=tuple(
            _layer_from_json(JsonReader(layer, f"layers.{position}."))
            for position, layer in enumerate(top.value("layers", (list,)))
        ),
        version=top.string("version"),
        trials=None if (trials := top.optional("trials")) is None else Trials.from_json(trials),
        hardware=None if (hardware := top.optional("hardware")) is None else _hardware(hardware),
    )
    _check(report, top.number("accuracy"))
    return report


def _check(report: AccuracyReport, accuracy: float) -> None:
    """Refuse figures that contradict each other."""
    pairs = list(zip(report.labels, report.predictions, strict=False))
    if not report.images or not len(report.labels) == len(report.predictions) == report.images:
        raise FileFormatError(f"needs a label and a prediction for each of {report.images} images")
    if len(report.float_predictions) != report.images:
        raise FileFormatError(f"needs a float prediction for each of {report.images} images")
    if report.correct != sum(label == given for label, given in pairs):
        raise FileFormatError(f"{report.correct} correct are not those of labels and predictions")
    if accuracy != report.accuracy:
        raise FileFormatError(f"accuracy {accuracy} is not {report.correct} of {report.images}")
    agreement = 1 - len(report.disagreements) / report.images
    if abs(report.agreement_with_float - agreement) > _ROUNDING:
        raise FileFormatError(
            f"agreement_with_float {report.agreement_with_float} is not that of the predictions"
        )
    size = len(report.confusion)
    found = [[0] * size for _ in range(size)]
    if max(map(max, pairs)) >= size or any(len(row) != size for row in report.confusion):
        raise FileFormatError("confusion must have a row and a column for each class")
    for label, given in pairs:
        found[label][given] += 1
    if tuple(map(tuple, found)) != report.confusion:
        raise FileFormatError("confusion is not that of labels and predictions")


def _layer_from_json(reader: JsonReader) -> LayerEntry:
    formats = reader.reader("formats")
    sqnr_db = reader.value("sqnr_db", (int, float, type(None)))
    return LayerEntry(
        name=reader.string("name"),
        formats={name: _format_from_json(formats.reader(name)) for name in formats.keys},
        sqnr_db=None if sqnr_db is None else float(sqnr_db),
        channels=reader.count("channels"),
        saturated=reader.count("saturated"),
        clipped_channels=reader.counts("clipped_channels"),
        dead_channels=reader.counts("dead_channels"),
        range_use=reader.number("range_use"),
        values=reader.count("values"),
        accumulator_bits=reader.count("accumulator_bits"),
    )


def _hardware(reader: JsonReader) -> HardwareEntry:
    return HardwareEntry(
        multipliers=reader.count("multipliers"),
        interval_cycles=reader.count("interval_cycles"),
        latency_cycles=reader.count("latency_cycles"),
        bit_exact=reader.value("bit_exact", (bool, type(None))),
    )


def _format_from_json(reader: JsonReader) -> FormatEntry:
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
    raise FileFormatError(f"kind must be float or fixed, not {shown(given)}")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")
