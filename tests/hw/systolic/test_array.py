# amaranth: UnusedElaboratable=no
from itertools import product
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import signed, unsigned

from systolith.golden.fixed.arithmetic import QFormat
from systolith.hw.systolic.array import ArrayShapes, SystolicArray, diagonal
from systolith.hw.systolic.processing_element import Operation
from tests.hw.clocked import run_bench
from tests.hw.stream_driver import pack


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 2), (2, 4), (5, 5)])
def test_diagonals_cover_the_array(rows: int, columns: int) -> None:
    diagonals = [diagonal(number, rows, columns) for number in range(rows + columns - 1)]
    everywhere = [position for positions in diagonals for position in positions]
    assert sorted(everywhere) == list(product(range(rows), range(columns)))
    for number, positions in enumerate(diagonals):
        assert all(row + column == number for row, column in positions)
        assert positions == sorted(positions)


@pytest.mark.parametrize("operation", ["multiply", "squared_difference"])
@pytest.mark.parametrize(
    ("inputs", "low", "high"),
    [(QFormat(2, 0), -3, 2), (QFormat(2, 0, False), -2, 1), (QFormat(2, 0, False), 1, 3)],
)
def test_shapes_hold_the_worst_sums_and_no_more(
    operation: Operation, inputs: QFormat, low: int, high: int
) -> None:
    weights = np.random.default_rng(1).integers(low, high, (3, 4, 2), endpoint=True)
    shift = 0 if operation == "multiply" else 1
    shapes = ArrayShapes.fitting(weights, inputs, operation, shift)
    for row in range(4):
        sums = []
        for x in product(range(inputs.min_raw, inputs.max_raw + 1), repeat=row + 1):
            column = np.array(x).reshape(-1, 1)
            some = weights[:, : row + 1]
            terms = column * some if operation == "multiply" else ((column << shift) - some) ** 2
            sums.append(terms.sum(axis=1))
        least, greatest = int(np.min(sums)), int(np.max(sums))
        shape = shapes.psums[row]
        assert shape.signed == (least < 0)
        bits = shape.width - shape.signed
        assert -(1 << bits) * shape.signed <= least and greatest < 1 << bits
        fewer = bits - 1
        assert bits == 1 or not (-(1 << fewer) <= least and greatest < 1 << fewer)
    assert shapes.x == (signed(2) if inputs.signed else unsigned(2))


@pytest.mark.parametrize("operation", ["multiply", "squared_difference"])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (4, 1), (1, 4), (3, 3)])
def test_a_step_a_cycle(rows: int, columns: int, operation: Operation) -> None:
    rng = np.random.default_rng(3)
    steps = 20
    shift = 0 if operation == "multiply" else 2
    inputs, x_shape = QFormat(5, 0), signed(5)
    weights = rng.integers(-16, 16, (steps, rows, columns))
    x = rng.integers(inputs.min_raw, inputs.max_raw + 1, (steps, rows))
    shapes = ArrayShapes.fitting(weights, inputs, operation, shift)
    array = SystolicArray(rows, columns, shapes, operation, shift)
    if operation == "multiply":
        expected = np.einsum("sr,src->sc", x, weights)
    else:
        expected = (((x[:, :, None] << shift) - weights) ** 2).sum(axis=1)

    async def bench(ctx: Any) -> None:
        for cycle in range(steps + array.latency + columns):
            if cycle < steps:
                ctx.set(array.x, pack(x[cycle].tolist(), x_shape))
            for number in range(rows + columns - 1):
                if 0 <= cycle - number < steps:
                    step = weights[cycle - number]
                    word = [int(step[position]) for position in diagonal(number, rows, columns)]
                    ctx.set(getattr(array, f"diagonal_{number}"), pack(word, shapes.weight))
            for column in range(columns):
                step_there = cycle - array.latency - column
                if 0 <= step_there < steps:
                    psum = ctx.get(getattr(array, f"psum_{column}"))
                    assert psum == expected[step_there, column]
            await ctx.tick()

    run_bench(array, bench)


def test_an_unknown_operation_is_refused() -> None:
    divide: Any = "divide"
    message = "operation 'divide': allowed are multiply, squared_difference"
    with pytest.raises(ValueError, match=message):
        ArrayShapes.fitting(np.ones((1, 1, 1), np.int64), QFormat(4, 0), divide)
    shapes = ArrayShapes.fitting(np.ones((1, 1, 1), np.int64), QFormat(4, 0), "multiply")
    with pytest.raises(ValueError, match=message):
        SystolicArray(1, 1, shapes, divide)
