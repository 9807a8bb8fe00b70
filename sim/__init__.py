"""Simulates generated hardware and compares every layer with the fixed-point model, bit by bit.

Call `simulate` with a folder that `hw.generate` wrote.
"""

from __future__ import annotations

if __name__ != "systolith.sim":
    raise ImportError("sim is a part of systolith: import systolith.sim")

from systolith.hw.errors import MissingToolError
from systolith.sim.errors import SimulationError
from systolith.sim.record.scoreboard import LayerResult, Mismatch
from systolith.sim.report import SimulationReport
from systolith.sim.simulate import simulate

__all__ = [
    "LayerResult",
    "Mismatch",
    "MissingToolError",
    "SimulationError",
    "SimulationReport",
    "simulate",
]
