# amaranth: UnusedElaboratable=no
"""The pooling units against NumPy: split into windows, reduce, requantize."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from systolith.golden.fixed.arithmetic import QFormat, Requantization, requantize
from systolith.golden.fixed.integers import FixedLayer, Integers
from systolith.golden.network.graph import AveragePooling as AverageLayer
from systolith.golden.network.graph import MaxPooling as MaxLayer
from systolith.golden.network.graph import Pooling, Shape
from systolith.hw.errors import UnitError
from systolith.hw.folding import Folding
from systolith.hw.streams.formats import value_shape
from systolith.hw.units.pooling import AveragePooling, MaxPooling
from systolith.hw.units.reducer import WindowReducer
from tests.hw.stream_driver import Pauses, beats, cyclic, never, randomly, run

RAW = QFormat(6, 3)


KINDS: list[type[Pooling]] = [MaxLayer, AverageLayer]


def make_layer(
    kind: type[Pooling], source: Shape, window: tuple[int, int], fmt: QFormat = RAW
) -> FixedLayer:
    """A pooling layer whose average is requantized by the window's size, rounded up to 2**n."""
    layer = kind(name="S2", inputs=("C1",), window=window)
    size = window[0] * window[1]
    how = None
    if kind is not MaxLayer:
        shifts = np.full(source.channels, (size - 1).bit_length())
        how = Requantization(shifts=shifts, target=fmt)
    return FixedLayer(
        layer=layer,
        input_shape=source,
        output_shape=layer.output_shape(source),
        input_format=fmt,
        output_format=fmt,
        requantization=how,
        accumulator_range=(size * fmt.min_raw, size * (fmt.max_raw + 1)),
    )


def windows(frames: Integers, layer: FixedLayer) -> Integers:
    """`(frames, height, width, channels, window)` of maps `(frames, height, width, channels)`."""
    assert isinstance(layer.layer, Pooling)
    rows, columns = layer.layer.window
    height, width, channels = layer.output_shape
    cut = frames[:, : height * rows, : width * columns]
    parts = cut.reshape(len(frames), height, rows, width, columns, channels)
    return parts.transpose(0, 1, 3, 5, 2, 4).reshape(len(frames), height, width, channels, -1)


def expected(frames: Integers, layer: FixedLayer) -> list[list[int]]:
    parts = windows(frames, layer)
    if isinstance(layer.layer, MaxLayer):
        values = parts.max(axis=-1)
    else:
        assert layer.requantization is not None
        values, _ = requantize(parts.sum(axis=-1), layer.requantization)
    result: list[list[int]] = values.reshape(len(frames), -1).tolist()
    return result


