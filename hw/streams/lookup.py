"""Small lookup tables in logic, and constants that follow a counter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from amaranth.hdl import Module, Signal, Value

from systolith.hw.streams.counting import count


def look_up(m: Module, values: Sequence[int], index: Value, name: str) -> Signal:
    """A signal, driven in `m`, that is `values[index]`; no value is negative.

    The switch has a case for each value but the most frequent, so that regular tables need little
    logic.
    """
    result = Signal(range(max(values) + 1), name=name)
    usual = Counter(values).most_common(1)[0][0]
    with m.Switch(index):
        for value in sorted(set(values) - {usual}):
            with m.Case(*(position for position, v in enumerate(values) if v == value)):
                m.d.comb += result.eq(value)
        with m.Default():
            m.d.comb += result.eq(usual)
    return result


class Walk:
    """A counter of positions `0` to `length - 1`, round and round, and constants of the position.

    Positions of a frame with rules of their own use it: the constants come from registers, so that
    no table is in a path behind them.

    Parameters
    ----------
    m
        The module that drives it, in the sync domain.
    length
        The number of positions.
    advance
        Whether the next position follows in the next cycle.
    name
        The start of the names of its signals.
    """

    def __init__(self, m: Module, length: int, advance: Value, name: str) -> None:
        self._m = m
        self._advance = advance
        self._name = name
        # One position ahead of the constants.
        self._next = Signal(range(length), init=1 % length, name=f"{name}_next")
        with m.If(advance):
            count(m, self._next, length)

    def constant(self, values: Sequence[int], name: str) -> Signal:
        """A register that is `values[position]`; no value is negative."""
        following = look_up(self._m, values, self._next, f"{self._name}_{name}_next")
        present = Signal.like(following, name=f"{self._name}_{name}", init=values[0])
        with self._m.If(self._advance):
            self._m.d.sync += present.eq(following)
        return present
