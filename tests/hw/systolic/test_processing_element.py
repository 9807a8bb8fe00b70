# amaranth: UnusedElaboratable=no
from typing import Any

import pytest
from amaranth.hdl import Module, Shape, Signal, signed, unsigned

from systolith.hw.streams.formats import range_shape, shape_range
from systolith.hw.systolic.processing_element import (
    Operation,
    ProcessingElement,
    add_processing_element,
)
from tests.hw.clocked import run_bench


def simulate(
    element: ProcessingElement, inputs: list[tuple[int, int, int]]
) -> list[tuple[int, int]]:
    """`(x_out, psum_out)` in each cycle that has the inputs `(x, weight, psum_in)`."""
    seen = []

    async def bench(ctx: Any) -> None:
        for x, weight, psum_in in inputs:
            ctx.set(element.x, x)
            ctx.set(element.weight, weight)
            ctx.set(element.psum_in, psum_in)
            seen.append((ctx.get(element.x_out), ctx.get(element.psum_out)))
            await ctx.tick()

    run_bench(element, bench)
    return seen


@pytest.mark.parametrize(
    ("x", "weight", "operation", "shift"),
    [
        (unsigned(4), signed(3), "multiply", 0),
        (signed(4), signed(4), "multiply", 0),
        (unsigned(3), unsigned(3), "multiply", 0),
        (unsigned(3), signed(4), "squared_difference", 0),
        (signed(4), signed(3), "squared_difference", 2),
        (unsigned(3), unsigned(5), "squared_difference", 2),
    ],
)
def test_every_input_a_cycle(x: Shape, weight: Shape, operation: Operation, shift: int) -> None:
    lows, highs = zip(shape_range(x), shape_range(weight), strict=True)
    pairs = [(a, w) for a in range(lows[0], highs[0] + 1) for w in range(lows[1], highs[1] + 1)]

    def product(a: int, w: int) -> int:
        return a * w if operation == "multiply" else ((a << shift) - w) ** 2

    products = [product(*pair) for pair in pairs]
    # The partial sums from above keep the exact sum at both ends of the range.
    low, high = min(products) - 7, max(products) + 9
    above = [(i % 17) - 7 for i in range(len(pairs))]
    psums = (range_shape(-7, 9), range_shape(low, high))
    element = ProcessingElement(x, weight, *psums, operation, shift)
    delay = element.latency
    inputs = [(*pair, above[i]) for i, pair in enumerate(pairs)]
    seen = simulate(element, inputs + [(0, 0, 0)] * delay)
    for cycle, (pair, result) in enumerate(zip(pairs, products, strict=True)):
        x_out, psum_out = seen[cycle + 1][0], seen[cycle + delay][1]
        assert x_out == pair[0]
        added = inputs[cycle + delay - 1][2] if cycle + delay <= len(pairs) else 0
        assert psum_out == added + result


def test_refusals() -> None:
    shapes = (unsigned(4), signed(4), signed(9), signed(9))
    divide: Any = "divide"
    with pytest.raises(ValueError, match="'divide': allowed are multiply, squared_difference"):
        ProcessingElement(*shapes, divide)
    x, weight, psum = (Signal(shape) for shape in shapes[:3])
    with pytest.raises(ValueError, match="operation 'divide' has no processing element"):
        add_processing_element(Module(), x, weight, psum, shapes[3], operation=divide)
    with pytest.raises(ValueError, match="multiply takes no shift of 2"):
        ProcessingElement(*shapes, "multiply", 2)
    with pytest.raises(ValueError, match="takes no shift of -1"):
        ProcessingElement(*shapes, "squared_difference", -1)
