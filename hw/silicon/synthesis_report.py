"""The report of a synthesis, as data, and its file `synthesis.json`.

`flow.synthesize_folder` returns one; the command prints it.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median_low

import msgspec

from systolith.golden.files import json_files
from systolith.golden.files.json_files import Count, PositiveCount
from systolith.golden.reports.html_table import html_table
from systolith.hw.accelerator import CLASSIFIER, FRAME_CHECKER, unit_part
from systolith.hw.silicon.placement import Placement
from systolith.hw.silicon.slowest_paths import SlowestPath
from systolith.hw.silicon.synthesis import TOP_PART, Netlist
from systolith.hw.silicon.targets import KINDS, WORDS, Capacity, misfit
from systolith.hw.verilog.artifacts import Artifacts

SCHEMA = "systolith.synthesis/1"
"""The schema of the file."""

FILE_NAME = "synthesis.json"
"""The name of the file, in the folder of the hardware."""

_MAX_BYTES = 1 << 24


class PartEntry(msgspec.Struct, frozen=True):
    """The cells of a part of the accelerator, and the slowest path into it.

    Parameters
    ----------
    name
        The layer; `frame checker`, `classifier`, or `top` for what is outside all others.
    luts, carries, flip_flops, multipliers, block_memories, distributed_memories
        Cells of the device, by what they are counted as (`targets`).
    occupied
        What they occupy of the device.
    planned_multipliers
        The multipliers of the plan; those that are no multipliers of the device are constants or
        logic.
    slowest_path
        The slowest path that ends in the part; None if it was not placed or has none.
    """

    name: str
    luts: Count
    carries: Count
    flip_flops: Count
    multipliers: Count
    block_memories: Count
    distributed_memories: Count
    occupied: Capacity
    planned_multipliers: Count
    slowest_path: SlowestPath | None


class MemoriesEntry(msgspec.Struct, frozen=True):
    """The cells of both kinds of memory."""

    block: Count
    distributed: Count


class SeedEntry(msgspec.Struct, frozen=True):
    """The clock that a seed of the placement gave."""

    seed: Count
    clock_mhz: float


class SynthesisReport(msgspec.Struct, frozen=True):
    """The result of a synthesis, and of placements where there were some.

    Parameters
    ----------
    network, quantized_sha256, verilog_sha256
        The network, and the hashes of its quantized file and of the Verilog, in hex.
    as_generated
        Whether this Verilog is the one that the folder's manifest describes.
    target, part, grade
        The target, the manufacturer's name of the device, and its speed grade if it was placed.
    tools
        The versions of Yosys and, if it was placed, nextpnr.
    cells
        The number of cells of each type.
    luts, carries, flip_flops, multipliers, memories
        The same by what they are counted as.
    planned_multipliers
        The multipliers of the plan.
    occupied, available
        What the cells occupy of the device, and what it has.
    seeds
        The clock for each seed; empty if it was not placed.
    clock_mhz, best_clock_mhz
        The median (of an even number the lower of both) and the highest clock of the seeds.
    interval_cycles, latency_cycles
        Those that the manifest predicts; None if the Verilog is another.
    images_per_second, latency_us
        From the median clock and these cycles.
    layers, parts
        The cells of each layer, and of the other parts. Paths are those of the seed with the median
        clock.
    """

    schema: str
    network: str
    quantized_sha256: str
    verilog_sha256: str
    as_generated: bool
    target: str
    part: str
    grade: str | None
    tools: dict[str, str]
    cells: dict[str, Count]
    luts: Count
    carries: Count
    flip_flops: Count
    multipliers: Count
    planned_multipliers: Count
    memories: MemoriesEntry
    occupied: Capacity
    available: Capacity
    seeds: tuple[SeedEntry, ...]
    clock_mhz: float | None
    best_clock_mhz: float | None
    interval_cycles: PositiveCount | None
    latency_cycles: Count | None
    images_per_second: float | None
    latency_us: float | None
    layers: tuple[PartEntry, ...]
    parts: tuple[PartEntry, ...]

    @property
    def misfit(self) -> tuple[str, ...]:
        """What the device has too little of, and by how much, in words; empty if it fits."""
        return misfit(self.occupied, self.available)

    @property
    def use(self) -> tuple[tuple[str, int, int], ...]:
        """What the device has, in words: what is used of it, and what is there."""
        used, available = asdict(self.occupied), asdict(self.available)
        return tuple((WORDS[name], used[name], available[name]) for name in used)

    def to_json(self) -> bytes:
        """The bytes of the file."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def _repr_html_(self) -> str:
        caption = f"{self.network} on {self.part}"
        if self.clock_mhz is not None:
            caption += f": {self.clock_mhz:.1f} MHz"
        rows = [(each.name, *map("{:,}".format, counts(each))) for each in self.all_parts]
        return html_table(("part", *COUNT_HEADINGS), rows, 1, caption)

    @property
    def all_parts(self) -> tuple[PartEntry, ...]:
        """The layers, and the other parts."""
        return *self.layers, *self.parts

    @property
    def placed_parts(self) -> list[tuple[PartEntry, SlowestPath]]:
        """The parts that have a slowest path, and these; the slowest first."""
        found = [
            (each, each.slowest_path) for each in self.all_parts if each.slowest_path is not None
        ]
        return sorted(found, key=lambda each: -each[1].picoseconds)


