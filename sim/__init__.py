"""Generated hardware held against the fixed-point model, in simulators."""

from __future__ import annotations

from systolith.sim.errors import MissingToolError, SimulationError
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
