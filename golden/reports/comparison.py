"""Accuracy reports side by side: what differs, whether accuracy differs, and every layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from systolith.golden.reports.accuracy import AccuracyReport, LayerEntry, ReportMeasure
from systolith.golden.reports.differences import Factor, factors, labels
from systolith.golden.reports.html_table import html_table
from systolith.golden.reports.markdown import cell, table
from systolith.golden.reports.memory_size import told_apart
from systolith.golden.reports.output_errors import whole, with_share
from systolith.golden.reports.paired_difference import (
    LEVEL,
    Difference,
    Verdict,
    chance_text,
    paired_differences,
    signed,
)


class ComparisonError(ValueError):
    """Reports that cannot be compared: says which and why."""


@dataclass(frozen=True)
class Row:
    """A report in a comparison.

    Parameters
    ----------
    label
        Its name in tables: what sets it apart, or what the user calls it.
    name
        Where it is from, such as a file.
    report
        The report.
    difference
        From the first report; None for the first itself.
    """

    label: str
    name: str
    report: AccuracyReport
    difference: Difference | None


@dataclass(frozen=True)
class LayerRow:
    """A layer's entry in each report; None where a report does not have the layer."""

    name: str
    entries: tuple[LayerEntry | None, ...]


@dataclass(frozen=True)
class Comparison:
    """Reports side by side, what they differ in, and their layers."""

    rows: tuple[Row, ...]
    factors: tuple[Factor, ...]
    layers: tuple[LayerRow, ...]

    @property
    def different(self) -> tuple[Factor, ...]:
        """The choices and costs that differ."""
        return tuple(each for each in self.factors if each.differs)

    @property
    def about(self) -> str:
        """The images, and the report that the others are compared with."""
        first = self.rows[0]
        images, dataset = first.report.images, first.report.dataset
        name = "" if first.name in first.label else f" ({first.name})"
        about = (
            f"{images:,} images of {dataset.name} ({dataset.split}). Compared with the first "
            f"report: {first.label}{name}."
        )
        if self.measure == "agreement":
            about += (
                " The images have no labels: agreement is the fraction that get the class of each "
                "report's own float network, and gains and losses are of it."
            )
        if self.measure == "error":
            about += (
                " The networks are no classifiers: errors are those of the outputs, each report's "
                "against its own float network."
            )
        return about

    @property
    def measure(self) -> ReportMeasure:
        """By what the reports are compared: accuracy, without labels agreement, or errors."""
        return self.rows[0].report.measure

    @property
    def same(self) -> str:
        """What is the same in all reports that can have it, in a sentence; empty if nothing is."""
        known = [f"{each.name} {each.same}" for each in self.factors if each.same]
        return f"The same in all: {', '.join(known)}." if known else ""

    @property
    def rule(self) -> str:
        """When a report is better or worse, in a sentence; empty for errors of outputs."""
        if self.measure == "error":
            return ""
        tests = len(self.rows) - 1
        correction = f", with Holm's correction for {tests} comparisons" if tests > 1 else ""
        return (
            "Better and worse: gains and losses at least as uneven have a probability below "
            f"{LEVEL:g} by chance alone (McNemar's exact test{correction})."
        )

    def to_markdown(self) -> str:
        """Tables of what differs, of accuracy or errors, and of layers."""
        text = f"{cell(self.about)}\n\n"
        if self.different:
            headings = ("report", *(cell(each.name) for each in self.different), "file")
            text += table(headings, [self._different_cells(n) for n in range(len(self.rows))], 1)
        else:
            text += "Nothing that the reports record differs.\n"
        if self.same:
            text += f"\n{cell(self.same)}\n"
        rows = [[cell(row.label), *score_cells(row)] for row in self.rows]
        text += "\n" + table(("report", *score_headings(self.measure)), rows, left=1)
        text += f"\n{self.rule}\n" if self.rule else ""
        if self.layers:
            headings = ("layer", "report", *LAYER_HEADINGS)
            text += "\n" + table(headings, self._layer_cells(), left=2)
        return text

    def to_summary(self) -> str:
        """The accuracy of each report and its verdict, for many reports on a terminal."""
        text = f"{cell(self.about)}\n\n"
        if self.different:
            text += f"They differ in {cell(', '.join(each.name for each in self.different))}.\n\n"
        sizes = told_apart([row.report.weight_bits_total for row in self.rows])
        if self.measure == "error":
            rows = [
                [cell(row.label), size, *score_cells(row)]
                for row, size in zip(self.rows, sizes, strict=True)
            ]
            headings = ("report", "weights (KiB)", *score_headings(self.measure))
            return text + table(headings, rows, 1)
        rows = [
            [
                cell(row.label),
                size,
                f"{row.report.rate:.4f}",
                signed(row.difference.accuracy) if row.difference else "",
                row.difference.verdict if row.difference else "",
            ]
            for row, size in zip(self.rows, sizes, strict=True)
        ]
        headings = ("report", "weights (KiB)", self.measure, "difference", "verdict")
        text += table(headings, rows, 1)
        found = Counter(row.difference.verdict for row in self.rows if row.difference)
        counts = ", ".join(f"{found[each]:,} {each}" for each in get_args(Verdict))
        return f"{text}\n{counts}. {self.rule}\n"

    def _repr_html_(self) -> str:
        different = [each.name for each in self.different]
        rows = [
            [
                row.label,
                *(each.values[place] or "" for each in self.different),
                *score_cells(row),
            ]
            for place, row in enumerate(self.rows)
        ]
        headings = ("report", *different, *score_headings(self.measure))
        return html_table(headings, rows, 1, self.about)

    def dropped(self, most: float) -> tuple[Row, ...]:
        """The reports whose accuracy is lower than the first's by more than `most`.

        Raises
        ------
        ComparisonError
            The images have no labels, or the networks no classes, so that no accuracy is known.
        """
        if self.measure == "error":
            raise ComparisonError(
                "--fail-on-drop: these networks are no classifiers, so that there is no accuracy "
                "that could drop"
            )
        if self.measure != "accuracy":
            raise ComparisonError(
                f"--fail-on-drop: {self.rows[0].report.dataset.name} has no labels, so that there "
                "is no accuracy that could drop"
            )
        return tuple(row for row in self.rows if row.difference and -row.difference.accuracy > most)

    def _different_cells(self, place: int) -> list[str]:
        row = self.rows[place]
        values = [cell(each.values[place] or "") for each in self.different]
        return [cell(row.label), *values, cell(row.name)]

    def _layer_cells(self) -> list[list[str]]:
        return [
            [cell(layer.name), cell(row.label), *layer_cells(entry)]
            for layer in self.layers
            for row, entry in zip(self.rows, layer.entries, strict=True)
            if entry is not None
        ]


