"""The errors of units that cannot be built and of plans that cannot be."""

from __future__ import annotations

from systolith.golden.fixed.integers import FixedLayer


class UnitError(ValueError):
    """A layer that is not built as asked: names the layer, what was given, what is allowed."""

    def __init__(self, layer: FixedLayer, message: str) -> None:
        super().__init__(f"{layer.layer.type_name} {layer.name!r}: {message}")


class PlanError(ValueError):
    """A plan that cannot be: names what was given and what is allowed."""
