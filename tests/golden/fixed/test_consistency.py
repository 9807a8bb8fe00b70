"""What is refused before anything is run or built; see also the tests of the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from systolith.golden.fixed.accumulator import accumulator_range
from systolith.golden.fixed.arithmetic import QFormat, Requantization
from systolith.golden.fixed.consistency import FixedNetworkError, check
from systolith.golden.fixed.integers import FixedLayer, FixedNetwork
from systolith.golden.network.graph import Convolution, Shape
from systolith.golden.network.trained_network import load_network
from systolith.golden.network.windows import Padding
from systolith.golden.quantization.calibration import quantize
from tests.golden.fixed_networks import convolution, only
from tests.golden.random_networks import random_images


@pytest.fixture(scope="module")
def fixed() -> FixedNetwork:
    trained = load_network("lenet5-relu")
    images = random_images(np.random.default_rng(0), trained.network, 5)
    return quantize(trained, images).fixed


def how(layer: FixedLayer, **changes: Any) -> FixedLayer:
    assert layer.requantization is not None
    return replace(layer, requantization=replace(layer.requantization, **changes))


def ranged(layer: FixedLayer, **changes: Any) -> FixedLayer:
    """A changed layer whose accumulator range is right."""
    changed = replace(layer, **changes)
    return replace(changed, accumulator_range=accumulator_range(changed))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "C1",
            lambda c1: replace(
                c1,
                layer=Convolution(name="C1", inputs=("input",), kernel=(5, 5), out_channels=6),
            ),
            "convolution 'C1': is not the layer of the graph",
        ),
        (
            "C1",
            lambda c1: replace(c1, input_shape=Shape(32, 32, 1)),
            "takes 32 x 32 x 1 of u8.0, not 28 x 28 x 1 of u8.0",
        ),
        (
            "C1",
            lambda c1: replace(c1, input_format=QFormat(8, 0)),
            "takes 28 x 28 x 1 of s8.0, not 28 x 28 x 1 of u8.0",
        ),
        (
            "C1",
            lambda c1: replace(c1, padding=Padding(2, 2, 2, 1)),
            "padding must be 2 2 2 2, not 2 2 2 1",
        ),
        (
            "C1",
            lambda c1: replace(c1, output_shape=Shape(28, 28, 7)),
            "output shape 28 x 28 x 7 is not that of the graph",
        ),
        ("C1", lambda c1: how(c1, table=np.arange(256)), "'relu' and table do not fit each other"),
        ("C1", lambda c1: ranged(c1, requantization=None), "needs a requantization"),
        (
            "C1",
            lambda c1: replace(c1, weights=c1.weights.astype(np.int32)),
            "weights must be 64-bit integers, not int32",
        ),
        ("C1", lambda c1: replace(c1, output_format=QFormat(9, 3)), "is not that of its requant"),
        ("S2", lambda s2: replace(s2, bias=np.zeros(6, np.int64)), "'S2': cannot have a bias"),
        ("S2", lambda s2: replace(s2, weight_formats=(QFormat(8, 0),)), "formats without weights"),
        ("S2", lambda s2: replace(s2, output_format=QFormat(9, 3)), "max_pooling 'S2': passes"),
        (
            "output",
            lambda out: ranged(
                out,
                weight_formats=(QFormat(8, 99), *out.weight_formats[1:]),
            ),
            "only scores of one scale have none",
        ),
    ],
)
def test_refused(
    fixed: FixedNetwork, name: str, change: Callable[[FixedLayer], FixedLayer], message: str
) -> None:
    check(fixed)
    layers = tuple(change(layer) if layer.name == name else layer for layer in fixed.layers)
    with pytest.raises(FixedNetworkError, match=message):
        check(replace(fixed, layers=layers))


def test_layers_are_those_of_the_graph_in_its_order(fixed: FixedNetwork) -> None:
    first, second, *rest = fixed.layers
    names = ", ".join(layer.name for layer in rest)
    for layers, given in (
        ((second, first, *rest), f"S2, C1, {names}"),
        ((first, second, *rest[:-1]), f"C1, S2, {names.removesuffix(', output')}"),
        ((first, first, *rest), f"C1, C1, {names}"),
    ):
        message = f"^layers must be C1, S2, {names}, not {given}$"
        with pytest.raises(FixedNetworkError, match=message):
            check(replace(fixed, layers=layers))


def test_products_that_leave_64_bits_are_refused(fixed: FixedNetwork) -> None:
    first, *rest = fixed.layers
    wide = how(first, multiplier=1 << 32)
    wide = replace(wide, accumulator_range=(first.accumulator_range[0], 1 << 40))
    assert first.bias is not None
    wide = replace(wide, bias=first.bias + (1 << 40))
    wide = replace(wide, accumulator_range=accumulator_range(wide))
    with pytest.raises(FixedNetworkError, match="'C1': accumulators need 74 bits, over 62"):
        check(replace(fixed, layers=(wide, *rest)))


@pytest.mark.parametrize(
    ("shift", "multiplier", "bits"),
    [
        # Four products of up to 255 * 2**40 need 51 bits with their sign.
        (-11, 1, 62),
        (-12, 1, 63),
        (0, 2048, 62),
        (0, 2049, 63),
        (-5, 64, 62),
        (-5, 65, 63),
        (3, 2048, 62),
        (3, 2049, 63),
    ],
)
def test_a_left_shift_and_a_multiplier_count_as_bits_of_the_accumulator(
    shift: int, multiplier: int, bits: int
) -> None:
    target = QFormat(8, -shift)
    requantization = Requantization(np.array([shift]), target, multiplier)
    layer = convolution(np.full((2, 2, 1, 1), 1 << 40), requantization)
    made = only(replace(layer, weight_formats=(QFormat(42, 0),)))
    if bits <= 62:
        check(made)
    else:
        with pytest.raises(FixedNetworkError, match="'C': accumulators need 63 bits, over 62"):
            check(made)
