"""The folding of a layer onto multipliers: the one thing that `hw` adds to a layer of `golden`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from systolith.golden.network.graph import Input
from systolith.hw.errors import PlanError

Order = Literal["inputs", "outputs"]
"""The loop order of a layer that takes its whole input (`Folding.order`)."""


@dataclass(frozen=True)
class Folding:
    """The size of the unit of a layer. A `Plan` has one for each layer.

    Parameters
    ----------
    rows
        Processing elements along the reduction: inputs of a step.
    columns
        Processing elements along the outputs: outputs of a step. Layers without a systolic array
        have 1 row and 1 column.
    lanes
        Values in each beat of the unit's output stream; divides its output channels.
    depth
        The depth in beats of the FIFO at the unit's output.
    order
        "inputs": each chunk of inputs is multiplied for all outputs before the next chunk, and the
        last chunk finishes all outputs. "outputs": the inputs are stored and pass the array once
        for each fold of `columns` outputs, which leave when they are finished; for layers that take
        their whole input.
    lines
        Rows of its input that the line buffer of a convolution stores, at least the kernel's. By
        default as many as frames need to overlap (`WindowGeometry.rows_to_overlap`).
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
"""The folding of every layer after the input, by name; and of the input, if it has several lanes.

The input has no unit: of its folding, only `lanes` differs from the defaults (`input_lanes`).
"""


def input_lanes(source: Input, plan: Plan) -> int:
    """The number of values in each beat of the input: 1, unless a plan says otherwise.

    Raises
    ------
    PlanError
        The lanes do not divide the channels, or the input has another size that is not the default.
    """
    folding = plan.get(source.name, Folding())
    for name, default in asdict(Folding(lanes=folding.lanes)).items():
        value = getattr(folding, name)
        if value != default:
            raise PlanError(
                f"input {source.name!r}: has no unit, so that {name} must be {default!r} or left "
                f"out, not {value!r}"
            )
    if source.channels % folding.lanes:
        raise PlanError(
            f"input {source.name!r}: its lanes must divide its {source.channels} "
            f"channel{'s' if source.channels > 1 else ''}, not {folding.lanes}"
        )
    return folding.lanes
