# amaranth: UnusedElaboratable=no
"""The requantizer against `golden.fixed.arithmetic.requantize`."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import signed

from systolith.golden.fixed.arithmetic import QFormat, Requantization, requantize
from systolith.golden.fixed.integers import FixedLayer, Integers
from systolith.golden.network.graph import Activation, Convolution, GraphError, Shape
from systolith.hw.errors import UnitError
from systolith.hw.streams.formats import value_shape
from systolith.hw.units.requantize import RequantizePipeline, Requantizer
from tests.hw.stream_driver import Pauses, beats, cyclic, never, randomly, run
from tests.unknown_choices import has_no, piecewise_activation

ACCUMULATOR = (-3000, 2000)
NARROW = QFormat(6, 0)


def make_layer(
    channels: int,
    *,
    shifts: list[int] | None = None,
    target: QFormat = NARROW,
    table: Integers | None = None,
    output_format: QFormat | None = None,
    activation: str = "none",
    accumulator_range: tuple[int, int] = ACCUMULATOR,
) -> FixedLayer:
    """A layer with a map of 2 x 3 pixels and random biases."""
    how = None
    if shifts is not None:
        how = Requantization(
            shifts=np.resize(np.array(shifts), channels),
            target=target,
            table=table,
        )
    shape = Shape(2, 3, channels)
    rng = np.random.default_rng(channels)
    return FixedLayer(
        layer=Convolution(
            name="C1",
            inputs=("input",),
            kernel=(1, 1),
            out_channels=channels,
            activation=Activation(activation),
        ),
        input_shape=shape,
        output_shape=shape,
        input_format=QFormat(8, 0, signed=False),
        output_format=output_format or target,
        bias=rng.integers(-300, 300, channels),
        requantization=how,
        accumulator_range=accumulator_range,
    )


def expected(layer: FixedLayer, frames: Integers) -> Integers:
    """The layer's values for accumulators `(frames, values)` without their bias."""
    assert layer.bias is not None
    values = frames.reshape(len(frames), -1, layer.output_shape.channels) + layer.bias
    if layer.layer.activation.kind == "relu":
        values = np.maximum(values, 0)
    if layer.requantization is not None:
        values, _ = requantize(values, layer.requantization)
    return values.reshape(len(frames), -1)


def accumulators(layer: FixedLayer, frames: int, seed: int = 0) -> Integers:
    """Random accumulators, with the extremes and values around zero among them."""
    rng = np.random.default_rng(seed)
    half = 1 << max(*map(int, layer.requantization.shifts), 1) if layer.requantization else 0
    low, high = layer.accumulator_range
    assert layer.bias is not None
    low, high = low - int(layer.bias.min()), high - int(layer.bias.max()) - half
    values = rng.integers(low, high, (frames, layer.output_shape.size), endpoint=True)
    values[rng.random(values.shape) < 0.3] = rng.integers(-20, 20)
    values[:, 0], values[:, -1] = low, high
    return values


def check(
    layer: FixedLayer,
    lanes: int,
    *,
    depth: int = 4,
    idle: Pauses = never,
    backpressure: Pauses = never,
    reset_after: int | None = None,
) -> None:
    sums = accumulators(layer, 4)
    unit = Requantizer(layer, lanes, depth)
    inputs = beats(sums, signed(layer.accumulator_bits), lanes)
    shape = value_shape(layer.output_format)
    result = run(
        unit,
        inputs,
        len(inputs),
        idle=idle,
        backpressure=backpressure,
        reset_after=reset_after,
    )
    assert result.frames(shape, lanes) == expected(layer, sums).tolist()


@pytest.mark.parametrize("shifts", [[0], [1], [5], [-3], [20], [4, 5, 4], [0, 6, -2, 3]], ids=str)
@pytest.mark.parametrize("target", [QFormat(6, 0), QFormat(3, 5, signed=False), QFormat(14, 0)])
@pytest.mark.parametrize("activation", ["none", "relu"])
def test_values(shifts: list[int], target: QFormat, activation: str) -> None:
    wide = (ACCUMULATOR[0], ACCUMULATOR[1] + (1 << max(*shifts, 1)))
    layer = make_layer(
        6, shifts=shifts, target=target, activation=activation, accumulator_range=wide
    )
    check(layer, 2)


@pytest.mark.parametrize("limits", [(0, 17), (-9, None), (None, 0), (-32, 31), (-1, 1)])
def test_limits(limits: tuple[int | None, int | None]) -> None:
    layer = make_layer(6, shifts=[4, 5, 3])
    assert layer.requantization is not None
    clip = Activation("clip", parameters=(-1.0, 1.0))
    how = replace(layer.requantization, limits=limits)
    check(replace(layer, layer=replace(layer.layer, activation=clip), requantization=how), 2)


