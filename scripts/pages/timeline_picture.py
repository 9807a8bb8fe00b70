# amaranth: UnusedElaboratable=no
"""The picture of two images passing through the layers of an accelerator."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np

from systolith.golden import QuantizedNetwork
from systolith.hw import Plan, PlanReport
from systolith.hw.accelerator import Accelerator
from systolith.hw.planning.activity import Activity, activity
from systolith.scripts.pages.svg_picture import BACKGROUND, draw

IMAGES = 2

_SPANS = 240
_WIDTH = 900
_ROW_HEIGHT = 34


def draw_timeline(quantized: QuantizedNetwork, plan: Plan, report: PlanReport) -> bytes:
    """An SVG with the fraction of cycles in which each layer's unit works, span by span."""
    accelerator = Accelerator(quantized.fixed, plan, result=report.result.kind)
    seen = activity(accelerator, IMAGES, _SPANS)
    return draw(_chart(seen, report))


def _chart(seen: Activity, report: PlanReport) -> alt.Chart:
    interval = report.predicted.interval_cycles
    labels = {layer.name: f"{layer.name}, {layer.multipliers} x" for layer in report.layers}
    end = seen.span_cycles * len(next(iter(seen.busy.values()))[0])
    results = " and ".join(f"{cycle:,}" for cycle in seen.results)
    chart: alt.Chart = (
        alt.Chart(alt.InlineData(values=_spans(seen, labels)))
        .mark_rect()
        .encode(
            x=alt.X("start:Q", scale=alt.Scale(domain=[0, end], nice=False), title="clock cycle"),
            x2="end:Q",
            y=alt.Y(
                "low:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(values=[0, 1]), title=None
            ),
            y2="high:Q",
            color=alt.Color("image:N", title="image"),
            row=alt.Row(
                "layer:N",
                sort=list(labels.values()),
                title=None,
                header=alt.Header(labelAngle=0, labelAlign="left", labelLimit=260),
            ),
        )
        .properties(
            width=_WIDTH,
            height=_ROW_HEIGHT,
            title=alt.Title(
                f"{report.network}: two images, results in cycles {results}",
                subtitle=(
                    f"{report.multipliers} multipliers, then an image every {interval:,} cycles; "
                    "the height is the fraction of cycles in which a unit works"
                ),
            ),
        )
        .configure(background=BACKGROUND)
        .configure_facet(spacing=6)
    )
    return chart


def _spans(seen: Activity, labels: dict[str, str]) -> list[dict[str, Any]]:
    """A rectangle for each span and image; those of one span are stacked."""
    rectangles = []
    for name, by_image in seen.busy.items():
        highs = by_image.cumsum(axis=0) / seen.span_cycles
        for image, span in np.argwhere(by_image):
            high = float(highs[image, span])
            rectangles.append(
                {
                    "layer": labels[name],
                    "image": str(image + 1),
                    "start": int(span) * seen.span_cycles,
                    "end": (int(span) + 1) * seen.span_cycles,
                    "low": high - int(by_image[image, span]) / seen.span_cycles,
                    "high": high,
                }
            )
    return rectangles
