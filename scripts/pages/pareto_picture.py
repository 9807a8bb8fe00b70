"""The pictures of a sweep: accuracy against weight bits, multipliers and cycles.

`draw_pareto` makes one SVG of all three, and `panels` gives them as figures of a page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from math import inf
from typing import Any

import altair as alt
import msgspec

from systolith.golden.files.printable import printable
from systolith.golden.reports.memory_size import kibibytes
from systolith.scripts.pages.html_page import Figure
from systolith.scripts.pages.report_figures import sized
from systolith.scripts.pages.svg_picture import BACKGROUND, GRID, draw
from systolith.scripts.sweeping.outcome import Design, SweepReport

_WIDTH, _HEIGHT = 300, 360
_PAGE_HEIGHT = 340

# In the order of Okabe and Ito's, for the colour-blind; each network also has a shape of its own.
# They can be told from a white and from a dark page.
_COLOURS = ("#2b83c4", "#d9601a", "#1f9d76", "#c4679a", "#b8860b", "#4f9fc4", "#808080")
_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-left")


@dataclass(frozen=True)
class _Panel:
    """A panel: its cost, the title of its axis, and whether it is about hardware."""

    key: str
    title: str
    hardware: bool


_PANELS = {
    "weights": _Panel("weights", "weights (KiB)", False),
    "multipliers": _Panel("multipliers", "multipliers", True),
    "cycles": _Panel("interval_cycles", "cycles from one image to the next", True),
}
_LUTS = {"luts": _Panel("luts", "LUTs", True)}


def draw_pareto(report: SweepReport) -> bytes:
    """An SVG with every point by its weights, and every design by multipliers, cycles and LUTs.

    Those of the front of a panel are filled.
    """
    # Control characters are not allowed in SVG, and end the renderer with the whole process.
    safe = msgspec.convert(_printable(msgspec.to_builtins(report)), SweepReport)
    return draw(_chart(safe))


def panels(report: SweepReport) -> dict[str, Figure]:
    """The panels by name, as wide as the page that shows them.

    The datum of a mark has the `rank` of its point.
    """
    return {
        name: sized(
            _layers(report, panel, labelled=False),
            _PAGE_HEIGHT,
            f"{report.data.measure.capitalize()} against {name}",
        )
        for name, panel in _panels(report).items()
    }


def _panels(report: SweepReport) -> dict[str, _Panel]:
    return _PANELS if report.synthesis is None else _PANELS | _LUTS


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
    data, measure = report.data, report.data.measure
    drawn = [
        _layers(report, panel, labelled=True).properties(width=_WIDTH, height=_HEIGHT)
        for panel in _panels(report).values()
    ]
    chart: alt.HConcatChart = (
        alt.hconcat(*drawn, spacing=30)
        .properties(
            title=alt.Title(
                f"What {measure} costs: {', '.join(each.network for each in report.networks)}",
                subtitle=[
                    (
                        f"{measure.capitalize()} on {data.images:,} images, {data.name} "
                        f"({data.split}), spaced by the fraction of errors. Labels: bits of "
                        "weights/maps."
                    ),
                    (
                        f"Filled: the front of {measure} and weights on the left, of {measure}, "
                        "multipliers and cycles in the middle and on the right."
                    ),
                    (
                        f"Lines: the best {measure} at no higher cost, for the cost of that panel "
                        "alone."
                    ),
                ],
                anchor="start",
                offset=12,
            )
        )
        .configure(background=BACKGROUND)
        .configure_axis(gridColor=GRID)
    )
    return chart


def _layers(report: SweepReport, panel: _Panel, labelled: bool) -> alt.LayerChart:
    names = [each.network for each in report.networks]
    legend = alt.Legend(symbolOpacity=1, orient="top") if len(names) > 1 else None
    rows = _rows(report, panel)
    x = alt.X(
        f"{panel.key}:Q",
        title=panel.title,
        scale=alt.Scale(type="log", nice=False, padding=30)
        if panel.hardware
        else alt.Scale(zero=False, nice=False, padding=30),
        axis=alt.Axis(tickCount=5, format=",.6~r", labelOverlap="greedy"),
    )
    y = alt.Y(
        "errors:Q",
        title=report.data.measure,
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
    marks: dict[str, Any] = {"x": x, "y": y, "color": colour, "shape": shape}
    others = alt.Chart(alt.InlineData(values=[row for row in rows if not row["front"]]))
    front = alt.Chart(alt.InlineData(values=[row for row in rows if row["front"]]))
    layers = [
        alt.Chart(alt.InlineData(values=list(_best(names, rows, panel.key))))
        .mark_line(interpolate="step-after", strokeWidth=1, opacity=0.6)
        .encode(x=x, y=y, color=colour),
        others.mark_point(filled=False, size=60, opacity=0.6, strokeWidth=1.2).encode(**marks),
        front.mark_point(filled=True, size=90, opacity=1).encode(**marks),
    ]
    if labelled:
        for place, name in enumerate(names):
            # Labels of every other network are on the other side.
            side: dict[str, Any] = (
                {"align": "right", "baseline": "bottom", "dx": -6, "dy": -3}
                if place % 2
                else {"align": "left", "baseline": "top", "dx": 6, "dy": 3}
            )
            labels = alt.Chart(alt.InlineData(values=list(_labels(rows, name, panel.key))))
            layers.append(labels.mark_text(color="#000", **side).encode(x=x, y=y, text="widths:N"))
    return alt.LayerChart(layer=layers)


def _rows(report: SweepReport, panel: _Panel) -> list[dict[str, Any]]:
    """A row of plotted values for each point, or for each design."""
    points = {point.rank: point for point in report.points}
    if panel.key == "luts" and report.synthesis is not None:
        front = set(report.synthesis.lut_front)
        return [
            {
                "rank": design.rank,
                "point": points[design.rank].name,
                "network": design.network,
                "accuracy": design.rate,
                "errors": _errors(report, design.rate),
                "widths": points[design.rank].widths,
                "budget": design.budget,
                "luts": design.luts,
                "front": place in front,
            }
            for place, design in enumerate(report.synthesis.designs)
        ]
    on_front = {(design.rank, design.budget) for design in report.hardware_front}
    # A point has the same weights under every budget.
    designs: dict[int | tuple[int, str], Design] = {}
    for design in report.designs():
        key = (design.rank, design.budget) if panel.hardware else design.rank
        designs.setdefault(key, design)
    return [
        {
            "rank": design.rank,
            "point": points[design.rank].name,
            "network": design.network,
            report.data.measure: design.rate,
            "errors": _errors(report, design.rate),
            "widths": points[design.rank].widths,
            "weights": round(kibibytes(design.weight_bits_total), 4),
            **(
                {
                    "budget": design.budget,
                    "multipliers": design.multipliers,
                    "interval_cycles": design.interval_cycles,
                    "front": key in on_front,
                }
                if panel.hardware
                else {"front": key in report.weight_front}
            ),
        }
        for key, design in designs.items()
    ]


def _labels(rows: Sequence[dict[str, Any]], network: str, key: str) -> Iterator[dict[str, Any]]:
    """The widths of a network's points on the front; points in the same place share a label."""
    places: dict[tuple[Any, float], dict[str, None]] = {}
    for row in rows:
        if row["front"] and row["network"] == network:
            places.setdefault((row[key], row["errors"]), {})[row["widths"]] = None
    for (x, errors), widths in places.items():
        yield {key: x, "errors": errors, "widths": ", ".join(widths)}


def _best(
    names: Sequence[str], rows: Sequence[dict[str, Any]], key: str
) -> Iterator[dict[str, Any]]:
    """For each network the fewest errors at every cost: a step wherever they decrease."""
    for name in names:
        own = sorted(
            (row for row in rows if row["network"] == name),
            key=lambda each: (each[key], each["errors"]),
        )
        least = inf
        for row in own:
            # The last one ends the line.
            if row["errors"] < least or row is own[-1]:
                least = min(least, row["errors"])
                yield {key: row[key], "network": name, "errors": least}


def _errors(report: SweepReport, rate: float) -> float:
    """The fraction of errors; at least half an image, because the scale is logarithmic."""
    return max(1 - rate, 0.5 / report.data.images)
