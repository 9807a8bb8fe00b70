"""The clock and the reset of a network under cocotb, and one loop for everything on its streams.

`testbench` builds the test bench of users on it, and `network_bench_cocotb` ours.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import NoReturn, Protocol

import cocotb
from cocotb.clock import Clock
from cocotb.handle import HierarchyObject
from cocotb.triggers import Event, RisingEdge

from systolith.sim.bench.endpoints import read
from systolith.sim.bench.handles import bit
from systolith.sim.record.taps import NetworkStreams, RuleBroken

_PERIOD = 10  # simulator steps
_RESET_CYCLES = 4


class Part(Protocol):
    """Something that acts at every rising edge, such as a source or a monitor."""

    def clock(self, cycle: int) -> bool:
        """Act at the rising edge that ends a cycle; returns whether a beat was taken."""

    def restart(self) -> None:
        """Forget the frames under way: a reset begins."""

    def state(self) -> str:
        """What it has seen, in words, for messages about a network that is stuck."""


class Harness:
    """Clocks and resets a network, and calls all parts of a bench at every rising edge.

    One loop for all parts is several times faster than a coroutine for each.

    Parameters
    ----------
    dut
        The simulated module: an accelerator, with or without a wrapper that exposes its streams.
    streams
        Its streams.

    Members
    -------
    cycle
        The number of clock cycles outside resets.
    """

    def __init__(self, dut: HierarchyObject, streams: NetworkStreams) -> None:
        self.dut = dut
        self.streams = streams
        self.cycle = 0
        self._parts: list[Part] = []
        self._waiting: list[tuple[Callable[[], bool], Event]] = []
        self._moved = False
        self._idle = 0
        self._resetting = math.inf  # until the first reset
        self._error: RuleBroken | None = None
        self._parent = os.getppid()
        self._aresetn = bit(dut, "aresetn")
        self._aresetn.value = 0
        self._result_valid = bit(dut, "m_axis_tvalid")
        clock = bit(dut, "aclk")
        Clock(clock, _PERIOD, "step").start()
        cocotb.start_soon(self._run(RisingEdge(clock)))

    def add(self, part: Part) -> None:
        """Call a part from the next rising edge on."""
        self._parts.append(part)

    async def reset(self, cycles: int = _RESET_CYCLES) -> None:
        """Hold `aresetn` low for some cycles; all frames under way are dropped.

        Raises
        ------
        RuleBroken
            If `m_axis_tvalid` is high at the end.
        """
        self._aresetn.value = 0
        self._resetting = cycles
        for part in self._parts:
            part.restart()
        await self.until(lambda: not self._resetting)

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait for the rising edge at which `done`, which is called at each, returns true.

        Raises
        ------
        RuntimeError
            If `reset` was not called before.
        RuleBroken
            If a stream breaks a rule, or no beat is taken for `NetworkStreams.patience` cycles.
        """
        if self._resetting == math.inf:
            raise RuntimeError("the network is in reset: await `reset` first")
        waiting = done, Event()
        self._waiting.append(waiting)
        try:
            if self._error is None:
                await waiting[1].wait()
        finally:
            self._waiting.remove(waiting)
        if self._error is not None:
            raise self._error

    async def quiet(self, cycles: int = 64) -> None:
        """Check for some cycles that no beat is taken anywhere; call it when all results are out.

        Raises
        ------
        RuleBroken
            If one is.
        """
        last = self.cycle + cycles
        await self.until(lambda: self._moved or self.cycle >= last)
        if self._moved:
            self.fail("a beat comes that no image asked for")

    def fail(self, message: str) -> NoReturn:
        """Raise `RuleBroken` with a message and the cycle."""
        raise RuleBroken(f"{message} (cycle {self.cycle})")

    async def _run(self, edge: RisingEdge) -> None:
        while True:
            await edge
            try:
                self._edge()
            except RuleBroken as error:
                self._error = error
                if not self._waiting:
                    raise
            for done, event in self._waiting:
                if self._error is not None or done():
                    event.set()
            if self._error is not None:
                return

    def _edge(self) -> None:
        if self._resetting:
            self._resetting -= 1
            if not self._resetting:
                if read(self._result_valid):
                    self.fail("m_axis: tvalid is high during reset")
                self._aresetn.value = 1
            return
        self.cycle += 1
        moved = False
        for part in self._parts:
            moved |= part.clock(self.cycle)
        self._moved = moved
        self._idle = 0 if moved or not self._waiting else self._idle + 1
        if self._idle > self.streams.patience:
            state = ", ".join(part.state() for part in self._parts)
            self.fail(f"nothing moved for {self._idle} cycles; {state}")
        if self.cycle % 1024 == 0 and os.getppid() != self._parent:
            raise RuntimeError("the parent process has ended")
