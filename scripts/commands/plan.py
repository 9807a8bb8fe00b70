"""`systolith plan`: multipliers and cycles, before anything is built."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import msgspec
import typer

from systolith.scripts.console import print_json, print_line, print_table, to_json
from systolith.scripts.options import (
    TARGETS,
    JsonOption,
    file_to_write,
    one_of,
    positive_number,
)
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
    given_sizes,
)
from systolith.scripts.progress import progress

if TYPE_CHECKING:
    from systolith.golden import QuantizedNetwork
    from systolith.hw import Goal, Manifest, PlanReport, ResultKind
    from systolith.hw.planning.budget import Aim
    from systolith.hw.silicon.estimation import Estimate
    from systolith.hw.silicon.targets import Device


def plan(
    quantized: Annotated[
        Path,
        typer.Argument(metavar="Q", help="A quantized network (.npz).", show_default=False),
    ],
    preset: PresetOption = None,
    max_multipliers: MaxMultipliersOption = None,
    target_cycles: TargetCyclesOption = None,
    minimize: MinimizeOption = None,
    fix: FixOption = None,
    plan: PlanOption = None,
    result: ResultOption = None,
    target: Annotated[
        str | None,
        typer.Option(
            parser=one_of("--target", *TARGETS),
            metavar="NAME",
            help="A device (see synth): estimate what the plan takes of it; without another goal, "
            "make the fastest plan that fits.",
            show_default=False,
        ),
    ] = None,
    mhz: Annotated[
        float | None,
        typer.Option(
            parser=positive_number("--mhz", 1_000_000),
            metavar="F",
            help="Print the images a second at a clock of F MHz.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=file_to_write("--out", ".toml"),
            metavar="PLAN.toml",
            help="Write the plan to a file for generate.",
            show_default=False,
        ),
    ] = None,
    timeline: Annotated[
        Path | None,
        typer.Option(
            parser=file_to_write("--timeline", ".svg"),
            metavar="FILE.svg",
            help="Write a picture of two images passing through the layers.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Distribute multipliers over the layers, and predict the cycles exactly.

    Searches the rows, columns and lanes of all units together: for the fewest
    cycles an image under a limit of multipliers, or for the fewest multipliers
    under a limit of cycles. Buffers get the smallest size with which the
    slowest unit never waits.

    With --target and no other goal, estimates the plans for the multipliers of
    the device and for fewer, one by one, and takes the first that fits; for
    large networks after some plans by halves, which may miss a faster one. Ends
    with 1 if the device is too small, by the estimate, and says what there is
    too little of and which budget fits.

    [bold]Examples[/bold]

    systolith plan lenet5.npz --preset large --mhz 100
    systolith plan lenet5.npz --max-multipliers 60 --out plan.toml --timeline plan.svg
    systolith plan lenet5.npz --target-cycles 2000 --minimize latency
    systolith plan lenet5.npz --max-multipliers 130 --fix C3=15x4
    systolith plan lenet5.npz --plan plan.toml
    systolith plan lenet5.npz --target xc7a100t --out plan.toml
    """
    from systolith import golden, hw
    from systolith.golden.files.whole_files import write_whole

    network = golden.QuantizedNetwork.load(quantized)
    goals = plan, preset, max_multipliers, target_cycles
    has_goal = any(each is not None for each in goals)
    device = estimated = None
    goal: Goal | None
    if target is not None:
        from systolith.hw.silicon.targets import find_device, require_room

        device = find_device(target)
        require_room(network.name, network.weight_bits_total, device)
    with progress("plan") as shown:
        if device is not None and not has_goal:
            from systolith.hw.silicon.fitting import fastest_fitting_plan

            found = fastest_fitting_plan(
                network.fixed,
                device,
                cast("Aim", minimize or "interval"),
                given_sizes(fix or ()),
                shown.announce,
                result,
            )
            folding, goal, estimated = found.plan, found.goal, found.estimate
        else:
            folding, goal = chosen_plan(
                network, plan, preset, max_multipliers, target_cycles, minimize, fix, result
            )
            if device is not None:
                from systolith.hw.silicon.estimation import estimate, structures

                shown.announce("estimating")
                estimated = estimate(structures(network.fixed, folding, result), device)
        report = hw.report_plan(network, folding, result)
    if out is not None:
        with writing(out):
            write_whole(out, hw.plan_to_toml(folding, report, goal).encode())
    if timeline is not None:
        from systolith.scripts.pages.timeline_picture import draw_timeline

        with writing(timeline):
            write_whole(timeline, draw_timeline(network, folding, report))
    if json:
        document = msgspec.to_builtins(report)
        if estimated is not None:
            document |= {"target": target, "estimate": msgspec.to_builtins(estimated)}
        print_json(to_json(document))
    else:
        print_plan(report, network, mhz)
        if device is not None and estimated is not None:
            print_estimate(estimated, device)
            if mhz is None:
                interval = report.predicted.interval_cycles
                print_line("speed", f"{1e6 / interval:,.1f} images/s for each MHz of the clock")
                measured = "synth --place measures it, " if device.placer else ""
                print_line("clock", f"not estimated: {measured}--mhz F assumes it")
    if device is not None and estimated is not None:
        _require_fit(network, report, estimated, device, result)


