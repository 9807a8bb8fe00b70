"""The report of a synthesis, as data, and its file `synthesis.json`.

`flow.synthesize_folder` returns one; the command prints it.
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from statistics import median_low
from typing import Any

import msgspec

from systolith.golden.errors import FileFormatError
from systolith.golden.files import json_files
from systolith.golden.files.json_files import Count, PositiveCount
from systolith.golden.files.whole_files import write_whole
from systolith.golden.reports.html_table import html_table
from systolith.hw.accelerator import CLASSIFIER, FRAME_CHECKER, SCORE_STREAM, unit_part
from systolith.hw.silicon.placement import Placement
from systolith.hw.silicon.slowest_paths import SlowestPath
from systolith.hw.silicon.synthesis import TOP_PART, Netlist
from systolith.hw.silicon.targets import (
    DEVICES,
    KINDS,
    Capacity,
    Device,
    misfit,
    multiplier_sizes,
)
from systolith.hw.silicon.tools import ToolError
from systolith.hw.streams.result_layout import ResultKind
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
        The layer; `frame checker`, `classifier`, `score stream`, or `top` for the rest.
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


class SynthesisReport(msgspec.Struct, frozen=True, omit_defaults=True):
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
    no_room
        What the placer says that there is too little of; empty if it found room or did not run.
    others
        In the file, the last reports of the same Verilog for other targets.
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
    no_room: tuple[str, ...] = ()
    others: tuple[SynthesisReport, ...] = ()

    @property
    def misfit(self) -> tuple[str, ...]:
        """What the device has too little of, and by how much, in words; empty if it fits."""
        return misfit(self.occupied, DEVICES[self.target]) or self.no_room

    @property
    def multiplier_sizes(self) -> str:
        """What is counted as a multiplier, in words; empty if each is one of the device."""
        return multiplier_sizes(self.cells, DEVICES[self.target].family)

    @property
    def use(self) -> tuple[tuple[str, int, int], ...]:
        """What the device has, in words: what is used of it, and what is there."""
        used, available = asdict(self.occupied), asdict(self.available)
        words = DEVICES[self.target].family.words
        return tuple((words[name], used[name], available[name]) for name in used)

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


COUNT_HEADINGS = (
    *("logic LUTs", "carry cells", "flip-flops"),
    *("multiplier cells", "block memory cells", "distributed memory cells"),
)
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
    paths = {}
    if placements:
        _, middle = median_low([(each.clock_mhz, -each.seed) for each in placements])
        paths = next(each.paths for each in placements if each.seed == -middle)
    seeds = tuple(SeedEntry(each.seed, each.clock_mhz) for each in placements)
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
        grade=grade or None if placements else None,
        tools=dict(versions),
        cells=dict(sorted(total.items())),
        planned_multipliers=manifest.multipliers,
        seeds=seeds,
        interval_cycles=cycles.interval_cycles if cycles else None,
        latency_cycles=cycles.latency_cycles if cycles else None,
        **_derived(
            device,
            total,
            seeds,
            cycles.interval_cycles if cycles else None,
            cycles.latency_cycles if cycles else None,
        ),
        layers=tuple(entry(layer.name, unit_part(layer.name)) for layer in manifest.layers),
        parts=tuple(
            entry(name, part)
            for name, part in (
                ("frame checker", FRAME_CHECKER),
                _RESULT_PARTS[manifest.result.kind],
                ("top", TOP_PART),
            )
        ),
    )


_RESULT_PARTS: dict[ResultKind, tuple[str, str]] = {
    "class": ("classifier", CLASSIFIER),
    "scores": ("score stream", SCORE_STREAM),
}
"""By what an accelerator puts out: the name of the part that does, and its submodule."""


def _derived(
    device: Device,
    cells: Mapping[str, int],
    seeds: Sequence[SeedEntry],
    interval_cycles: int | None,
    latency_cycles: int | None,
) -> dict[str, Any]:
    """The fields of a report that follow from others."""
    kinds = device.family.counted(cells)
    clock = median_low([each.clock_mhz for each in seeds]) if seeds else None
    return {
        "part": device.part,
        "luts": kinds["luts"],
        "carries": kinds["carries"],
        "flip_flops": kinds["flip_flops"],
        "multipliers": kinds["multipliers"],
        "memories": MemoriesEntry(kinds["block_memories"], kinds["distributed_memories"]),
        "occupied": device.family.occupied(cells),
        "available": device.capacity,
        "clock_mhz": clock,
        "best_clock_mhz": max((each.clock_mhz for each in seeds), default=None),
        "images_per_second": clock * 1e6 / interval_cycles if clock and interval_cycles else None,
        "latency_us": latency_cycles / clock if clock and latency_cycles is not None else None,
    }


def save_report(folder: str | os.PathLike[str], report: SynthesisReport) -> None:
    """Write a report into the folder of its hardware; those for other targets stay in the file.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    path = Path(folder) / FILE_NAME
    others: tuple[SynthesisReport, ...] = ()
    if path.exists():
        # A file that cannot be read, or is of other Verilog, is replaced.
        with suppress(FileFormatError):
            before = load_report(folder)
            others = tuple(
                msgspec.structs.replace(each, others=())
                for each in (before, *before.others)
                if each.target != report.target and each.verilog_sha256 == report.verilog_sha256
            )
    write_whole(path, msgspec.structs.replace(report, others=others).to_json())


