from dataclasses import replace
from itertools import product
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.graph import Convolution, Dense, Layer, MaxPooling, RadialBasis, Shape
from systolith.golden.network.windows import Padding
from systolith.hw.errors import UnitError
from systolith.hw.folding import Folding, Order
from systolith.hw.systolic.array_work import ArrayWork
from systolith.hw.systolic.schedule import (
    Schedule,
    as_dense,
    constant_multipliers,
    layer_schedule,
    reduction_weights,
)

C3_TABLE = tuple(
    tuple(int(m) for m in maps)
    for maps in (
        "012 123 234 345 045 015 0123 1234 2345 0345 0145 0125 0134 1245 0235 012345".split()
    )
)


def pairs(schedule: Schedule) -> list[tuple[int, int]]:
    """Every multiplication of the schedule, as (element, output)."""
    return [
        (element, output)
        for step in schedule.steps
        for element, output in product(schedule.chunks[step.chunk], step.outputs)
        if element is not None and output is not None
    ]


def ceil(a: int, b: int) -> int:
    return -(-a // b)


@st.composite
def connections(draw: st.DrawFn) -> tuple[int, tuple[tuple[int, ...], ...]]:
    maps = draw(st.integers(1, 6))
    some = st.sets(st.integers(0, maps - 1), min_size=1).map(lambda s: tuple(sorted(s)))
    return maps, tuple(draw(st.lists(some, min_size=1, max_size=10)))


def fixed(
    layer: Layer, shape: tuple[int, int, int], padding: tuple[int, int] = (0, 0)
) -> FixedLayer:
    source = Shape(*shape)
    rng = np.random.default_rng(1)
    arrays = layer.array_shapes(source)
    weights = rng.integers(-99, 99, arrays["weights"]) if arrays else None
    fmt = QFormat(8, 0)
    out = layer.output_shape(source)
    around = Padding(*padding, *padding)
    return FixedLayer(layer, source, out, fmt, fmt, padding=around, weights=weights)


@given(st.integers(1, 40), st.integers(1, 20), st.data())
def test_dense_multiplies_every_pair_once(elements: int, outputs: int, data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, elements))
    columns = data.draw(st.integers(1, outputs))
    schedule = Schedule(ArrayWork.dense(elements, outputs), rows, columns)
    assert sorted(pairs(schedule)) == list(product(range(elements), range(outputs)))
    assert len(schedule.steps) == ceil(elements, rows) * ceil(outputs, columns)
    assert schedule.folds == (ceil(outputs, columns),) * ceil(elements, rows)
    assert (schedule.rows, schedule.columns, schedule.sparse) == (rows, columns, False)
    for number, step in enumerate(schedule.steps):
        fold = number % ceil(outputs, columns)
        for column, output in enumerate(step.outputs):
            expected = fold * columns + column
            assert output == (expected if expected < outputs else None)


@given(st.integers(1, 40), st.integers(1, 20), st.data())
def test_outputs_group_by_group(elements: int, outputs: int, data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, elements))
    columns = data.draw(st.integers(1, outputs))
    chunks, folds = ceil(elements, rows), ceil(outputs, columns)
    by_inputs = Schedule(ArrayWork.dense(elements, outputs), rows, columns)
    schedule = Schedule(ArrayWork.dense(elements, outputs), rows, columns, "outputs")
    assert (by_inputs.groups, by_inputs.group_steps) == ((outputs,), chunks * folds)
    if chunks == 1 or folds == 1:
        assert schedule == by_inputs
        return
    assert sorted(pairs(schedule)) == list(product(range(elements), range(outputs)))
    assert schedule.order == "outputs"
    assert schedule.chunks == by_inputs.chunks
    for fold in range(folds):
        steps = schedule.steps[fold * chunks : (fold + 1) * chunks]
        assert [step.chunk for step in steps] == list(range(chunks))
        served = set(range(fold * columns, min(outputs, (fold + 1) * columns)))
        assert all(set(step.outputs) - {None} == served for step in steps)
        assert schedule.groups[fold] == len(served)
    assert set(schedule.steps) == set(by_inputs.steps)
    assert (len(schedule.groups), schedule.group_steps) == (folds, chunks)
    assert schedule.folds == (1,) * (chunks * folds)


