"""SVG pictures that follow the browser: dark on light, or light on dark."""

from __future__ import annotations

import io
import re

import altair as alt

BACKGROUND, GRID = "#ffffff", "#eeeeee"
"""Colours of a picture on a light page."""

_DARK = {
    BACKGROUND: "#14181d",
    GRID: "#2b333c",
    # What Vega draws axes, titles and frames with.
    "#000": "#e7ebef",
    "#888": "#8b96a2",
    "#ddd": "#38414b",
}
_HEAD = re.compile(r"<svg\b[^>]*>")


def draw(chart: alt.TopLevelMixin) -> bytes:
    """The SVG of a chart, with the colours that it has where dark pages are preferred."""
    text = io.StringIO()
    chart.save(text, format="svg")
    return _HEAD.sub(lambda head: head[0] + _style(), text.getvalue(), count=1).encode()


def _style() -> str:
    rules = (
        f'[{attribute}="{light}"]{{{attribute}:{dark}}}'
        for light, dark in _DARK.items()
        for attribute in ("fill", "stroke")
    )
    return f"<style>@media (prefers-color-scheme: dark){{{''.join(rules)}}}</style>"
