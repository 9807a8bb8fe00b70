"""`systolith compare`: accuracy reports side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scripts.console import print_json, print_markdown, to_json
from scripts.files import writing
from scripts.options import JsonOption, file_to_write

if TYPE_CHECKING:
    from golden import Comparison

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
            parser=file_to_write("--out", ".json", ".md"),
            metavar="FILE",
            help="Write the comparison: .md or .json.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Reports side by side: accuracy, gains and losses image by image, and every layer.

    Gains are images that a report gets right and the first report does not,
    losses the other way round.

    [bold]Examples[/bold]

    systolith evaluate lenet5 --out float.json
    systolith evaluate lenet5.npz --out fixed.json
    systolith compare float.json fixed.json --out comparison.md
    """
    import golden
    from golden.files import write_whole

    comparison = golden.compare(
        [golden.AccuracyReport.load(path) for path in reports], [str(path) for path in reports]
    )
    if out is not None:
        markdown = out.suffix == ".md"
        text = comparison.to_markdown() if markdown else to_json(compared(comparison))
        with writing(out):
            write_whole(out, text.encode())
    if json:
        print_json(compared(comparison))
    else:
        print_markdown(comparison.to_markdown())


def compared(comparison: Comparison) -> dict[str, Any]:
    """What `compare --json` prints."""
    return {
        "schema": SCHEMA,
        "reports": [
            {
                "name": row.name,
                "network": row.report.network,
                "kind": row.report.kind,
                "images": row.report.images,
                "weight_bits_total": (row.report.quantization or {}).get("weight_bits_total"),
                "accuracy": row.report.accuracy,
                "difference": row.difference,
                "gains": row.gains,
                "losses": row.losses,
                "agreement_with_float": row.report.agreement_with_float,
            }
            for row in comparison.rows
        ],
        "layers": [
            {
                "name": layer.name,
                "sqnr_db": [entry and entry.sqnr_db for entry in layer.entries],
                "saturated": [entry and entry.saturated for entry in layer.entries],
                "accumulator_bits": [entry and entry.accumulator_bits for entry in layer.entries],
            }
            for layer in comparison.layers
        ],
    }