@given(connections(), st.integers(1, 12), st.data())
def test_connected_multiplies_every_connection_once(
    table: tuple[int, tuple[tuple[int, ...], ...]], kernel_size: int, data: st.DataObject
) -> None:
    maps, sources = table
    fed = [sum(m in maps_of for maps_of in sources) for m in range(maps)]
    rows = data.draw(st.integers(1, kernel_size))
    columns = data.draw(st.integers(1, max(fed)))
    schedule = Schedule(ArrayWork.connected(sources, maps, kernel_size), rows, columns)
    expected = sorted(
        (m * kernel_size + k, o)
        for o, maps_of in enumerate(sources)
        for m in maps_of
        for k in range(kernel_size)
    )
    assert sorted(pairs(schedule)) == expected
    assert schedule.elements == maps * kernel_size
    assert schedule.outputs == len(sources)
    assert [step.chunk for step in schedule.steps] == sorted(step.chunk for step in schedule.steps)
    if not schedule.sparse:
        assert all(len(maps_of) == maps for maps_of in sources)
        return
    assert len(schedule.steps) == sum(ceil(kernel_size, rows) * ceil(n, columns) for n in fed)
    assert len(schedule.folds) == len(schedule.chunks)
    for chunk in schedule.chunks:
        assert len({element // kernel_size for element in chunk if element is not None}) == 1
    for output, columns_of in enumerate(schedule.serving_columns):
        assert columns_of
        for column in range(columns):
            works = any(step.outputs[column] == output for step in schedule.steps)
            assert works == (column in columns_of)


def test_c3_is_routed_through_few_columns() -> None:
    for columns in range(1, 11):
        schedule = Schedule(ArrayWork.connected(C3_TABLE, 6, 25), 25, columns)
        assert len(schedule.steps) == 6 * ceil(10, columns)
        assert sum(map(len, schedule.serving_columns)) <= 21  # 16 if every output has one


@given(st.integers(1, 20), st.integers(1, 10), st.data())
def test_weights_in_fold_order(elements: int, outputs: int, data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, elements))
    columns = data.draw(st.integers(1, outputs))
    order: Order = data.draw(st.sampled_from(get_args(Order)))
    schedule = Schedule(ArrayWork.dense(elements, outputs), rows, columns, order)
    weights = np.arange(1, elements * outputs + 1).reshape(elements, outputs)
    ordered = schedule.weights(weights)
    assert ordered.shape == (len(schedule.steps), rows, columns)
    for step, matrix in zip(schedule.steps, ordered, strict=True):
        for row, column in np.ndindex(rows, columns):
            element, output = schedule.chunks[step.chunk][row], step.outputs[column]
            missing = element is None or output is None
            assert matrix[row, column] == (0 if missing else weights[element, output])


def test_steps_sum_to_a_matrix_product() -> None:
    rng = np.random.default_rng(0)
    table = ((0, 2), (1,), (0, 1, 2), (2,), (0, 2))
    convolution = Convolution(
        name="c", inputs=("x",), kernel=(2, 3), out_channels=5, connection_table=table
    )
    layer = fixed(convolution, (2, 3, 3))
    schedule = layer_schedule(layer, Folding(rows=4, columns=2))
    weights = layer.weights
    assert weights is not None
    connected = np.array([[m in maps for maps in table] for m in range(3)], int)
    window = rng.integers(0, 255, (2, 3, 3))
    expected = np.einsum("ijm,ijmo,mo->o", window, weights, connected)
    stream = window.transpose(2, 0, 1).reshape(-1)
    sums = np.zeros(5, int)
    for step, matrix in zip(
        schedule.steps, schedule.weights(reduction_weights(layer)), strict=True
    ):
        x = [0 if e is None else stream[e] for e in schedule.chunks[step.chunk]]
        for output, psum in zip(step.outputs, x @ matrix, strict=True):
            if output is not None:
                sums[output] += psum
    assert sums.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("layer", "folding", "message"),
    [
        (Dense(name="F6", inputs=("x",), units=10), Folding(13, 1), "rows must be from 1 to 12"),
        (Dense(name="F6", inputs=("x",), units=10), Folding(1, 11), "columns must be from 1 to 10"),
        (RadialBasis(name="F6", inputs=("x",), units=3), Folding(1, 4), "columns .* not 4"),
        (Convolution(name="F6", inputs=("x",), kernel=(2, 2), out_channels=4), Folding(13), "12"),
        (
            Convolution(
                name="F6", inputs=("x",), kernel=(2, 2), out_channels=2,
                connection_table=((0,), (0, 1)),
            ),
            Folding(5, 1),
            "rows must be from 1 to 4 .elements of the kernel.* not 5",
        ),
        (
            Convolution(
                name="F6", inputs=("x",), kernel=(2, 2), out_channels=3,
                connection_table=((0,), (0, 1), (2,)),
            ),
            Folding(1, 3),
            "columns must be from 1 to 2 .most outputs.* not 3",
        ),
        (MaxPooling(name="F6", inputs=("x",)), Folding(), "only convolution"),
        (
            Convolution(name="F6", inputs=("x",), kernel=(1, 2), out_channels=4),
            Folding(order="outputs"),
            "order must be 'inputs', as it does not take its whole input.*, not 'outputs'",
        ),
    ],
)  # fmt: skip
def test_refusals_name_the_layer(layer: Layer, folding: Folding, message: str) -> None:
    with pytest.raises(UnitError, match=f"'F6': .*{message}"):
        layer_schedule(fixed(layer, (2, 2, 3)), folding)


