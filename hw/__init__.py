"""Quantized networks as streaming accelerators: plans, units, Verilog."""

from __future__ import annotations

from hw.artifacts import generate
from hw.folding import Folding, Plan
from hw.manifest import Manifest, load_manifest
from hw.plan import default_plan, load_plan, plan_to_toml

__all__ = [
    "Folding",
    "Manifest",
    "Plan",
    "default_plan",
    "generate",
    "load_manifest",
    "load_plan",
    "plan_to_toml",
]
