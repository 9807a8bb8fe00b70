"""The page of a comparison of accuracy reports."""

from __future__ import annotations

from systolith.golden.reports.comparison import LAYER_HEADINGS, Comparison, layer_cells
from systolith.scripts.pages import report_figures
from systolith.scripts.pages.html_page import Figure, render


def comparison_page(comparison: Comparison) -> str:
    """The text of a page that needs no other file."""
    figures: dict[str, Figure] = {"accuracy": report_figures.accuracy_of_reports(comparison)}
    layered = [(row.name, row.report) for row in comparison.rows if row.report.layers]
    if layered:
        figures["sqnr"] = report_figures.sqnr_by_layer(layered)
    layers = [
        {
            "name": layer.name,
            "rows": [
                {"report": row.name, "cells": layer_cells(entry)}
                for row, entry in zip(comparison.rows, layer.entries, strict=True)
                if entry is not None
            ],
        }
        for layer in comparison.layers
    ]
    return render(
        "comparison.html", figures, comparison=comparison, layers=layers, headings=LAYER_HEADINGS
    )
