"""The fixed model against sums of Python integers, written from the definitions."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import floor
from operator import add
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from systolith.golden.fixed import execution
from systolith.golden.fixed.accumulator import accumulator_range
from systolith.golden.fixed.arithmetic import QFormat, Requantization
from systolith.golden.fixed.execution import BATCH, FixedModel
from systolith.golden.fixed.integers import FixedLayer, FixedNetwork
from systolith.golden.fixed.kernels import Engine
from systolith.golden.network.graph import (
    AveragePooling,
    Convolution,
    Dense,
    Input,
    MaxPooling,
    Network,
    Pooling,
    RadialBasis,
    Shape,
    Subsampling,
)
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.quantization.calibration import quantize
from tests.golden.fixed_networks import convolution, only
from tests.golden.random_networks import random_arrays, random_images, random_quantized

Pixels = NDArray[np.uint8]
Map = dict[tuple[int, int, int], int]

SEEDS = st.integers(0, 2**32 - 1)
ENGINES: tuple[Engine, ...] = ("float32", "float64", "int64")


def expected_layer(layer: FixedLayer, x: Map) -> tuple[Map, list[int]]:
    """A layer's values by row, column and channel, and how many saturated by channel."""
    (above, left, below, right), (height, width, channels) = layer.padding, layer.input_shape

    def value(row: int, column: int, channel: int) -> int:
        return x.get((row - above, column - left, channel), layer.padding_value)

    rows, columns = above + height + below, left + width + right
    kind = layer.layer
    result: Map = {}
    saturated = [0] * channels_of(layer)
    for row, column, out in np.ndindex(*layer.output_shape):
        w = np.zeros(()) if layer.weights is None else layer.weights
        bias = 0 if layer.bias is None else int(layer.bias[out])
        if isinstance(kind, Convolution):
            acc = bias + sum(
                value(
                    row * kind.stride[0] + i * kind.dilation[0],
                    column * kind.stride[1] + j * kind.dilation[1],
                    m,
                )
                * int(w[i, j, m, out])
                for i in range(kind.kernel[0])
                for j in range(kind.kernel[1])
                for m in range(channels)
            )
        elif isinstance(kind, Pooling):
            stride = kind.stride or kind.window
            window = [
                value(row * stride[0] + i, column * stride[1] + j, out)
                for i in range(kind.window[0])
                for j in range(kind.window[1])
            ]
            if isinstance(kind, MaxPooling):
                acc = max(window)
            elif isinstance(kind, Subsampling):
                acc = bias + sum(window) * int(w[out])
            else:
                factor = 1 if layer.factors is None else int(layer.factors[row, column])
                acc = bias + sum(window) * factor
        else:
            flat = [
                value(i, j, m) for i in range(rows) for j in range(columns) for m in range(channels)
            ]
            centre = [int(each) for each in w[:, out]]
            if isinstance(kind, Dense):
                acc = bias + sum(a * b for a, b in zip(flat, centre, strict=True))
            else:
                shift = layer.input_shift
                acc = sum(((a << shift) - b) ** 2 for a, b in zip(flat, centre, strict=True))
        assert layer.accumulator_range[0] <= acc <= layer.accumulator_range[1]
        result[row, column, out], left_range = expected_value(layer, acc, out)
        saturated[out] += left_range
    return result, saturated


def channels_of(layer: FixedLayer) -> int:
    return layer.output_shape.channels


def expected_value(layer: FixedLayer, acc: int, channel: int) -> tuple[int, bool]:
    if layer.layer.activation.kind == "relu":
        acc = max(acc, 0)
    how = layer.requantization
    if how is None:
        return acc, False
    exact = Fraction(acc * how.multiplier) / Fraction(2) ** int(how.shifts[channel])
    low, high = how.target.min_raw, how.target.max_raw
    if how.rounding == "half_up":
        raw = floor(exact + Fraction(1, 2))
    else:
        raw = floor(exact) if how.rounding == "floor" else round(exact)
    least, most = how.limits
    left_range = (raw < low and least is None) or (raw > high and most is None)
    if how.overflow == "saturate":
        raw = max(low, min(high, raw))
    else:
        raw = (raw - low) % 2**how.target.bits + low
    raw = max(raw, low if least is None else least)
    raw = min(raw, high if most is None else most)
    return (raw if how.table is None else int(how.table[raw - low])), left_range


