"""Systolith: trained convolutional networks as exact fixed-point twins and streaming hardware.

`systolith.golden` quantizes, evaluates and compares networks, `systolith.hw` plans and generates
their Verilog, and `systolith.sim` simulates it. Each is imported at its first use.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from systolith import golden as golden
    from systolith import hw as hw
    from systolith import sim as sim

__all__ = ["golden", "hw", "sim"]


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"module 'systolith' has no attribute {name!r}")
    return importlib.import_module(f"systolith.{name}")
