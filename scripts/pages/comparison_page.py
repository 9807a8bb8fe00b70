"""The page of a comparison of accuracy reports."""

from __future__ import annotations

from collections.abc import Sequence

from systolith.golden import Dataset, QuantizedNetwork, TrainedNetwork
from systolith.golden.reports.comparison import (
    LAYER_HEADINGS,
    Comparison,
    layer_cells,
    score_cells,
    score_headings,
)
from systolith.scripts.pages import comparison_figures
from systolith.scripts.pages.changed_images import KINDS, changed_images
from systolith.scripts.pages.html_page import Figure, render


def comparison_page(
    comparison: Comparison,
    networks: Sequence[TrainedNetwork | QuantizedNetwork | None] = (),
    dataset: Dataset | None = None,
) -> str:
    """The text of a page that needs no other file.

    Parameters
    ----------
    comparison
        The comparison.
    networks
        The network of each report, None where it is not known: the page shows its scores.
    dataset
        The images of the reports, if they are known.
    """
    figures: dict[str, Figure] = {}
    changed = None
    if comparison.measure != "error":
        figures = {
            "accuracy": comparison_figures.accuracy(comparison),
            "classes": comparison_figures.wrong_by_class(comparison),
        }
        changed = changed_images(comparison, networks, dataset)
    if any(row.difference and row.difference.changed for row in comparison.rows):
        figures["confusion"] = comparison_figures.confusion_difference(comparison)
    if comparison.layers:
        figures |= comparison_figures.by_layer(comparison)
    layers = [
        {
            "name": layer.name,
            "rows": [
                {"report": row.label, "cells": layer_cells(entry)}
                for row, entry in zip(comparison.rows, layer.entries, strict=True)
                if entry is not None
            ],
        }
        for layer in comparison.layers
    ]
    return render(
        "comparison.html",
        figures,
        comparison=comparison,
        changed=changed,
        score_headings=score_headings(comparison.measure),
        scores=[score_cells(row) for row in comparison.rows],
        kinds=KINDS,
        layers=layers,
        headings=LAYER_HEADINGS,
        what="label" if comparison.measure == "accuracy" else "class of the float network",
    )
