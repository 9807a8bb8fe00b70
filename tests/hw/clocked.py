"""Runs a bench on a component in Amaranth's simulator."""

from collections.abc import Callable, Coroutine
from typing import Any

from amaranth.hdl import ClockDomain, Module
from amaranth.sim import Simulator


def run_bench(unit: Any, *benches: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    """Run `benches` side by side to their ends. `unit` may be without registers."""
    top = Module()
    top.domains.sync = ClockDomain("sync")
    top.submodules.unit = unit
    simulator = Simulator(top)
    simulator.add_clock(1e-8)
    for bench in benches:
        simulator.add_testbench(bench)
    simulator.run()
