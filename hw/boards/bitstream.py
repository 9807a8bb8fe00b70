"""The bitstream of a board with an accelerator, by Yosys, nextpnr and Project Trellis."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from systolith.golden.choices import choice
from systolith.golden.files import json_files
from systolith.golden.files.whole_files import write_whole
from systolith.hw.boards.board_catalog import BOARDS, CLOCK_HZ, Board, BoardDesign
from systolith.hw.boards.serial_accelerator import board_module, board_verilog
from systolith.hw.child_processes import temporary_folder
from systolith.hw.errors import MisfitError
from systolith.hw.silicon.fitting import fitting_budget
from systolith.hw.silicon.placement import NoRoomError, require_room_in_log
from systolith.hw.silicon.synthesis import CONFLICT
from systolith.hw.silicon.targets import find_device
from systolith.hw.silicon.tools import Tool, ToolError, find_tool, run_tool
from systolith.hw.verilog.artifacts import Artifacts

SCHEMA = "systolith.board/1"
"""The schema of a record."""

FILE_NAME = "board.json"
"""The file of the record, next to the bitstream."""

BITSTREAM_NAME = "board.bit"
"""The file of the bitstream, in the folder of the accelerator."""

DEFAULT_BAUD = 1_000_000
"""Bits a second, which about every adapter can do."""

_ROUTER = "nextpnr-ecp5"
_STEPS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "yosys": ("synthesis", "{name}.json"),
        _ROUTER: ("place and route", "{name}.config"),
        "ecppack": ("packing the bitstream", "{name}.bit"),
    }
)
"""What each tool does, and the file that it must write."""

_REPORT = "report.json"

_MAX_BYTES = 1 << 20
_LEAST_CLOCKS_PER_BIT = 8
_MOST_DEVIATION = 0.01


class Resource(msgspec.Struct, frozen=True):
    """How many cells of a type a design takes, of how many that the device has."""

    used: int
    available: int


class BoardRecord(msgspec.Struct, frozen=True):
    """What a bitstream is of: the content of `board.json`.

    Parameters
    ----------
    schema
        `SCHEMA`.
    board, device
        The board and its FPGA.
    baud
        Bits a second on the line.
    clock_mhz, routed_mhz
        The clock, and the fastest one with which the routed design meets its timing.
    resources
        Of the device, by nextpnr's names.
    verilog_sha256, bitstream_sha256
        Of the accelerator's Verilog and of the bitstream, in hex.
    tools
        The versions of the tools.
    """

    schema: str
    board: str
    device: str
    baud: int
    clock_mhz: float
    routed_mhz: float
    resources: dict[str, Resource]
    verilog_sha256: str
    bitstream_sha256: str
    tools: dict[str, str]

    def to_json(self) -> bytes:
        """The bytes of the file."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def load_record(folder: str | os.PathLike[str]) -> BoardRecord:
    """The record in a folder of hardware.

    Raises
    ------
    FileFormatError
        There is none, or it is damaged or of another version.
    """
    return json_files.read(Path(folder) / FILE_NAME, BoardRecord, SCHEMA, _MAX_BYTES)


def clocks_per_bit(baud: int) -> int:
    """The clock cycles of a bit at a speed.

    Raises
    ------
    ValueError
        The line would be too fast, or off by more than 1 %.
    """
    cycles = round(CLOCK_HZ / baud)
    if cycles < _LEAST_CLOCKS_PER_BIT or abs(CLOCK_HZ / baud / cycles - 1) > _MOST_DEVIATION:
        raise ValueError(
            f"--baud {baud}: must be {CLOCK_HZ:,} divided by a whole number of at least "
            f"{_LEAST_CLOCKS_PER_BIT}, or within 1 % of it, such as 115200, 1000000 or 3000000"
        )
    return cycles


