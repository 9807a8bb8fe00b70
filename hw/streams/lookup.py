"""Small lookup tables in logic: the most frequent value is the default of a switch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from amaranth.hdl import Module, Signal, Value


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
