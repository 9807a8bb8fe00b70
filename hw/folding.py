"""How a layer is laid onto multipliers: the one thing that `hw` adds to a layer of `golden`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Order = Literal["inputs", "outputs"]
"""Which of its loops an array of a layer that takes its whole input goes through first."""


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
    order
        "inputs": each chunk of inputs serves all outputs before the next, and all outputs are
        finished with the last one. "outputs": the inputs are kept, and go by once for every
        `columns` outputs, which leave when they are finished; for layers that take their whole
        input.
    lines
        Rows of its input that a convolution stores, at least its kernel's; without a number, as
        many as frames need to overlap (`WindowGeometry.rows_to_overlap`).
    """

    rows: int = 1
    columns: int = 1
    lanes: int = 1
    depth: int = 4
    order: Order = "inputs"
    lines: int | None = None

    def __post_init__(self) -> None:
        for name in ("rows", "columns", "lanes", "depth", "lines"):
            value = getattr(self, name)
            if name == "lines" and value is None:
                continue
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"folding: {name} must be at least 1, not {value!r}")
        if self.order not in get_args(Order):
            allowed = " or ".join(map(repr, get_args(Order)))
            raise ValueError(f"folding: order must be {allowed}, not {self.order!r}")


Plan = Mapping[str, Folding]
"""The folding of every layer after the input, by name."""
