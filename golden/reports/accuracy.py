"""Accuracy reports: the classes that a float or fixed network gives to images, as data.

Of a network that is no classifier a report has the errors of its outputs instead.

`evaluation.evaluate` makes one, and `comparison.compare` puts several side by side.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import to_builtins

from systolith.golden.errors import FileFormatError
from systolith.golden.files import foreign, json_files
from systolith.golden.files.datasets import Measure
from systolith.golden.files.json_files import Count, PositiveCount, Scalar
from systolith.golden.files.whole_files import read_whole, write_whole
from systolith.golden.quantization.trials import Trials
from systolith.golden.reports.coherence import require_consistent
from systolith.golden.reports.format_entry import FormatEntry
from systolith.golden.reports.html_table import html_table
from systolith.golden.reports.memory_size import FLOAT_BITS, in_kibibytes, smaller_than_float
from systolith.golden.reports.output_errors import OutputEntry, whole, with_share
from systolith.golden.reports.sensitivity import with_effects
from systolith.golden.reports.statistics import wilson_interval

ReportMeasure = Measure | Literal["error"]
"""What a report judges a network by: `error` is that of outputs, against the float network."""

SCHEMA = "systolith.accuracy/1"
"""The schema of a report."""

CLIPPED_SHARE = 0.01
"""A channel counts as clipped if a larger fraction of its values saturates."""

Setting = Scalar | list[Scalar] | dict[str, dict[str, Scalar]]
"""A setting of a quantization: of all layers, or under `layers` by layer and key."""

_MAX_BYTES = 1 << 26


@dataclass(frozen=True)
class DatasetEntry:
    """The data set of a report, whole, even if only its first images were used.

    `saturated` is the number of its values that were out of the range of the input's format.
    """

    name: str
    split: str
    sha256: str
    images: Count
    saturated: Count = 0


@dataclass(frozen=True)
class CalibrationEntry:
    """The images on which a fixed network's formats were chosen.

    Parameters
    ----------
    name, sha256, images
        Their name, the hash of the images without labels, and their number.
    in_dataset
        Whether they are of the report's data set, its first images or those that `seeded_choice`
        chooses: the accuracy is then not that of a test.
    """

    name: str
    sha256: str
    images: PositiveCount
    in_dataset: bool


Form = Annotated[str, msgspec.Meta(pattern="^[a-z0-9 ,/]*$", max_length=100)]
"""What `Layer.form` returns."""


@dataclass(frozen=True)
class LayerEntry:
    """A layer of a fixed network.

    Parameters
    ----------
    name
        Its name.
    formats
        Of its `input` and `output`, and of its `weights` and table `index`, if any.
    sqnr_db
        Ratio of signal to quantization noise in dB, `10 log10(sum r**2 / sum (r - x)**2)`: r are
        the float model's values, and x the real numbers for which the fixed model's values stand.
        None if one of the sums is zero.
    channels
        Channels of its feature map.
    saturated
        The number of values that left their format's range when they were requantized, over all
        images.
    clipped_channels
        Channels in which more than the fraction `CLIPPED_SHARE` of the values saturated.
    dead_channels
        Channels with the same value at every place of every image.
    range_use
        The fraction of the output format's range between the least and the greatest value.
    values
        The number of values over all images.
    accumulator_bits
        Width of an accumulator that no input can overflow.
    padded_with
        The real number for which the padding stands that is zero in the float network.
    form
        Its windows, as `3 x 3 / 2, pad 0 1 1 0, 8 groups`; empty without any.
    """

    name: str
    formats: Mapping[str, FormatEntry]
    sqnr_db: float | None
    channels: PositiveCount
    saturated: Count
    clipped_channels: tuple[Count, ...]
    dead_channels: tuple[Count, ...]
    range_use: float
    values: PositiveCount
    accumulator_bits: PositiveCount
    padded_with: float = 0.0
    form: Form = ""

    @property
    def saturated_share(self) -> float:
        """The fraction of the values that saturated."""
        return self.saturated / self.values


@dataclass(frozen=True)
class SiliconEntry:
    """What an accelerator takes on a device, and how fast it is there.

    Parameters
    ----------
    target, grade
        The device, and its speed grade if it was placed on one that has several.
    luts
        The look-up tables that logic, carry chains and memories occupy.
    clock_mhz
        The clock after routing, the median of all seeds; None if it was not placed.
    """

    target: str
    luts: Count
    clock_mhz: float | None = None
    grade: str | None = None


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
        Whether its simulation equalled the fixed network; None if it was not simulated.
    silicon
        Its synthesis; None if it was not synthesized.
    """

    multipliers: Count
    interval_cycles: PositiveCount
    latency_cycles: Count
    bit_exact: bool | None
    silicon: SiliconEntry | None = None