def _require_fit(
    network: QuantizedNetwork,
    report: PlanReport,
    estimated: Estimate,
    device: Device,
    result: ResultKind | None,
) -> None:
    """End with an error if the plan does not fit the device by its estimate."""
    from systolith.hw.errors import MisfitError
    from systolith.hw.silicon.fitting import fitting_budget
    from systolith.hw.silicon.targets import misfit

    if not (lacks := misfit(estimated.occupied, device)):
        return
    with progress("looking for a budget that fits") as shown:
        advice = fitting_budget(network.fixed, device, report.multipliers, shown.announce, result)
    raise MisfitError(
        f"{network.name} does not fit {device.part} with this plan, by the estimate: "
        f"{'; '.join(lacks)}; {advice}"
    )


def print_estimate(estimated: Estimate, device: Device) -> None:
    """Print what a plan will about take of a device."""
    from dataclasses import asdict

    from systolith.hw.silicon.targets import misfit

    has = asdict(device.capacity)
    print_table(
        f"estimate for {device.part}",
        ("resource", "about", "available", "share"),
        [
            (
                device.family.words[name],
                f"{about:,}",
                f"{has[name]:,}",
                f"{about / has[name]:.1%}" if has[name] else "",
            )
            for name, about in asdict(estimated.occupied).items()
        ],
    )
    lacks = misfit(estimated.occupied, device)
    print_line("fits", "no, by the estimate" if lacks else "yes, by the estimate")


def print_plan(
    report: PlanReport | Manifest, network: QuantizedNetwork, mhz: float | None = None
) -> None:
    """Print the unit of every layer, its windows, and the speed of the whole."""
    from systolith.hw.planning.estimate import bottleneck

    interval = report.predicted.interval_cycles
    print_table(
        report.network,
        (
            *("layer", "unit", "rows", "columns", "lanes", "order", "depth", "lines"),
            *("multipliers", "memory bits", "cycles", "load"),
        ),
        [
            (
                layer.name,
                layer.unit,
                f"{layer.folding.rows:,}",
                f"{layer.folding.columns:,}",
                f"{layer.folding.lanes:,}",
                layer.folding.order,
                f"{layer.folding.depth:,}",
                "" if layer.folding.lines is None else f"{layer.folding.lines:,}",
                f"{layer.multipliers:,}",
                f"{layer.memory_bits:,}",
                f"{layer.cycles:,}",
                f"{layer.cycles / interval:.1%}",
            )
            for layer in report.layers
        ],
        left=2,
        footer=(
            "total",
            *[""] * 7,
            f"{report.multipliers:,}",
            f"{report.memory_bits:,}",
            f"{interval:,}",
            "",
        ),
    )
    layers = network.fixed.network.layers
    if windows := [(layer.name, layer.form) for layer in layers if layer.form]:
        print_table("", ("layer", "windows"), windows, left=2)
    if report.input.lanes > 1:
        of = report.input
        print_line("input", f"{of.lanes} values a beat, s_axis_tdata {of.tdata_bits} bits")
    print_line("result", _result_in_words(report))
    print_line("interval", f"{interval:,} cycles from one result to the next")
    print_line("latency", f"{report.predicted.latency_cycles:,} cycles from first pixel to result")
    print_line("MAC efficiency", f"{report.mac_efficiency:.3f} of the multipliers' capacity")
    print_line("bottleneck", bottleneck(interval, report.layers, report.result.beats))
    if mhz is not None:
        print_line("speed", f"{mhz * 1e6 / interval:,.0f} images/s at {mhz:g} MHz")


def _result_in_words(report: PlanReport | Manifest) -> str:
    """What leaves the accelerator for an image."""
    result = report.result
    if result.kind == "class":
        return f"the class and its score, {result.bits} bits (--result scores: all scores)"
    if result.beats == 1:
        return f"1 score, {result.bits} bits"
    return f"{result.beats:,} scores, {result.bits} bits each"
