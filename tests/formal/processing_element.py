# amaranth: UnusedElaboratable=no
"""Claims about one processing element."""

from __future__ import annotations

from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Elaboratable, Module, Mux, Signal, Value, signed

from systolith.hw.systolic.processing_element import ProcessingElement
from tests.formal.prover import claim


def product(x: Value, weight: Value) -> Value:
    """`x * weight` as a sum of shifted terms, one for each bit of the weight, its sign's negative.

    A solver that sees a multiplier on one side only has proved something about multiplying.
    """
    terms = []
    for bit in range(len(weight)):
        is_sign = weight.shape().signed and bit == len(weight) - 1
        term = x << bit
        terms.append(Mux(weight[bit], -term if is_sign else term, 0))
    return sum(terms[1:], terms[0])


class ProcessingElementClaims(Elaboratable):
    """A processing element with any inputs, weights and partial sums, and resets in any cycle.

    Claims
    ------
    psum
        It is the partial sum from above, of the cycle before, plus the product of the input and the
        weight that came `latency` cycles before; in two's complement as wide as it is.
    x
        It is the input of the cycle before.
    """

    def __init__(self, element: ProcessingElement) -> None:
        self.element = element

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.element = element = self.element
        x, weight = element.x, element.weight
        for port in (x, weight, element.psum_in):
            m.d.comb += port.eq(AnySeq(port.shape()))

        def before(value: Value, name: str, init: int = 0) -> Signal:
            signal = Signal(value.shape(), name=name, init=init, reset_less=True)
            m.d.sync += signal.eq(value)
            return signal

        earlier_x: Value = x
        earlier_weight: Value = weight
        known: Value = Signal(init=1, name="started")
        for stage in range(element.latency):
            earlier_x = before(earlier_x, f"x{stage}")
            earlier_weight = before(earlier_weight, f"weight{stage}")
            known = before(known, f"known{stage}")
        if element.operation == "squared_difference":
            wide = signed(max(len(x) + element.input_shift, len(weight)) + 2)
            difference = Signal(wide)
            m.d.comb += difference.eq((earlier_x << element.input_shift) - earlier_weight)
            added = product(difference, difference)
        else:
            added = product(earlier_x, earlier_weight)
        expected = Signal(element.psum_out.shape())
        m.d.comb += expected.eq(before(element.psum_in, "psum") + added)
        claim(m, "psum", ~known | (element.psum_out == expected))
        claim(m, "x", ~before(Signal(init=1), "after_start") | (element.x_out == before(x, "x")))
        return m