@pytest.mark.parametrize("bits", [1, 2, 3, 6])
@pytest.mark.parametrize("two_sided", [False, True])
def test_table(bits: int, two_sided: bool) -> None:
    rng = np.random.default_rng(bits)
    layer = make_layer(
        4,
        shifts=[3, 6],
        target=QFormat(bits, 0, signed=two_sided),
        table=rng.integers(-16, 16, 1 << bits),
        output_format=QFormat(5, 2),
    )
    check(layer, 2)


@pytest.mark.parametrize("activation", ["none", "relu"])
@pytest.mark.parametrize("bits", [13, 17])
def test_without_a_requantization_the_bias_is_added(bits: int, activation: str) -> None:
    check(make_layer(3, activation=activation, output_format=QFormat(bits, 0)), 1)


def test_a_layer_without_bias() -> None:
    layer = make_layer(4, shifts=[2])
    plain = replace(layer, bias=None)
    sums = accumulators(layer, 2)
    unit = Requantizer(plain, 4, 1)
    inputs = beats(sums, signed(layer.accumulator_bits), 4)
    result = run(unit, inputs, len(inputs))
    assert plain.requantization is not None
    want, _ = requantize(sums.reshape(2, -1, 4), plain.requantization)
    assert result.frames(value_shape(plain.output_format), 4) == want.reshape(2, -1).tolist()


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("idle", [never, cyclic(2), randomly(3)])
@pytest.mark.parametrize("backpressure", [never, cyclic(3), randomly(4)])
def test_stalls(lanes: int, idle: Pauses, backpressure: Pauses) -> None:
    layer = make_layer(
        6,
        shifts=[4, 5, 3],
        table=np.arange(-32, 32)[::-1].copy(),
        output_format=QFormat(6, 0),
    )
    check(layer, lanes, depth=2, idle=idle, backpressure=backpressure)


@pytest.mark.parametrize("after", [1, 4, 7])
def test_reset_in_mid_frame_leaves_it_as_new(after: int) -> None:
    check(make_layer(6, shifts=[4, 5, 3]), 2, reset_after=after, backpressure=randomly(after))


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("table", [None, np.arange(64)])
def test_a_beat_a_cycle(depth: int, table: Integers | None) -> None:
    layer = make_layer(6, shifts=[4], table=table, output_format=QFormat(6, 0, signed=False))
    sums = accumulators(layer, 6)
    unit = Requantizer(layer, 1, depth)
    inputs = beats(sums, signed(layer.accumulator_bits), 1)
    result = run(unit, inputs, len(inputs))
    assert result.taken == list(range(len(inputs)))
    latency = (4 if table is None else 6) + 1
    assert result.produced == [cycle + latency for cycle in range(len(inputs))]


@pytest.mark.parametrize("seed", range(8))
def test_random_layers(seed: int) -> None:
    rng = random.Random(seed)
    lanes, groups = rng.randint(1, 3), rng.randint(1, 3)
    target = QFormat(rng.randint(1, 12), 0, signed=rng.random() < 0.5)
    table = None
    if target.bits < 8 and rng.random() < 0.5:
        table = np.array([rng.randint(0, 200) for _ in range(1 << target.bits)])
    layer = make_layer(
        lanes * groups,
        shifts=[rng.randint(-2, 12) for _ in range(rng.randint(1, 4))],
        target=target,
        table=table,
        output_format=QFormat(8, 0, signed=False) if table is not None else target,
        activation="none" if table is not None else rng.choice(["none", "relu"]),
        accumulator_range=(-rng.randint(1000, 40_000), rng.randint(9000, 40_000)),
    )
    check(layer, lanes, idle=randomly(seed, 0.2), backpressure=randomly(seed + 1, 0.3))


def test_refusals() -> None:
    layer = make_layer(4, shifts=[1])
    assert layer.requantization is not None
    for what, how in (
        ("rounding 'half_up'", replace(layer.requantization, rounding="floor")),
        ("overflow 'saturate'", replace(layer.requantization, overflow="wrap")),
    ):
        message = f"convolution 'C1': hardware builds the {what} only.*docs/limits.md"
        with pytest.raises(UnitError, match=message):
            RequantizePipeline(replace(layer, requantization=how), 2)
    how = replace(layer.requantization, multiplier=3)
    with pytest.raises(UnitError, match=r"'C1': .* for average pooling only, not 3 here"):
        RequantizePipeline(replace(layer, requantization=how), 2)
    with pytest.raises(UnitError, match="lanes must divide the 4 channels, not 3"):
        RequantizePipeline(make_layer(4), 3)
    with pytest.raises(UnitError, match="needs a table of 64 entries, not 5"):
        RequantizePipeline(make_layer(4, shifts=[1], table=np.arange(5)), 1)


def test_an_activation_of_an_unknown_fixed_form_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = make_layer(2, shifts=[3])
    strange = replace(layer.layer, activation=piecewise_activation(monkeypatch))
    with pytest.raises(GraphError, match=has_no("hardware")):
        RequantizePipeline(replace(layer, layer=strange), 1)
