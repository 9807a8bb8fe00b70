"""Counters that go round."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal


def count(m: Module, counter: Signal, length: int) -> None:
    """Step `counter` through 0 .. length - 1 and round again, in the sync domain."""
    m.d.sync += counter.eq(Mux(counter == length - 1, 0, counter + 1))
