"""`systolith simulate`: compares the generated hardware with the fixed-point model."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from systolith.scripts.console import print_error, print_json, print_line, print_table, print_text
from systolith.scripts.options import (
    DataOption,
    JsonOption,
    LabelColumnOption,
    load_data,
    one_of,
    whole_number,
)
from systolith.scripts.progress import progress

if TYPE_CHECKING:
    from systolith.golden import Dataset
    from systolith.sim import SimulationReport
    from systolith.sim.simulators.installed import Engine, Simulator


_DEFAULT_IMAGES = 100
_COCOTB_IMAGES, _COCOTB_CYCLES = 32, 200_000  # of sim.simulate, which --help need not load


def _images(given: str | int) -> str | int:
    return given if given == "all" else whole_number("--images", 1, or_else="all")(given)


def simulate(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="The folder that generate wrote.", show_default=False),
    ],
    data: DataOption = None,
    label_column: LabelColumnOption = None,
    images: Annotated[
        Any,
        typer.Option(
            parser=_images,
            metavar="N|all",
            help="The first N images.",
            show_default=f"{_DEFAULT_IMAGES}, or all if there are fewer",
        ),
    ] = None,
    simulator: Annotated[
        str,
        typer.Option(
            parser=one_of("--simulator", "verilator", "icarus"),
            metavar="verilator|icarus",
            help="Icarus is about ten times slower under cocotb, and has no bulk engine.",
        ),
    ] = "verilator",
    engine: Annotated[
        str | None,
        typer.Option(
            parser=one_of("--engine", "cocotb", "bulk"),
            metavar="cocotb|bulk",
            help="A cocotb bench, or a loop in C++ (Verilator only), which is about 30 times as "
            "fast.",
            show_default=f"cocotb on Icarus and for up to {_COCOTB_IMAGES} images of together "
            f"{_COCOTB_CYCLES:,} cycles, bulk for more and for --waves",
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Simulate this layer's unit alone, on the fixed-point model's values.",
            show_default="the whole network",
        ),
    ] = None,
    stalls: Annotated[
        int | None,
        typer.Option(
            parser=whole_number("--stalls", 0),
            metavar="SEED",
            help="The seed of random stalls at source and sink.",
            show_default="none",
        ),
    ] = None,
    waves: Annotated[
        bool,
        typer.Option(
            "--waves",
            help="Write DIR/waves.fst, the waveform of the image with the first wrong value, or of "
            "the first image, and files with which GTKWave and Surfer show it by layer.",
        ),
    ] = False,
    inject_fault: Annotated[
        str | None,
        typer.Option(
            metavar="LAYER",
            help="Invert one bit of one weight of this layer's hardware, to see the check fail.",
            show_default="none",
        ),
    ] = None,
    keep_log: Annotated[
        bool,
        typer.Option(
            "--keep-log",
            help="Write DIR/simulation.log, the simulator's output, and DIR/results.xml, a JUnit "
            "test case for each layer, also if nothing failed.",
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Simulate the hardware and compare every value of every layer.

    Reads only DIR and the images. Writes DIR/simulation.json, except with
    --layer and --inject-fault, and DIR/simulation.log and DIR/results.xml if
    something failed. Ends with 1 if any value of any layer differs
    from the fixed-point model, if a stream rule was broken, if a result is
    missing, or if the cycles are not those in DIR/manifest.json.

    [bold]Examples[/bold]

    systolith simulate lenet5-rtl
    systolith simulate lenet5-rtl --images 10 --engine cocotb --keep-log
    systolith simulate lenet5-rtl --images all
    systolith simulate lenet5-rtl --images 2 --simulator icarus --stalls 7
    systolith simulate lenet5-rtl --inject-fault C3 --waves
    systolith simulate lenet5-rtl --layer C3
    """
    from systolith import sim

    dataset = None if data is None else _load(data, folder, label_column)
    if images is None:
        images = _DEFAULT_IMAGES if dataset is None else min(_DEFAULT_IMAGES, len(dataset))
    with progress("simulate") as shown:
        report = sim.simulate(
            folder,
            None if images == "all" else images,
            dataset,
            simulator=cast("Simulator", simulator),
            engine=cast("Engine | None", engine),
            keep_log=keep_log,
            layer=layer,
            stalls=stalls,
            waves=waves,
            inject_fault=inject_fault,
            progress=shown,
            announce=shown.announce,
        )
    if json:
        print_json(report.to_json())
    else:
        print_report(report)
        if waves:
            print_viewers(folder)
    fail_unless_passed(report)


def _load(data: Path, folder: Path, label_column: str | None) -> Dataset:
    """The images of a file as the network of a folder takes them."""
    from systolith.golden import QuantizedNetwork
    from systolith.hw.verilog.manifest import load_manifest

    quantized = QuantizedNetwork.load(folder / load_manifest(folder).files.quantized)
    return load_data(data, quantized.fixed.network, label_column)


def print_report(report: SimulationReport) -> None:
    """Print the values and mismatches of every layer, and the cycles of an image."""
    what = report.network if report.layer is None else f"{report.layer} of {report.network}"
    print_table(
        f"{what} on {report.simulator}, images: {report.images:,}",
        ("layer", "values compared", "mismatches"),
        [(each.name, f"{each.values:,}", f"{each.mismatches:,}") for each in report.layers],
    )
    print_line("engine", engines_in_words(report.engines))
    if not report.as_generated:
        print_line("Verilog", "not the one that generate wrote")
    if report.fault is not None:
        print_line("fault", report.fault)
    if report.accuracy is not None:
        print_line(
            "accuracy", f"{report.correct:,} of {report.images:,} right ({report.accuracy:.2%})"
        )
    if report.interval_cycles is not None:
        what = "result" if report.layer is None else "frame"
        print_line("interval", f"{report.interval_cycles:,} cycles from one {what} to the next")
    if report.latency_cycles is not None:
        what = "pixel to result" if report.layer is None else "beat in to first beat out"
        print_line("latency", f"{report.latency_cycles:,} cycles from first {what}")
    if report.as_predicted is not None:
        print_line("as predicted", "yes, to the cycle" if report.as_predicted else "no")
    if report.waves_image is not None:
        print_line("waveform", f"image {report.waves_image}, from its first pixel to its result")
    for path in report.kept:
        print_line("log" if path.suffix == ".log" else "test cases", path)
    if report.bit_exact:
        print_line("bit-exact", "yes, in every layer" if report.layer is None else "yes")


def engines_in_words(engines: Mapping[Engine, int]) -> str:
    """How many images each engine simulated."""
    if list(engines) == ["cocotb", "bulk"]:
        first, others = engines.values()
        return f"cocotb for the first {first:,} images, bulk for the other {others:,}"
    return next(iter(engines))


def print_viewers(folder: Path) -> None:
    """Print the commands that show the waveform in the folder."""
    from systolith.sim.bulk.waves import COMMANDS_NAME, SAVE_NAME, WAVES_NAME

    waves, save, commands = (folder / name for name in (WAVES_NAME, SAVE_NAME, COMMANDS_NAME))
    print_text(shlex.join(["gtkwave", str(waves), str(save)]))
    print_text(shlex.join(["surfer", str(waves), "--command-file", str(commands)]))


def fail_unless_passed(report: SimulationReport) -> None:
    """Print the first failure and end with 1, unless all values and cycles are as they should."""
    if report.failures:
        first, *more = report.failures
        others = f" (and {len(more)} more)" if more else ""
        print_error(f"{first}{others}")
        raise typer.Exit(1)
