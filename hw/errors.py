"""The errors of units and plans that hardware does not support."""

from __future__ import annotations

from systolith.golden.fixed.integers import FixedLayer


class UnitError(ValueError):
    """A layer that cannot be built; the message has the layer, the value and what is allowed."""

    def __init__(self, layer: FixedLayer, message: str) -> None:
        super().__init__(f"{layer.layer.type_name} {layer.name!r}: {message}")


class PlanError(ValueError):
    """A plan that cannot be made or read; the message has the value and what is allowed."""
