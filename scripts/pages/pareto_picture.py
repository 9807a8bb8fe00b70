"""The picture of a sweep: accuracy against weight bits, multipliers and cycles."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from math import inf
from typing import Any

import altair as alt
import msgspec

from systolith.golden.files.printable import printable
from systolith.scripts.sweeping.outcome import Design, SweepReport

_PANELS = (
    ("weight_bits_total", "bits of weights"),
    ("multipliers", "multipliers"),
    ("interval_cycles", "cycles from one image to the next"),
)
_WIDTH, _HEIGHT = 300, 360

# The palette of Okabe and Ito, for the colour-blind; each network also has a shape of its own.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-left")


def draw_pareto(report: SweepReport) -> bytes:
    """An SVG with every design in three panels; those of the Pareto front are filled."""
    # Control characters are not allowed in SVG, and end the renderer with the whole process.
    safe = msgspec.convert(_printable(msgspec.to_builtins(report)), SweepReport)
    text = io.StringIO()
    _chart(safe).save(text, format="svg")
    return text.getvalue().encode()


def _printable(value: Any) -> Any:
    """A JSON value with printable texts."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [_printable(each) for each in value]
    if isinstance(value, dict):
        return {key: _printable(each) for key, each in value.items()}
    return value


def _chart(report: SweepReport) -> alt.HConcatChart:
    designs = list(report.designs())
    rows = _rows(report, designs)
    panels = [
        _panel(report, rows, list(_best(report, designs, key)), key, title)
        for key, title in _PANELS
    ]
    data = report.data
    chart: alt.HConcatChart = (
        alt.hconcat(*panels, spacing=30)
        .properties(
            title=alt.Title(
                f"What accuracy costs: {', '.join(each.network for each in report.networks)}",
                subtitle=[
                    (
                        f"Accuracy on {data.images:,} images, {data.name} ({data.split}), spaced "
                        "by the fraction of errors. Filled: the Pareto front, of accuracy and the "
                        "three costs together, with bits of weights/maps."
                    ),
                    "Lines: the best accuracy at no higher cost, for the cost of that panel alone.",
                ],
                anchor="start",
                offset=12,
            )
        )
        .configure(background="white")
        .configure_axis(grid=True, gridColor="#eeeeee")
    )
    return chart


def _panel(
    report: SweepReport,
    rows: Sequence[dict[str, Any]],
    best: Sequence[dict[str, Any]],
    key: str,
    title: str,
) -> alt.LayerChart:
    first = key == _PANELS[0][0]
    names = [each.network for each in report.networks]
    legend = alt.Legend(symbolOpacity=1) if len(names) > 1 else None
    x = alt.X(
        f"{key}:Q",
        title=title,
        scale=alt.Scale(type="linear" if first else "log", zero=False, nice=False, padding=30),
        axis=alt.Axis(tickCount=5, format=",d"),
    )
    y = alt.Y(
        "errors:Q",
        title="accuracy" if first else None,
        scale=alt.Scale(type="log", reverse=True, nice=False, padding=12),
        axis=alt.Axis(labelExpr="format(1 - datum.value, '.4~f')", tickCount=8),
    )
    colour = alt.Color(
        "network:N",
        title=None,
        legend=legend,
        scale=alt.Scale(domain=names, range=[*islice(cycle(_COLOURS), len(names))]),
    )
    shape = alt.Shape(
        "network:N",
        title=None,
        legend=legend,
        scale=alt.Scale(domain=names, range=[*islice(cycle(_SHAPES), len(names))]),
    )
    points = alt.Chart(alt.InlineData(values=[row for row in rows if not row["front"]]))
    front = alt.Chart(alt.InlineData(values=[row for row in rows if row["front"]]))
    layers = [
        alt.Chart(alt.InlineData(values=list(best)))
        .mark_line(interpolate="step-after", strokeWidth=1, opacity=0.6)
        .encode(x=x, y=y, color=colour),
        points.mark_point(filled=False, size=40, opacity=0.5, strokeWidth=1.2).encode(
            x=x, y=y, color=colour, shape=shape
        ),
        front.mark_point(filled=True, size=60, opacity=1).encode(
            x=x, y=y, color=colour, shape=shape
        ),
    ]
    if first:
        for place, name in enumerate(names):
            # Labels of every other network are on the other side.
            side: dict[str, Any] = (
                {"align": "right", "baseline": "bottom", "dx": -6, "dy": -3}
                if place % 2
                else {"align": "left", "baseline": "top", "dx": 6, "dy": 3}
            )
            labels = alt.Chart(alt.InlineData(values=list(_labels(rows, name, key))))
            layers.append(labels.mark_text(**side).encode(x=x, y=y, color=colour, text="widths:N"))
    return alt.LayerChart(layer=layers, width=_WIDTH, height=_HEIGHT)


def _rows(report: SweepReport, designs: Sequence[Design]) -> list[dict[str, Any]]:
    """A row of plotted values for each design."""
    front = {(design.rank, design.budget) for design in report.front}
    widths = {point.rank: point.widths for point in report.points}
    return [
        {
            **{key: getattr(design, key) for key, _ in _PANELS},
            "network": design.network,
            "errors": _errors(report, design),
            "widths": widths[design.rank],
            "front": (design.rank, design.budget) in front,
        }
        for design in designs
    ]


def _labels(rows: Sequence[dict[str, Any]], network: str, key: str) -> Iterator[dict[str, Any]]:
    """The widths of a network's points on the front; points in the same place share a label."""
    places: dict[tuple[Any, float], dict[str, None]] = {}
    for row in rows:
        if row["front"] and row["network"] == network:
            places.setdefault((row[key], row["errors"]), {})[row["widths"]] = None
    for (x, errors), widths in places.items():
        yield {key: x, "errors": errors, "network": network, "widths": ", ".join(widths)}


def _best(report: SweepReport, designs: Sequence[Design], key: str) -> Iterator[dict[str, Any]]:
    """For each network the fewest errors at every cost: a step wherever they decrease."""
    for network in report.networks:
        own = sorted(
            (design for design in designs if design.network == network.network),
            key=lambda each: (getattr(each, key), -each.accuracy),
        )
        least = inf
        for design in own:
            errors = _errors(report, design)
            # The last design ends the line.
            if errors < least or design is own[-1]:
                least = min(least, errors)
                yield {key: getattr(design, key), "network": network.network, "errors": least}


def _errors(report: SweepReport, design: Design) -> float:
    """The fraction of errors; at least half an image, because the scale is logarithmic."""
    return max(1 - design.accuracy, 0.5 / report.data.images)
