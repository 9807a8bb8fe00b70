"""Fills in the templates of the files that are handed over."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import jinja2

from systolith.golden.reports.markdown import cell


def render(template: str, facts: Mapping[str, Any]) -> bytes:
    """The text of a file.

    Parameters
    ----------
    template
        Its name in `templates`.
    facts
        The values of all names in it.
    """
    return _environment().get_template(template).render(facts).encode()


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("systolith.hw.handover"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = cell
    environment.filters["count"] = "{:,}".format
    return environment