COUNT_HEADINGS = "logic LUTs", "carry cells", *(WORDS[kind] for kind in KINDS[2:])
"""The headings of `counts`."""


def counts(entry: PartEntry) -> tuple[int, ...]:
    """The cells of a part, by `targets.KINDS`."""
    return tuple(getattr(entry, kind) for kind in KINDS)


_MADE_BY_TOOLS = re.compile(
    r"(_(TRELLIS|SB_|DFF|MULT|DP16KD|PDPW16KD|LUT|CCU2C|PFUMX|L6MUX21|RAM16|ALU|SDP|DP[BX]|pROM)|\$|\.\d)"
)
"""Where the name that tools derive from that of a signal begins to be theirs."""


def path_ends(path: SlowestPath) -> tuple[str, str]:
    """The signals at both ends of a path, by the names that they have in the Verilog."""
    return signal_name(path.source), signal_name(path.target)


def signal_name(cell: str) -> str:
    """The name of the signal that a cell drives: the part's instance, a point, and its name."""
    part, point, name = cell.partition(".")
    if not point:
        return _MADE_BY_TOOLS.split(cell, maxsplit=1)[0]
    return f"{part}.{_MADE_BY_TOOLS.split(name, maxsplit=1)[0]}"


def make_report(
    built: Artifacts,
    netlist: Netlist,
    grade: str,
    placements: Sequence[Placement],
    versions: Mapping[str, str],
) -> SynthesisReport:
    """The report of a netlist and its placements.

    Parameters
    ----------
    built
        The folder of the accelerator.
    netlist, grade, placements
        The netlist, and its placements at a speed grade; they may be none.
    versions
        The versions of the tools.
    """
    device, manifest = netlist.device, built.manifest
    total: Counter[str] = sum(netlist.cells.values(), start=Counter())
    kinds = device.family.counted(total)
    middle = None
    if placements:
        middle = median_low([(each.clock_mhz, -each.seed) for each in placements])
    paths = next((each.paths for each in placements if (each.clock_mhz, -each.seed) == middle), {})
    clock = middle[0] if middle else None
    cycles = manifest.predicted if built.as_generated else None
    planned = {unit_part(layer.name): layer.multipliers for layer in manifest.layers}

    def entry(name: str, part: str) -> PartEntry:
        return PartEntry(
            name,
            **device.family.counted(netlist.cells[part]),
            occupied=device.family.occupied(netlist.cells[part]),
            planned_multipliers=planned.get(part, 0),
            slowest_path=paths.get(part),
        )

    return SynthesisReport(
        schema=SCHEMA,
        network=manifest.network,
        quantized_sha256=manifest.quantized_sha256,
        verilog_sha256=built.verilog_sha256,
        as_generated=built.as_generated,
        target=device.name,
        part=device.part,
        grade=grade or None if placements else None,
        tools=dict(versions),
        cells=dict(sorted(total.items())),
        luts=kinds["luts"],
        carries=kinds["carries"],
        flip_flops=kinds["flip_flops"],
        multipliers=kinds["multipliers"],
        planned_multipliers=manifest.multipliers,
        memories=MemoriesEntry(kinds["block_memories"], kinds["distributed_memories"]),
        occupied=device.family.occupied(total),
        available=device.capacity,
        seeds=tuple(SeedEntry(each.seed, each.clock_mhz) for each in placements),
        clock_mhz=clock,
        best_clock_mhz=max((each.clock_mhz for each in placements), default=None),
        interval_cycles=cycles.interval_cycles if cycles else None,
        latency_cycles=cycles.latency_cycles if cycles else None,
        images_per_second=clock * 1e6 / cycles.interval_cycles if clock and cycles else None,
        latency_us=cycles.latency_cycles / clock if clock and cycles else None,
        layers=tuple(entry(layer.name, unit_part(layer.name)) for layer in manifest.layers),
        parts=tuple(
            entry(name, part)
            for name, part in (
                *(("frame checker", FRAME_CHECKER), ("classifier", CLASSIFIER)),
                ("top", TOP_PART),
            )
        ),
    )


def load_report(folder: str | os.PathLike[str]) -> SynthesisReport:
    """The report in a folder of hardware.

    Raises
    ------
    FileFormatError
        There is none, or it is damaged or of another version.
    """
    return json_files.read(Path(folder) / FILE_NAME, SynthesisReport, SCHEMA, _MAX_BYTES)
