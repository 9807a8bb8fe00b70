"""Quantized networks as streaming accelerators: plans, hardware units, Verilog."""

from __future__ import annotations

if __name__ != "systolith.hw":
    raise ImportError("hw is a part of systolith: import systolith.hw")

from systolith.hw.errors import PlanError
from systolith.hw.folding import Folding, Plan
from systolith.hw.handover.generation import generate
from systolith.hw.planning.budget import DEFAULT_PRESET, PRESETS, Goal, make_plan
from systolith.hw.planning.estimate import PlanReport, report_plan
from systolith.hw.planning.plan_file import load_plan, plan_from_file, plan_to_toml
from systolith.hw.planning.sizes import GivenSize
from systolith.hw.streams.result_layout import RESULT_KINDS, ResultKind
from systolith.hw.verilog.manifest import Manifest, load_manifest

__all__ = [
    "DEFAULT_PRESET",
    "PRESETS",
    "RESULT_KINDS",
    "Folding",
    "GivenSize",
    "Goal",
    "Manifest",
    "Plan",
    "PlanError",
    "PlanReport",
    "ResultKind",
    "generate",
    "load_manifest",
    "load_plan",
    "make_plan",
    "plan_from_file",
    "plan_to_toml",
    "report_plan",
]