def load_report(folder: str | os.PathLike[str]) -> SynthesisReport:
    """The report of the last synthesis in a folder of hardware, with those for other targets.

    Raises
    ------
    FileFormatError
        There is none, it is damaged or of another version, or its figures contradict each other;
        the message names the field.
    """
    path = Path(folder) / FILE_NAME
    report = json_files.read(path, SynthesisReport, SCHEMA, _MAX_BYTES)
    reports = {"$": report}
    reports |= {f"$.others[{place}]": each for place, each in enumerate(report.others)}
    for root, each in reports.items():
        if problem := _contradiction(each):
            raise FileFormatError(f"{path}: {root}.{problem}")
    targets = [each.target for each in reports.values()]
    if len(set(targets)) < len(targets):
        raise FileFormatError(f"{path}: $.others: has a target twice")
    for place, each in enumerate(report.others):
        if each.verilog_sha256 != report.verilog_sha256 or each.others:
            raise FileFormatError(f"{path}: $.others[{place}]: is not of the same Verilog")
    return report


def require_report_of(report: SynthesisReport, built: Artifacts, path: Path) -> None:
    """Refuse a report of the Verilog in a folder that contradicts the folder's manifest.

    Raises
    ------
    FileFormatError
        It does; the message names the field.
    """
    manifest = built.manifest
    cycles = manifest.predicted
    known: dict[str, object] = {
        "network": manifest.network,
        "quantized_sha256": manifest.quantized_sha256,
        "as_generated": built.as_generated,
        "planned_multipliers": manifest.multipliers,
        "interval_cycles": cycles.interval_cycles if built.as_generated else None,
        "latency_cycles": cycles.latency_cycles if built.as_generated else None,
    }
    for name, expected in known.items():
        if (found := getattr(report, name)) != expected:
            raise FileFormatError(
                f"{path}: $.{name}: is {found!r}, and in the manifest {expected!r}"
            )
    planned = [(layer.name, layer.multipliers) for layer in manifest.layers]
    if [(each.name, each.planned_multipliers) for each in report.layers] != planned:
        raise FileFormatError(f"{path}: $.layers: are not those of the manifest")


def _contradiction(report: SynthesisReport) -> str:
    """The field of a report that contradicts others, and how; empty if none does."""
    device = DEVICES.get(report.target)
    if device is None:
        return f"target: must be one of {', '.join(DEVICES)}, not {report.target!r}"
    grades = device.placer.grades if device.placer else ()
    seeds = [each.seed for each in report.seeds]
    if report.grade not in (grades if seeds and grades else (None,)):
        return f"grade: cannot be {report.grade!r} for {report.target} with {len(seeds)} seeds"
    if len(set(seeds)) < len(seeds) or any(each.clock_mhz <= 0 for each in report.seeds):
        return "seeds: a seed is there twice, or a clock is not positive"
    if seeds and (device.placer is None or report.no_room):
        return "seeds: has clocks of a design that was not placed"
    if report.as_generated != (report.interval_cycles is not None):
        return "interval_cycles: must be known for the generated Verilog, and for no other"
    if report.as_generated != (report.latency_cycles is not None):
        return "latency_cycles: must be known for the generated Verilog, and for no other"
    cycles = report.interval_cycles, report.latency_cycles
    try:
        derived = _derived(device, report.cells, report.seeds, *cycles)
    except ToolError as error:
        return f"cells: {error}"
    for name, expected in derived.items():
        found = getattr(report, name)
        if not _same(found, expected):
            return f"{name}: is {found}, from the other fields follows {expected}"
    return _contradicting_part(report)


def _contradicting_part(report: SynthesisReport) -> str:
    """What contradicts the totals in the layers and parts of a report; empty if nothing does."""
    every = report.all_parts
    if len({each.name for each in every}) < len(every):
        return "layers: a name is there twice"
    totals: dict[str, int] = {
        **{kind: getattr(report, kind) for kind in KINDS[:4]},
        "block_memories": report.memories.block,
        "distributed_memories": report.memories.distributed,
        "planned_multipliers": report.planned_multipliers,
    }
    for name, total in totals.items():
        if (found := sum(getattr(each, name) for each in every)) != total:
            return f"layers: they and the parts have {found:,} {name}, and the whole {total:,}"
    for name, total in asdict(report.occupied).items():
        # Each part rounds halves of multipliers up.
        most = len(every) if name == "multipliers" else 0
        if not 0 <= sum(getattr(each.occupied, name) for each in every) - total <= most:
            return f"layers: they and the parts do not occupy {total:,} {name} together"
    for each in every:
        path = each.slowest_path
        if path and (not report.seeds or path.wire_picoseconds > path.picoseconds):
            return f"layers: the slowest path of {each.name!r} is of no placement, or too short"
    return ""


def _same(found: object, expected: object) -> bool:
    if isinstance(found, float) and isinstance(expected, float):
        return math.isclose(found, expected)
    return found == expected
