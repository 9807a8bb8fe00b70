"""A synthesis of a folder of hardware that no tool has made."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from systolith.hw.accelerator import unit_part
from systolith.hw.silicon.placement import Placement
from systolith.hw.silicon.slowest_paths import SlowestPath
from systolith.hw.silicon.synthesis import TOP_PART, Netlist
from systolith.hw.silicon.synthesis_report import SynthesisReport, make_report
from systolith.hw.silicon.targets import DEVICES
from systolith.hw.silicon.tools import Tool
from systolith.hw.verilog import artifacts

CLOCKS = {1: 91.5, 2: 93.0}


def made_report(
    folder: Path, target: str = "ecp5-25k", clocks: Mapping[int, float] = CLOCKS
) -> SynthesisReport:
    """A report of the Verilog in the folder: 16 LUTs of logic and 4 of carries, and clocks by seed.

    The slowest path into `conv` takes 899 ps more than the number of the seed.
    """
    built = artifacts.load(folder)
    cells: dict[str, Counter[str]] = {
        part: Counter() for part in ("frame_checker", "classifier", TOP_PART)
    }
    cells |= {unit_part(layer.name): Counter(LUT4=2) for layer in built.manifest.layers}
    cells[TOP_PART] = Counter(LUT4=12, CCU2C=2, TRELLIS_FF=10)
    netlist = Netlist(DEVICES[target], Tool("yosys", (), "1.0"), "top", b"", cells)
    placements = [
        Placement(
            seed, clock, {"unit_conv": SlowestPath("unit_conv.a", "unit_conv.b", 899 + seed, 400)}
        )
        for seed, clock in clocks.items()
    ]
    return make_report(built, netlist, "6", placements, {"yosys": "1.0"})


def write_synthesis(folder: Path, **changes: object) -> None:
    """Write a report of the Verilog in the folder, with other values of some fields."""
    content = json.loads(made_report(folder).to_json()) | changes
    (folder / "synthesis.json").write_text(json.dumps(content))
