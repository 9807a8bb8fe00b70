"""Places and routes netlists with nextpnr, for several seeds in parallel; each result is cached.

`place` returns the clock and the slowest path into each part, for each seed.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import msgspec

from systolith.golden.files import json_files
from systolith.golden.files.whole_files import read_whole
from systolith.hw.build_cache import cached, content_key
from systolith.hw.silicon.slowest_paths import SlowestPath, slowest_paths
from systolith.hw.silicon.synthesis import HARNESS_INSTANCE, TOP_PART, Netlist
from systolith.hw.silicon.targets import CONSTRAINTS, Placer, placer_of
from systolith.hw.silicon.tools import LOG, Stopped, Tool, ToolError, find_tool, run_tool

GOAL_MHZ = 150
"""The clock that nextpnr works for, in MHz: more than any design here reaches on these devices."""

_NETLIST, _DELAYS, _REPORT, _RESULT = "netlist.json", "delays.sdf", "report.json", "result.json"
_MAX_BYTES = 1 << 28
_MHZ_DIGITS = 2

_USE = re.compile(r"^Info:\s+(\w+):\s*(\d+)/\s*(\d+)\s+\d+%", re.MULTILINE)
_NO_ROOM = re.compile(
    r"^ERROR: (.*(?:no BELs remaining|utilisation limit|placement location).*)$", re.MULTILINE
)
"""What nextpnr says when it finds no place for a cell."""


class NoRoomError(ToolError):
    """nextpnr found no room for a design.

    Parameters
    ----------
    lacks
        What there is too little of, by nextpnr's names; in its own words if it is nothing in
        particular.
    """

    def __init__(self, lacks: tuple[str, ...]) -> None:
        super().__init__("; ".join(lacks))
        self.lacks = lacks


def require_room_in_log(log: str) -> None:
    """Find in the output of a run of nextpnr that failed whether the design does not fit.

    Raises
    ------
    NoRoomError
        It does not.
    """
    use = [(name, int(used), int(has)) for name, used, has in _USE.findall(log)]
    lacks = [
        f"{used:,} {name} of {has:,} ({used - has:,} too many)"
        for name, used, has in use
        if used > has
    ]
    if lacks:
        raise NoRoomError(tuple(lacks))
    if found := _NO_ROOM.search(log):
        raise NoRoomError((found[1],))


class _Clock(msgspec.Struct):
    achieved: float


class _Report(msgspec.Struct):
    """The part of nextpnr's report that is read; it is of the routed design."""

    fmax: dict[str, _Clock]


class Placement(msgspec.Struct, frozen=True):
    """A routed design.

    Parameters
    ----------
    seed
        The seed of nextpnr's random numbers.
    clock_mhz
        The highest frequency of the clock.
    paths
        The slowest path into each part, by its name.
    """

    seed: int
    clock_mhz: float
    paths: dict[str, SlowestPath]


def place(
    netlist: Netlist,
    grade: str,
    seeds: Sequence[int],
    parts: Sequence[str],
    jobs: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Placement]:
    """Place and route a netlist with each of the seeds, in their order.

    Parameters
    ----------
    netlist
        The netlist.
    grade
        The speed grade of its device; empty if that has none.
    seeds
        Seeds.
    parts
        The names of the instances whose paths are found apart.
    jobs
        The placements at a time; by default one for each processor.
    progress
        Called with the number of placements that are done, and of all.

    Raises
    ------
    MissingToolError
        nextpnr is not installed.
    NoRoomError
        The design does not fit.
    ToolError
        The design could not be placed or routed.
    ValueError
        There is no open tool for the device.
    """
    placer = placer_of(netlist.device)
    tool = find_tool(placer.tool)
    stop = threading.Event()

    def run(seed: int) -> Placement:
        return _place(netlist, placer, tool, grade, seed, parts, stop)

    found = {}
    with ThreadPoolExecutor(jobs or len(os.sched_getaffinity(0))) as pool:
        futures = {pool.submit(run, seed): seed for seed in seeds}
        try:
            for future in as_completed(futures):
                found[futures[future]] = future.result()
                progress(len(found), len(futures))
        except BaseException:
            # Threads that run a tool end it; those that wait for a processor start none.
            stop.set()
            raise
    return [found[seed] for seed in seeds]


def _place(
    netlist: Netlist,
    placer: Placer,
    tool: Tool,
    grade: str,
    seed: int,
    parts: Sequence[str],
    stop: threading.Event,
) -> Placement:
    arguments = [
        *(each.format(grade=grade) for each in placer.arguments),
        *("--json", _NETLIST, "--top", netlist.top, "--freq", f"{GOAL_MHZ}", "--seed", f"{seed}"),
        *("--timing-allow-fail", "--report", _REPORT, "--sdf", _DELAYS),
    ]

    def build(folder: Path) -> None:
        if stop.is_set():
            raise Stopped
        (folder / _NETLIST).write_bytes(netlist.content)
        (folder / CONSTRAINTS).write_text(placer.constraints, "utf-8")
        try:
            run_tool(tool, arguments, folder, (_REPORT, _DELAYS), stop)
        except ToolError as error:
            require_room_in_log((folder / LOG).read_text("utf-8", "replace"))
            raise ToolError(f"{netlist.device.part}, seed {seed}: {error}") from None
        report = json_files.decode_part(read_whole(folder / _REPORT, _MAX_BYTES), _Report)
        if not report.fmax:
            raise ToolError(f"{tool.name} {tool.version}: its report has no clock")
        sdf = (folder / _DELAYS).read_text("utf-8", "replace")
        result = Placement(
            seed,
            round(min(clock.achieved for clock in report.fmax.values()), _MHZ_DIGITS),
            slowest_paths(sdf, lambda cell: part_of(cell, parts)),
        )
        (folder / _RESULT).write_bytes(msgspec.json.encode(result))
        for file in (_NETLIST, _REPORT, _DELAYS):
            (folder / file).unlink()

    key = content_key(
        "placement/1", *tool.identity, *arguments, placer.constraints, netlist.content
    )
    content = cached(key, _RESULT, build)
    return json_files.decode_part(content.read_bytes(), Placement)


def part_of(cell: str, parts: Sequence[str]) -> str:
    """The part that a cell of a flattened netlist belongs to; its name has that of the instance."""
    name = cell.removeprefix(f"{HARNESS_INSTANCE}.").partition(".")[0]
    return name if name in parts else TOP_PART
