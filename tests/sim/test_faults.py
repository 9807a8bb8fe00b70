from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.fixed.consistency import check
from systolith.golden.fixed.execution import FixedModel
from systolith.golden.fixed.integers import FixedLayer, FixedNetwork
from systolith.golden.network.graph import Dense, Input, Network, Shape
from systolith.sim.faults import Fault, _bits, find_fault
from tests.hw.fixed_layers import accumulator_range
from tests.sim import small_hardware

FIXED = small_hardware.quantized().fixed
IMAGES = small_hardware.dataset(6).images


@pytest.mark.parametrize("name", small_hardware.WEIGHTED)
def test_one_bit_differs_and_is_seen_in_that_layer_first(name: str) -> None:
    fault = find_fault(FIXED, name, IMAGES)
    check(fault.fixed)
    for before, after in zip(FIXED.layers, fault.fixed.layers, strict=True):
        if before.name != name:
            assert after is before
    weights, altered = FIXED[name].weights, fault.fixed[name].weights
    assert weights is not None and altered is not None
    assert np.argwhere(weights != altered).tolist() == [list(fault.index)]
    bits = FIXED[name].weight_formats[fault.index[-1]].bits
    difference = (int(weights[fault.index]) ^ int(altered[fault.index])) % (1 << bits)
    assert difference == 1 << fault.bit
    assert FIXED[name].accumulator_bits == fault.fixed[name].accumulator_bits
    right, wrong = (FixedModel(each).run(IMAGES).outputs for each in (FIXED, fault.fixed))
    assert (right["pool"] == wrong["pool"]).all()
    assert (right[name] != wrong[name]).any()


def test_it_is_the_same_every_time() -> None:
    first, second = (find_fault(FIXED, "dense", IMAGES) for _ in range(2))
    assert str(first) == str(second)


def test_images_that_no_fault_changes_are_an_error() -> None:
    # All pixels 0, and so all inputs of the convolution, whose zero is 0.
    dark = np.zeros_like(IMAGES)
    assert not FixedModel(FIXED).run(dark).outputs["pool"].any()
    with pytest.raises(ValueError, match="layer 'conv__x': no single bit of its weights changes"):
        find_fault(FIXED, "conv__x", dark)


def dense(weights: list[list[int]], bits: list[int], pixel_bits: int) -> FixedNetwork:
    """A layer alone, each output with weights of a width of its own."""
    values = np.array(weights)
    layer = FixedLayer(
        layer=Dense(name="F", inputs=("input",), units=len(bits)),
        input_shape=Shape(1, len(weights), 1),
        output_shape=Shape(1, 1, len(bits)),
        input_format=QFormat(pixel_bits, 0, signed=False),
        output_format=QFormat(20, 0),
        weights=values,
        bias=np.zeros(len(bits), np.int64),
        weight_formats=tuple(QFormat(each, 0) for each in bits),
    )
    layer = replace(layer, accumulator_range=accumulator_range(layer))
    source = Input(name="input", height=1, width=len(weights), format=layer.input_format)
    return FixedNetwork(Network("dense", (source, layer.layer)), (layer,))


def test_all_bits_below_the_sign_are_tried_the_highest_of_a_weight_first() -> None:
    (layer,) = dense([[3, -20], [1, 5]], [3, 6], 8).layers
    tried = list(_bits(layer))
    expected = {
        (0, 0): [1, 0],
        (1, 0): [1, 0],
        (0, 1): [4, 3, 2, 1, 0],
        (1, 1): [4, 3, 2, 1, 0],
    }
    assert {index: [b for i, b in tried if i == index] for index, _ in tried} == expected


@pytest.mark.parametrize(
    ("weight", "altered"),
    # Of six bits, bit 4, of -20 in two's complement 101100.
    [(-20, -4), (-4, -20), (5, 21), (21, 5)],
)
def test_a_negative_weight_stays_negative(weight: int, altered: int) -> None:
    fixed = dense([[weight], [31], [-32]], [6], 8)
    images = np.array([[[[7]], [[0]], [[0]]]], np.uint8).reshape(1, 1, 3, 1)
    fault = find_fault(fixed, "F", images)
    assert (fault.index, fault.bit, fault.before, fault.after) == ((0, 0), 4, weight, altered)
    assert str(fault) == f"F: bit 4 of weight [0, 0] inverted, {weight} became {altered}"
    assert fault.fixed["F"].accumulator_range == accumulator_range(fault.fixed["F"])


def test_an_output_has_weights_of_its_own_width() -> None:
    """One output of 3 bits, and two of 6."""
    weights = [[0, -21, -21], [-1, 31, 31], [1, -32, -32]]
    images = np.array([[7, 0, 0]], np.uint8).reshape(1, 1, 3, 1)
    fault = find_fault(dense(weights, [3, 6, 6], 8), "F", images)
    assert fault.index[1] > 0
    assert (fault.bit, fault.before, fault.after) == (4, -21, -5)


def test_a_bit_that_would_widen_or_narrow_the_accumulator_is_left_alone() -> None:
    """0 or 1 times 1: with any bit inverted, the sum is from 0 to 5, to 3 or to 0."""
    fixed = dense([[1]], [4], 1)
    with pytest.raises(ValueError, match="layer 'F': no single bit of its weights changes"):
        find_fault(fixed, "F", np.ones((1, 1, 1, 1), np.uint8))


def test_a_fault_in_words_has_every_index() -> None:
    fault = Fault("C1", (0, 1, 2, 3), 5, before=-1, after=-33, fixed=FIXED)
    assert str(fault) == "C1: bit 5 of weight [0, 1, 2, 3] inverted, -1 became -33"
