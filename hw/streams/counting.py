"""Counters that wrap around."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal


def count(m: Module, counter: Signal, length: int) -> None:
    """Step `counter` from 0 to `length - 1` and back to 0, in the sync domain."""
    m.d.sync += counter.eq(Mux(counter == length - 1, 0, counter + 1))
