"""Where Yosys puts a memory: in block memories, distributed ones, or logic; `estimation` calls it.

The rules are those of its pass `memory_libmap`, with the costs of its libraries of memories: of all
cells that could hold a memory, it takes those of the lowest cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import ceil
from types import MappingProxyType
from typing import Literal

from systolith.hw.silicon.targets import Family

Place = Literal["logic", "distributed", "block"]
"""Where a memory is."""

_MULTIPLEXED_BIT = 0.5
"""The cost of an input of the multiplexers between cells, and of an enable of a cell."""

_READ_PORT = 2
_READ_BEFORE_WRITE = 12
"""The costs of a read port, and of logic that lets a read see what was there before a write."""

_BYTE_WIDTHS = 9
"""Cells narrower than this have no parity bits, and a port of a fixed width cannot be as narrow."""


@dataclass(frozen=True)
class MemoryShape:
    """A memory: its words, their bits, and its ports.

    Parameters
    ----------
    words, bits
        Words, and the bits of each.
    reads
        The number of its read ports.
    clocked, written
        Whether all of them are clocked, and whether it has a write port.
    block
        Whether its attributes demand block memory.
    """

    words: int
    bits: int
    reads: int
    clocked: bool
    written: bool
    block: bool = False


@dataclass(frozen=True)
class MemoryCell:
    """A cell that can hold memories.

    Parameters
    ----------
    place
        What it is.
    address_bits
        Those of words of the first width; each next width has one less.
    widths
        The bits of a word, of which one is chosen.
    cost, scaling
        The cost of a cell, and how much of it shrinks with the part of its width that is used.
    sites
        The sites of a device that it takes (`targets.Capacity`).
    ports
        The ports that read or write; None if one writes and `reads` others read.
    reads
        The ports that only read.
    writes_wide
        Whether it writes whole words of its largest width or, by byte enables, of 9 and 18 bits.
    reads_first
        Whether a read sees what was there before a write in the same cycle.
    """

    place: Place
    address_bits: int
    widths: tuple[int, ...]
    cost: float
    scaling: float = 0
    sites: int = 1
    ports: int | None = None
    reads: int = 1
    writes_wide: bool = False
    reads_first: bool = False

    def fits(self, memory: MemoryShape) -> bool:
        """Whether it can hold a memory at all."""
        if self.place == "block":
            return memory.clocked
        return memory.written and not memory.block

    def copies(self, memory: MemoryShape) -> int:
        """How often the memory is there, so that there are enough read ports."""
        reads = self.reads if self.ports is None else self.ports - memory.written
        return ceil(memory.reads / reads) if reads else 0


@dataclass(frozen=True)
class MappedMemory:
    """Where a memory is.

    Parameters
    ----------
    place
        In what it is.
    cells, sites
        The cells, and the sites of the device that they take; both are 0 in logic.
    depth
        The number of cells that share the addresses.
    """

    place: Place
    cells: int = 0
    sites: int = 0
    depth: int = 1


_NARROW = 1, 2, 4, 9, 18
_WIDE = *_NARROW, 36


_block = partial(MemoryCell, "block")
_distributed = partial(MemoryCell, "distributed")

CELLS: Mapping[str, tuple[MemoryCell, ...]] = MappingProxyType(
    {
        "ecp5": (
            _distributed(4, (4,), 4),
            _block(14, _NARROW, 128, ports=2),
            _block(14, _WIDE, 128, writes_wide=True),
        ),
        "gowin": (
            _distributed(4, (4,), 4, scaling=4),
            _block(14, _WIDE, 128, ports=1),
            _block(14, _NARROW, 128, ports=2),
            _block(14, _WIDE, 128),
        ),
        "xc7": (
            # RAM32X1D and RAM64X1D, of two LUTs for each bit; RAM32M and RAM64M, of four LUTs, with
            # three read ports or a word that is three times as wide.
            *(_distributed(5 + n, (4 >> n,), 8, scaling=8, sites=8) for n in range(3)),
            *(_distributed(5 + n, (2 >> n,), 7, scaling=7, sites=4, reads=3) for n in range(2)),
            *(_distributed(5 + n, (6 >> n,), 8, scaling=7, sites=4) for n in range(2)),
            _block(14, _NARROW, 129, ports=2, reads_first=True),
            _block(15, _WIDE, 257, sites=2, ports=2, reads_first=True),
            _block(14, _WIDE, 129, reads_first=True),
            _block(15, (*_WIDE, 72), 257, sites=2, reads_first=True),
        ),
    }
)
"""The cells of each family, in the order in which Yosys tries them."""


def map_memory(memory: MemoryShape, family: Family) -> MappedMemory:
    """Where Yosys puts a memory in a family.

    Raises
    ------
    ValueError
        The family's memories are not known here.
    """
    if family.name not in CELLS:
        raise ValueError(f"family {family.name}: its memories are not known")
    bits = memory.words * memory.bits
    found = MappedMemory("logic")
    lowest = float("inf") if memory.block else bits / (1 if memory.written else family.lut_bits)
    for cell in CELLS[family.name]:
        if not cell.fits(memory) or not (copies := cell.copies(memory)):
            continue
        for number, width in enumerate(cell.widths):
            cost, mapped = _mapped(memory, cell, number, width, copies)
            if cost < lowest:
                lowest, found = cost, mapped
    return found


def _mapped(
    memory: MemoryShape, cell: MemoryCell, number: int, width: int, copies: int
) -> tuple[float, MappedMemory]:
    """The cost of a memory in cells with words of a width, and the cells."""
    if cell.writes_wide and memory.written and width < _BYTE_WIDTHS:
        return float("inf"), MappedMemory(cell.place)
    depth = ceil(memory.words / 2 ** (cell.address_bits - number))
    # Words that are written end at the border of a byte; those of a ROM follow each other.
    step = 1
    if memory.written:
        step = min(_BYTE_WIDTHS, width) if cell.place == "block" else width
    cells = ceil(depth * ceil(memory.bits / step) * step / width)
    cost = (
        (cell.cost - cell.scaling) * cells + cell.scaling * depth * memory.bits / width
    ) * copies
    cost += _MULTIPLEXED_BIT * (depth - 1) * memory.bits * memory.reads + _READ_PORT * memory.reads
    if memory.written:
        cost += _MULTIPLEXED_BIT * depth * (depth > 1)
        if cell.place == "block" and not cell.reads_first:
            cost += _READ_BEFORE_WRITE
    return cost, MappedMemory(cell.place, cells * copies, cells * copies * cell.sites, depth)