def assert_as_expected(fixed: FixedNetwork, images: Pixels, engine: Engine | None = None) -> None:
    model = FixedModel(fixed, engine)
    run = model.run(images)
    counts = {layer.name: [0] * channels_of(layer) for layer in fixed.layers}
    for index, image in enumerate(images):
        x: Map = {place: int(pixel) for place, pixel in np.ndenumerate(image)}
        for layer in fixed.layers:
            x, saturated = expected_layer(layer, x)
            counts[layer.name] = list(map(add, counts[layer.name], saturated))
            found = run.outputs[layer.name][index]
            assert found.shape == layer.output_shape
            assert {place: int(raw) for place, raw in np.ndenumerate(found)} == x
            assert layer.output_format.contains(found)
    assert {name: found.tolist() for name, found in run.saturated.items()} == counts
    last = run.outputs[fixed.layers[-1].name].reshape(len(images), -1)
    assert (model.scores(images) == last).all()


def random_fixed(seed: int) -> tuple[FixedNetwork, Pixels]:
    quantized, images = random_quantized(seed)
    return quantized.fixed, images


@settings(max_examples=40)
@given(SEEDS)
def test_random_networks_of_all_widths(seed: int) -> None:
    fixed, images = random_fixed(seed)
    assert_as_expected(fixed, images[:3])


@settings(max_examples=40)
@given(SEEDS)
def test_the_result_does_not_depend_on_the_engine(seed: int) -> None:
    fixed, images = random_fixed(seed)
    reference = FixedModel(fixed, "int64")
    for engine in ENGINES[:2]:
        try:
            model = FixedModel(fixed, engine)
        except OverflowError:
            continue
        run, expected = model.run(images), reference.run(images)
        for name, counts in expected.saturated.items():
            assert run.saturated[name].tolist() == counts.tolist()
        for name, values in run.outputs.items():
            assert (values == expected.outputs[name]).all()
        assert (model.scores(images) == reference.scores(images)).all()


@settings(max_examples=40)
@given(SEEDS)
def test_other_modes_of_requantizing(seed: int) -> None:
    fixed, images = random_fixed(seed)
    rng = np.random.default_rng(seed)
    layers = []
    for layer in fixed.layers:
        how = layer.requantization
        if how is not None:
            how = replace(
                how,
                multiplier=int(rng.integers(1, 6)),
                rounding=("floor", "half_even", "half_up")[rng.integers(3)],
                overflow=("saturate", "wrap")[rng.integers(2)],
            )
        changed = replace(layer, requantization=how)
        layers.append(replace(changed, accumulator_range=accumulator_range(changed)))
    assert_as_expected(FixedNetwork(fixed.network, tuple(layers)), images[:2])


@pytest.mark.parametrize(
    "conv",
    [{}, {"padding": (1, 0)}, {"stride": (2, 1)}, {"dilation": (2, 1)}, {"groups": 2}],
)
@pytest.mark.parametrize(
    "pool",
    [
        *({"window": (2, 3)}, {"window": (2, 2), "stride": (1, 1)}),
        *({"window": (2, 2), "padding": (1, 0)}, {"window": (2, 2), "padding_end": (0, 1)}),
    ],
)
def test_scores_are_those_of_every_layer_whatever_is_pooled_first(
    conv: dict[str, Any], pool: dict[str, Any]
) -> None:
    """Of convolutions and poolings of all forms, of which only plain ones are one step."""
    rng = np.random.default_rng(0)
    layers = (
        Input(name="input", height=8, width=7, channels=2),
        Convolution(name="C", inputs=("input",), kernel=(2, 2), out_channels=4, **conv),
        MaxPooling(name="P", inputs=("C",), **pool),
    )
    network = Network("pooled", layers)
    arrays = {"C": random_arrays(rng, layers[1], layers[0].image_shape)}
    images = random_images(rng, network, 2)
    assert_as_expected(quantize(TrainedNetwork(network, arrays), images).fixed, images)


