"""The HTML page of an accuracy report, with figures and pictures of feature maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from systolith.golden import Dataset, QuantizedNetwork, TrainedNetwork
from systolith.golden.reports.accuracy import AccuracyReport
from systolith.golden.reports.advice import advise
from systolith.golden.reports.output_errors import OUTPUT_HEADINGS, output_rows
from systolith.golden.reports.sensitivity import (
    sensitivity,
    sensitivity_cells,
    sensitivity_headings,
)
from systolith.golden.reports.side_by_side import LayerValues, side_by_side
from systolith.scripts.pages import map_pictures, report_figures
from systolith.scripts.pages.html_page import Figure, render

SAMPLED_IMAGES = 500
"""The number of images whose values the histograms show."""

SHOWN_DISAGREEMENTS = 24
"""The largest number of images shown on which fixed and float disagree."""


def evaluation_page(
    report: AccuracyReport,
    network: TrainedNetwork | QuantizedNetwork,
    dataset: Dataset,
    rtl: Path | None = None,
    repeat: str = "",
) -> str:
    """The text of a page that needs no other file.

    Parameters
    ----------
    report
        The accuracy report.
    network, dataset
        The network and the images of the report.
    rtl
        The folder of the network's hardware: one image is simulated on it, and its maps are shown
        next to those of the float and the fixed network.
    repeat
        How a network is made of the settings of an action, in a sentence.

    Raises
    ------
    MissingToolError, SimulationError
        The hardware cannot be simulated.
    """
    figures: dict[str, Figure] = {}
    values: dict[str, Any] = {"digits": [], "histograms": [], "settings": ""}
    if report.trials is not None:
        figures["bits"] = report_figures.accuracy_against_bits(report.trials)
        values["effects"] = [sensitivity_cells(each) for each in sensitivity(report.trials)]
        if values["effects"]:
            figures["sensitivity"] = report_figures.sensitivity_by_layer(report.trials)
    if report.outputs is None and report.matching < report.images:
        figures["confusion"] = report_figures.confusion(report)
    if isinstance(network, QuantizedNetwork):
        sample = list(side_by_side(network, dataset.images[: min(SAMPLED_IMAGES, report.images)]))
        figures["sqnr"] = report_figures.sqnr_by_layer(report)
        for number, layer in enumerate(sample):
            name = f"values-{number}"
            figures[name] = report_figures.histogram(layer, layer is sample[-1])
            values["histograms"].append(
                {"id": name, "name": layer.name, "format": layer.format, "about": _about(layer)}
            )
        values |= {
            "settings": _settings(network),
            "sampled": len(sample[0].real),
            "winner": network.fixed.network.output.winner,
            "classes": range(len(report.confusion)),
            "digits": _digits(report, network, dataset),
            "simulation": _simulation(report, rtl),
            "walk": _walk(report, network, dataset, rtl),
        }
    return render(
        "evaluation.html",
        figures,
        report=report,
        advice=advise(report),
        repeat=repeat,
        output_headings=OUTPUT_HEADINGS,
        outputs=output_rows(report.outputs or ()),
        headings=() if report.trials is None else sensitivity_headings(report.trials),
        **values,
    )


def _settings(network: QuantizedNetwork) -> str:
    default = network.settings.default
    text = (
        f"Weights of {default.weight_bits} bits, feature maps of {default.activation_bits}, "
        f"calibrated by {default.calibration}"
    )
    if network.calibrated_on is not None:
        text += f" on {network.calibrated_on.images:,} images of {network.calibrated_on.name}"
    text += f", one weight scale a {default.granularity}"
    if default.bias_correction:
        text += ", biases corrected"
    others = ", ".join(network.settings.layers)
    return f"{text}; other settings for {others}" if others else text


def _about(layer: LayerValues) -> str:
    low, high = layer.ends
    return f"a step is {layer.step:.4g}, from {low:.4g} to {high:.4g}"


def _digits(
    report: AccuracyReport, network: QuantizedNetwork, dataset: Dataset
) -> list[dict[str, Any]]:
    """The images on which the networks disagree, with the scores of both."""
    chosen = list(report.disagreements[:SHOWN_DISAGREEMENTS])
    if not chosen:
        return []
    *_, scores = side_by_side(network, dataset.images[chosen])
    return [
        {
            "image": image,
            "label": report.reference[image],
            "picture": map_pictures.grey(dataset.images[image], network.fixed.network.input.format),
            "rows": [
                {"by": by, "class": given[image], "scores": each[place].ravel().tolist()}
                for by, given, each in (
                    ("float", report.float_predictions, scores.real),
                    ("fixed", report.predictions, scores.held),
                )
            ],
        }
        for place, image in enumerate(chosen)
    ]


def _simulation(report: AccuracyReport, rtl: Path | None) -> str:
    """Which engines simulated how many images; empty if the report quotes no simulation."""
    if rtl is None or report.hardware is None or report.hardware.bit_exact is None:
        return ""
    from systolith.sim.report import load_outcome

    outcome = load_outcome(rtl)
    counts = [f"{images:,} by {engine}" for engine, images in outcome.engine_images.items()]
    return f"on {outcome.simulator}, images: {', '.join(counts)}" if counts else ""


def _walk(
    report: AccuracyReport, network: QuantizedNetwork, dataset: Dataset, rtl: Path | None
) -> dict[str, Any]:
    """The maps of every layer for the first image on which the networks disagree, or image 0."""
    image = next(iter(report.disagreements), 0)
    one = dataset.images[image : image + 1]
    simulated: dict[str, NDArray[np.int64]] = {}
    if rtl is not None:
        from systolith.sim.bulk.values import simulated_values

        simulated = {name: values[0] for name, values in simulated_values(rtl, one).items()}
    return {
        "image": image,
        "label": report.reference[image] if report.outputs is None else None,
        "picture": map_pictures.grey(one[0], network.fixed.network.input.format),
        "layers": [
            _walk_layer(layer, simulated.get(layer.name)) for layer in side_by_side(network, one)
        ],
    }


def _walk_layer(layer: LayerValues, raw: NDArray[np.int64] | None) -> dict[str, Any]:
    real, held = layer.real[0].astype(np.float64), layer.held[0]
    limit = float(max(np.abs(real).max(), np.abs(held).max()))
    difference = held - real
    largest = float(np.abs(difference).max())
    pictures = [
        ("float", map_pictures.maps(real, limit)),
        ("fixed", map_pictures.maps(held, limit)),
        ("fixed minus float", map_pictures.maps(difference, largest)),
    ]
    if raw is not None:
        of_rtl = raw * layer.step + layer.offset
        equal = int(np.count_nonzero(of_rtl == held))
        what = f"RTL: {equal:,} of {held.size:,} equal to fixed"
        pictures.append((what, map_pictures.maps(of_rtl, limit)))
    return {
        "name": layer.name,
        "shape": " x ".join(map(str, held.shape)),
        "difference": f"{largest:.3g}; a step is {layer.step:.3g}",
        "pictures": [{"what": what, "picture": picture} for what, picture in pictures],
    }
