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
from systolith.golden.network.graph import (
    Activation,
    AveragePooling,
    Convolution,
    Dense,
    GraphError,
    Input,
    MaxPooling,
    Network,
    RadialBasis,
    Shape,
)
from systolith.golden.network.trained_network import TrainedNetwork, load_network
from systolith.golden.network.windows import Padding
from systolith.golden.quantization.calibration import quantize
from systolith.golden.quantization.settings import LayerSettings, Settings
from tests.golden.fixed_networks import convolution, only
from tests.golden.random_networks import random_arrays, random_images


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


@pytest.fixture(scope="module")
def odd() -> FixedNetwork:
    """A clamp, means of windows of different sizes, a maximum, a table, and centres."""
    clamp = Activation("clip", parameters=(-0.5, 1.5))
    layers = (
        Input(name="input", height=6, width=6),
        Convolution(name="C", inputs=("input",), kernel=(3, 3), out_channels=2, activation=clamp),
        AveragePooling(name="A", inputs=("C",), padding=(1, 0)),
        MaxPooling(name="M", inputs=("A",)),
        Dense(name="T", inputs=("M",), units=3, activation=Activation("tanh")),
        RadialBasis(name="R", inputs=("T",), units=2),
    )
    network = Network("odd", layers)
    rng = np.random.default_rng(0)
    arrays = {
        layer.name: random_arrays(rng, layer, source)
        for layer, source, _ in network.computing_layers()
    }
    return quantize(TrainedNetwork(network, arrays), random_images(rng, network, 9)).fixed


def put(array: Any, place: Any, value: int) -> Any:
    changed = array.copy()
    changed[place] = value
    return changed


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        # The last channel, not only the first.
        (
            "C",
            lambda c: replace(c, weights=put(c.weights, (1, 2, 0, 1), 128)),
            "weights of channel 1 leave their format s8",
        ),
        (
            "C",
            lambda c: ranged(how(c, shifts=c.requantization.shifts + np.array([0, 1]))),
            "shift of channel 1 does not fit its formats",
        ),
        ("C", lambda c: how(c, shifts=np.array([0, -63])), "shifts must be from -62 to 62"),
        ("C", lambda c: how(c, shifts=np.array([63, 0])), "shifts must be from -62 to 62"),
        ("C", lambda c: how(c, shifts=np.array([5])), r"shifts must have the shape \(2,\)"),
        ("C", lambda c: how(c, multiplier=0), "multiplier must be from 1 to 4294967296, not 0"),
        ("C", lambda c: how(c, multiplier=2**32 + 1), "multiplier must be .* not 4294967297"),
        ("C", lambda c: how(c, rounding="up"), "unknown modes 'up' and 'saturate'"),
        ("C", lambda c: how(c, overflow="clip"), "unknown modes 'half_up' and 'clip'"),
        ("C", lambda c: how(c, limits=(-129, None)), r"limits \(-129, None\) are not of s8"),
        ("C", lambda c: how(c, limits=(None, 128)), r"limits \(None, 128\) are not of s8"),
        ("C", lambda c: how(c, table=np.arange(256)), "'clip' and table do not fit each other"),
        ("C", lambda c: replace(c, padding_value=-1), "padding value -1 is not of u8.0"),
        ("C", lambda c: replace(c, padding_value=256), "padding value 256 is not of u8.0"),
        ("C", lambda c: replace(c, factors=np.ones((4, 4), np.int64)), "cannot have factors"),
        ("C", lambda c: replace(c, input_shift=1), "input shift 1 is not allowed"),
        ("C", lambda c: replace(c, bias=None), r"bias must have the shape \(2,\), not None"),
        ("C", lambda c: replace(c, bias=put(c.bias, 1, 2**61)), "bias are wider than 62 bits"),
        ("C", lambda c: replace(c, weight_formats=c.weight_formats[:1]), "needs 2 weight formats"),
        (
            "C",
            lambda c: replace(c, output_format=QFormat(8, c.output_format.frac_bits + 1)),
            "output format .* is not that of its requantization",
        ),
        (
            "A",
            lambda a: replace(a, factors=None),
            r"must have the shape \(3, 2\), not None",
        ),
        ("A", lambda a: replace(a, factors=put(a.factors, (2, 1), 0)), "factors must be from 1 to"),
        ("A", lambda a: replace(a, factors=put(a.factors, (0, 1), 2**32 + 1)), "factors must be"),
        ("A", lambda a: replace(a, bias=np.zeros(3, np.int64)), r"bias must have the shape \(2,\)"),
        (
            "A",
            lambda a: replace(a, weights=np.ones(2, np.int64)),
            "weights must have the shape",
        ),
        (
            "M",
            lambda m: replace(m, requantization=Requantization(np.zeros(2, int), m.output_format)),
            "passes s8",
        ),
        ("M", lambda m: replace(m, bias=np.zeros(2, np.int64)), "cannot have a bias"),
        ("M", lambda m: replace(m, factors=np.ones((1, 1), np.int64)), "cannot have factors"),
        ("T", lambda t: how(t, table=None), "'tanh' and table do not fit each other"),
        (
            "T",
            lambda t: how(t, table=put(t.requantization.table, 7, t.output_format.min_raw - 1)),
            "table leaves the output format s8",
        ),
        (
            "T",
            lambda t: how(t, table=put(t.requantization.table, 7, t.output_format.max_raw + 1)),
            "table leaves the output format s8",
        ),
        ("T", lambda t: how(t, table=t.requantization.table[1:]), "table must have the shape"),
        (
            "T",
            lambda t: how(t, target=QFormat(19, t.requantization.target.frac_bits)),
            "table index must have at most 18 bits, not 19",
        ),
        (
            "T",
            lambda t: ranged(t, requantization=None),
            "needs a requantization: only scores of one scale have none",
        ),
        (
            "R",
            lambda r: replace(r, weight_formats=(r.weight_formats[0], QFormat(20, 0))),
            "centres must have .* fraction bits, the scale of its inputs",
        ),
        ("R", lambda r: replace(r, input_shift=33), "input shift 33 is not allowed"),
        ("R", lambda r: replace(r, input_shift=-1), "input shift -1 is not allowed"),
        ("R", lambda r: replace(r, bias=np.zeros(2, np.int64)), "cannot have a bias"),
        (
            "R",
            lambda r: replace(r, output_format=QFormat(r.output_format.bits + 1, 14)),
            "scores must be .* bits wide",
        ),
        (
            "R",
            lambda r: replace(
                r, output_format=QFormat(r.output_format.bits, r.output_format.frac_bits - 1)
            ),
            "scores must be .* bits wide",
        ),
        (
            "R",
            lambda r: replace(r, accumulator_range=(0, r.accumulator_range[1] - 1)),
            "accumulators range over",
        ),
    ],
)
def test_odd_layers_are_refused(
    odd: FixedNetwork, name: str, change: Callable[[Any], FixedLayer], message: str
) -> None:
    check(odd)
    layers = tuple(change(layer) if layer.name == name else layer for layer in odd.layers)
    with pytest.raises(FixedNetworkError, match=f" '{name}': .*{message}"):
        check(replace(odd, layers=layers))


