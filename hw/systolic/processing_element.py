"""The processing element (PE): one multiplier, and the registers towards its neighbours."""

from __future__ import annotations

from typing import Any, Literal

from amaranth.hdl import Module, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from systolith.golden.choices import choice

Operation = Literal["multiply", "squared_difference"]

LATENCY: dict[Operation, int] = {"multiply": 2, "squared_difference": 3}
"""Cycles from an input and its weight to the partial sum: registers for the difference (where there
is one), the product and the sum."""


class ProcessingElement(wiring.Component):
    """Adds `x * weight`, or `((x << input_shift) - weight)**2`, to the partial sum from above.

    A `SystolicArray` consists of these; this one has ports of its own, for tests and proofs.

    Latency: `x_out` is `x` of the cycle before. `psum_out` is `psum_in` of the cycle before, plus
    the product of the `x` and `weight` of `LATENCY[operation]` cycles before.

    Parameters
    ----------
    x, weight, psum_in, psum_out
        Shapes. Bits above those of `psum_out` are dropped.
    operation
        "multiply" or "squared_difference".
    input_shift
        Bits by which the input is shifted left before the centre is subtracted.
    """

    def __init__(
        self,
        x: Shape,
        weight: Shape,
        psum_in: Shape,
        psum_out: Shape,
        operation: Operation = "multiply",
        input_shift: int = 0,
    ) -> None:
        self.latency = choice(LATENCY, operation, "operation")
        if input_shift < 0 or (input_shift and operation == "multiply"):
            raise ValueError(f"processing element: {operation} takes no shift of {input_shift}")
        self.operation = operation
        self.input_shift = input_shift
        super().__init__(
            {
                "x": In(x),
                "weight": In(weight),
                "psum_in": In(psum_in),
                "x_out": Out(x),
                "psum_out": Out(psum_out),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        x_out, psum_out = add_processing_element(
            m,
            self.x,
            self.weight,
            self.psum_in,
            self.psum_out.shape(),
            operation=self.operation,
            input_shift=self.input_shift,
        )
        m.d.comb += [self.x_out.eq(x_out), self.psum_out.eq(psum_out)]
        return m


def add_processing_element(
    m: Module,
    x: Value,
    weight: Value,
    psum_in: Value,
    psum_out: Shape,
    *,
    operation: Operation = "multiply",
    input_shift: int = 0,
    prefix: str = "",
) -> tuple[Signal, Signal]:
    """Add the logic of a `ProcessingElement` to a module, without a level of hierarchy.

    Arrays have hundreds of elements; a module for each would take longer to elaborate than its
    logic.

    Parameters
    ----------
    m
        The module.
    x, weight, psum_in
        The inputs.
    psum_out, operation, input_shift
        As for `ProcessingElement`.
    prefix
        The prefix of the registers' names.

    Returns
    -------
        `x_out` and `psum_out`.
    """

    def register(name: str, value: Value, shape: Shape, **attributes: str) -> Signal:
        signal = Signal(shape, name=f"{prefix}{name}", reset_less=True, attrs=attributes)
        m.d.sync += signal.eq(value)
        return signal

    if operation == "multiply":
        result = x * weight
    elif operation == "squared_difference":
        distance = (x << input_shift) - weight
        # Yosys 0.70 moves this register into a DSP as that of one operand, although it is both, and
        # then multiplies by 0. The attribute prevents that.
        difference = register("difference", distance, distance.shape(), keep="true")
        result = difference * difference
    else:
        raise ValueError(f"operation {operation!r} has no processing element")
    # The sum drops bits above those of psum_out.
    width = min(result.shape().width, psum_out.width)
    product = register("product", result, Shape(width, result.shape().signed))
    return register("x", x, x.shape()), register("psum", psum_in + product, psum_out)
