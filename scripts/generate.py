"""`systolith generate`: a quantized network as Verilog."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scripts.console import print_table
from scripts.files import writing
from scripts.options import folder_to_write
from scripts.progress import progress


def generate(
    quantized: Annotated[
        Path,
        typer.Argument(metavar="Q", help="A quantized network (.npz).", show_default=False),
    ],
    out: Annotated[
        Path,
        typer.Option(
            parser=folder_to_write,
            metavar="DIR",
            help="The folder for the Verilog and what simulate and synthesis need beside it.",
            show_default=False,
        ),
    ],
    plan: Annotated[
        Path | None,
        typer.Option(
            metavar="PLAN.toml",
            help="The folding of each layer.",
            show_default="about 120 multipliers",
        ),
    ] = None,
) -> None:
    """Generate the accelerator of a quantized network: Verilog and a manifest.

    A plan gives each layer the size of its unit: rows and columns of
    multipliers, and lanes, the values in each beat of its output stream.
    Layers that take their whole input can finish one group of outputs
    after another (order "outputs"). What it leaves out is 1:

    layers.C1.rows = 5
    layers.C1.columns = 6
    layers.C1.lanes = 6
    layers.F6.order = "outputs"

    [bold]Examples[/bold]

    systolith generate lenet5.npz --out lenet5-rtl
    systolith generate lenet5.npz --out lenet5-small --plan small.toml
    """
    import golden
    import hw

    network = golden.QuantizedNetwork.load(quantized)
    folding = None if plan is None else hw.load_plan(plan, network.fixed.network)
    with progress("generate"), writing(out):
        manifest = hw.generate(network, out, folding)
    print_table(
        network.name,
        ("layer", "unit", "rows", "columns", "lanes", "multipliers", "memory bits"),
        [
            (
                layer.name,
                layer.unit,
                f"{layer.folding.rows:,}",
                f"{layer.folding.columns:,}",
                f"{layer.folding.lanes:,}",
                f"{layer.multipliers:,}",
                f"{layer.memory_bits:,}",
            )
            for layer in manifest.layers
        ],
        left=2,
        footer=("total", "", "", "", "", f"{manifest.multipliers:,}", f"{manifest.memory_bits:,}"),
    )
    typer.echo(f"{out / manifest.files.verilog}")