@dataclass(frozen=True)
class AccuracyReport:
    """The classes that a network gives to images, and how exact its layers are.

    Where labels are not known, classes are compared with those of the float network instead: that
    is agreement, never accuracy. Where there are no classes, the report has `outputs`, and neither
    labels nor predictions.

    Parameters
    ----------
    network, network_sha256
        Its name, and the hash of its file.
    kind
        `float` or `fixed`.
    dataset
        The images.
    images
        The number of images that were used, from the first on.
    correct
        The number of images whose class is their label; None without labels.
    agreement_with_float
        Fraction of images with the same class from the float network (1 for the float network);
        None without classes.
    labels, predictions, float_predictions
        One for each image: the label, the class, and the class from the float network. `labels` is
        None if they are not known.
    confusion
        The number of images with each label (row) and class (column); without labels, the class
        from the float network is the row.
    quantization
        The settings, and `weight_bits_total`; None for a float network.
    layers
        Every layer after the input; empty for a float network.
    version
        The version of this program.
    calibrated_on
        The images on which formats were chosen; None for a float network, or if it is not known.
    trials
        The effect of other widths on validation images; None if none were tried.
    hardware
        The accelerator; None if it is not known.
    weights
        The number of weights; None in reports of versions that did not count them.
    outputs
        The errors of each output channel of a network that is no classifier; None for classifiers.
    """

    network: str
    network_sha256: str
    kind: Literal["float", "fixed"]
    dataset: DatasetEntry
    images: PositiveCount
    correct: Count | None
    agreement_with_float: float | None
    labels: tuple[Count, ...] | None
    predictions: tuple[Count, ...]
    float_predictions: tuple[Count, ...]
    confusion: tuple[tuple[Count, ...], ...]
    quantization: Mapping[str, Setting] | None
    layers: tuple[LayerEntry, ...]
    version: str
    calibrated_on: CalibrationEntry | None = None
    trials: Trials | None = None
    hardware: HardwareEntry | None = None
    weights: Count | None = None
    outputs: tuple[OutputEntry, ...] | None = None

    @property
    def accuracy(self) -> float | None:
        """Fraction of images whose class is their label; None without labels."""
        return None if self.correct is None else self.correct / self.images

    @property
    def measure(self) -> ReportMeasure:
        """What a network is judged by: accuracy, without labels agreement, without classes error.

        The first two are `rate`; errors are those of `outputs` and have no `rate`.
        """
        if self.outputs is not None:
            return "error"
        return "agreement" if self.labels is None else "accuracy"

    @property
    def reference(self) -> tuple[int, ...]:
        """The class with which each image's is compared: its label, or the float network's."""
        return self.float_predictions if self.labels is None else self.labels

    @property
    def matching(self) -> int:
        """The number of images whose class is that of `reference`."""
        return self.images - len(self.disagreements) if self.correct is None else self.correct

    @property
    def rate(self) -> float:
        """Fraction of images whose class is that of `reference`: see `measure`."""
        return self.matching / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of `rate`."""
        return wilson_interval(self.matching, self.images)

    @property
    def errors(self) -> tuple[tuple[str, str], ...]:
        """Names and values of the figures of all `outputs` together, as tables show them."""
        assert self.outputs is not None
        found = whole(self.outputs)
        figures = [("outputs in float", f"{found.lowest:.4g} to {found.highest:.4g}")]
        if self.kind == "fixed":
            figures += [
                ("RMS error", with_share(found.rms_error, found)),
                ("largest error", with_share(found.largest_error, found)),
            ]
        if self.output_sqnr_db is not None:
            figures.append(("SQNR of the outputs", f"{self.output_sqnr_db:.1f} dB"))
        return tuple(figures)

    @property
    def output_sqnr_db(self) -> float | None:
        """SQNR of the last layer, as in its entry; None for a float network."""
        return self.layers[-1].sqnr_db if self.layers else None

    @property
    def weight_bits_total(self) -> int | None:
        """Bits of all weights; None for a float network."""
        if self.quantization is None:
            return None
        total = self.quantization["weight_bits_total"]
        assert isinstance(total, int)
        return total

    @property
    def size(self) -> tuple[str, str]:
        """The size of all weights, and how much smaller that is than floats; empty if not known."""
        bits, weights, floats = self.weight_bits_total, self.weights, f"{FLOAT_BITS}-bit floats"
        if bits is None:
            return ("", "") if weights is None else (in_kibibytes(FLOAT_BITS * weights), floats)
        ratio = "" if weights is None else smaller_than_float(bits, weights)
        return in_kibibytes(bits), f"{ratio} smaller than {floats}" if ratio else ""

    @property
    def disagreements(self) -> tuple[int, ...]:
        """The images to which the float network gives another class."""
        pairs = zip(self.predictions, self.float_predictions, strict=True)
        return tuple(image for image, (given, real) in enumerate(pairs) if given != real)

    def to_json(self) -> str:
        """The report as one JSON object, `schema` first."""
        entries = {
            "schema": SCHEMA,
            "network": self.network,
            "network_sha256": self.network_sha256,
            "kind": self.kind,
            "dataset": to_builtins(self.dataset),
            "images": self.images,
            "correct": self.correct,
            "accuracy": self.accuracy,
            "measure": self.measure,
            "interval": self.interval if self.outputs is None else None,
            "agreement_with_float": self.agreement_with_float,
            "weights": self.weights,
            "quantization": self.quantization,
            "calibrated_on": to_builtins(self.calibrated_on),
            "hardware": to_builtins(self.hardware),
            "trials": self.trials and with_effects(self.trials),
            "layers": to_builtins(self.layers),
            "outputs": to_builtins(self.outputs),
            "confusion": self.confusion,
            "labels": self.labels,
            "predictions": self.predictions,
            "float_predictions": self.float_predictions,
            "version": self.version,
        }
        lines = [f"  {json.dumps(key)}: {_to_lines(value)}" for key, value in entries.items()]
        return "{\n" + ",\n".join(lines) + "\n}\n"

    def _repr_html_(self) -> str:
        # Imports this module itself.
        from systolith.golden.reports.comparison import LAYER_HEADINGS, layer_cells

        if self.outputs is None:
            low, high = self.interval
            scored = {
                self.measure: f"{self.rate:.4f}",
                "95 % interval": f"{low:.4f} to {high:.4f}",
                "agreement with float": f"{self.agreement_with_float:.4f}",
            }
        else:
            scored = dict(self.errors)
        figures = {
            "network": f"{self.network}, {self.kind}",
            "images": f"{self.images:,} of {self.dataset.name} ({self.dataset.split})",
            **scored,
            "weights": ", ".join(filter(None, self.size)),
        }
        shown = html_table(tuple(figures), [tuple(figures.values())], 2)
        if not self.layers:
            return shown
        rows = [(layer.name, *layer_cells(layer)) for layer in self.layers]
        return shown + "\n" + html_table(("layer", *LAYER_HEADINGS), rows, 1)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON to a file, whole or not at all."""
        write_whole(path, self.to_json().encode())

    @classmethod
    def from_json(cls, text: str | bytes) -> AccuracyReport:
        """The report that `to_json` wrote; keys of later versions of the program are ignored.

        Raises
        ------
        FileFormatError
            The text is not a report, or its figures contradict each other.
        """
        report = json_files.decode(text, cls, SCHEMA)
        require_consistent(report, json_files.decode_part(text, _Derived).accuracy)
        return report

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> AccuracyReport:
        """Read what `save` wrote.

        Raises
        ------
        FileFormatError
            There is no such file, or as `from_json`.
        """
        content = read_whole(path, _MAX_BYTES)
        try:
            return cls.from_json(content)
        except FileFormatError as error:
            raise foreign.refusal(path, content, foreign.of_schema(SCHEMA), error) from None


class _Derived(msgspec.Struct, frozen=True):
    accuracy: float | None


def _to_lines(value: Any) -> str:
    """A value on one line; lists of lists or of objects with one line for each entry."""
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], (dict, tuple)):
        return (
            "[\n    "
            + ",\n    ".join(json.dumps(each, allow_nan=False) for each in value)
            + "\n  ]"
        )
    return json.dumps(value, allow_nan=False)