def test_pooling_first_is_for_order_keeping_requantizing_only() -> None:
    """A table that falls, or wrapping, gives another result if accumulators are pooled."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 4, 4, 1), dtype=np.uint8)
    weights = rng.integers(-8, 8, (2, 2, 1, 3))
    target = QFormat(4, -6)
    falling = np.arange(7, -9, -1)
    pool = MaxPooling(name="P", inputs=("C",), window=(2, 1))
    for how in (
        Requantization(np.full(3, 6), target, table=falling),
        Requantization(np.full(3, 6), target, overflow="wrap"),
        Requantization(np.array([5, 6, 7]), target),
    ):
        layer = convolution(weights, how)
        pooled = FixedLayer(
            layer=pool,
            input_shape=layer.output_shape,
            output_shape=pool.output_shape(layer.output_shape),
            input_format=QFormat(5, 0),
            output_format=QFormat(5, 0),
            accumulator_range=(-16, 15),
        )
        network = Network("two", (Input(name="input", height=4, width=4), layer.layer, pool))
        fixed = FixedNetwork(network, (layer, pooled))
        assert_as_expected(fixed, images)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("stride", "dilation"),
    # Of four rows and columns, windows of two reach the first two, or the first and the third.
    [((3, 3), (1, 1)), ((2, 2), (2, 2)), ((3, 1), (1, 3)), ((1, 3), (3, 1)), ((3, 2), (1, 1))],
)
def test_rows_and_columns_after_the_last_window_do_not_count(
    stride: tuple[int, int], dilation: tuple[int, int], engine: Engine
) -> None:
    rng = np.random.default_rng(0)
    layer = convolution(rng.integers(-8, 8, (2, 2, 1, 3)), None)
    assert isinstance(layer.layer, Convolution)
    placed = replace(layer.layer, stride=stride, dilation=dilation)
    layer = replace(
        layer,
        layer=placed,
        output_shape=placed.output_shape(layer.input_shape),
        output_format=QFormat(20, 0),
    )
    assert_as_expected(only(layer), rng.integers(0, 256, (3, 4, 4, 1), dtype=np.uint8), engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "form",
    [
        {"groups": 2, "out_channels": 6},
        {"groups": 4, "out_channels": 4, "stride": (2, 1)},
        {"groups": 4, "out_channels": 8, "padding": (1, 0), "padding_end": (0, 1)},
        {"groups": 2, "out_channels": 2, "dilation": (1, 2), "padding": (0, 2)},
        {"out_channels": 3, "stride": (2, 3), "padding": (0, 1), "padding_end": (2, 0)},
        {"out_channels": 2, "connection_table": ((0, 3), (1,))},
    ],
)
def test_convolutions_of_every_form(form: dict[str, Any], engine: Engine) -> None:
    """Depthwise, grouped, by a table, strided, dilated and padded with a value of its own."""
    rng = np.random.default_rng(0)
    conv = Convolution(name="C", inputs=("input",), kernel=(3, 2), **form)
    source = Shape(5, 4, 4)
    weights = rng.integers(-8, 8, (3, 2, 4, conv.out_channels))
    for out, maps in enumerate(conv.sources(source)):
        weights[:, :, sorted(set(range(4)) - set(maps)), out] = 0
    layer = FixedLayer(
        layer=conv,
        input_shape=source,
        output_shape=conv.output_shape(source),
        input_format=QFormat(8, 0, signed=False),
        output_format=QFormat(7, 0),
        padding=conv.pads,
        padding_value=9,
        weights=weights,
        bias=rng.integers(-99, 99, conv.out_channels),
        requantization=Requantization(np.full(conv.out_channels, 5), QFormat(7, 0)),
    )
    layer = replace(layer, accumulator_range=accumulator_range(layer))
    network = Network("form", (Input(name="input", height=5, width=4, channels=4), conv))
    images = rng.integers(0, 256, (2, 5, 4, 4), dtype=np.uint8)
    assert_as_expected(FixedNetwork(network, (layer,)), images, engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_distances_from_centres_of_both_signs(shift: int, engine: Engine) -> None:
    """With centres at a finer scale than the inputs, and more than one a unit."""
    rng = np.random.default_rng(shift)
    centres = rng.integers(-40, 41, (6, 3))
    basis = RadialBasis(name="R", inputs=("input",), units=3)
    layer = FixedLayer(
        layer=basis,
        input_shape=Shape(1, 2, 3),
        output_shape=Shape(1, 1, 3),
        input_format=QFormat(8, 0, signed=False),
        output_format=QFormat(32, 0),
        weights=centres,
        weight_formats=(QFormat(8, shift),) * 3,
        input_shift=shift,
    )
    layer = replace(layer, accumulator_range=accumulator_range(layer))
    network = Network("basis", (Input(name="input", height=1, width=2, channels=3), basis))
    images = rng.integers(0, 40, (5, 1, 2, 3), dtype=np.uint8)
    assert_as_expected(FixedNetwork(network, (layer,)), images, engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_bias_that_only_some_channels_have(engine: Engine) -> None:
    """And shifts that differ; with and without a requantization."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 4, 4, 1), dtype=np.uint8)
    for how in (None, Requantization(np.array([3, 0, 5]), QFormat(9, 0))):
        layer = convolution(rng.integers(-8, 8, (2, 2, 1, 3)), how)
        layer = replace(layer, bias=np.array([0, -300, 0]), output_format=QFormat(20, 0))
        layer = replace(layer, accumulator_range=accumulator_range(layer))
        assert_as_expected(only(layer), images, engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_halves_are_rounded_up_whatever_the_shift(engine: Engine) -> None:
    rng = np.random.default_rng(0)
    how = Requantization(np.arange(-1, 5), QFormat(20, 0), rounding="half_up")
    layer = convolution(rng.integers(-8, 8, (2, 2, 1, 6)), how)
    assert_as_expected(only(layer), rng.integers(0, 256, (5, 4, 4, 1), dtype=np.uint8), engine)


def test_relu_keeps_negative_values_out_of_a_signed_format() -> None:
    rng = np.random.default_rng(0)
    weights = rng.integers(-8, 8, (2, 2, 1, 3))
    for shifts in (np.full(3, 4), np.array([0, -2, 12])):
        how = Requantization(shifts, QFormat(6, 0))
        layer = convolution(weights, how, "relu")
        assert_as_expected(only(layer), rng.integers(0, 256, (5, 4, 4, 1), dtype=np.uint8))
    scores = convolution(weights, None, "relu")
    fixed = only(replace(scores, output_format=QFormat(20, 0)))
    assert_as_expected(fixed, rng.integers(0, 256, (5, 4, 4, 1), dtype=np.uint8))


def test_a_left_shift_into_a_wide_format_saturates_at_its_last_value() -> None:
    """2**29 - 1 is no float32, though every accumulator is one."""
    weights = np.array([127, 127, 127, 127]).reshape(2, 2, 1, 1)
    fixed = only(convolution(weights, Requantization(np.array([-20]), QFormat(30, 0))))
    assert_as_expected(fixed, np.full((1, 4, 4, 1), 255, np.uint8))


def test_images_are_computed_in_batches_that_do_not_show() -> None:
    fixed, _ = random_fixed(11)
    images = random_images(np.random.default_rng(1), fixed.network, 2 * BATCH + 3)
    whole = execution.run(fixed, images)
    singles = [execution.run(fixed, images[i : i + 1]) for i in range(len(images))]
    for name, values in whole.outputs.items():
        assert (values == np.concatenate([single.outputs[name] for single in singles])).all()
        parts = [single.saturated[name] for single in singles]
        assert whole.saturated[name].tolist() == np.sum(parts, axis=0).tolist()
    assert (execution.scores(fixed, images)[:, 0] == values.reshape(len(images), -1)[:, 0]).all()


def test_the_lowest_index_wins_a_tie() -> None:
    largest = only(convolution(np.ones((2, 2, 1, 1), np.int64), None))
    assert execution.classes(largest, np.full((2, 4, 4, 1), 7, np.uint8)).tolist() == [0, 0]
    values = np.array([[3, 5, 5, 1], [1, 1, 2, 2], [-4, -5, -5, -5]])
    assert execution.winners(largest, values).tolist() == [1, 2, 0]
    basis = RadialBasis(name="R", inputs=("input",), units=4)
    smallest = FixedNetwork(Network("basis", (Input(name="input", height=1, width=1), basis)), ())
    assert execution.winners(smallest, values).tolist() == [3, 0, 1]


def test_images_of_another_shape_are_refused() -> None:
    fixed = only(convolution(np.ones((2, 2, 1, 1), np.int64), None))
    with pytest.raises(ValueError, match=r"uint8 of 4 x 4 x 1, not uint8 of 5 x 4 x 1"):
        execution.run(fixed, np.zeros((1, 5, 4, 1), np.uint8))
    with pytest.raises(ValueError, match="not float64"):
        execution.scores(fixed, np.zeros((1, 4, 4, 1)))  # type: ignore[arg-type]


def test_average_pooling_of_a_window_that_is_no_power_of_two() -> None:
    """One rounding: the multiplier is close enough that every mean of nine pixels is exact."""
    pool = AveragePooling(name="P", inputs=("input",), window=(3, 3))
    network = Network("mean", (Input(name="input", height=3, width=3), pool))
    trained = TrainedNetwork(network, {})
    images = np.random.default_rng(0).integers(0, 256, (200, 3, 3, 1), dtype=np.uint8)
    fixed = quantize(trained, images).fixed
    sums = images.reshape(len(images), -1).sum(axis=1, dtype=int)
    expected = [floor(Fraction(int(total), 9) + Fraction(1, 2)) for total in sums]
    assert execution.scores(fixed, images)[:, 0].tolist() == expected


def test_variants_have_their_own_classes() -> None:
    """Whether they differ in the first layer, in the last, or in none."""
    for seed in range(8):
        network, _ = random_quantized(seed)
        rng = np.random.default_rng(seed)
        images = random_images(rng, network.fixed.network, BATCH + 3)
        variants = [network.fixed]
        for place, layer in enumerate(network.fixed.layers):
            if layer.weights is not None:
                changed = replace(layer, weights=-layer.weights)
                layers = network.fixed.layers
                variants.append(
                    FixedNetwork(
                        network.fixed.network, (*layers[:place], changed, *layers[place + 1 :])
                    )
                )
        for some in (variants, variants[:1], variants[1:], [network.fixed, network.fixed]):
            if some:
                found = execution.classes_of_variants(some, images)
                for each, given in zip(some, found, strict=True):
                    assert (given == execution.classes(each, images)).all()


def test_what_variants_have_in_common_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A convolution with its pooling is one step, even if only the pooling differs."""
    base = quantize(TRAINED, PIXELS).fixed
    conv, pool, dense = base.layers
    others = [replace(base, layers=(conv, pool, replace(dense))) for _ in range(2)]
    copied_pool = replace(base, layers=(conv, replace(pool), dense))
    run: list[str] = []
    compute = execution._Step.__call__

    def recorded(step: execution._Step, x: NDArray[np.int64]) -> NDArray[np.int64]:
        run.append(step.layer.name)
        return compute(step, x)

    monkeypatch.setattr(execution._Step, "__call__", recorded)
    execution.classes_of_variants([base, *others], PIXELS)
    assert run == ["C", "F", "F", "F"]
    run.clear()
    execution.classes_of_variants([base, copied_pool], PIXELS)
    assert run == ["C", "F", "C", "F"]


def test_images_of_another_shape_are_refused_by_variants() -> None:
    fixed = quantize(TRAINED, PIXELS).fixed
    with pytest.raises(ValueError, match="images must be uint8 of"):
        execution.classes_of_variants([fixed], PIXELS[:, 1:])


PIXELS = np.random.default_rng(3).integers(0, 256, (20, 6, 6, 1), dtype=np.uint8)
TRAINED = TrainedNetwork(
    Network(
        "pooled",
        (
            Input(name="input", height=6, width=6),
            Convolution(name="C", inputs=("input",), kernel=(3, 3), out_channels=2),
            MaxPooling(name="M", inputs=("C",), window=(2, 2)),
            Dense(name="F", inputs=("M",), units=3),
        ),
    ),
    {
        "C": {
            "weights": np.random.default_rng(4).normal(size=(3, 3, 1, 2)),
            "bias": np.zeros(2),
        },
        "F": {"weights": np.random.default_rng(5).normal(size=(8, 3)), "bias": np.zeros(3)},
    },
)
