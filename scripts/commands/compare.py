"""`systolith compare`: shows accuracy reports side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from systolith.scripts.console import print_error, print_json, print_markdown, to_json
from systolith.scripts.options import JsonOption, file_to_write, fraction
from systolith.scripts.outputs import writing

if TYPE_CHECKING:
    from systolith.golden import Comparison

SCHEMA = "systolith.comparison/1"


def compare(
    reports: Annotated[
        list[Path],
        typer.Argument(
            metavar="REPORT...",
            help="Two or more accuracy reports (.json) on the same images.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            parser=file_to_write("--out", ".json", ".md", ".html"),
            metavar="FILE",
            help="Write the comparison: .md, .json, or .html (with pictures).",
            show_default=False,
        ),
    ] = None,
    fail_on_drop: Annotated[
        float | None,
        typer.Option(
            parser=fraction("--fail-on-drop"),
            metavar="FRACTION",
            help="End with status 1 if a report is less accurate than the first by more than this.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Compare reports: accuracy, gains and losses image by image, and every layer.

    Gains are images that a report gets right and the first report does not;
    losses are the opposite. Chance is the probability of gains and losses at
    least as uneven if both networks are equally good (McNemar's exact test);
    it is printed and decides nothing. A report less accurate than the first is
    a regression.

    [bold]Examples[/bold]

    systolith evaluate lenet5 --out float.json
    systolith evaluate lenet5.npz --out fixed.json
    systolith compare float.json fixed.json --out comparison.html
    systolith compare before.json after.json --fail-on-drop 0.001
    """
    from systolith import golden
    from systolith.golden.files.whole_files import write_whole

    comparison = golden.compare(
        [golden.AccuracyReport.load(path) for path in reports], names_of(reports)
    )
    if out is not None:
        if out.suffix == ".html":
            from systolith.scripts.pages.comparison_page import comparison_page

            text = comparison_page(comparison)
        else:
            markdown = out.suffix == ".md"
            text = comparison.to_markdown() if markdown else to_json(compared(comparison))
        with writing(out):
            write_whole(out, text.encode())
    if json:
        print_json(to_json(compared(comparison)))
    else:
        print_markdown(comparison.to_markdown())
    if fail_on_drop is not None and (dropped := comparison.dropped(fail_on_drop)):
        for row in dropped:
            print_error(
                f"{row.name}: accuracy {row.report.accuracy:.4f} is {-row.difference:.4f} below "
                f"that of {comparison.rows[0].name}; allowed is {fail_on_drop:g}"
            )
        raise typer.Exit(1)


def names_of(paths: Sequence[Path]) -> list[str]:
    """The paths without the folders that they have in common."""
    if len(set(paths)) < 2:
        return [path.name for path in paths]
    common = os.path.commonpath([path.absolute().parent for path in paths])
    return [str(path.absolute().relative_to(common)) for path in paths]


def compared(comparison: Comparison) -> dict[str, Any]:
    """The document that `compare --json` prints."""
    return {
        "schema": SCHEMA,
        "reports": [
            {
                "name": row.name,
                "network": row.report.network,
                "kind": row.report.kind,
                "images": row.report.images,
                "weight_bits_total": (row.report.quantization or {}).get("weight_bits_total"),
                "multipliers": row.report.hardware and row.report.hardware.multipliers,
                "interval_cycles": row.report.hardware and row.report.hardware.interval_cycles,
                "latency_cycles": row.report.hardware and row.report.hardware.latency_cycles,
                "accuracy": row.report.accuracy,
                "interval": row.report.interval,
                "difference": row.difference,
                "gains": row.gains,
                "losses": row.losses,
                "chance": row.chance,
                "regression": row.regression,
                "agreement_with_float": row.report.agreement_with_float,
            }
            for row in comparison.rows
        ],
        "layers": [
            {
                "name": layer.name,
                "sqnr_db": [entry and entry.sqnr_db for entry in layer.entries],
                "range_use": [entry and entry.range_use for entry in layer.entries],
                "saturated": [entry and entry.saturated for entry in layer.entries],
                "clipped_channels": [entry and entry.clipped_channels for entry in layer.entries],
                "dead_channels": [entry and entry.dead_channels for entry in layer.entries],
                "accumulator_bits": [entry and entry.accumulator_bits for entry in layer.entries],
            }
            for layer in comparison.layers
        ],
    }
