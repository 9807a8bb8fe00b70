"""The page of a synthesis: the use of the device by layer and, placed, the slowest paths."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import altair as alt

from systolith.hw.silicon.synthesis_report import (
    COUNT_HEADINGS,
    SynthesisReport,
    counts,
    path_ends,
)
from systolith.hw.silicon.targets import DEVICES
from systolith.scripts.pages.html_page import Figure, render
from systolith.scripts.pages.report_figures import sized

_BAR_HEIGHT = 34
_MARGINS = 90


def synthesis_page(report: SynthesisReport) -> str:
    """The text of a page that needs no other file."""
    figures = {"floor": floor_use(report)}
    if report.clock_mhz is not None:
        figures["paths"] = slowest_paths(report)
    return render(
        "synthesis.html",
        figures,
        report=report,
        headings=COUNT_HEADINGS,
        rows=[(each.name, counts(each)) for each in report.all_parts],
        paths=[(each.name, path, path_ends(path)) for each, path in report.placed_parts],
    )


def floor_use(report: SynthesisReport) -> Figure:
    """The share of each resource of the device that each layer occupies, as stacked bars."""
    words = DEVICES[report.target].family.words
    rows: list[dict[str, Any]] = []
    for place, entry in enumerate(report.all_parts):
        for name, used in asdict(entry.occupied).items():
            if used:
                available = getattr(report.available, name)
                rows.append(
                    {
                        "resource": words[name],
                        "layer": entry.name,
                        "place": place,
                        "used": used,
                        "share": used / available if available else 1,
                    }
                )
    names = [each.name for each in report.all_parts]
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar()
        .encode(
            x=alt.X("share:Q", title="share of the device", axis=alt.Axis(format="~p")),
            y=alt.Y("resource:N", title=None, sort=[*words.values()]),
            color=alt.Color(
                "layer:N", title=None, sort=names, scale=alt.Scale(domain=names, scheme="tableau20")
            ),
            order=alt.Order("place:Q"),
            tooltip=["layer:N", "resource:N", "used:Q", alt.Tooltip("share:Q", format=".1%")],
        )
    )
    return sized(chart, height=_BAR_HEIGHT * len(words), text=f"The use of {report.part} by layer")


def slowest_paths(report: SynthesisReport) -> Figure:
    """The slowest path into each layer, in cells and in wires."""
    rows = [
        {"layer": each.name, "in": where, "ns": picoseconds / 1000}
        for each, path in report.placed_parts
        for where, picoseconds in (
            ("cells", path.picoseconds - path.wire_picoseconds),
            ("wires", path.wire_picoseconds),
        )
    ]
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar()
        .encode(
            x=alt.X("ns:Q", title="ns"),
            y=alt.Y("layer:N", title=None, sort=[each.name for each, _ in report.placed_parts]),
            color=alt.Color(
                "in:N",
                title=None,
                scale=alt.Scale(domain=["cells", "wires"], range=["#7f9bb3", "#d9731a"]),
            ),
            tooltip=["layer:N", "in:N", alt.Tooltip("ns:Q", format=".2f")],
        )
    )
    height = _BAR_HEIGHT * len(report.placed_parts) + _MARGINS
    return sized(chart, height, "The slowest path into each layer")