def random_frames(layer: FixedLayer, count: int, seed: int = 0) -> Integers:
    fmt = layer.input_format
    rng = np.random.default_rng(seed)
    frames = rng.integers(fmt.min_raw, fmt.max_raw, (count, *layer.input_shape), endpoint=True)
    frames[0, : frames.shape[1] // 2] = fmt.min_raw
    frames[-1, frames.shape[1] // 2 :] = fmt.max_raw
    return frames


def check(
    layer: FixedLayer,
    input_lanes: int,
    lanes: int,
    *,
    frames: int = 3,
    idle: Pauses = never,
    backpressure: Pauses = never,
    reset_after: int | None = None,
) -> None:
    unit_type = MaxPooling if isinstance(layer.layer, MaxLayer) else AveragePooling
    unit = unit_type(layer, Folding(lanes=lanes), input_lanes)
    maps = random_frames(layer, frames)
    inputs = beats(maps.reshape(frames, -1), value_shape(layer.input_format), input_lanes)
    result = run(
        unit,
        inputs,
        frames * layer.output_shape.size // lanes,
        idle=idle,
        backpressure=backpressure,
        reset_after=reset_after,
    )
    shape = value_shape(layer.output_format)
    assert result.frames(shape, lanes) == expected(maps, layer)


@pytest.mark.parametrize("kind", [MaxLayer, AverageLayer])
@pytest.mark.parametrize("window", [(1, 1), (1, 3), (3, 1), (2, 2), (3, 2)])
@pytest.mark.parametrize(("input_lanes", "lanes"), [(1, 1), (6, 6), (6, 2), (3, 1)])
def test_windows_and_lanes(
    kind: type[Pooling], window: tuple[int, int], input_lanes: int, lanes: int
) -> None:
    check(make_layer(kind, Shape(7, 8, 6), window), input_lanes, lanes, frames=2)


@pytest.mark.parametrize("source", [Shape(2, 2, 1), Shape(3, 2, 2), Shape(2, 5, 2)])
@pytest.mark.parametrize("kind", [MaxLayer, AverageLayer])
def test_small_maps(kind: type[Pooling], source: Shape) -> None:
    check(make_layer(kind, source, (2, 2)), source.channels, 1)


@pytest.mark.parametrize("kind", [MaxLayer, AverageLayer])
@pytest.mark.parametrize("fmt", [QFormat(1, 0), QFormat(1, 0, signed=False), QFormat(9, 0)])
def test_formats(kind: type[Pooling], fmt: QFormat) -> None:
    check(make_layer(kind, Shape(4, 6, 2), (2, 3), fmt), 2, 1)


@pytest.mark.parametrize("kind", [MaxLayer, AverageLayer])
@pytest.mark.parametrize("idle", [never, cyclic(2), randomly(5)])
@pytest.mark.parametrize("backpressure", [never, cyclic(3), randomly(6, 0.8)])
def test_stalls(kind: type[Pooling], idle: Pauses, backpressure: Pauses) -> None:
    layer = make_layer(kind, Shape(4, 5, 6), (2, 2))
    check(layer, 3, 1, idle=idle, backpressure=backpressure)


@pytest.mark.parametrize("after", [1, 9, 31])
@pytest.mark.parametrize("kind", [MaxLayer, AverageLayer])
def test_reset_in_mid_frame_leaves_it_as_new(kind: type[Pooling], after: int) -> None:
    check(make_layer(kind, Shape(4, 5, 4), (2, 2)), 2, 1, reset_after=after)


@pytest.mark.parametrize("seed", range(6))
def test_random_layers(seed: int) -> None:
    rng = random.Random(seed)
    lanes, narrowing, groups = (rng.randint(1, 3) for _ in range(3))
    window = (rng.randint(1, 4), rng.randint(1, 4))
    source = Shape(
        window[0] + rng.randint(0, 5), window[1] + rng.randint(0, 5), lanes * narrowing * groups
    )
    layer = make_layer(
        rng.choice(KINDS),
        source,
        window,
        QFormat(rng.randint(1, 9), 0, signed=rng.random() < 0.5),
    )
    check(
        layer,
        lanes * narrowing,
        lanes,
        idle=randomly(seed, 0.2),
        backpressure=randomly(seed + 1, 0.3),
    )


@pytest.mark.parametrize(
    ("source", "window", "input_lanes", "lanes"),
    [
        (Shape(28, 28, 6), (2, 2), 3, 1),
        (Shape(6, 40, 4), (2, 2), 4, 1),
        (Shape(6, 9, 4), (1, 2), 4, 2),
        (Shape(6, 9, 6), (3, 3), 6, 1),
        (Shape(4, 6, 1), (2, 2), 1, 1),
    ],
)
def test_takes_a_beat_a_cycle_while_the_fifo_has_room(
    source: Shape, window: tuple[int, int], input_lanes: int, lanes: int
) -> None:
    layer = make_layer(AverageLayer, source, window)
    row_of_results = layer.output_shape.width * source.channels // input_lanes
    unit = AveragePooling(layer, Folding(lanes=lanes, depth=row_of_results), input_lanes)
    maps = random_frames(layer, 2)
    inputs = beats(maps.reshape(2, -1), value_shape(RAW), input_lanes)
    result = run(unit, inputs, 2 * layer.output_shape.size // lanes)
    assert result.taken == list(range(len(inputs)))


def test_refusals() -> None:
    layer = make_layer(MaxLayer, Shape(4, 4, 6), (2, 2))
    for input_lanes, lanes, message in (
        (4, 1, "input lanes must divide the 6 channels, not 4"),
        (3, 2, "lanes must divide the 3 lanes of the layer before, not 2"),
    ):
        with pytest.raises(UnitError, match=f"max_pooling 'S2': {message}"):
            MaxPooling(layer, Folding(lanes=lanes), input_lanes)
    with pytest.raises(UnitError, match="rows and columns must be 1, as it has no array, not 2"):
        MaxPooling(layer, Folding(rows=2), 1)
    with pytest.raises(UnitError, match=r"order must be 'inputs', .* no array, not 'outputs'"):
        MaxPooling(layer, Folding(order="outputs"), 1)
    minimum: Any = "minimum"
    with pytest.raises(ValueError, match="'minimum': allowed are sum, maximum"):
        WindowReducer(layer, input_lanes=1, output_lanes=1, operation=minimum, depth=1)


@pytest.mark.parametrize(("depth", "waits"), [(9, False), (8, True)])
def test_a_deep_fifo_holds_the_backlog_of_a_row(depth: int, waits: bool) -> None:
    """A row has 28 beats of results in 54 cycles, and one of them leaves every 3 cycles."""
    layer = make_layer(AverageLayer, Shape(4, 28, 6), (2, 2))
    unit = AveragePooling(layer, Folding(lanes=1, depth=depth), 3)
    inputs = beats(random_frames(layer, 1).reshape(1, -1), value_shape(RAW), 3)
    result = run(unit, inputs, layer.output_shape.size)
    assert (result.taken != list(range(len(inputs)))) == waits
