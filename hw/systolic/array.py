"""The systolic array: processing elements that pass inputs right and partial sums down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import Const, Module, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from systolith.golden.choices import choice
from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.fixed.integers import Integers
from systolith.hw.streams.formats import element, range_shape, value_shape
from systolith.hw.systolic.processing_element import LATENCY, Operation, add_processing_element


@dataclass(frozen=True)
class ArrayShapes:
    """The shapes of the values in an array; `fitting` makes the narrowest exact ones.

    Parameters
    ----------
    x, weight
        The shape of an input, and of a weight (or centre).
    psums
        For each row, the shape of the partial sums that leave it.
    """

    x: Shape
    weight: Shape
    psums: tuple[Shape, ...]

    @classmethod
    def fitting(
        cls, weights: Integers, inputs: QFormat, operation: Operation, input_shift: int = 0
    ) -> ArrayShapes:
        """The narrowest shapes for weights `(steps, rows, columns)` and any inputs."""
        ends = np.array([inputs.min_raw, inputs.max_raw]).reshape(2, 1, 1, 1)
        low, high = choice(_RESULT_ENDS, operation, "operation")(ends, weights, input_shift)
        lows, highs = low.cumsum(axis=1).min(axis=(0, 2)), high.cumsum(axis=1).max(axis=(0, 2))
        return cls(
            value_shape(inputs),
            range_shape(int(weights.min()), int(weights.max())),
            tuple(range_shape(int(a), int(b)) for a, b in zip(lows, highs, strict=True)),
        )


def _product_ends(ends: Integers, weights: Integers, input_shift: int) -> tuple[Integers, Integers]:
    products = ends * weights
    return products.min(axis=0), products.max(axis=0)


def _square_ends(ends: Integers, weights: Integers, input_shift: int) -> tuple[Integers, Integers]:
    squares: Integers = ((ends << input_shift) - weights) ** 2
    return np.zeros_like(weights), squares.max(axis=0)


_RESULT_ENDS: dict[Operation, Callable[[Integers, Integers, int], tuple[Integers, Integers]]] = {
    "multiply": _product_ends,
    "squared_difference": _square_ends,
}
"""The least and the greatest result of each processing element."""


def diagonal(number: int, rows: int, columns: int) -> list[tuple[int, int]]:
    """The processing elements `(row, column)` with `row + column == number`, by row."""
    first, last = max(0, number - columns + 1), min(rows - 1, number)
    return [(row, number - row) for row in range(first, last + 1)]


def array_latency(rows: int, operation: Operation) -> int:
    """Cycles from the inputs of a step to its sum in column 0."""
    return rows - 1 + choice(LATENCY, operation, "operation")


class SystolicArray(wiring.Component):
    """An array of `rows` x `columns` processing elements: a step a cycle, without stalls.

    A `SystolicCore` feeds it. The inputs of a step enter together; the array delays row `r` by `r`
    cycles. The weights of diagonal `d` must follow `d` cycles later.

    Latency: the sum of column `c` is at its output `latency + c` cycles after the inputs.

    Parameters
    ----------
    rows, columns
        Processing elements.
    shapes
        The shapes of the values.
    operation, input_shift
        As for `ProcessingElement`.

    Members
    -------
    x
        The inputs of a step, row 0 in the lowest bits.
    diagonal_0, diagonal_1, ...
        The weights of a diagonal, lowest row in the lowest bits.
    psum_0, psum_1, ...
        The sum of a column.
    """

    def __init__(
        self,
        rows: int,
        columns: int,
        shapes: ArrayShapes,
        operation: Operation = "multiply",
        input_shift: int = 0,
    ) -> None:
        self.rows = rows
        self.columns = columns
        self.shapes = shapes
        self.operation: Operation = operation
        self.input_shift = input_shift
        self.latency = array_latency(rows, operation)
        members = {"x": In(rows * shapes.x.width)}
        for number in range(rows + columns - 1):
            weights = len(diagonal(number, rows, columns))
            members[f"diagonal_{number}"] = In(weights * shapes.weight.width)
        for column in range(columns):
            members[f"psum_{column}"] = Out(shapes.psums[-1])
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        rows, columns, shapes = self.rows, self.columns, self.shapes
        inputs: Value = self.x
        from_above: list[Value] = [Const(0, range_shape(0, 0))] * columns
        for row in range(rows):
            x: Value = element(inputs, 0, shapes.x)
            for column in range(columns):
                weights = getattr(self, f"diagonal_{row + column}")
                place = row - max(0, row + column - columns + 1)
                x, from_above[column] = add_processing_element(
                    m,
                    x,
                    element(weights, place, shapes.weight),
                    from_above[column],
                    shapes.psums[row],
                    operation=self.operation,
                    input_shift=self.input_shift,
                    prefix=f"pe_{row}_{column}_",
                )
            if row + 1 < rows:
                below = Signal(len(inputs) - shapes.x.width, name=f"x_below_{row}", reset_less=True)
                m.d.sync += below.eq(inputs[shapes.x.width :])
                inputs = below
        for column in range(columns):
            m.d.comb += getattr(self, f"psum_{column}").eq(from_above[column])
        return m
