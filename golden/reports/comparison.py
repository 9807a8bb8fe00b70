"""Accuracy reports side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from systolith.golden.reports.accuracy import AccuracyReport, LayerEntry
from systolith.golden.reports.markdown import cell, table
from systolith.golden.reports.statistics import mcnemar


class ComparisonError(ValueError):
    """Reports that cannot be compared: says which and why."""


@dataclass(frozen=True)
class Row:
    """A report compared with the first.

    Parameters
    ----------
    name
        The report's name in tables.
    report
        The report.
    difference
        Its accuracy minus that of the first.
    gains, losses
        The number of images that only this report has right, and that only the first has right.
    chance
        The probability that gains and losses are at least as uneven by chance alone: McNemar's
        exact test.
    """

    name: str
    report: AccuracyReport
    difference: float
    gains: int
    losses: int
    chance: float

    @property
    def regression(self) -> bool:
        """Whether it is less accurate than the first."""
        return self.difference < 0

    @property
    def verdict(self) -> str:
        """`regression`, or an empty string if it is at least as accurate as the first."""
        return "regression" if self.regression else ""


@dataclass(frozen=True)
class LayerRow:
    """A layer's entry in each report; None where a report does not have the layer."""

    name: str
    entries: tuple[LayerEntry | None, ...]


@dataclass(frozen=True)
class Comparison:
    """Reports side by side, and their layers."""

    rows: tuple[Row, ...]
    layers: tuple[LayerRow, ...]

    def to_markdown(self) -> str:
        """Three tables: accuracy, the networks and their cost, and the layers."""
        first = self.rows[0].report
        about = f"{cell(first.dataset.name)} ({cell(first.dataset.split)})"
        text = f"{first.images:,} images of {about}, compared with {cell(self.rows[0].name)}.\n\n"
        text += table(_ACCURACY_HEADINGS, [_accuracy_cells(row) for row in self.rows], left=1)
        text += "\n" + table(_KIND_HEADINGS, [_kind_cells(row) for row in self.rows], left=3)
        if self.layers:
            headings = ("layer", "report", *LAYER_HEADINGS)
            text += "\n" + table(headings, self._layer_cells(), left=2)
        return text

    def dropped(self, most: float) -> tuple[Row, ...]:
        """The reports whose accuracy is lower than the first's by more than `most`."""
        return tuple(row for row in self.rows if -row.difference > most)

    def _layer_cells(self) -> list[list[str]]:
        return [
            [cell(layer.name), cell(row.name), *layer_cells(entry)]
            for layer in self.layers
            for row, entry in zip(self.rows, layer.entries, strict=True)
            if entry is not None
        ]


_ACCURACY_HEADINGS = (
    *("report", "accuracy", "95 % interval", "difference", "gains", "losses", "chance"),
    "verdict",
)
_KIND_HEADINGS = (
    *("report", "network", "kind", "agreement with float", "weight bits", "multipliers"),
    "cycles",
)
LAYER_HEADINGS = (
    *("input", "weights", "index", "output", "accumulator bits", "SQNR (dB)", "range used"),
    *("saturated", "clipped", "dead"),
)
"""Headings of the cells that `layer_cells` returns."""


def compare(reports: Sequence[AccuracyReport], names: Sequence[str] | None = None) -> Comparison:
    """Compare reports of the same images with the first of them.

    Parameters
    ----------
    reports
        At least two.
    names
        Their names in tables, such as file names; by default their networks' names.

    Raises
    ------
    ComparisonError
        There are fewer than two, or they are of different images.
    """
    names = [report.network for report in reports] if names is None else list(names)
    if len(reports) < 2:
        raise ComparisonError(f"needs at least 2 reports, not {len(reports)}")
    if len(names) != len(reports):
        raise ComparisonError(f"{len(reports)} reports need as many names, not {len(names)}")
    first = reports[0]
    for name, report in zip(names, reports, strict=True):
        if _images(report) != _images(first) or report.labels != first.labels:
            raise ComparisonError(
                f"{name}: is about other images ({_described(report)}) "
                f"than {names[0]} ({_described(first)})"
            )
    layer_names = dict.fromkeys(layer.name for report in reports for layer in report.layers)
    by_name = [{layer.name: layer for layer in report.layers} for report in reports]
    return Comparison(
        tuple(_row(name, report, first) for name, report in zip(names, reports, strict=True)),
        tuple(LayerRow(name, tuple(each.get(name) for each in by_name)) for name in layer_names),
    )


def layer_cells(entry: LayerEntry) -> list[str]:
    """A layer's cells in a table, under `LAYER_HEADINGS`.

    Formats, accumulator bits, SQNR in dB, the used share of the output format's range, and the
    numbers of saturated values, clipped channels and dead channels.
    """
    formats = [
        str(entry.formats[kind]) if kind in entry.formats else ""
        for kind in ("input", "weights", "index", "output")
    ]
    sqnr = "" if entry.sqnr_db is None else f"{entry.sqnr_db:.1f}"
    return [
        *formats,
        str(entry.accumulator_bits),
        sqnr,
        f"{100 * entry.range_use:.0f} %",
        f"{entry.saturated:,}",
        str(len(entry.clipped_channels)),
        str(len(entry.dead_channels)),
    ]


def _row(name: str, report: AccuracyReport, first: AccuracyReport) -> Row:
    right = [
        (given == label, given_first == label)
        for given, given_first, label in zip(
            report.predictions, first.predictions, report.labels, strict=True
        )
    ]
    gains = sum(this and not that for this, that in right)
    losses = sum(that and not this for this, that in right)
    return Row(
        name=name,
        report=report,
        difference=(report.correct - first.correct) / report.images,
        gains=gains,
        losses=losses,
        chance=mcnemar(gains, losses),
    )


def _images(report: AccuracyReport) -> tuple[str, int]:
    return report.dataset.sha256, report.images


def _described(report: AccuracyReport) -> str:
    dataset = report.dataset
    return (
        f"{report.images} of {dataset.name}, {dataset.split}, sha256 {dataset.sha256[:8] or 'none'}"
    )


def _accuracy_cells(row: Row) -> list[str]:
    low, high = row.report.interval
    return [
        cell(row.name),
        f"{row.report.accuracy:.4f}",
        f"{low:.4f} to {high:.4f}",
        f"{row.difference:+.4f}",
        f"{row.gains:,}",
        f"{row.losses:,}",
        f"{row.chance:.2g}",
        row.verdict,
    ]


def _kind_cells(row: Row) -> list[str]:
    report, hardware, bits = row.report, row.report.hardware, row.report.weight_bits_total
    return [
        cell(row.name),
        cell(report.network),
        report.kind,
        f"{report.agreement_with_float:.4f}",
        "" if bits is None else f"{bits:,}",
        f"{hardware.multipliers:,}" if hardware else "",
        f"{hardware.interval_cycles:,}" if hardware else "",
    ]
