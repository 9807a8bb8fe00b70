"""The weight memories of an array: each diagonal is read as the wavefront reaches it."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Signal, Value, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from systolith.golden.fixed.integers import Integers
from systolith.hw.streams.formats import pack, select_word
from systolith.hw.systolic.array import diagonal

FEW_STEPS = 64
"""Up to this number of steps, each diagonal has a small memory of its own."""

SHARING_DIAGONALS = 16
"""The number of diagonals that share a memory if there are more steps: few deep memories."""

MAX_WORDS = 1024
"""The most words of a memory; with more steps, a word holds the weights of several steps."""


def read_latency(steps: int) -> int:
    """Cycles from `step` to the weights of its first diagonal."""
    return 1 if steps <= FEW_STEPS else 2


class WeightMemory(wiring.Component):
    """Reads the weights of each step for a `SystolicArray`, diagonal by diagonal.

    A `SystolicCore` drives `step` as it issues steps. The weights of diagonal `d` follow
    `latency + d` cycles later, when the wavefront reaches that diagonal. The step travels from
    memory to memory through registers. A single step needs no memory: its weights are constants.

    Parameters
    ----------
    weights
        Integers `(steps, rows, columns)`, in the order of the steps.
    width
        Bits of a weight.

    Members
    -------
    step
        The number of the step.
    diagonal_0, diagonal_1, ...
        The weights of a diagonal of the array, lowest row in the lowest bits.
    """

    def __init__(self, weights: Integers, width: int) -> None:
        self.steps, self.rows, self.columns = weights.shape
        self.width = width
        self.shared = 1 if self.steps <= FEW_STEPS else SHARING_DIAGONALS
        self.latency = read_latency(self.steps)
        self.packed = 1
        while self.packed * MAX_WORDS < self.steps:
            self.packed *= 2
        self.positions = [
            diagonal(number, self.rows, self.columns)
            for number in range(self.rows + self.columns - 1)
        ]
        self._raw = weights & ((1 << width) - 1)
        members = {"step": In(range(self.steps))}
        for number, positions in enumerate(self.positions):
            members[f"diagonal_{number}"] = Out(len(positions) * width)
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        outputs = [getattr(self, f"diagonal_{number}") for number in range(len(self.positions))]
        step: Value = self.step
        for start in range(0, len(outputs), self.shared):
            group = range(start, min(start + self.shared, len(outputs)))
            # Inside a group, registers delay the weights.
            weights = self._read(m, step, group)
            for number in group:
                width = len(outputs[number])
                m.d.comb += outputs[number].eq(weights[:width])
                if number + 1 < group.stop:
                    later = Signal(len(weights) - width, name=f"later_{number}", reset_less=True)
                    m.d.sync += later.eq(weights[width:])
                    weights = later
            # From group to group, registers delay the step.
            if group.stop < len(outputs) and self.steps > 1:
                for number in group:
                    passed = Signal.like(self.step, name=f"step_{number + 1}", reset_less=True)
                    m.d.sync += passed.eq(step)
                    step = passed
        return m

    def _read(self, m: Module, step: Value, group: range) -> Value:
        """The weights of a group of diagonals, `latency` cycles after their step."""
        positions = [position for number in group for position in self.positions[number]]
        bits = len(positions) * self.width
        words = self._words(positions)
        if self.steps == 1:
            return Const(words[0], bits)
        memory = Memory(shape=unsigned(self.packed * bits), depth=len(words), init=words)
        m.submodules[f"weights_{group.start}"] = memory
        port = memory.read_port()
        place_bits = exact_log2(self.packed)
        m.d.comb += port.addr.eq(step[place_bits:])
        if self.latency == 1:
            return port.data
        place = Signal(place_bits, name=f"place_{group.start}", reset_less=True)
        fetched = Signal(bits, name=f"fetched_{group.start}", reset_less=True)
        m.d.sync += [
            place.eq(step[:place_bits]),
            fetched.eq(select_word(port.data, place, bits)),
        ]
        return fetched

    def _words(self, positions: list[tuple[int, int]]) -> list[int]:
        """The weights of some processing elements, `packed` steps a word."""
        rows, columns = zip(*positions, strict=True)
        weights = self._raw[:, rows, columns]
        return [
            pack(map(int, weights[first : first + self.packed].flat), unsigned(self.width))
            for first in range(0, self.steps, self.packed)
        ]
