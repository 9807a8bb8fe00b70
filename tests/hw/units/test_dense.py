# amaranth: UnusedElaboratable=no
"""The dense unit against NumPy's product and golden's requantizing."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from systolith.golden.fixed.accumulator import accumulator_range
from systolith.golden.fixed.arithmetic import QFormat, Requantization, requantize
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.graph import (
    Activation,
    Convolution,
    Dense,
    Layer,
    Shape,
)
from systolith.hw.errors import UnitError
from systolith.hw.folding import Folding, Order
from systolith.hw.streams.formats import value_shape
from systolith.hw.units.dense import Dense as DenseUnit
from tests.hw.fixed_layers import Integers, array_layer, random_integers
from tests.hw.stream_driver import Run, beats, cyclic, never, randomly, run

U8, S8, S5 = QFormat(8, 0, False), QFormat(8, 0), QFormat(5, 0)


def fixed(
    source: tuple[int, int, int],
    outputs: int,
    *,
    kind: str = "none",
    requantized: bool = True,
    inputs: QFormat = S8,
    convolution: bool = False,
    extreme: bool = False,
) -> FixedLayer:
    """A layer with random integers."""
    rng = np.random.default_rng(1)
    layer: Layer
    if convolution:
        kernel = source[:2]
        layer = Convolution(name="C5", inputs=("x",), kernel=kernel, out_channels=outputs)
    else:
        layer = Dense(name="F6", inputs=("x",), units=outputs)
    layer = replace(layer, activation=Activation(kind))
    result = array_layer(layer, Shape(*source), inputs, S5, rng=rng, extreme=extreme)
    result = replace(result, bias=rng.integers(-99, 99, outputs))
    if requantized:
        target = QFormat(6, 0, signed=kind != "relu")
        table = random_integers(rng, S8, (64,), extreme=False) if kind == "tanh" else None
        result = replace(
            result,
            requantization=Requantization(rng.integers(0, 5, outputs), target, table=table),
            output_format=target if table is None else S8,
        )
    result = replace(result, accumulator_range=accumulator_range(result))
    if requantized:
        return result
    return replace(result, output_format=QFormat(result.accumulator_bits, 0))


def expected(layer: FixedLayer, frames: Integers) -> list[list[int]]:
    assert layer.weights is not None and layer.bias is not None
    values: Integers = np.tensordot(frames, layer.weights.reshape(*layer.input_shape, -1), 3)
    values = values + layer.bias
    if layer.layer.activation.kind == "relu":
        values = np.maximum(values, 0)
    if layer.requantization is not None:
        values, _ = requantize(values, layer.requantization)
    result: list[list[int]] = values.tolist()
    return result


def check(layer: FixedLayer, folding: Folding, lanes: int = 1, frames: int = 3, **how: Any) -> Run:
    shape = (frames, *layer.input_shape)
    extreme = bool(how.pop("extreme", False))
    maps = random_integers(np.random.default_rng(2), layer.input_format, shape, extreme)
    unit = DenseUnit(layer, folding, lanes)
    assert unit.multipliers == folding.rows * folding.columns
    inputs = beats((frame.ravel() for frame in maps), value_shape(layer.input_format), lanes)
    outputs = frames * layer.output_shape.channels // folding.lanes
    result = run(unit, inputs, outputs, **how)
    got = result.frames(value_shape(layer.output_format), folding.lanes)
    assert got == expected(layer, maps)
    return result


@pytest.mark.parametrize(
    ("layer", "folding", "lanes"),
    [
        (fixed((1, 1, 7), 5), Folding(3, 2, 1), 1),
        (fixed((2, 3, 4), 6, kind="relu"), Folding(5, 3, 3), 2),
        (fixed((1, 1, 12), 4, kind="tanh"), Folding(12, 4, 2, depth=1), 12),
        (fixed((1, 1, 12), 4, kind="tanh", inputs=U8), Folding(4, 4, 1), 3),
        (fixed((2, 2, 3), 3, requantized=False), Folding(1, 3, 3), 3),
        (fixed((2, 3, 2), 4, convolution=True), Folding(5, 2, 2), 2),
        (fixed((3, 1, 1), 4, convolution=True, kind="relu", inputs=U8), Folding(3, 4, 4), 1),
        (fixed((2, 3, 4), 6, kind="relu"), Folding(5, 2, 2, order="outputs"), 2),
        (fixed((1, 1, 12), 10, kind="tanh"), Folding(3, 4, 2, 1, "outputs"), 12),
        (fixed((2, 3, 2), 7, convolution=True), Folding(5, 3, order="outputs"), 2),
        (fixed((1, 1, 7), 5), Folding(7, 2, order="outputs"), 1),  # one chunk
        (fixed((1, 1, 7), 5), Folding(2, 5, order="outputs"), 1),  # one fold
    ],
)
def test_values(layer: FixedLayer, folding: Folding, lanes: int) -> None:
    check(layer, folding, lanes)
    check(layer, folding, lanes, idle=randomly(3, 0.3), backpressure=randomly(4, 0.6))


def test_extreme_values() -> None:
    layer = fixed((1, 1, 8), 4, requantized=False, extreme=True)
    check(layer, Folding(4, 2, 2), 4, frames=8, extreme=True)


@pytest.mark.parametrize("order", get_args(Order))
@pytest.mark.parametrize("reset_after", [1, 5, 8])
def test_reset_in_mid_frame(reset_after: int, order: Order) -> None:
    folding = Folding(2, 2, 2, order=order)
    check(fixed((1, 1, 6), 4), folding, 2, reset_after=reset_after, backpressure=cyclic(3))


@pytest.mark.parametrize(
    ("rows", "columns", "stored"), [(4, 2, True), (12, 2, False), (4, 8, False)]
)
def test_inputs_are_stored_only_if_they_are_needed_again(
    rows: int, columns: int, stored: bool
) -> None:
    unit = DenseUnit(fixed((1, 1, 12), 8), Folding(rows, columns, order="outputs"), 1)
    assert (unit.store is not None) == stored


@pytest.mark.parametrize(
    ("layer", "folding", "lanes", "cycles"),
    [
        (fixed((1, 1, 12), 8), Folding(4, 2, 2), 4, 12),  # the array limits
        (fixed((1, 1, 12), 8), Folding(6, 8, 4), 6, 2),
        (fixed((1, 1, 12), 8), Folding(12, 8, 8), 12, 1),  # a frame a cycle
        (fixed((1, 1, 12), 8), Folding(12, 8, 8), 3, 4),  # the input limits
        (fixed((1, 1, 12), 8), Folding(12, 8, 1), 12, 8),  # the output limits
        (fixed((1, 1, 12), 8), Folding(4, 2, 2, order="outputs"), 4, 12),
        (fixed((1, 1, 12), 8), Folding(4, 2, 2, order="outputs"), 1, 12),  # loads all the time
        (fixed((1, 1, 12), 8), Folding(4, 4, 4, order="outputs"), 1, 12),  # the input limits
        (fixed((1, 1, 12), 10), Folding(4, 4, 2, order="outputs"), 12, 9),
        (fixed((1, 1, 12), 8), Folding(6, 4, 1, order="outputs"), 12, 8),  # the output limits
    ],
)
def test_cycles_of_a_frame(layer: FixedLayer, folding: Folding, lanes: int, cycles: int) -> None:
    result = check(layer, folding, lanes, frames=12, idle=never)
    out = layer.output_shape.size // folding.lanes
    intervals = np.diff(result.produced[out - 1 :: out])
    assert intervals.tolist() == [cycles] * 11


def test_groups_leave_when_they_are_finished() -> None:
    result = check(fixed((1, 1, 12), 8), Folding(4, 2, 2, order="outputs"), 4, frames=1)
    # Chunker 3, store 2, weights 2, 4 rows, product and sum, 2 columns, accumulator, drain,
    # requantizer 4 and its buffer; a group has 3 steps.
    first = result.taken[2] + 3 + 2 + 2 + 3 + 2 + 1 + 2 + 4 + 1
    assert result.produced == [first, first + 3, first + 6, first + 9]


def test_refusals() -> None:
    layer = fixed((1, 1, 6), 4)
    with pytest.raises(UnitError, match=r"'F6': input lanes must divide its 6 .* not 4"):
        DenseUnit(layer, Folding(), 4)
    with pytest.raises(UnitError, match=r"'F6': rows must be from 1 to 6 .* not 7"):
        DenseUnit(layer, Folding(7), 1)
    with pytest.raises(UnitError, match=r"'F6': lanes must divide 2 .* not 4"):
        DenseUnit(layer, Folding(2, 2, 4), 1)
    not_single = Convolution(name="C3", inputs=("x",), kernel=(2, 2), out_channels=2)
    rng = np.random.default_rng(0)
    with pytest.raises(UnitError, match=r"'C3': does not take its whole input"):
        DenseUnit(array_layer(not_single, Shape(3, 2, 1), S8, S5, rng=rng), Folding(), 1)