def test_weights_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(4, 2\), not \(2, 4\)"):
        Schedule(ArrayWork.dense(4, 2), 2, 2).weights(np.zeros((2, 4), int))


def test_max_lanes() -> None:
    assert Schedule(ArrayWork.dense(5, 12), 5, 8).max_lanes == 4
    assert Schedule(ArrayWork.connected(((0,), (1,), (0, 1)), 2, 4), 4, 2).max_lanes == 3


@settings(max_examples=20)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(1, 4))
def test_a_kernel_as_large_as_its_input_is_dense(h: int, w: int, maps: int, outputs: int) -> None:
    layer = fixed(
        Convolution(name="C5", inputs=("x",), kernel=(h, w), out_channels=outputs), (h, w, maps)
    )
    dense = as_dense(layer)
    assert dense is not None
    assert layer.weights is not None
    image = np.random.default_rng(0).integers(-9, 9, (h, w, maps))
    expected = np.einsum("ijm,ijmo->o", image, layer.weights)
    assert (image.reshape(-1) @ reduction_weights(dense)).tolist() == expected.tolist()
    assert (dense.name, dense.input_shape, dense.output_shape) == (
        layer.name, layer.input_shape, layer.output_shape,
    )  # fmt: skip
    assert as_dense(dense) is dense


def test_what_is_not_dense() -> None:
    conv = Convolution(name="c", inputs=("x",), kernel=(2, 2), out_channels=2)
    assert as_dense(fixed(conv, (3, 2, 2))) is None
    assert as_dense(fixed(replace(conv, kernel=(3, 3)), (3, 3, 2), padding=(1, 0))) is None
    sparse = replace(conv, connection_table=((0,), (0, 1)))
    assert as_dense(fixed(sparse, (2, 2, 2))) is None
    full = replace(conv, connection_table=((0, 1), (0, 1)))
    assert as_dense(fixed(full, (2, 2, 2))) is not None
    assert as_dense(fixed(MaxPooling(name="p", inputs=("x",)), (2, 2, 2))) is None
    assert as_dense(fixed(RadialBasis(name="r", inputs=("x",), units=2), (2, 2, 2))) is None


def test_constant_multipliers_are_those_whose_weight_is_always_zero() -> None:
    weights = np.array([[0, 3, 0], [1, 0, 0], [0, 0, 0], [0, 2, 0]])
    layer = replace(fixed(Dense(name="d", inputs=("x",), units=3), (1, 1, 4)), weights=weights)
    assert constant_multipliers(layer, Folding(rows=4, columns=3)) == 9
    # Two steps: elements 0 and 2 are in row 0, elements 1 and 3 in row 1.
    assert constant_multipliers(layer, Folding(rows=2, columns=3)) == 3
    squares = replace(layer, layer=RadialBasis(name="r", inputs=("x",), units=3))
    assert constant_multipliers(squares, Folding(rows=4, columns=3)) == 0
    assert (
        constant_multipliers(fixed(MaxPooling(name="p", inputs=("x",)), (2, 2, 2)), Folding()) == 0
    )
