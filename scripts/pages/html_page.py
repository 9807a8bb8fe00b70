"""HTML pages that need no other file: they contain styles, figures and the drawing scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import altair as alt
import jinja2
import vl_convert
from markupsafe import Markup

from systolith.golden.files.printable import printable
from systolith.golden.reports.paired_difference import chance_text, signed

Figure = alt.Chart | alt.LayerChart | alt.FacetChart


def render(template: str, figures: Mapping[str, Figure], **values: Any) -> str:
    """The text of a page.

    Parameters
    ----------
    template
        The name of a file in `scripts/pages/templates`.
    figures
        Charts by the id of the element that shows them.
    values
        The values that the template shows. Text is escaped.
    """
    specs = {name: json.loads(chart.to_json(validate=False)) for name, chart in figures.items()}
    return (
        _environment()
        .get_template(template)
        .render(figures=specs, library=Markup(_library()) if specs else None, **values)
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("systolith.scripts.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = "{:,}".format
    environment.filters["share"] = "{:.4f}".format
    environment.filters["signed"] = signed
    environment.filters["chance"] = chance_text
    return environment


def _shown(value: Any) -> Any:
    """A value of a template; text from elsewhere has escapes for what is not printable."""
    return printable(value) if type(value) is str else value


@cache
def _library() -> str:
    """Vega-Embed and its dependencies, as one script."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
