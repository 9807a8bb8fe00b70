"""A synthesis of a folder of hardware that no tool has made."""

from __future__ import annotations

import json
from pathlib import Path

from systolith.hw.silicon.synthesis_report import MemoriesEntry, SynthesisReport
from systolith.hw.silicon.targets import Capacity
from systolith.hw.verilog import artifacts


def write_synthesis(folder: Path, **changes: object) -> None:
    """Write a report of the Verilog in the folder: 20 LUTs of an ECP5, 91.5 MHz."""
    built = artifacts.load(folder)
    capacity = Capacity(20, 10, 9, 0, 3)
    report = SynthesisReport(
        schema="systolith.synthesis/1",
        network="tiny",
        quantized_sha256=built.quantized.sha256,
        verilog_sha256=built.verilog_sha256,
        as_generated=True,
        target="ecp5-25k",
        part="LFE5U-25F",
        grade="6",
        tools={},
        cells={},
        luts=12,
        carries=0,
        flip_flops=10,
        multipliers=9,
        planned_multipliers=9,
        memories=MemoriesEntry(0, 3),
        occupied=capacity,
        available=capacity,
        seeds=(),
        clock_mhz=91.5,
        best_clock_mhz=93.0,
        interval_cycles=20,
        latency_cycles=30,
        images_per_second=1.0,
        latency_us=1.0,
        layers=(),
        parts=(),
    )
    content = json.loads(report.to_json()) | changes
    (folder / "synthesis.json").write_text(json.dumps(content))
