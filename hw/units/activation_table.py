"""The lookup table of an activation function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Module, Shape, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from systolith.hw.streams.formats import pack, select_word

ENTRIES_A_WORD = 4
MAX_WORDS = 1024
"""The most words of a table. Verilog initializes a word a line: wide words make short files."""
MAX_PORTS = 8
"""The most read ports of a memory. Yosys tries every way to share copies of a memory among them:
8 take a second, 12 take a minute, and 14 take all memory that it can have."""


class ActivationTable(wiring.Component):
    """Looks up the entries of `lanes` indices a cycle, in memories with a read port a lane.

    `RequantizePipeline` has it for activations that a table computes (tanh, sigmoid). Latency: 2
    cycles.

    Parameters
    ----------
    entries
        The values for the indices 0, 1, ...; a power of two of them.
    shape
        The shape of an entry.
    lanes
        Indices a cycle.

    Members
    -------
    index
        The indices, lane 0 in the lowest bits.
    data
        The entries of the indices of two cycles before.
    """

    def __init__(self, entries: Sequence[int], shape: Shape, lanes: int) -> None:
        if len(entries) < 2 or len(entries) & (len(entries) - 1):
            raise ValueError(f"a table has a power of two of entries, not {len(entries)}")
        # At least two words: a memory needs an address.
        self.packed = max(min(ENTRIES_A_WORD, len(entries) // 2), len(entries) // MAX_WORDS)
        self.words = [
            pack(entries[start : start + self.packed], shape)
            for start in range(0, len(entries), self.packed)
        ]
        self.entry_shape = shape
        self.index_bits = (len(entries) - 1).bit_length()
        self.lanes = lanes
        super().__init__({"index": In(lanes * self.index_bits), "data": Out(lanes * shape.width)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        width = self.entry_shape.width
        tables = [
            Memory(shape=self.packed * width, depth=len(self.words), init=self.words)
            for _ in range(0, self.lanes, MAX_PORTS)
        ]
        for number, table in enumerate(tables):
            m.submodules[f"table{number or ''}"] = table
        low_bits = (self.packed - 1).bit_length()
        for lane in range(self.lanes):
            index = self.index.word_select(lane, self.index_bits)
            read_place = Signal(low_bits, name=f"read_place{lane}", reset_less=True)
            place = Signal(low_bits, name=f"place{lane}", reset_less=True)
            port = tables[lane // MAX_PORTS].read_port()
            # A register directly behind the memory, which may be slow.
            word = Signal.like(port.data, name=f"word{lane}", reset_less=True)
            m.d.comb += port.addr.eq(index[low_bits:])
            m.d.sync += [
                read_place.eq(index[:low_bits]),
                place.eq(read_place),
                word.eq(port.data),
            ]
            m.d.comb += self.data.word_select(lane, width).eq(select_word(word, place, width))
        return m
