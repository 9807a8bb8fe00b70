"""`systolith evaluate`: an accuracy report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scripts.console import print_markdown
from scripts.files import writing
from scripts.options import DataOption, ImagesOption, JsonOption, file_to_write
from scripts.progress import progress

if TYPE_CHECKING:
    from golden import AccuracyReport

_LAYER_HEADINGS = (
    "layer",
    "input",
    "weights",
    "index",
    "output",
    "accumulator bits",
    "SQNR (dB)",
    "saturated",
)


def evaluate(
    network: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK_OR_Q",
            help="lenet5, lenet5-sigmoid, lenet5-relu, or a file: a trained network, which is "
            "evaluated in floats, or a quantized one, in integers.",
            show_default=False,
        ),
    ],
    data: DataOption = None,
    images: ImagesOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=file_to_write("--out", ".json", ".md"),
            metavar="REPORT",
            help="Write the report: .json (for compare) or .md.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """How often a network is right; of a quantized one also how exact every layer is.

    SQNR is a layer's ratio of signal to quantization noise, against the float
    network; saturated counts the values that left their format's range. The
    format s8.5 is signed, of 8 bits, 5 of them after the binary point.

    [bold]Examples[/bold]

    systolith evaluate lenet5
    systolith evaluate lenet5.npz --images 1000
    systolith evaluate lenet5.npz --out fixed.json
    """
    import golden
    from golden.files import write_whole

    loaded = golden.load(network)
    dataset = golden.test_digits() if data is None else golden.load_dataset(data)
    with progress("evaluate") as shown:
        report = golden.evaluate(loaded, dataset, images, shown)
    if out is not None:
        text = to_markdown(report) if out.suffix == ".md" else report.to_json()
        with writing(out):
            write_whole(out, text.encode())
    if json:
        typer.echo(report.to_json(), nl=False)
    else:
        print_markdown(to_markdown(report))


def to_markdown(report: AccuracyReport) -> str:
    """The report as Markdown: its figures, and for a fixed network its layers."""
    from golden.comparison import layer_cells
    from golden.markdown import table

    dataset = report.dataset
    figures = [
        ("images", f"{report.images:,} of {dataset.name} ({dataset.split})"),
        ("accuracy", f"{report.accuracy:.4f} ({report.correct:,} right)"),
        ("agreement with float", f"{report.agreement_with_float:.4f}"),
    ]
    if report.quantization is not None:
        figures.append(("weight bits", f"{report.quantization['weight_bits_total']:,}"))
    text = table((report.network, report.kind), figures, left=2)
    if report.layers:
        rows = [(layer.name, *layer_cells(layer)) for layer in report.layers]
        text += "\n" + table(_LAYER_HEADINGS, rows, left=1)
    return text
