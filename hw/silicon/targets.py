"""Devices by name: what they have, and how the cells of their netlists are counted.

`synthesis` counts with the tables of a family, and `synthesis_report` compares the counts with a
device.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from fractions import Fraction
from types import MappingProxyType
from typing import Literal, get_args

from systolith.golden.choices import choice
from systolith.hw.errors import MisfitError
from systolith.hw.silicon.tools import ToolError

Kind = Literal[
    "luts", "carries", "flip_flops", "multipliers", "block_memories", "distributed_memories"
]
"""What a cell is counted as."""

KINDS: tuple[Kind, ...] = get_args(Kind)
"""All kinds, in the order of tables."""


LONE_FLIP_FLOP = "flip-flop without a LUT"
"""A flip-flop that occupies the LUT of its logic cell, in families where its input is that LUT's
output: synthesis counts it as a cell of this type, too."""

CONSTRAINTS = "pins.cst"
"""The name of a file of constraints."""


@dataclass(frozen=True)
class Capacity:
    """What a device has, or what a netlist occupies of it.

    Parameters
    ----------
    luts
        Look-up tables. Logic, distributed memories and, in families without a carry chain of its
        own, carry cells occupy them.
    flip_flops
        Flip-flops in the logic fabric.
    multipliers
        Multipliers of 18 x 18 bits (25 x 18 in 7-series, 16 x 16 in iCE40).
    block_memories
        Blocks of 18 Kbit (4 Kbit in iCE40).
    distributed_memories
        Memories in look-up tables: the look-up tables that can be memory in 7-series, blocks of 16
        words of 4 bits elsewhere.
    """

    luts: int
    flip_flops: int
    multipliers: int
    block_memories: int
    distributed_memories: int


@dataclass(frozen=True)
class Cell:
    """A type of cell: what it is counted as, and what one occupies of a device.

    Parameters
    ----------
    kind
        What it is counted as; None for what a device has beside all these, such as buffers.
    luts
        The look-up tables that it occupies.
    sites
        The multipliers, block memories or distributed memories that it occupies, by its kind.
    """

    kind: Kind | None
    luts: int = 0
    sites: Fraction = Fraction(1)


_HALF = Fraction(1, 2)
_FREE = Cell(None)
_LUT = Cell("luts", luts=1)
_FLIP_FLOP = Cell("flip_flops")
_MULTIPLIER = Cell("multipliers")
_BLOCK = Cell("block_memories")


def _distributed(luts: int, sites: int) -> Cell:
    return Cell("distributed_memories", luts, Fraction(sites))


@dataclass(frozen=True)
class Family:
    """Devices with the same cells.

    Parameters
    ----------
    name
        That of `hw.verilog.netlist.TARGETS`.
    options
        Options of its synthesis command, which keep the modules of the layers apart.
    finish
        Yosys commands after it; `{top}` is the top module.
    block_bits, lut_bits
        The bits of a block memory, and of a look-up table.
    cells
        Its cells, by regular expressions of their types.
    """

    name: str
    options: str
    finish: str
    block_bits: int
    lut_bits: int
    cells: Mapping[str, Cell]

    def cell(self, cell_type: str) -> Cell:
        """What a type of cell is counted as.

        Raises
        ------
        ToolError
            The family has no such cell: the netlist has something that was not mapped.
        """
        for pattern, cell in self.cells.items():
            if re.fullmatch(pattern, cell_type):
                return cell
        raise ToolError(f"a netlist for {self.name} has the cell {cell_type!r}, which is unknown")

    def occupied(self, cells: Mapping[str, int]) -> Capacity:
        """What cells, by their types and numbers, occupy of a device."""
        sites = dict.fromkeys((field.name for field in fields(Capacity)), Fraction(0))
        for cell_type, count in cells.items():
            cell = self.cell(cell_type)
            sites["luts"] += cell.luts * count
            if cell.kind in sites and cell.kind != "luts":
                sites[cell.kind] += cell.sites * count
        return Capacity(**{name: math.ceil(each) for name, each in sites.items()})

    @property
    def luts_of_distributed_memory(self) -> int:
        """The look-up tables that a site of a distributed memory occupies; 0 without any."""
        cells = (cell for cell in self.cells.values() if cell.kind == "distributed_memories")
        return max((math.ceil(cell.luts / cell.sites) for cell in cells), default=0)

    @property
    def words(self) -> Mapping[str, str]:
        """What a device has, in words: `WORDS`, with what its distributed memories are counted in.

        Where cells differ in size, as in 7-series, that is look-up tables.
        """
        sizes = {cell.sites for cell in self.cells.values() if cell.kind == "distributed_memories"}
        if len(sizes) <= 1:
            return WORDS
        return {**WORDS, "distributed_memories": "LUTs for distributed memories"}

    def counted(self, cells: Mapping[str, int]) -> dict[Kind, int]:
        """The number of cells of each kind."""
        counts: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        for cell_type, count in cells.items():
            kind = self.cell(cell_type).kind
            if kind is not None:
                counts[kind] += count
        return counts


_ECP5 = Family(
    name="ecp5",
    options="-noflatten",
    finish="",
    block_bits=18_432,
    lut_bits=16,
    cells=MappingProxyType(
        {
            "LUT4": _LUT,
            "CCU2C": Cell("carries", luts=2),
            "TRELLIS_FF": _FLIP_FLOP,
            "MULT18X18D": _MULTIPLIER,
            "DP16KD|PDPW16KD": _BLOCK,
            # Four for the words, and the two whose inputs bring what is written.
            "TRELLIS_DPR16X4": _distributed(luts=6, sites=1),
            "PFUMX|L6MUX21|GSR|VLO|VHI": _FREE,
        }
    ),
)
_ICE40 = Family(
    name="ice40",
    options="-device u -noflatten",
    finish="",
    block_bits=4_096,
    lut_bits=16,
    cells=MappingProxyType(
        {
            "SB_LUT4": _LUT,
            # In the logic cell of the LUT of its sum.
            "SB_CARRY": Cell("carries"),
            "SB_DFF.*": _FLIP_FLOP,
            "SB_MAC16": _MULTIPLIER,
            "SB_RAM40_4K(NR|NW|NRNW)?": _BLOCK,
            "SB_GB|SB_IO": _FREE,
            LONE_FLIP_FLOP: Cell(None, luts=1),
        }
    ),
)
_GOWIN = Family(
    name="gowin",
    options="-family gw2a -noflatten -noiopads",
    # Its own pads would be at the ports of every module.
    finish="iopadmap -bits -inpad IBUF O:I -outpad OBUF I:O {top}",
    block_bits=18_432,
    lut_bits=16,
    cells=MappingProxyType(
        {
            "LUT[1-4]": _LUT,
            "ALU": Cell("carries", luts=1),
            "DFFN?[SRPC]?E?": _FLIP_FLOP,
            "MULT9X9": Cell("multipliers", sites=_HALF),
            "MULT18X18": _MULTIPLIER,
            "MULT36X36": Cell("multipliers", sites=Fraction(4)),
            "(SDP|DP|SP)X?9?B?|SDPB|SDPX9B|DPB|DPX9B|pROMX?9?": _BLOCK,
            "RAM16S(DP)?1": _distributed(luts=1, sites=1),
            "RAM16S(DP)?2": _distributed(luts=2, sites=1),
            "RAM16S(DP)?4": _distributed(luts=4, sites=1),
            "MUX2_LUT[5-8]|IBUF|OBUF|GND|VCC|GSR": _FREE,
        }
    ),
)
_GOWIN_LITTLE_BEE = replace(_GOWIN, options=_GOWIN.options.replace("gw2a", "gw1n"))
_XC7 = Family(
    name="xc7",
    options="",
    finish="",
    block_bits=18_432,
    lut_bits=64,
    cells=MappingProxyType(
        {
            "LUT[1-6]|INV": _LUT,
            # Beside the look-up tables of a slice.
            "CARRY4": Cell("carries"),
            "FD[RSCP]E(_1)?": _FLIP_FLOP,
            "DSP48E1": _MULTIPLIER,
            "RAMB18E1": _BLOCK,
            "RAMB36E1": Cell("block_memories", sites=Fraction(2)),
            "RAM(32|64)X1S|SRL16E|SRLC32E|ROM(32|64)X1": _distributed(luts=1, sites=1),
            "RAM(32|64)X1D|RAM128X1S": _distributed(luts=2, sites=2),
            "RAM32M|RAM64M|RAM128X1D|RAM256X1S": _distributed(luts=4, sites=4),
            "MUXF[78]|IBUF|OBUF|BUFG|GND|VCC": _FREE,
        }
    ),
)


@dataclass(frozen=True)
class Placer:
    """How nextpnr is called for a device.

    Parameters
    ----------
    tool
        The name of the tool in `tools.TOOLS`.
    arguments
        Those that choose the device; `{grade}` is the speed grade.
    grades
        The speed grades, the default one first; empty if the device is all that is chosen.
    pins
        The pins that a package has for signals.
    constraints
        The text of the file `CONSTRAINTS`, which the arguments name; empty if there is none.
    """

    tool: str
    arguments: tuple[str, ...]
    grades: tuple[str, ...]
    pins: int
    constraints: str = ""


@dataclass(frozen=True)
class Device:
    """A device that accelerators are synthesized for.

    Parameters
    ----------
    name
        The name of the target.
    part
        The name that its manufacturer gives it.
    family
        Its cells.
    capacity
        What it has.
    placer
        How it is placed and routed; None if there is no open tool on PyPI for it.
    """

    name: str
    part: str
    family: Family
    capacity: Capacity
    placer: Placer | None

    @property
    def memory_bits(self) -> int:
        """The bits that it could store at most, in block memories and in all look-up tables."""
        family, has = self.family, self.capacity
        return has.block_memories * family.block_bits + has.luts * family.lut_bits

    @property
    def most_multipliers(self) -> int:
        """The most multiplications that its multipliers can do, if all are of the smallest size."""
        cells = self.family.cells.values()
        smallest = min(cell.sites for cell in cells if cell.kind == "multipliers")
        return int(self.capacity.multipliers / smallest)


def _ecp5(size: str, pins: int, capacity: Capacity) -> Device:
    arguments = (
        *(f"--{size}k", "--package", "CABGA381", "--speed", "{grade}"),
        "--lpf-allow-unconstrained",
    )
    placer = Placer("nextpnr-ecp5", arguments, ("6", "7", "8"), pins)
    return Device(f"ecp5-{size}k", f"LFE5U-{size}F-CABGA381", _ECP5, capacity, placer)


def _gowin(
    name: str, part: str, chip: str, family: Family, capacity: Capacity, pins: tuple[str, ...]
) -> Device:
    arguments = *("--device", part), *("--vopt", f"family={chip}", "--vopt", f"cst={CONSTRAINTS}")
    ports = "aclk", "aresetn", "scan_in", "scan_out"
    places = (f'IO_LOC "{port}" {pin};\n' for port, pin in zip(ports, pins, strict=True))
    placer = Placer("nextpnr-gowin", arguments, (), len(pins), "".join(places))
    return Device(name, part, family, capacity, placer)


def _xc7(name: str, part: str, capacity: Capacity) -> Device:
    return Device(name, part, _XC7, capacity, None)


DEVICES: Mapping[str, Device] = MappingProxyType(
    {
        device.name: device
        for device in (
            _ecp5("25", 197, Capacity(24_288, 24_288, 28, 56, 3_036)),
            _ecp5("45", 203, Capacity(43_848, 43_848, 72, 108, 5_481)),
            _ecp5("85", 205, Capacity(83_640, 83_640, 156, 208, 10_455)),
            Device(
                "ice40-up5k",
                "iCE40UP5K-SG48",
                _ICE40,
                Capacity(5_280, 5_280, 8, 30, 0),
                Placer("nextpnr-ice40", ("--up5k", "--package", "sg48"), (), 39),
            ),
            _gowin(
                *("gowin-gw1n9", "GW1NR-LV9QN88PC6/I5", "GW1N-9C", _GOWIN_LITTLE_BEE),
                Capacity(8_640, 6_480, 20, 26, 270),
                ("52", "4", "18", "17"),
            ),
            _gowin(
                *("gowin-gw2a18", "GW2A-LV18PG256C8/I7", "GW2A-18", _GOWIN),
                Capacity(20_736, 15_552, 48, 46, 648),
                ("H11", "T10", "T3", "M11"),
            ),
            _xc7("xc7z020", "XC7Z020", Capacity(53_200, 106_400, 220, 280, 17_400)),
            _xc7("xc7a35t", "XC7A35T", Capacity(20_800, 41_600, 90, 100, 6_400)),
            _xc7("xc7a100t", "XC7A100T", Capacity(63_400, 126_800, 240, 270, 19_000)),
        )
    }
)
"""By name. Sources, the manufacturers' data sheets:

ECP5: Lattice FPGA-DS-02012, table 1.1. Of each eight look-up tables four can be memory: 16 words of
4 bits (section 2.4.2). iCE40UP5K: Lattice FPGA-DS-02008, table 1.1. GW1NR-9: Gowin DS117, table
1-1, and GW2A-18: DS102, table 1-1; their 17,280 and 41,472 bits of shadow memory are 270 and 648
blocks of 16 words of 4 bits. 7-series: Xilinx DS180,
tables 4 and 6 (Artix-7), and DS190, table 1 (Zynq-7020); the look-up tables that can be memory are
those of UG474, table 1-2. A block of 36 Kbit counts as two of 18.
"""


def find_device(name: str) -> Device:
    """The device with a name.

    Raises
    ------
    ValueError
        There is none; the message has all names.
    """
    return choice(DEVICES, name, "target")


def placer_of(device: Device) -> Placer:
    """How a device is placed and routed.

    Raises
    ------
    ValueError
        There is no open tool for it.
    """
    if device.placer is None:
        raise ValueError(f"target {device.name}: is for synthesis alone, and cannot be placed")
    return device.placer


def multiplier_sizes(cells: Mapping[str, int], family: Family) -> str:
    """The cells that are multipliers, and how many multipliers of the device each occupies.

    Empty if each occupies one.
    """
    kinds = {name: family.cell(name) for name in cells}
    sites = {name: cell.sites for name, cell in kinds.items() if cell.kind == "multipliers"}
    if all(each == 1 for each in sites.values()):
        return ""
    return ", ".join(f"{cells[name]:,} {name} ({each} each)" for name, each in sites.items())


def misfit(needed: Capacity, device: Device) -> tuple[str, ...]:
    """What a device has too little of, and by how much, in words; empty if it has enough."""
    return tuple(
        f"{need:,} {device.family.words[name]} of {has:,} ({need - has:,} too many)"
        for name, need in asdict(needed).items()
        if need > (has := getattr(device.capacity, name))
    )


def require_room(network: str, weight_bits: int, device: Device) -> None:
    """Refuse a network whose weights alone are more than a device can store, whatever the plan.

    Raises
    ------
    MisfitError
        They are.
    """
    if weight_bits > device.memory_bits:
        raise MisfitError(
            f"{network} does not fit {device.part} with any plan: its weights have "
            f"{weight_bits:,} bits, {weight_bits - device.memory_bits:,} more than all block "
            f"memories and LUTs of the device store ({device.memory_bits:,}); it needs fewer bits "
            "a weight, or fewer weights"
        )


WORDS: Mapping[str, str] = MappingProxyType(
    {
        "luts": "LUTs",
        "flip_flops": "flip-flops",
        "multipliers": "multipliers",
        "block_memories": "block memories",
        "distributed_memories": "distributed memories",
    }
)
"""What a device has, in words."""
