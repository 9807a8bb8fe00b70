# amaranth: UnusedElaboratable=no
"""The radial basis unit against sums of squares in NumPy."""

from typing import Any, get_args

import numpy as np
import pytest

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.graph import Dense, RadialBasis, Shape
from systolith.hw.errors import UnitError
from systolith.hw.folding import Folding, Order
from systolith.hw.streams.formats import value_shape
from systolith.hw.units.radial_basis import RadialBasis as RadialBasisUnit
from tests.hw.fixed_layers import array_layer, random_integers
from tests.hw.stream_driver import beats, cyclic, randomly, run


def fixed(
    elements: int, outputs: int, *, inputs: QFormat, shift: int, extreme: bool = False
) -> FixedLayer:
    layer = RadialBasis(name="output", inputs=("x",), units=outputs)
    return array_layer(
        layer,
        Shape(1, 1, elements),
        inputs,
        QFormat(7, 0),
        rng=np.random.default_rng(1),
        extreme=extreme,
        input_shift=shift,
    )


def check(layer: FixedLayer, folding: Folding, lanes: int, extreme: bool, **how: Any) -> None:
    rng = np.random.default_rng(2)
    inputs = random_integers(rng, layer.input_format, (3, layer.input_shape.size), extreme)
    assert layer.weights is not None
    distances = (inputs << layer.input_shift)[:, :, None] - layer.weights
    unit = RadialBasisUnit(layer, folding, lanes)
    assert unit.multipliers == folding.rows * folding.columns
    sent = beats(inputs.tolist(), value_shape(layer.input_format), lanes)
    result = run(unit, sent, 3 * layer.output_shape.channels // folding.lanes, **how)
    got = result.frames(value_shape(layer.output_format), folding.lanes)
    assert got == (distances**2).sum(axis=1).tolist()


@pytest.mark.parametrize("extreme", [False, True])
@pytest.mark.parametrize(
    ("elements", "outputs", "inputs", "shift", "folding", "lanes"),
    [
        (12, 10, QFormat(4, 0), 2, Folding(5, 4, 2), 4),  # chunks and folds that are not full
        (6, 3, QFormat(5, 0, False), 0, Folding(1, 3, 3), 1),
        (6, 5, QFormat(8, 0), 1, Folding(6, 1, 1), 2),
        (12, 10, QFormat(4, 0), 2, Folding(5, 4, 2, order="outputs"), 4),
        (6, 5, QFormat(8, 0), 1, Folding(2, 2, order="outputs"), 3),
    ],
)
def test_values(
    elements: int,
    outputs: int,
    inputs: QFormat,
    shift: int,
    folding: Folding,
    lanes: int,
    extreme: bool,
) -> None:
    layer = fixed(elements, outputs, inputs=inputs, shift=shift, extreme=extreme)
    check(layer, folding, lanes, extreme)
    check(layer, folding, lanes, extreme, idle=randomly(5, 0.3), backpressure=randomly(6, 0.6))


@pytest.mark.parametrize("order", get_args(Order))
def test_reset_in_mid_frame(order: Order) -> None:
    layer = fixed(7, 4, inputs=QFormat(4, 0), shift=1)
    folding = Folding(3, 2, 2, order=order)
    check(layer, folding, 1, False, reset_after=5, backpressure=cyclic(2))


def test_refusals() -> None:
    layer = fixed(6, 4, inputs=QFormat(4, 0), shift=0)
    with pytest.raises(UnitError, match=r"'output': columns must be from 1 to 4 .outputs., not 5"):
        RadialBasisUnit(layer, Folding(1, 5), 1)
    dense = Dense(name="F6", inputs=("x",), units=2)
    rng = np.random.default_rng(0)
    other = array_layer(dense, Shape(1, 1, 2), QFormat(4, 0), QFormat(4, 0), rng=rng)
    with pytest.raises(UnitError, match=r"'F6': is not a radial basis layer"):
        RadialBasisUnit(other, Folding(), 1)
