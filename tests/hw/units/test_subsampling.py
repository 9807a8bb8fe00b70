# amaranth: UnusedElaboratable=no
"""Trainable sub-sampling against NumPy: exact sums, coefficient, bias, one requantizing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from systolith.golden.fixed.accumulator import accumulator_range
from systolith.golden.fixed.arithmetic import QFormat, Requantization, requantize
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.graph import Activation, Shape
from systolith.golden.network.graph import Subsampling as SubsamplingLayer
from systolith.hw.errors import UnitError
from systolith.hw.folding import Folding
from systolith.hw.streams.formats import value_shape
from systolith.hw.units.subsampling import Subsampling
from tests.hw.stream_driver import Pauses, beats, cyclic, never, randomly, run
from tests.hw.units.test_pooling import random_frames, windows


def make_layer(
    source: Shape,
    window: tuple[int, int] = (2, 2),
    *,
    raw: QFormat = QFormat(6, 3),  # noqa: B008
    same_coefficient: bool = False,
    seed: int = 0,
) -> FixedLayer:
    """A layer with random coefficients and biases and a random table."""
    rng = np.random.default_rng(seed)
    layer = SubsamplingLayer(
        name="S2", inputs=("C1",), window=window, activation=Activation("tanh")
    )
    channels = source.channels
    fixed = FixedLayer(
        layer=layer,
        input_shape=source,
        output_shape=layer.output_shape(source),
        input_format=raw,
        output_format=QFormat(7, 6),
        weights=np.full(channels, 8) if same_coefficient else rng.integers(-128, 128, channels),
        bias=rng.integers(-2000, 2000, channels),
        requantization=Requantization(
            shifts=rng.integers(4, 7, channels),
            target=QFormat(8, 3),
            table=rng.integers(-64, 64, 256),
        ),
    )
    return replace(fixed, accumulator_range=accumulator_range(fixed))


def check(
    layer: FixedLayer,
    input_lanes: int,
    lanes: int,
    *,
    idle: Pauses = never,
    backpressure: Pauses = never,
    reset_after: int | None = None,
    depth: int = 4,
) -> list[int]:
    """Run a unit and compare every value; returns the cycles in which beats were taken."""
    unit = Subsampling(layer, Folding(lanes=lanes, depth=depth), input_lanes)
    assert unit.multipliers == lanes
    maps = random_frames(layer, 3)
    inputs = beats(maps.reshape(3, -1), value_shape(layer.input_format), input_lanes)
    result = run(
        unit,
        inputs,
        3 * layer.output_shape.size // lanes,
        idle=idle,
        backpressure=backpressure,
        reset_after=reset_after,
    )
    assert layer.requantization is not None
    assert layer.weights is not None
    assert layer.bias is not None
    sums = windows(maps, layer).sum(axis=-1)
    want, _ = requantize(sums * layer.weights + layer.bias, layer.requantization)
    shape = value_shape(layer.output_format)
    assert result.frames(shape, lanes) == want.reshape(3, -1).tolist()
    return result.taken


@pytest.mark.parametrize("window", [(1, 1), (1, 3), (3, 1), (2, 2)])
@pytest.mark.parametrize(("input_lanes", "lanes"), [(1, 1), (6, 6), (6, 2), (3, 1)])
def test_windows_and_lanes(window: tuple[int, int], input_lanes: int, lanes: int) -> None:
    check(make_layer(Shape(5, 8, 6), window), input_lanes, lanes)


@pytest.mark.parametrize("raw", [QFormat(1, 0), QFormat(8, 0, signed=False)])
def test_formats(raw: QFormat) -> None:
    check(make_layer(Shape(4, 6, 2), raw=raw), 2, 1)


def test_one_coefficient_for_all_channels() -> None:
    check(make_layer(Shape(4, 4, 4), same_coefficient=True), 2, 2)


@pytest.mark.parametrize("idle", [never, cyclic(2), randomly(5)])
@pytest.mark.parametrize("backpressure", [never, cyclic(3), randomly(6, 0.8)])
def test_stalls(idle: Pauses, backpressure: Pauses) -> None:
    check(make_layer(Shape(4, 5, 6)), 3, 1, idle=idle, backpressure=backpressure)


@pytest.mark.parametrize("after", [1, 9, 31])
def test_reset_in_mid_frame_leaves_it_as_new(after: int) -> None:
    check(make_layer(Shape(4, 5, 4)), 2, 1, reset_after=after)


@pytest.mark.parametrize(("depth", "waits"), [(9, False), (8, True)])
def test_takes_a_beat_a_cycle_while_the_fifo_has_room(depth: int, waits: bool) -> None:
    """A row has 28 beats of results in 54 cycles, and one of them leaves every 3 cycles."""
    taken = check(make_layer(Shape(6, 28, 6)), 3, 1, depth=depth)
    assert (taken != list(range(len(taken)))) == waits


def test_a_missing_coefficient_is_refused() -> None:
    layer = replace(make_layer(Shape(4, 4, 6)), weights=np.ones(5, np.int64))
    with pytest.raises(UnitError, match="subsampling 'S2': needs a coefficient a channel"):
        Subsampling(layer, Folding(), 1)
