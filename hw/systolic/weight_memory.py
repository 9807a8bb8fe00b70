"""The weight memories of an array: each diagonal is read as the wavefront reaches it."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Signal, Value, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from systolith.golden.fixed.integers import Integers
from systolith.hw.streams.formats import pack, select
from systolith.hw.systolic.array import diagonal

FEW_STEPS = 16
"""Up to this number of steps, a bit of the weights is one lookup table, and each diagonal has a
memory of its own."""

WIDE_STEPS = 1024
"""Up to this number of steps, a block memory has words that are wider than most weights."""

SHARING_WIDE = 4
"""The number of diagonals that share a memory then: they fill a word, at the cost of registers."""

SHARING_NARROW = 16
"""The number of diagonals that share a memory if there are more steps: few deep memories."""

BANK_WORDS = 2048
"""The most words of a block memory; with more, it would have words of less than a weight."""

MANY_WEIGHTS = 1024
"""From this number of weights on, memories of more than `FEW_STEPS` steps are block memory."""


def read_latency(steps: int, weights: int) -> int:
    """Cycles from `step` to the weights of its first diagonal, for a number of weights in all.

    The last register is one that a multiplier can hold. Behind a block memory, which is slow and
    may be far from the multipliers, there is one more.
    """
    return 3 if _is_block(steps, weights) else 2


def _is_block(steps: int, weights: int) -> bool:
    """Whether memories of these weights are block memory."""
    return steps > FEW_STEPS and weights >= MANY_WEIGHTS


class WeightMemory(wiring.Component):
    """Reads the weights of each step for a `SystolicArray`, diagonal by diagonal.

    A `SystolicCore` drives `step` as it issues steps. The weights of diagonal `d` follow
    `latency + d` cycles later, when the wavefront reaches that diagonal. The step travels from
    memory to memory through registers. A single step needs no memory: each bit of its weights is 0,
    or a register that is 1 from the second cycle on. Synthesis would replace multipliers by
    constants, and a chain of multipliers would break there.

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
        self.shared = 1
        if self.steps > FEW_STEPS:
            self.shared = SHARING_WIDE if self.steps <= WIDE_STEPS else SHARING_NARROW
        self.positions = [
            diagonal(number, self.rows, self.columns)
            for number in range(self.rows + self.columns - 1)
        ]
        self._raw = weights & ((1 << width) - 1)
        self.latency = read_latency(self.steps, weights.size)
        members = {"step": In(range(self.steps))}
        for number, positions in enumerate(self.positions):
            members[f"diagonal_{number}"] = Out(len(positions) * width)
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        outputs = [getattr(self, f"diagonal_{number}") for number in range(len(self.positions))]
        if self.steps == 1:
            one = Signal(reset_less=True)
            m.d.sync += one.eq(1)
            for output, positions in zip(outputs, self.positions, strict=True):
                m.d.comb += output.eq(one.replicate(len(output)) & self._words(positions)[0])
            return m
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
            if group.stop < len(outputs):
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
        # A bank is as deep as a block memory may be: the choice between banks follows a register.
        starts = range(0, self.steps, BANK_WORDS if self.latency > 2 else self.steps)
        banks = []
        for place, start in enumerate(starts):
            name = f"{group.start}_bank{place}" if len(starts) > 1 else f"{group.start}"
            bank = self._read_bank(m, name, step, words[start : start + starts.step], bits)
            for number in range(1, self.latency - 1):
                bank = self._register(m, f"fetched_{number}_{name}", bank)
            banks.append(bank)
        index = step[ceil_log2(starts.step) :] if len(starts) > 1 else Const(0)
        for number in range(1, self.latency if len(starts) > 1 else 1):
            index = self._register(m, f"bank_{number}_{group.start}", index)
        return self._register(m, f"fetched_{group.start}", select(banks, index))

    def _read_bank(self, m: Module, name: str, step: Value, words: list[int], bits: int) -> Value:
        """The weights of some steps, a cycle after their step; any at other steps."""
        m.submodules[f"weights_{name}"] = memory = Memory(
            shape=unsigned(bits),
            depth=len(words),
            init=words,
            attrs={"rom_style": "block"} if self.latency > 2 else {},
        )
        port = memory.read_port()
        m.d.comb += port.addr.eq(step)
        weights: Value = port.data
        return weights

    @staticmethod
    def _register(m: Module, name: str, value: Value) -> Value:
        register = Signal.like(value, name=name, reset_less=True)
        m.d.sync += register.eq(value)
        return register

    def _words(self, positions: list[tuple[int, int]]) -> list[int]:
        """The weights of some processing elements, a word a step."""
        rows, columns = zip(*positions, strict=True)
        return [
            pack(map(int, weights), unsigned(self.width)) for weights in self._raw[:, rows, columns]
        ]