def make_bitstream(
    built: Artifacts,
    folder: str | os.PathLike[str],
    board: str,
    baud: int,
    announce: Callable[[str], None],
) -> BoardRecord:
    """Make the bitstream of a board, and write it and its record into a folder.

    Parameters
    ----------
    built
        The accelerator.
    folder
        The folder for `board.bit` and `board.json`.
    board
        The name of the board in `BOARDS`.
    baud
        Bits a second on the line.
    announce
        Called before each step with its name.

    Raises
    ------
    ValueError
        There is no such board, or the speed is not possible.
    MisfitError
        The FPGA is too small or too slow.
    MissingToolError
        A tool is not installed.
    ToolError, OSError
        A tool failed, or a file cannot be written.
    """
    cycles = clocks_per_bit(baud)
    chosen = choice(BOARDS, board, "board")
    announce("writing Verilog")
    name = f"{board_module(built)}_top"
    platform = chosen.make_platform()
    platform.add_file("design.v", board_verilog(built, cycles))
    plan = platform.prepare(
        BoardDesign(chosen, board_module(built)),
        name,
        yosys_opts=f"-e {shlex.quote(CONFLICT)}",
        synth_opts="-noflatten",
        nextpnr_opts=f"--report {_REPORT} --timing-allow-fail --seed 1",
    )
    tools = {tool: find_tool(tool) for tool in _STEPS}
    with temporary_folder("systolith-board-") as work:
        for file, content in plan.files.items():
            (work / file).write_bytes(content if isinstance(content, bytes) else content.encode())
        commands = json.loads((work / f"build_{name}.json").read_text("utf-8"))["commands"]
        for tool, *arguments in commands:
            step, result = _STEPS[tool]
            announce(step)
            try:
                _run(tools[tool], arguments, work, result.format(name=name))
            except NoRoomError as error:
                raise MisfitError(
                    f"{built.quantized.name} does not fit board {board!r}: {error}; "
                    f"{_fitting_budget(built, chosen, announce)}"
                ) from None
        routed_mhz, resources = _routed(work / _REPORT, board)
        bitstream = (work / f"{name}.bit").read_bytes()
    record = BoardRecord(
        schema=SCHEMA,
        board=board,
        device=platform.device,
        baud=baud,
        clock_mhz=CLOCK_HZ / 1e6,
        routed_mhz=routed_mhz,
        resources=resources,
        verilog_sha256=built.verilog_sha256,
        bitstream_sha256=hashlib.sha256(bitstream).hexdigest(),
        tools={name: tool.version for name, tool in tools.items()},
    )
    write_whole(Path(folder) / BITSTREAM_NAME, bitstream)
    write_whole(Path(folder) / FILE_NAME, record.to_json())
    return record


def _fitting_budget(built: Artifacts, board: Board, announce: Callable[[str], None]) -> str:
    """Which budget would fit, in words."""
    manifest = built.manifest
    device, result = find_device(board.target), manifest.result.kind
    return fitting_budget(built.quantized.fixed, device, manifest.multipliers, announce, result)


def _run(tool: Tool, arguments: list[str], work: Path, result: str) -> None:
    """Run a tool in a folder.

    Raises
    ------
    NoRoomError
        It found that the device is too small.
    ToolError
        It failed otherwise.
    """
    try:
        run_tool(tool, arguments, work, [result])
    except ToolError:
        for full_log in work.glob("*.tim"):
            require_room_in_log(full_log.read_text("utf-8", "replace"))
        raise


def _routed(report: Path, board: str) -> tuple[float, dict[str, Resource]]:
    """The clock that was reached, in MHz, and the resources, from nextpnr's report."""
    content: dict[str, Any] = json.loads(report.read_text("utf-8"))
    reached = min(clock["achieved"] for clock in content["fmax"].values())
    if reached < CLOCK_HZ / 1e6:
        raise MisfitError(
            f"board {board!r}: the routed design reaches {reached:.1f} MHz and needs "
            f"{CLOCK_HZ / 1e6:.0f}: make a plan with fewer multipliers"
        )
    resources = {
        name: Resource(each["used"], each["available"])
        for name, each in content["utilization"].items()
        if each["used"]
    }
    return math.floor(100 * reached) / 100, resources
