"""Quantized networks as streaming accelerators: plans, units, Verilog."""

from __future__ import annotations

from hw.artifacts import generate
from hw.errors import PlanError
from hw.folding import Folding, Plan
from hw.manifest import Manifest, load_manifest
from hw.plan import load_plan, plan_to_toml
from hw.plan_report import PlanReport, report_plan
from hw.planner import DEFAULT_PRESET, PRESETS, Goal, make_plan

__all__ = [
    "DEFAULT_PRESET",
    "PRESETS",
    "Folding",
    "Goal",
    "Manifest",
    "Plan",
    "PlanError",
    "PlanReport",
    "generate",
    "load_manifest",
    "load_plan",
    "make_plan",
    "plan_to_toml",
    "report_plan",
]
