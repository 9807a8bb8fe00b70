"""Generated hardware held against the fixed-point model, in simulators."""

from __future__ import annotations

from sim.errors import MissingToolError, SimulationError
from sim.report import SimulationReport
from sim.scoreboard import LayerResult, Mismatch
from sim.simulate import simulate

__all__ = [
    "LayerResult",
    "Mismatch",
    "MissingToolError",
    "SimulationError",
    "SimulationReport",
    "simulate",
]
