"""`systolith generate`: a quantized network as Verilog."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from systolith.scripts.commands.plan import print_plan
from systolith.scripts.console import print_line, print_text
from systolith.scripts.options import LabelColumnOption, folder_to_write, load_data, positive_number
from systolith.scripts.outputs import writing
from systolith.scripts.plan_options import (
    FixOption,
    MaxMultipliersOption,
    MinimizeOption,
    PlanOption,
    PresetOption,
    ResultOption,
    TargetCyclesOption,
    chosen_plan,
)
from systolith.scripts.progress import progress


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
            help="The folder for the Verilog, a test bench, a data sheet and files for tools.",
            show_default=False,
        ),
    ],
    plan: PlanOption = None,
    result: ResultOption = None,
    preset: PresetOption = None,
    max_multipliers: MaxMultipliersOption = None,
    target_cycles: TargetCyclesOption = None,
    minimize: MinimizeOption = None,
    fix: FixOption = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The name of the top module, with which all modules' names begin, and of its "
            "file. Give each accelerator of a design its own.",
            show_default="the network's",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Images, with labels or without; the test bench has the first ones.",
            show_default="test digits, for networks trained on MNIST, else random values",
        ),
    ] = None,
    label_column: LabelColumnOption = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="REPORT.json",
            help="The report of evaluate for Q; the data sheet states its accuracy.",
            show_default="none",
        ),
    ] = None,
    mhz: Annotated[
        float,
        typer.Option(
            parser=positive_number("--mhz", 10_000),
            metavar="MHZ",
            help="The frequency of the clock in the constraints and the data sheet.",
            show_default="100",
        ),
    ] = 100.0,
) -> None:
    """Generate the accelerator of a quantized network, ready to hand over.

    DIR then has the Verilog, datasheet.md, the test bench tb/ (make -C DIR/tb),
    and files for FuseSoC, Yosys, Vivado and other tools.

    A plan gives each layer the size of its unit. The command plan takes the
    same options, makes plans and predicts their cycles. A plan's file has:

    layers.C1.rows = 5        multipliers along the reduction
    layers.C1.columns = 6     multipliers along the outputs
    layers.C1.lanes = 6       values in each beat of the output
    layers.F6.order = 'outputs'

    With --fix, or with goal.max_multipliers or goal.target_cycles in a plan's
    file, single layers have the sizes given and the others are chosen.

    [bold]Examples[/bold]

    systolith generate lenet5.npz --out lenet5-rtl
    systolith generate lenet5.npz --out lenet5-small --preset small
    systolith generate lenet5.npz --out lenet5-mine --plan plan.toml
    systolith generate lenet5.npz --out second --name digits_2
    systolith generate prices.npz --out prices-rtl --result scores
    systolith generate lenet5.npz --out fast --mhz 250 --report fixed.json
    """
    from systolith import golden, hw

    network = golden.QuantizedNetwork.load(quantized)
    dataset = None if data is None else load_data(data, network.fixed.network, label_column)
    accuracy = None if report is None else golden.AccuracyReport.load(report)
    with progress("plan"):
        folding, goal = chosen_plan(
            network, plan, preset, max_multipliers, target_cycles, minimize, fix, result
        )
    with progress("generate"), writing(out):
        manifest = hw.generate(
            network,
            out,
            folding,
            name,
            goal,
            dataset=dataset,
            report=accuracy,
            mhz=mhz,
            result=result,
        )
    print_plan(manifest, network)
    if manifest.handover is not None:
        print_line("test bench", f"make -C {quote(str(out / 'tb'))}: {manifest.handover.images}")
    print_text(str(out / manifest.files.verilog))
