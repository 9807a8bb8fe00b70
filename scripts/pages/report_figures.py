"""The figures of an accuracy report, as Vega-Lite charts."""

from __future__ import annotations

import math
import textwrap
from typing import Any

import altair as alt
import numpy as np

from systolith.golden.quantization.trials import Trials
from systolith.golden.reports.accuracy import AccuracyReport
from systolith.golden.reports.memory_size import in_kibibytes
from systolith.golden.reports.sensitivity import helped_most_in_words, sensitivity
from systolith.golden.reports.side_by_side import LayerValues
from systolith.golden.reports.statistics import wilson_interval
from systolith.scripts.pages.html_page import Figure

_FLOAT, _FIXED = "float", "fixed"
_COLOURS = alt.Scale(domain=[_FLOAT, _FIXED], range=["#7f9bb3", "#d9731a"])
_ACCENT = "#d9731a"
_BINS = 64
_HEIGHT = 220
_MARGINS = 170
_PART_HEIGHT = 34
_TITLE_CHARACTERS = 40
_SYMLOG = 0.001
"""Where the scale of differences turns from linear to logarithmic."""
_STEPS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
_DIFFERENCES = (*(-step for step in reversed(_STEPS)), 0.0, *_STEPS)
_CHANGES = {"-2": "#8e3fb5", "-1": "#d9731a", "+1": "#2e8b57"}
"""The changes of a width, and their colours."""
_SMALL_HEIGHT = 200
_LEAST_HEIGHT, _CELL_HEIGHT, _CELL_MARGINS = 260, 20, 60


def accuracy_against_bits(trials: Trials) -> Figure:
    """The fraction of wrong validation images at each width, the same in all layers.

    Better is higher up. The scale is logarithmic, because errors grow by factors. A dashed line
    shows the network with its own settings.
    """
    rows = []
    for trial in trials.everywhere:
        low, high = wilson_interval(trial.correct, trials.images)
        rows.append(
            {
                "bits": trial.bits,
                trials.measure: trial.correct / trials.images,
                "wrong": _wrong(trial.correct, trials.images),
                "most": 1 - low,
                "least": max(1 - high, _wrong(trials.images, trials.images)),
                "weights": in_kibibytes(trial.weight_bits_total),
            }
        )
    scale = alt.Scale(type="log", reverse=True, nice=False)
    axis = alt.Axis(format="~p")
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X("bits:O", title="bits of weights and feature maps", axis=alt.Axis(labelAngle=0))
    )
    here = [{"as it is": _wrong(trials.correct, trials.images)}]
    return sized(
        alt.layer(
            alt.Chart(alt.InlineData(values=here))
            .mark_rule(strokeDash=[4, 3], color="#888")
            .encode(y=alt.Y("as it is:Q", scale=scale, axis=axis, title="wrong")),
            base.mark_rule(color=_ACCENT).encode(y="most:Q", y2="least:Q"),
            base.mark_line(
                color=_ACCENT, point=alt.OverlayMarkDef(filled=True, size=60, color=_ACCENT)
            ).encode(y="wrong:Q", tooltip=["bits:O", f"{trials.measure}:Q", "weights:N"]),
        ),
        _HEIGHT,
        "The share of wrong images by bits: "
        + ", ".join(f"{row['bits']} bits {row['wrong']:.4f}" for row in rows),
    )


def sensitivity_by_layer(trials: Trials) -> Figure:
    """The effect of fewer and more bits in each layer on the accuracy, with 95 % intervals.

    The scale is logarithmic on both sides of zero, because losses differ by factors. The title
    names the part that a single bit more helps most.
    """
    found = sensitivity(trials)
    rows: list[dict[str, Any]] = [
        {
            "part": each.part,
            "bits": f"{each.trial.change:+d}",
            "difference": each.difference.accuracy,
            "low": each.difference.interval[0],
            "high": each.difference.interval[1],
            "chance": each.difference.corrected,
            "saved": in_kibibytes(each.trial.bits_saved or 0),
        }
        for each in found
    ]
    title = textwrap.wrap(helped_most_in_words(trials), _TITLE_CHARACTERS)
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y("part:N", sort=list(dict.fromkeys(row["part"] for row in rows)), title=None),
        yOffset=alt.YOffset("bits:N", sort=list(_CHANGES)),
        color=alt.Color(
            "bits:N",
            title="bits",
            scale=alt.Scale(domain=list(_CHANGES), range=list(_CHANGES.values())),
            legend=alt.Legend(orient="top"),
        ),
        tooltip=["part:N", "bits:N", "difference:Q", "low:Q", "high:Q", "chance:Q", "saved:N"],
    )
    ends = [end for row in rows for end in (row["low"], row["high"])]
    x = alt.X(
        "low:Q",
        title=f"difference of {trials.measure}",
        scale=alt.Scale(type="symlog", constant=_SYMLOG, domain=[min(ends), max(ends)]),
        axis=alt.Axis(values=_DIFFERENCES, format="+~p", labelOverlap="greedy"),
    )
    marks = alt.layer(
        base.mark_rule().encode(x=x, x2="high:Q"),
        base.mark_point(filled=True, size=45).encode(x="difference:Q"),
    ).properties(title=alt.TitleParams(title, anchor="start", fontSize=13))
    parts = len({row["part"] for row in rows})
    text = f"The difference of {trials.measure} by layer and bits. {helped_most_in_words(trials)}"
    return sized(marks, height=_MARGINS + _PART_HEIGHT * parts, text=text)