def test_what_odd_layers_may_have(odd: FixedNetwork) -> None:
    """A bias of a mean, a table at the ends of its format, and limits at those of theirs."""
    conv, mean, largest, table, basis = odd.layers
    assert table.requantization is not None and table.requantization.table is not None
    ends = put(table.requantization.table, 0, -128)
    made = (
        how(conv, limits=(-128, 127)),
        ranged(mean, bias=np.array([3, -5])),
        largest,
        how(table, table=put(ends, -1, 127)),
        basis,
    )
    check(replace(odd, layers=made))


def test_a_layer_by_its_name(odd: FixedNetwork) -> None:
    assert [odd[name] for name in "CAMTR"] == list(odd.layers)
    with pytest.raises(GraphError, match="'odd' has no layer 'X': it has input, C, A, M, T, R"):
        odd["X"]


def test_only_the_last_layer_without_an_activation_gives_scores() -> None:
    """A ReLU after them would be one of the accumulators, in no format of the network's."""
    rng = np.random.default_rng(0)
    for activation, allowed in ((Activation(), True), (Activation("relu"), False)):
        layers = (
            Input(name="input", height=2, width=2),
            Dense(name="F", inputs=("input",), units=2, activation=activation),
        )
        network = Network("last", layers)
        arrays = {"F": random_arrays(rng, layers[1], layers[0].image_shape)}
        settings = Settings(LayerSettings(granularity="tensor"))
        images = random_images(rng, network, 5)
        made = quantize(TrainedNetwork(network, arrays), images, settings).fixed
        assert (made["F"].requantization is None) == allowed
        (last,) = made.layers
        bare = replace(last, requantization=None, output_format=QFormat(1, 0))
        bare = ranged(bare)
        scale = last.input_format.frac_bits + last.weight_formats[0].frac_bits
        bare = replace(bare, output_format=QFormat(bare.accumulator_bits, scale))
        if allowed:
            check(replace(made, layers=(bare,)))
        else:
            with pytest.raises(FixedNetworkError, match="'F': needs a requantization"):
                check(replace(made, layers=(bare,)))


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