LAYER_HEADINGS = (
    *("input", "weights", "index", "output", "accumulator bits", "SQNR (dB)", "range used"),
    *("saturated", "clipped", "dead"),
)
"""Headings of the cells that `layer_cells` returns."""


def compare(
    reports: Sequence[AccuracyReport],
    names: Sequence[str] | None = None,
    given_labels: Sequence[str] | None = None,
) -> Comparison:
    """Compare reports of the same images with the first of them.

    Parameters
    ----------
    reports
        At least two.
    names
        Where they are from, such as files; by default their networks' names.
    given_labels
        Their names in tables; by default made from what differs (`differences.labels`).

    Raises
    ------
    ComparisonError
        There are fewer than two, they are of different images, some have classes and others none,
        or labels are not one for each.
    """
    names = [report.network for report in reports] if names is None else list(names)
    if len(reports) < 2:
        raise ComparisonError(f"needs at least 2 reports, not {len(reports)}")
    for what, given in (("names", names), ("labels", given_labels)):
        if given is not None and len(given) != len(reports):
            raise ComparisonError(f"{len(reports)} reports need as many {what}, not {len(given)}")
    if given_labels is not None and (len(set(given_labels)) < len(reports) or "" in given_labels):
        raise ComparisonError("labels must differ, and none may be empty")
    first = reports[0]
    for name, report in zip(names, reports, strict=True):
        if (report.outputs is None) != (first.outputs is None):
            which = (name, names[0]) if first.outputs is None else (names[0], name)
            raise ComparisonError(
                "{}: reports errors of outputs, and {} classes: evaluate both with the same "
                "--result".format(*which)
            )
        if _images(report) != _images(first) or report.labels != first.labels:
            raise ComparisonError(
                f"{name}: is about other images ({_described(report)}) "
                f"than {names[0]} ({_described(first)})"
            )
    layer_names = dict.fromkeys(layer.name for report in reports for layer in report.layers)
    by_name = [{layer.name: layer for layer in report.layers} for report in reports]
    chosen = labels(reports, names) if given_labels is None else given_labels
    changes = [_changes(report, first) for report in reports[1:]]
    differences: tuple[Difference | None, ...] = (None,) * len(reports)
    if first.outputs is None:
        differences = (None, *paired_differences(changes, first.images))
    return Comparison(
        tuple(Row(*each) for each in zip(chosen, names, reports, differences, strict=True)),
        factors(reports),
        tuple(LayerRow(name, tuple(each.get(name) for each in by_name)) for name in layer_names),
    )


def score_headings(measure: ReportMeasure) -> tuple[str, ...]:
    """The headings of the cells that `score_cells` returns."""
    if measure == "error":
        return ("SQNR of the outputs (dB)", "RMS error", "largest error")
    return (
        *(measure, "95 % interval", "agreement with float", "difference"),
        *("95 % interval", "gains", "losses", "chance", "verdict"),
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


def _changes(report: AccuracyReport, first: AccuracyReport) -> tuple[int, int]:
    """Gains and losses of a report against the first; none without classes."""
    right, right_first = (
        [given == wanted for given, wanted in zip(each.predictions, each.reference, strict=True)]
        for each in (report, first)
    )
    pairs = list(zip(right, right_first, strict=True))
    gains = sum(this and not that for this, that in pairs)
    losses = sum(that and not this for this, that in pairs)
    return gains, losses


def _images(report: AccuracyReport) -> tuple[str, int]:
    return report.dataset.sha256, report.images


def _described(report: AccuracyReport) -> str:
    dataset = report.dataset
    return (
        f"{report.images} of {dataset.name}, {dataset.split}, sha256 {dataset.sha256[:8] or 'none'}"
    )


def score_cells(row: Row) -> list[str]:
    """How good a report is, and its difference from the first, under `score_headings`."""
    report, found = row.report, row.difference
    if report.outputs is not None:
        all_outputs, sqnr = whole(report.outputs), report.output_sqnr_db
        errors = (all_outputs.rms_error, all_outputs.largest_error)
        return [
            "" if sqnr is None else f"{sqnr:.1f}",
            *(with_share(error, all_outputs) for error in errors),
        ]
    cells = [
        f"{report.rate:.4f}",
        "{:.4f} to {:.4f}".format(*report.interval),
        f"{report.agreement_with_float:.4f}",
    ]
    if found is None:
        return [*cells, *[""] * 6]
    return [
        *cells,
        signed(found.accuracy),
        found.interval_text,
        f"{found.gains:,}",
        f"{found.losses:,}",
        chance_text(found.corrected),
        found.verdict,
    ]
