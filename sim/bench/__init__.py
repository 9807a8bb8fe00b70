"""A test-bench kit for cocotb tests of accelerators; every bench of this program is made of it.

`run` builds an accelerator and runs the tests in a file. The tests make an `Accelerator` on their
`dut`, and on it a `Source`, a `Sink` and a `LayerMonitor` for each layer; a `Scoreboard` compares
what passes with the fixed-point model.
"""

from __future__ import annotations

from systolith.sim.bench.run_tests import run
from systolith.sim.bench.testbench import Accelerator, LayerMonitor, Scoreboard, Sink, Source
from systolith.sim.record.reference import Reference, Result
from systolith.sim.record.stalls import STALL_KINDS, StallKind, pauses
from systolith.sim.record.taps import RuleBroken

__all__ = [
    "STALL_KINDS",
    "Accelerator",
    "LayerMonitor",
    "Reference",
    "Result",
    "RuleBroken",
    "Scoreboard",
    "Sink",
    "Source",
    "StallKind",
    "pauses",
    "run",
]
