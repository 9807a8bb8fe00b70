"""`systolith synth`: what the accelerator takes on a device and, placed, how fast it is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from systolith.scripts.console import print_json, print_line, print_table, print_text
from systolith.scripts.options import TARGETS, JsonOption, file_to_write, one_of, whole_number
from systolith.scripts.outputs import writing
from systolith.scripts.progress import progress

if TYPE_CHECKING:
    from systolith.hw.silicon.synthesis_report import SynthesisReport


def synth(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="The folder that generate wrote.", show_default=False),
    ],
    target: Annotated[
        str,
        typer.Option(
            parser=one_of("--target", *TARGETS),
            metavar="NAME",
            help=f"The device: {', '.join(TARGETS)}. Those of xc7 cannot be placed.",
            show_default=False,
        ),
    ],
    place: Annotated[
        bool,
        typer.Option("--place", help="Place and route it, for the clock: minutes for each seed."),
    ] = False,
    seeds: Annotated[
        int | None,
        typer.Option(
            parser=whole_number("--seeds", 1, 1000),
            metavar="N",
            help="Place it N times, with the seeds 1 to N, several at a time.",
            show_default="1 with --place",
        ),
    ] = None,
    grade: Annotated[
        str | None,
        typer.Option(
            metavar="6|7|8",
            help="The speed grade of an ECP5, with --place; 8 is the fastest. Other targets have "
            "none to choose.",
            show_default="6 on ECP5",
        ),
    ] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            parser=file_to_write("--out", ".json", ".html"),
            metavar="FILE",
            help="Also write the report to a file: .json or .html; may be given several times.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Synthesize the Verilog in DIR for a device, layer by layer, with open tools.

    Counts look-up tables, flip-flops, multipliers and memories of every layer;
    with --place also measures the clock after routing and the slowest path of
    every layer. Writes DIR/synthesis.json, in which the last results for other
    targets stay. Every result is cached by content: the same command again
    takes a second. Ends with 1 if the design does not fit the device, and says
    what there is too little of and which budget fits.

    The tools (Yosys, nextpnr) are in the extra synth; native ones are taken
    where they are newer.

    [bold]Examples[/bold]

    systolith synth lenet5-rtl --target xc7z020
    systolith synth lenet5-rtl --target ecp5-85k --place --seeds 5 --out synthesis.html
    systolith synth lenet5-rtl --target ecp5-85k --place --grade 8
    """
    from systolith.golden.files.whole_files import write_whole
    from systolith.hw.errors import MisfitError
    from systolith.hw.silicon.flow import budget_for_folder, synthesize_folder
    from systolith.hw.silicon.synthesis_report import FILE_NAME, save_report

    if not place:
        for option, value in (("--seeds", seeds), ("--grade", grade)):
            if value is not None:
                raise typer.BadParameter("needs --place", param_hint=option)
    with progress("synth") as shown:
        report = synthesize_folder(
            folder,
            target,
            grade,
            range(1, (seeds or 1) + 1) if place else (),
            shown,
            shown.announce,
        )
    with writing(folder / FILE_NAME):
        save_report(folder, report)
    for path in out or ():
        if path.suffix == ".html":
            from systolith.scripts.pages.synthesis_page import synthesis_page

            content = synthesis_page(report).encode()
        else:
            content = report.to_json()
        with writing(path):
            write_whole(path, content)
    if json:
        print_json(report.to_json())
    else:
        print_synthesis(report)
    if report.misfit:
        with progress("looking for a budget that fits") as shown:
            advice = budget_for_folder(folder, target, shown.announce)
        raise MisfitError(
            f"{report.network} does not fit {report.part}: {'; '.join(report.misfit)}; {advice}"
        )


def print_synthesis(report: SynthesisReport) -> None:
    """Print the cells of every layer, the use of the device, the clock and the slowest paths."""
    from systolith.hw.silicon.synthesis_report import COUNT_HEADINGS, counts

    total = [sum(column) for column in zip(*map(counts, report.all_parts), strict=True)]
    print_table(
        f"{report.network} on {report.part}",
        ("layer", *COUNT_HEADINGS),
        [(each.name, *map("{:,}".format, counts(each))) for each in report.all_parts],
        footer=("total", *map("{:,}".format, total)),
    )
    print_table(
        "use of the device",
        ("resource", "used", "available", "share"),
        [
            (
                name,
                f"{used:,}",
                f"{available:,}",
                f"{used / available:.1%}" if available else "",
            )
            for name, used, available in report.use
        ],
    )
    if report.multiplier_sizes:
        occupied = f"{report.occupied.multipliers:,} of the device"
        print_line("multipliers", f"{occupied}, by {report.multiplier_sizes}")
    if report.multipliers != report.planned_multipliers:
        print_line(
            "multipliers",
            f"{report.planned_multipliers:,} planned, {report.multipliers:,} cells: others are "
            "logic or have constant operands, and wide ones take several",
        )
    if report.clock_mhz is not None:
        _print_clock(report)
    print_line("tools", ", ".join(f"{name} {version}" for name, version in report.tools.items()))
    if not report.as_generated:
        print_line("Verilog", "not the one that generate wrote: its cycles are not known")


def _print_clock(report: SynthesisReport) -> None:
    from systolith.hw.silicon.synthesis_report import path_ends

    print_text("slowest path into each layer", "italic")
    for each, path in report.placed_parts:
        wires = path.wire_picoseconds / path.picoseconds
        source, target = path_ends(path)
        text = f"{path.picoseconds / 1000:.2f} ns, {wires:.0%} in wires: {source} to {target}"
        print_line(each.name, text)
    seeds = len(report.seeds)
    grade = f", speed grade {report.grade}" if report.grade else ""
    best = f", best {report.best_clock_mhz:.1f} MHz" if seeds > 1 else ""
    median = f"median of {seeds} seeds" if seeds > 1 else f"seed {report.seeds[0].seed}"
    print_line("clock", f"{report.clock_mhz:.1f} MHz after routing ({median}{best}{grade})")
    if report.images_per_second is not None:
        print_line("speed", f"{report.images_per_second:,.0f} images/s")
        print_line("latency", f"{report.latency_us:,.1f} us from first pixel to result")