def _wrong(correct: int, images: int) -> float:
    """The fraction of wrong images, at least half an image: a logarithmic scale has no zero."""
    return max(images - correct, 0.5) / images


def sqnr_by_layer(report: AccuracyReport) -> Figure:
    """The signal-to-noise ratio of every layer."""
    rows: list[dict[str, Any]] = [
        {"layer": layer.name, "SQNR (dB)": layer.sqnr_db}
        for layer in report.layers
        if layer.sqnr_db is not None
    ]
    order = list(dict.fromkeys(row["layer"] for row in rows))
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X("layer:N", sort=order, title=None, axis=alt.Axis(labelAngle=0)),
        y=alt.Y("SQNR (dB):Q"),
        tooltip=["layer:N", "SQNR (dB):Q"],
    )
    marks = (base.mark_line(color=_ACCENT), base.mark_point(color=_ACCENT, filled=True, size=60))
    text = ", ".join(f"{row['layer']} {row['SQNR (dB)']:.1f}" for row in rows)
    return sized(alt.layer(*marks), _HEIGHT, f"SQNR in dB by layer: {text}")


def histogram(values: LayerValues, last: bool) -> Figure:
    """The distribution of a layer's values, float and fixed, and the ends of its format.

    The width of a bin is a whole number of steps. The format of the last layer is as wide as its
    accumulator and is not shown.
    """
    low, high = values.ends
    reals, held = values.real.ravel().astype(np.float64), values.held.ravel()
    seen_low, seen_high = min(reals.min(), held.min()), max(reals.max(), held.max())
    left, right = (seen_low, seen_high) if last else (min(low, seen_low), max(high, seen_high))
    width = max(1, math.ceil((right - left) / values.step / _BINS)) * values.step
    # Every value of the format lies in the middle of a step.
    start = low - values.step / 2
    start += math.floor((left - start) / width) * width
    edges = start + width * np.arange(math.floor((right - start) / width) + 2)
    rows = [
        {"network": name, "from": float(a), "to": float(b), "share": float(count / each.size)}
        for name, each in ((_FLOAT, reals), (_FIXED, held))
        for count, a, b in zip(np.histogram(each, edges)[0], edges[:-1], edges[1:], strict=True)
    ]
    base = alt.Chart(alt.InlineData(values=rows))
    x = alt.X("from:Q", title=None, scale=alt.Scale(nice=False))
    y = alt.Y("share:Q", title="share", scale=alt.Scale(type="sqrt"), axis=alt.Axis(format="~p"))
    colour = alt.Color("network:N", title=None, scale=_COLOURS, legend=None)
    tooltip = ["network:N", "from:Q", "to:Q", "share:Q"]
    layers: list[alt.Chart] = [
        base.transform_filter(f"datum.network == '{_FLOAT}'")
        .mark_rect(opacity=0.75)
        .encode(x=x, x2="to:Q", y=y, y2=alt.datum(0), color=colour, tooltip=tooltip),
        base.transform_filter(f"datum.network == '{_FIXED}'")
        .mark_line(interpolate="step-after", strokeWidth=1.6)
        .encode(x=x, y=y, color=colour),
    ]
    if not last:
        layers.append(
            alt.Chart(alt.InlineData(values=[{"end": low}, {"end": high}]))
            .mark_rule(strokeDash=[4, 3], color="#888")
            .encode(x="end:Q")
        )
    text = f"The distribution of the values of {values.name}, float and fixed"
    return sized(alt.layer(*layers), _SMALL_HEIGHT, text)


def confusion(report: AccuracyReport) -> Figure:
    """The wrong classes that images of each label got; right ones stay white."""
    rows = [
        {"label": str(label), "class": str(found), "images": count}
        for label, counts in enumerate(report.confusion)
        for found, count in enumerate(counts)
        if label != found and count
    ]
    classes = [str(label) for label in range(len(report.confusion))]
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X(
            "class:O",
            title="class given",
            scale=alt.Scale(domain=classes),
            axis=alt.Axis(labelAngle=0),
        ),
        y=alt.Y("label:O", scale=alt.Scale(domain=classes)),
        tooltip=["label:O", "class:O", "images:Q"],
    )
    return sized(
        alt.layer(
            base.mark_rect().encode(
                color=alt.Color(
                    "images:Q",
                    scale=alt.Scale(scheme=alt.SchemeParams("oranges", extent=[0.1, 0.6])),
                    legend=None,
                )
            ),
            base.mark_text(color="black").encode(text="images:Q"),
        ),
        height=max(_LEAST_HEIGHT, _CELL_MARGINS + _CELL_HEIGHT * len(classes)),
        text=f"The wrong classes of {report.images - report.matching} images, by their labels",
    )


def sized(chart: Figure, height: int, text: str) -> Figure:
    """The chart with the width of the element that shows it.

    `text` says what it shows to those who cannot see it.
    """
    fit = alt.AutoSizeParams(type="fit", contains="padding")
    sized: Figure = chart.properties(
        width="container", height=height, autosize=fit, description=text
    )
    return sized
