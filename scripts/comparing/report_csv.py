"""An accuracy report as the rows of a CSV file, one for each layer."""

from __future__ import annotations

from typing import Any

from systolith.golden.reports.accuracy import AccuracyReport
from systolith.golden.reports.sensitivity import PARTS, sensitivity
from systolith.scripts import console
from systolith.scripts.comparing.comparison_document import (
    layer_figures,
    output_figures,
    settings_columns,
)


def report_csv(report: AccuracyReport) -> str:
    """A row for each layer; each has the figures of its report, too.

    A report without layers, that of a float network, has one row. Where other widths were tried, a
    layer has columns such as `weights_minus_1_difference`, with the ends of its interval and the
    bits that are saved.
    """
    low, high = report.interval if report.outputs is None else (None, None)
    hardware = report.hardware
    silicon = hardware and hardware.silicon
    whole = {
        "network": report.network,
        "network_sha256": report.network_sha256,
        "kind": report.kind,
        "dataset": report.dataset.name,
        "split": report.dataset.split,
        "images": report.images,
        "correct": report.correct,
        "accuracy": report.accuracy,
        "measure": report.measure,
        "interval_low": low,
        "interval_high": high,
        "agreement_with_float": report.agreement_with_float,
        **output_figures(report),
        "weights": report.weights,
        "weight_bits_total": report.weight_bits_total,
        "multipliers": hardware and hardware.multipliers,
        "interval_cycles": hardware and hardware.interval_cycles,
        "latency_cycles": hardware and hardware.latency_cycles,
        "target": silicon and silicon.target,
        "luts": silicon and silicon.luts,
        "clock_mhz": silicon and silicon.clock_mhz,
        **settings_columns(report),
    }
    rows = [
        whole | {"layer": entry.name} | layer_figures(entry) | _effects(report, entry.name)
        for entry in report.layers
    ]
    return console.to_csv(rows or [whole])


def _effects(report: AccuracyReport, layer: str) -> dict[str, Any]:
    """The effects of other widths of a layer, by the names of their columns."""
    cells: dict[str, Any] = {}
    for each in () if report.trials is None else sensitivity(report.trials):
        if each.trial.layer == layer:
            change = each.trial.change or 0
            sign = "plus" if change > 0 else "minus"
            name = f"{PARTS[each.trial.key]}_{sign}_{abs(change)}"
            low, high = each.difference.interval
            cells |= {
                f"{name}_difference": each.difference.accuracy,
                f"{name}_interval_low": low,
                f"{name}_interval_high": high,
                f"{name}_bits_saved": each.trial.bits_saved,
            }
    return cells
