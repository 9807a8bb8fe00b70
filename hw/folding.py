"""How a layer is laid onto multipliers: the one thing that `hw` adds to a layer of `golden`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Folding:
    """The size of a unit.

    Parameters
    ----------
    rows
        Processing elements along the reduction (inputs taken at a time).
    columns
        Processing elements along the outputs. Layers without a systolic array have 1 x 1.
    lanes
        Values in each beat of the unit's output stream; divides its output channels.
    depth
        Beats that the FIFO at the unit's output holds.
    """

    rows: int = 1
    columns: int = 1
    lanes: int = 1
    depth: int = 4

    def __post_init__(self) -> None:
        for name in ("rows", "columns", "lanes", "depth"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"folding: {name} must be at least 1, not {value!r}")


Plan = Mapping[str, Folding]
"""The folding of every layer after the input, by name."""
