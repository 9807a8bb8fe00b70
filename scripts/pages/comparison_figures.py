"""The figures of a comparison of reports, as Vega-Lite charts."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import altair as alt

from systolith.golden.reports.accuracy import LayerEntry
from systolith.golden.reports.comparison import Comparison, Row
from systolith.scripts.pages.html_page import Figure
from systolith.scripts.pages.report_figures import sized

_NO_DIFFERENCE = "no difference shown"
_VERDICTS = {
    "the first": "#6b7785",
    "better": "#2e8b57",
    _NO_DIFFERENCE: "#d9731a",
    "worse": "#e0455a",
}
_LEAST_HEIGHT = 200
_ROW_HEIGHT = 24
_LINE_HEIGHT = 14
_MARGINS = 70
_LEGEND_HEIGHT = 50
_CELL_HEIGHT = 20
_LABEL_CHARACTERS = 20
_LABEL_LIMIT = 170
"""The width of the longest label in pixels: of this number of wide characters."""

_SHARES = (0, 1, 3, 10, 30, 100)
"""The ticks of shares in per cent, of which a few are often much larger than all others."""

_MOST_TEXTS = 400
"""Heat maps with more cells have no figures in them; a figure shows when its cell is touched."""


def accuracy(comparison: Comparison) -> Figure:
    """The accuracy (or agreement) of every report, its interval, and its verdict.

    Accuracies are spaced by the fraction of errors on a logarithmic scale: a single bad report does
    not press the others together.
    """
    rows, measure = [], comparison.measure
    for row in comparison.rows:
        low, high = row.report.interval
        errors, least = 1 - row.report.rate, 0.5 / row.report.images
        rows.append(
            {
                "report": _wrapped(row.label),
                measure: row.report.rate,
                "low": low,
                "high": high,
                # A logarithmic scale has no zero.
                "errors": errors or least,
                "most": 1 - low,
                "fewest": 1 - high if errors else least,
                "verdict": row.difference.verdict if row.difference else "the first",
            }
        )
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=_reports(comparison),
        color=alt.Color(
            "verdict:N",
            title=None,
            scale=alt.Scale(domain=list(_VERDICTS), range=list(_VERDICTS.values())),
            legend=alt.Legend(orient="top", columns=2),
        ),
        tooltip=["report:N", f"{measure}:Q", "low:Q", "high:Q", "verdict:N"],
    )
    return _by_report(
        comparison,
        alt.layer(
            base.mark_rule().encode(
                x=alt.X(
                    "most:Q",
                    title=measure,
                    scale=alt.Scale(type="log", reverse=True, nice=False, padding=8),
                    axis=alt.Axis(
                        labelExpr="format(1 - datum.value, '.4~f')",
                        tickCount=5,
                        labelOverlap="greedy",
                        labelSeparation=8,
                        labelFlush=False,
                    ),
                ),
                x2="fewest:Q",
            ),
            base.mark_point(filled=True, size=70).encode(x="errors:Q"),
        ),
        f"The {measure} of each report: "
        + ", ".join(f"{row.label} {row.report.rate:.4f}" for row in comparison.rows),
    )


def by_layer(comparison: Comparison) -> dict[str, Figure]:
    """Heat maps of layers by reports, by name: SQNR, saturation, and the use of the range."""
    return {
        "sqnr": _layers(comparison, "SQNR (dB)", lambda entry: entry.sqnr_db, "blues"),
        "saturation": _layers(
            comparison,
            "saturated (%)",
            lambda entry: 100 * entry.saturated_share,
            "oranges",
            _SHARES,
        ),
        "range": _layers(
            comparison, "range used (%)", lambda entry: 100 * entry.range_use, "greens"
        ),
    }


def wrong_by_class(comparison: Comparison) -> Figure:
    """A heat map of labels by reports: the share of the images that get a wrong class."""
    cells = (
        (row.label, str(label), 100 * (1 - counts[label] / sum(counts)))
        for row in comparison.rows
        for label, counts in enumerate(row.report.confusion)
        if sum(counts)
    )
    return _heat_map(comparison, "label", "wrong (%)", cells, "oranges", _SHARES)


def confusion_difference(comparison: Comparison) -> Figure:
    """How the confusion matrix of a report differs from that of the first; one is chosen."""
    others = comparison.rows[1:]
    rows: list[dict[str, Any]] = [
        {"report": row.label, "label": str(label), "class": str(given), "images": count}
        for row in others
        for label, given, count in _confusion_changes(comparison.rows[0], row)
    ]
    classes = [str(label) for label in range(len(comparison.rows[0].report.confusion))]
    chosen = alt.param(
        name="chosen",
        value=rows[0]["report"] if rows else others[0].label,
        bind=alt.binding_select(options=[row.label for row in others], name="report: "),
    )
    base = (
        alt.Chart(alt.InlineData(values=rows))
        .transform_filter("datum.report == chosen")
        .encode(
            x=alt.X(
                "class:O",
                title="class given",
                scale=alt.Scale(domain=classes),
                axis=alt.Axis(labelAngle=0),
            ),
            y=alt.Y("label:O", scale=alt.Scale(domain=classes)),
            tooltip=["label:O", "class:O", "images:Q"],
        )
    )
    most = max((abs(row["images"]) for row in rows), default=1)
    layers = alt.layer(
        base.mark_rect().encode(
            color=alt.Color(
                "images:Q",
                title="images more or fewer than in the first",
                scale=alt.Scale(
                    type="symlog",
                    scheme=alt.SchemeParams("purpleorange", extent=[0.2, 0.8]),
                    domain=[-most, most],
                ),
                legend=alt.Legend(orient="top", titleLimit=300, values=[-most, 0, most]),
            )
        ),
        base.mark_text(color="black").encode(text=alt.Text("images:Q", format="+d")),
    )
    text = "The confusion matrix of a chosen report minus that of the first"
    height = max(_LEAST_HEIGHT, _MARGINS + _LEGEND_HEIGHT + _CELL_HEIGHT * len(classes))
    return sized(layers.add_params(chosen), height, text)


def _confusion_changes(first: Row, row: Row) -> Iterable[tuple[int, int, int]]:
    """Label, class and the difference of the number of images, where it is not zero."""
    pairs = zip(first.report.confusion, row.report.confusion, strict=False)
    for label, (before, after) in enumerate(pairs):
        for given, (less, more) in enumerate(zip(before, after, strict=False)):
            if more != less:
                yield label, given, more - less


def _layers(
    comparison: Comparison,
    title: str,
    value: Callable[[LayerEntry], float | None],
    scheme: alt.ColorScheme_T,
    ticks: Sequence[float] = (),
) -> Figure:
    cells = (
        (row.label, layer.name, found)
        for layer in comparison.layers
        for row, entry in zip(comparison.rows, layer.entries, strict=True)
        if entry is not None and (found := value(entry)) is not None
    )
    return _heat_map(comparison, "layer", title, cells, scheme, ticks)


def _heat_map(
    comparison: Comparison,
    across: str,
    title: str,
    cells: Iterable[tuple[str, str, float]],
    scheme: alt.ColorScheme_T,
    ticks: Sequence[float] = (),
) -> Figure:
    """Columns by reports; cells are of a report's label, a column, and a figure.

    With `ticks`, which are those of its legend, the scale of colours is logarithmic above 1.
    """
    rows: list[dict[str, Any]] = [
        {
            "report": _wrapped(label),
            across: column,
            title: round(value, 3),
            "shown": _short(value),
        }
        for label, column, value in cells
    ]
    columns = list(dict.fromkeys(row[across] for row in rows))
    most = max((row[title] for row in rows), default=0)
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X(f"{across}:N", sort=columns, title=None, axis=alt.Axis(labelAngle=0, orient="top")),
        y=_reports(comparison),
        tooltip=["report:N", f"{across}:N", f"{title}:Q"],
    )
    layers = [
        base.mark_rect().encode(
            color=alt.Color(
                f"{title}:Q",
                title=title,
                scale=alt.Scale(
                    scheme=alt.SchemeParams(scheme, extent=[0.1, 0.6]),
                    type="symlog" if ticks else "linear",
                ),
                legend=alt.Legend(
                    orient="top",
                    labelOverlap="greedy",
                    values=[each for each in ticks if each <= most]
                    if ticks and most >= 1
                    else alt.Undefined,
                ),
            )
        )
    ]
    if len(rows) <= _MOST_TEXTS:
        layers.append(base.mark_text(color="black").encode(text="shown:N"))
    return _by_report(comparison, alt.layer(*layers), f"{title}, by report and {across}")


def _reports(comparison: Comparison) -> alt.Y:
    return alt.Y(
        "report:N",
        sort=[_wrapped(row.label) for row in comparison.rows],
        title=None,
        axis=alt.Axis(
            labelOverlap=False,
            labelExpr="split(datum.value, '\\n')",
            labelLineHeight=_LINE_HEIGHT,
            labelLimit=_LABEL_LIMIT,
            # In the middle of its row; Vega puts the first line there.
            labelOffset={
                "condition": [
                    {
                        "test": f"length(split(datum.value, '\\n')) == {lines}",
                        "value": -_LINE_HEIGHT * (lines - 1) / 2,
                    }
                    for lines in range(2, _most_lines(comparison) + 1)
                ],
                "value": 0,
            },
        ),
    )


def _by_report(comparison: Comparison, chart: Figure, text: str) -> Figure:
    """The chart, with a row for each report, as high as the longest label needs."""
    height = _ROW_HEIGHT + _LINE_HEIGHT * (_most_lines(comparison) - 1)
    return sized(
        chart, height=max(_LEAST_HEIGHT, _MARGINS + height * len(comparison.rows)), text=text
    )


def _most_lines(comparison: Comparison) -> int:
    """The number of lines of the longest label."""
    return max(len(_wrapped(row.label).split("\n")) for row in comparison.rows)


def _short(value: float) -> str:
    """A figure of a heat map, of at most four characters."""
    if 0 < value < 0.05:
        return "<0.1"
    return f"{value:.0f}" if value >= 9.95 or not value else f"{value:.1f}"


def _wrapped(label: str) -> str:
    """The label in lines that fit next to a chart in a narrow window."""
    return "\n".join(textwrap.wrap(label, _LABEL_CHARACTERS)) or label
