"""Synthesizes, places and routes the accelerator in a folder; the command `synth` calls it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import msgspec

from systolith.hw.accelerator import CLASSIFIER, FRAME_CHECKER, SCORE_STREAM, part_module, unit_part
from systolith.hw.silicon.fitting import fitting_budget
from systolith.hw.silicon.placement import NoRoomError, place
from systolith.hw.silicon.synthesis import synthesize
from systolith.hw.silicon.synthesis_report import SynthesisReport, make_report
from systolith.hw.silicon.targets import Device, find_device, placer_of, require_room
from systolith.hw.silicon.tools import find_tool
from systolith.hw.verilog import artifacts
from systolith.hw.verilog.figures import figures


def synthesize_folder(
    folder: str | os.PathLike[str],
    target: str,
    grade: str | None = None,
    seeds: Sequence[int] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
    announce: Callable[[str], None] = lambda step: None,
) -> SynthesisReport:
    """Synthesize the Verilog in a folder for a device; with seeds, place and route it.

    Every result is cached by its content: the Verilog, the script, the tool and the seed.

    Parameters
    ----------
    folder
        A folder that `hw.generate` wrote.
    target
        The name of a device in `targets.DEVICES`.
    grade
        The speed grade; by default the slowest.
    seeds
        The seeds of the placements. A design that does not fit is not placed; the report says what
        there is too little of, by the counts or by the placer (`SynthesisReport.misfit`).
    progress
        Called with the number of placements that are done, and of all.
    announce
        Called with what is done from now on.

    Raises
    ------
    ValueError
        No such target or grade, a target that cannot be placed, a damaged folder, one
        whose manifest is not that of its network and plan.
    MisfitError
        The device cannot store the weights.
    MissingToolError
        A tool is not installed.
    ToolError
        A tool failed: the design could not be placed or routed.
    """
    device = find_device(target)
    needed = ["yosys"]
    if seeds:
        needed.append(placer_of(device).tool)
    chosen = _grade(device, grade)
    versions = {name: find_tool(name).version for name in needed}
    built = artifacts.load(folder)
    if built.as_generated:
        figures(folder, built)
    top = built.manifest.top
    parts = [
        *(FRAME_CHECKER, CLASSIFIER if built.manifest.result.kind == "class" else SCORE_STREAM),
        *(unit_part(layer.name) for layer in built.manifest.layers),
    ]
    require_room(built.manifest.network, built.quantized.weight_bits_total, device)
    announce("Yosys")
    modules = {part_module(top, part): part for part in parts}
    netlist = synthesize(built.verilog, top, built.manifest.ports, modules, device)
    report = make_report(built, netlist, chosen, (), versions)
    if not seeds or report.misfit:
        return report
    announce("nextpnr")
    try:
        placements = place(netlist, chosen, seeds, parts, progress=progress)
    except NoRoomError as error:
        return msgspec.structs.replace(report, no_room=error.lacks)
    return make_report(built, netlist, chosen, placements, versions)


def budget_for_folder(
    folder: str | os.PathLike[str], target: str, announce: Callable[[str], None]
) -> str:
    """Which budget of multipliers fits a device, where the accelerator in a folder does not.

    Errors and parameters are those of `synthesize_folder`; see `fitting.fitting_budget`.
    """
    built = artifacts.load(folder)
    manifest = built.manifest
    return fitting_budget(
        built.quantized.fixed,
        find_device(target),
        manifest.multipliers,
        announce,
        manifest.result.kind,
    )


def _grade(device: Device, grade: str | None) -> str:
    grades = device.placer.grades if device.placer else ()
    if grade is None:
        return grades[0] if grades else ""
    if grade not in grades:
        if not grades:
            raise ValueError(f"--grade {grade}: target {device.name} has no speed grades to choose")
        raise ValueError(
            f"--grade {grade}: target {device.name} has the speed grades {', '.join(grades)}"
        )
    return grade
