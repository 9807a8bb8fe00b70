"""The hardware in a folder, as accuracy reports show it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from systolith.golden.reports.accuracy import HardwareEntry, SiliconEntry
from systolith.scripts.console import print_error

if TYPE_CHECKING:
    from systolith.golden import QuantizedNetwork
    from systolith.hw.verilog.artifacts import Artifacts


def hardware_entry(folder: Path, network: QuantizedNetwork) -> HardwareEntry:
    """The multipliers and cycles of the hardware, its simulation and its synthesis.

    The figures are computed from the network and the plan. A simulation or a synthesis of other
    files than those in the folder does not count; a line on standard error says so.

    Raises
    ------
    ValueError
        The folder has no hardware, damaged files, or the hardware of another network; or its files
        do not belong together or contradict themselves.
    """
    from systolith.hw.verilog import artifacts
    from systolith.hw.verilog.figures import figures

    built = artifacts.load(folder)
    manifest = built.manifest
    if manifest.quantized_sha256 != network.sha256:
        raise ValueError(
            f"{folder}: is hardware of {manifest.network} {manifest.quantized_sha256[:8]}, "
            f"not of {network.name} {network.sha256[:8]}"
        )
    planned = figures(folder, built)
    return HardwareEntry(
        multipliers=planned.multipliers,
        interval_cycles=planned.predicted.interval_cycles,
        latency_cycles=planned.predicted.latency_cycles,
        bit_exact=_bit_exact(folder, built),
        silicon=_silicon(folder, built),
    )


def _silicon(folder: Path, built: Artifacts) -> SiliconEntry | None:
    """The last synthesis in the folder; None without one of this Verilog."""
    from systolith.hw.silicon.synthesis_report import (
        FILE_NAME,
        load_report,
        require_report_of,
    )

    path = folder / FILE_NAME
    if not path.exists():
        return None
    report = load_report(folder)
    if report.verilog_sha256 != built.verilog_sha256:
        print_error(
            f"{path}: is of another {built.manifest.files.verilog} than that in the folder: "
            "reported as not synthesized"
        )
        return None
    require_report_of(report, built, path)
    return SiliconEntry(report.target, report.occupied.luts, report.clock_mhz, report.grade)


def _bit_exact(folder: Path, built: Artifacts) -> bool | None:
    """The result of the last simulation in the folder; None without one of these files."""
    from systolith.sim.report import FILE_NAME, load_outcome

    path, manifest = folder / FILE_NAME, built.manifest
    if not path.exists():
        return None
    outcome = load_outcome(folder)
    for file, found, expected in (
        (manifest.files.quantized, outcome.quantized_sha256, manifest.quantized_sha256),
        (manifest.files.plan, outcome.plan_sha256, manifest.plan_sha256),
        (manifest.files.verilog, outcome.verilog_sha256, built.verilog_sha256),
    ):
        if found != expected:
            print_error(
                f"{path}: is of another {file} than that in the folder: reported as not simulated"
            )
            return None
    if not outcome.agrees:
        print_error(
            f"{path}: is of one layer alone, or its counts contradict it: reported as not simulated"
        )
        return None
    return outcome.bit_exact
