"""A comparison as a JSON document, and as the rows of a CSV file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from systolith.golden.reports.accuracy import AccuracyReport, LayerEntry
from systolith.golden.reports.comparison import Comparison, Row
from systolith.golden.reports.output_errors import whole
from systolith.golden.reports.paired_difference import LEVEL
from systolith.scripts import console
from systolith.scripts.sweeping.variations import flat

SCHEMA = "systolith.comparison/2"

_LAYER_KEYS = (
    *("sqnr_db", "range_use", "saturated", "values", "clipped_channels", "dead_channels"),
    "accumulator_bits",
)


def to_document(comparison: Comparison) -> dict[str, Any]:
    """The document that `compare --json` prints."""
    return {
        "schema": SCHEMA,
        "level": LEVEL,
        "reports": [_report(row) for row in comparison.rows],
        "different": [{"name": each.name, "values": each.values} for each in comparison.different],
        "same": {each.name: each.same for each in comparison.factors if each.same},
        "layers": [
            {"name": layer.name}
            | {
                key: [entry and getattr(entry, key) for entry in layer.entries]
                for key in _LAYER_KEYS
            }
            for layer in comparison.layers
        ],
    }


def to_csv(comparison: Comparison) -> str:
    """A row for each report and layer; each has the figures of its report, too.

    A report without layers, that of a float network, has one row. A figure that is missing is an
    empty cell; of clipped and dead channels there is the number.
    """
    places = range(len(comparison.rows))
    return console.to_csv([row for place in places for row in _rows(comparison, place)])


def _report(row: Row) -> dict[str, Any]:
    report, found, hardware = row.report, row.difference, row.report.hardware
    silicon = hardware and hardware.silicon
    return {
        "name": row.name,
        "label": row.label,
        "network": report.network,
        "kind": report.kind,
        "images": report.images,
        "weights": report.weights,
        "weight_bits_total": report.weight_bits_total,
        "multipliers": hardware and hardware.multipliers,
        "interval_cycles": hardware and hardware.interval_cycles,
        "latency_cycles": hardware and hardware.latency_cycles,
        "target": silicon and silicon.target,
        "luts": silicon and silicon.luts,
        "clock_mhz": silicon and silicon.clock_mhz,
        "accuracy": report.accuracy,
        "measure": report.measure,
        "interval": report.interval if report.outputs is None else None,
        "agreement_with_float": report.agreement_with_float,
        **output_figures(report),
        "difference": found and found.accuracy,
        "difference_interval": found and found.interval,
        "gains": found and found.gains,
        "losses": found and found.losses,
        "chance": found and found.chance,
        "chance_corrected": found and found.corrected,
        "verdict": found and found.verdict,
    }


def _rows(comparison: Comparison, place: int) -> Iterator[dict[str, Any]]:
    """The rows of a report: one for each layer that it has, and one if it has none."""
    whole = _report(comparison.rows[place])
    for key in ("interval", "difference_interval"):
        low, high = whole.pop(key) or (None, None)
        whole |= {f"{key}_low": low, f"{key}_high": high}
    whole |= settings_columns(comparison.rows[place].report)
    found = [(layer.name, layer.entries[place]) for layer in comparison.layers]
    layers = [(name, entry) for name, entry in found if entry is not None]
    for name, entry in layers:
        yield whole | {"layer": name} | layer_figures(entry)
    if not layers:
        yield whole


def output_figures(report: AccuracyReport) -> dict[str, Any]:
    """The errors of all outputs together; empty for a classifier."""
    if report.outputs is None:
        return {}
    found = whole(report.outputs)
    return {
        "output_rms_error": found.rms_error,
        "output_largest_error": found.largest_error,
        "output_sqnr_db": report.output_sqnr_db,
    }


def settings_columns(report: AccuracyReport) -> dict[str, Any]:
    """The settings of a report by their keys, those of a layer as `layers.NAME.KEY`."""
    settings = flat(report.quantization or {})
    settings.pop("weight_bits_total", None)
    known = report.calibrated_on
    return settings | {
        "calibrated_on": known and known.name,
        "calibration_images": known and known.images,
        "version": report.version,
    }


def layer_figures(entry: LayerEntry) -> dict[str, Any]:
    """A layer's cells of a row; of clipped and dead channels there is the number."""
    figures = {key: getattr(entry, key) for key in _LAYER_KEYS}
    return {key: len(each) if isinstance(each, tuple) else each for key, each in figures.items()}
