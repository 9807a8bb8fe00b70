# amaranth: UnusedElaboratable=no
from dataclasses import replace
from itertools import groupby, pairwise
from typing import Any, get_args

import numpy as np
import pytest
from amaranth.hdl import signed

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.graph import Convolution, Dense, RadialBasis, Shape
from systolith.hw.errors import UnitError
from systolith.hw.folding import Folding, Order
from systolith.hw.systolic import weight_memory
from systolith.hw.systolic.core import SystolicCore
from systolith.hw.systolic.schedule import Schedule, layer_schedule
from tests.hw.adapters import ChunksAsBeats
from tests.hw.fixed_layers import Integers, accumulator_range, array_layer, random_integers
from tests.hw.stream_driver import Run, cyclic, never, randomly, run

U8, S8, S4 = QFormat(8, 0, False), QFormat(8, 0), QFormat(4, 0)


def dense(
    elements: int,
    outputs: int,
    *,
    inputs: QFormat = U8,
    weights: QFormat = S8,
    extreme: bool = False,
    seed: int = 1,
) -> FixedLayer:
    layer = Dense(name="layer", inputs=("x",), units=outputs)
    rng = np.random.default_rng(seed)
    return array_layer(layer, Shape(1, 1, elements), inputs, weights, rng=rng, extreme=extreme)


def radial_basis(
    elements: int, outputs: int, inputs: QFormat, centres: QFormat, shift: int, extreme: bool
) -> FixedLayer:
    layer = RadialBasis(name="layer", inputs=("x",), units=outputs)
    return array_layer(
        layer, Shape(1, 1, elements), inputs, centres,
        rng=np.random.default_rng(2), extreme=extreme, input_shift=shift,
    )  # fmt: skip


def convolution(
    kernel: tuple[int, int],
    maps: int,
    table: tuple[tuple[int, ...], ...],
    *,
    windows: tuple[int, int] = (2, 3),
    extreme: bool = False,
) -> FixedLayer:
    layer = Convolution(
        name="layer", inputs=("x",), kernel=kernel, out_channels=len(table), connection_table=table
    )
    source = Shape(kernel[0] + windows[0] - 1, kernel[1] + windows[1] - 1, maps)
    rng = np.random.default_rng(3)
    return array_layer(layer, source, S8, S4, rng=rng, extreme=extreme)


def random_windows(layer: FixedLayer, elements: int, frames: int, extreme: bool) -> Integers:
    """The windows of some frames, `(windows, elements)`."""
    windows = frames * layer.output_shape.height * layer.output_shape.width
    rng = np.random.default_rng(4)
    return random_integers(rng, layer.input_format, (windows, elements), extreme)


def expected(layer: FixedLayer, windows: Integers) -> list[list[int]]:
    """The accumulators of every frame."""
    weights = layer.weights
    assert weights is not None
    if weights.ndim == 4:
        height, width, maps, _ = weights.shape
        by_map = windows.reshape(-1, maps, height, width)
        sums = np.einsum("nmij,ijmo->no", by_map, weights)
    elif isinstance(layer.layer, RadialBasis):
        shifted = windows << layer.input_shift
        sums = ((shifted[:, :, None] - weights[None]) ** 2).sum(axis=1)
    else:
        sums = windows @ weights
    result: list[list[int]] = sums.reshape(-1, layer.output_shape.size).tolist()
    return result


def simulate(
    layer: FixedLayer, schedule: Schedule, windows: Integers, lanes: int, **how: Any
) -> Run:
    """The core's beats for some windows."""
    bits = layer.input_format.bits
    chunks = []
    for window in windows:
        for chunk, _ in groupby(step.chunk for step in schedule.steps):
            values = [0 if e is None else int(window[e]) for e in schedule.chunks[chunk]]
            word = sum((v & ((1 << bits) - 1)) << (row * bits) for row, v in enumerate(values))
            chunks.append((word, 0))
    core = SystolicCore(layer, schedule, lanes)
    beats = len(windows) * schedule.outputs // lanes
    return run(ChunksAsBeats(core), chunks, beats, **how)


def check(
    layer: FixedLayer,
    rows: int,
    columns: int,
    lanes: int = 1,
    *,
    frames: int = 3,
    extreme: bool = False,
    order: Order = "inputs",
    **how: Any,
) -> Run:
    schedule = layer_schedule(layer, Folding(rows, columns, order=order))
    windows = random_windows(layer, schedule.elements, frames, extreme)
    result = simulate(layer, schedule, windows, lanes, **how)
    assert result.frames(signed(layer.accumulator_bits), lanes) == expected(layer, windows)
    return result


@pytest.mark.parametrize("extreme", [False, True])
@pytest.mark.parametrize("order", get_args(Order))
@pytest.mark.parametrize(
    ("elements", "outputs", "rows", "columns", "lanes"),
    [
        (1, 1, 1, 1, 1),
        (7, 5, 3, 2, 1),  # neither divides
        (7, 5, 1, 5, 5),
        (7, 5, 7, 1, 1),
        (6, 4, 6, 4, 2),  # a single step
        (6, 6, 6, 3, 3),
        (4, 9, 4, 1, 1),  # many slots, one chunk
        (9, 3, 1, 3, 1),  # many chunks
        (5, 10, 2, 4, 2),  # columns without an output in the last fold
        (13, 11, 1, 1, 1),  # more than 64 steps: shared memories
        (40, 14, 4, 5, 1),
        (33, 8, 2, 8, 4),
        (9, 10, 2, 4, 2),  # a last fold of half the columns
        (4, 21, 2, 6, 3),
    ],
)
def test_dense(
    elements: int, outputs: int, rows: int, columns: int, lanes: int, order: Order, extreme: bool
) -> None:
    layer = dense(elements, outputs, extreme=extreme)
    check(layer, rows, columns, lanes, order=order, extreme=extreme)


@pytest.mark.parametrize("shared", [1, 3, 16])
@pytest.mark.parametrize(("rows", "columns"), [(2, 3), (5, 1), (4, 4)])
def test_long_memories(
    monkeypatch: pytest.MonkeyPatch, rows: int, columns: int, shared: int
) -> None:
    monkeypatch.setattr(weight_memory, "FEW_STEPS", 2)
    monkeypatch.setattr(weight_memory, "SHARING_WIDE", shared)
    check(dense(9, 8), rows, columns, frames=2)


@pytest.mark.parametrize(
    ("inputs", "weights"),
    [
        (QFormat(8, 0), QFormat(8, 0)),
        (QFormat(3, 0, False), QFormat(5, 0, False)),
        (QFormat(1, 0, False), QFormat(1, 0)),
        (QFormat(16, 0), QFormat(16, 0)),
        (QFormat(2, 0), QFormat(1, 0, False)),
    ],
)
def test_formats_at_their_ends(inputs: QFormat, weights: QFormat) -> None:
    layer = dense(6, 4, inputs=inputs, weights=weights, extreme=True)
    check(layer, 3, 2, 2, frames=8, extreme=True)
    # All values at the same end: the widest partial sums and accumulators of either sign.
    inputs_ends, weights_ends = (inputs.min_raw, inputs.max_raw), (weights.min_raw, weights.max_raw)
    for weight in weights_ends:
        layer = replace(layer, weights=np.full((6, 4), weight))
        layer = replace(layer, accumulator_range=accumulator_range(layer))
        schedule = layer_schedule(layer, Folding(3, 2))
        windows = np.repeat([[x] * 6 for x in inputs_ends], 2, axis=0)
        result = simulate(layer, schedule, windows, 2)
        sums = [[6 * x * weight] * 4 for x in inputs_ends for _ in range(2)]
        assert result.frames(signed(layer.accumulator_bits), 2) == sums


def test_weights_that_are_all_zero() -> None:
    layer = dense(5, 3)
    weights = layer.weights
    assert weights is not None
    check(replace(layer, weights=np.zeros_like(weights)), 2, 2)
    only_one = np.zeros_like(weights)
    only_one[4, 2] = -1
    check(replace(layer, weights=only_one), 5, 3, 3)


TABLES = [
    ((0,), (1,), (0, 1)),
    ((0, 2), (1,), (0, 1, 2), (2,), (0, 2)),
    ((1,), (1, 3), (3,), (1,), (1, 3), (1, 3)),  # maps 0 and 2 feed nothing
]


@pytest.mark.parametrize("extreme", [False, True])
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (4, 2), (2, 2), (3, 1)])
def test_sparse(table: tuple[tuple[int, ...], ...], rows: int, columns: int, extreme: bool) -> None:
    layer = convolution((2, 2), 1 + max(max(maps) for maps in table), table, extreme=extreme)
    lanes = len(table) if columns == 1 else 1
    check(layer, rows, columns, lanes, frames=2, extreme=extreme)


def test_sparse_in_a_single_step() -> None:
    check(convolution((2, 2), 2, ((1,), (1,))), 4, 2, 2)


def test_random_connections() -> None:
    rng = np.random.default_rng(7)
    for seed in range(4):
        maps = int(rng.integers(2, 5))
        mask = rng.random((int(rng.integers(2, 9)), maps)) < 0.5
        mask[:, seed % maps] |= ~mask.any(axis=1)
        table = tuple(tuple(np.flatnonzero(row).tolist()) for row in mask)
        layer = convolution((2, 3), maps, table)
        columns = int(rng.integers(1, max(mask.sum(axis=0)) + 1))
        rows = int(rng.integers(1, 7))
        lanes = 2 if len(table) % 2 == 0 and not mask.all() else 1
        idle, backpressure = randomly(seed, 0.3), randomly(seed + 9)
        check(layer, rows, columns, lanes, frames=2, idle=idle, backpressure=backpressure)


def test_a_full_table_is_dense() -> None:
    table = ((0, 1), (0, 1), (0, 1), (0, 1))
    check(convolution((2, 2), 2, table), 3, 2, 2)


@pytest.mark.parametrize("extreme", [False, True])
@pytest.mark.parametrize(
    ("inputs", "centres", "shift"),
    [(QFormat(6, 0), QFormat(9, 0), 3), (QFormat(4, 0, False), QFormat(5, 0), 0), (S8, S4, 1)],
)
def test_radial_basis(inputs: QFormat, centres: QFormat, shift: int, extreme: bool) -> None:
    layer = radial_basis(7, 4, inputs, centres, shift, extreme)
    check(layer, 3, 2, 2, frames=4, extreme=extreme)
    check(layer, 3, 2, 2, frames=4, extreme=extreme, order="outputs")


@pytest.mark.parametrize("idle", [never, cyclic(3), randomly(5, 0.6)])
@pytest.mark.parametrize("backpressure", [never, cyclic(7), randomly(6, 0.8)])
@pytest.mark.parametrize("sparse", [False, True])
def test_stalls(idle: Any, backpressure: Any, sparse: bool) -> None:
    layer = convolution((2, 2), 3, TABLES[1]) if sparse else dense(5, 6)
    check(layer, 3, 2, frames=2 if sparse else 6, idle=idle, backpressure=backpressure)


@pytest.mark.parametrize("idle", [never, cyclic(3), randomly(5, 0.6)])
@pytest.mark.parametrize("backpressure", [never, cyclic(7), randomly(6, 0.8)])
@pytest.mark.parametrize(("outputs", "columns"), [(6, 2), (7, 3), (9, 4)])
def test_stalls_group_by_group(outputs: int, columns: int, idle: Any, backpressure: Any) -> None:
    layer = dense(5, outputs)
    check(layer, 3, columns, frames=5, order="outputs", idle=idle, backpressure=backpressure)


@pytest.mark.parametrize("reset_after", [1, 4, 9, 17])
def test_reset_in_mid_group(reset_after: int) -> None:
    check(dense(5, 7), 2, 2, frames=4, order="outputs", reset_after=reset_after)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("reset_after", [1, 4, 9, 17])
def test_reset_in_mid_frame(sparse: bool, reset_after: int) -> None:
    layer = convolution((2, 2), 3, TABLES[1]) if sparse else dense(5, 6)
    check(layer, 2, 2, frames=1 if sparse else 4, reset_after=reset_after)


@pytest.mark.parametrize(
    ("layer", "rows", "columns", "lanes", "cycles"),
    [
        (dense(6, 4), 6, 4, 4, 1),  # a window a cycle
        (dense(6, 1), 6, 1, 1, 1),
        (dense(30, 1), 30, 1, 1, 1),  # far more windows in flight than steps
        (dense(6, 4), 6, 2, 2, 2),
        (dense(7, 6), 3, 2, 1, 9),
        (dense(4, 9), 4, 1, 1, 9),
        (dense(4, 8), 2, 8, 4, 2),  # the drain keeps up exactly
        (dense(4, 8), 1, 8, 1, 8),  # the drain is slower than the array
        (dense(9, 2), 1, 2, 1, 9),
        (convolution((2, 2), 3, TABLES[1]), 4, 4, 5, 3),
        (convolution((2, 2), 3, TABLES[1]), 4, 2, 1, 5),
        (convolution((2, 2), 3, TABLES[1]), 1, 1, 5, 36),
        (convolution((2, 2), 2, ((1,), (1,))), 4, 2, 2, 1),
    ],
)
def test_windows_follow_each_other_without_a_gap(
    layer: FixedLayer, rows: int, columns: int, lanes: int, cycles: int
) -> None:
    schedule = layer_schedule(layer, Folding(rows, columns))
    windows = random_windows(layer, schedule.elements, 24, False)[:24]
    result = simulate(layer, schedule, windows, lanes)
    beats = schedule.outputs // lanes
    assert cycles == max(len(schedule.steps), beats)
    begun = result.taken[:: len(schedule.chunks)]
    ended = result.produced[beats - 1 :: beats]
    if cycles == len(schedule.steps):
        # The array is never idle.
        assert [b - a for a, b in pairwise(begun)] == [cycles] * 23
    assert [b - a for a, b in pairwise(ended)] == [cycles] * 23


@pytest.mark.parametrize(
    ("layer", "rows", "columns", "lanes", "cycles"),
    [
        (dense(6, 4), 3, 2, 2, 4),
        (dense(7, 6), 3, 2, 1, 9),
        (dense(8, 10), 2, 4, 2, 12),  # a last group of one beat
        (dense(6, 5), 2, 4, 1, 6),  # full groups have more beats than steps, the last has fewer
        (dense(50, 5), 25, 4, 1, 5),  # the drain is slower, but not for the last group
        (dense(6, 12), 3, 4, 1, 12),  # the drain is slower than the array
        (dense(80, 8), 40, 4, 4, 4),  # many groups in flight
    ],
)
def test_groups_follow_each_other_without_a_gap(
    layer: FixedLayer, rows: int, columns: int, lanes: int, cycles: int
) -> None:
    schedule = layer_schedule(layer, Folding(rows, columns, order="outputs"))
    assert schedule.order == "outputs"
    beats = schedule.outputs // lanes
    assert cycles == max(len(schedule.steps), beats)
    frames = 40
    result = simulate(
        layer, schedule, random_windows(layer, schedule.elements, frames, False), lanes
    )
    ended = result.produced[beats - 1 :: beats]
    # If the drain is slower, the interval varies until all banks are in use.
    assert [b - a for a, b in pairwise(ended[20:])] == [cycles] * 19
    if cycles == len(schedule.steps):
        # The array is never idle.
        assert {b - a for a, b in pairwise(result.taken)} == {1}


def test_groups_leave_when_they_are_finished() -> None:
    # Weights read and registered, 3 rows, product and sum, accumulator, drain.
    layer = dense(12, 8)
    schedule = layer_schedule(layer, Folding(3, 3, order="outputs"))
    result = simulate(layer, schedule, random_windows(layer, 12, 1, False), 1)
    first_beats = [result.taken[last_chunk] + 2 + 2 + 2 + 2 for last_chunk in (3, 7, 11)]
    assert result.produced[0::3] == first_beats
    assert result.produced[1::3] == [first + 1 for first in first_beats]
    assert result.produced[2::3] == [first + 2 for first in first_beats[:2]]
    layer = dense(12, 9)
    schedule = layer_schedule(layer, Folding(3, 3, order="outputs"))
    result = simulate(layer, schedule, random_windows(layer, 12, 1, False), 3)
    # A beat of 3 columns waits for the third.
    assert result.produced == [result.taken[last] + 2 + 2 + 2 + 2 + 2 for last in (3, 7, 11)]


def test_frames_overlap() -> None:
    layer = dense(30, 1)
    schedule = layer_schedule(layer, Folding(30, 1))
    result = simulate(layer, schedule, random_windows(layer, 30, 40, False), 1)
    # 30 frames begin before the first ends.
    assert result.produced[0] > result.taken[30]


def test_latency() -> None:
    # Weights read and registered, 4 rows, product and sum, accumulator, drain.
    layer = dense(4, 3)
    schedule = layer_schedule(layer, Folding(4, 3))
    windows = random_windows(layer, 4, 1, False)
    result = simulate(layer, schedule, windows, 1)
    assert result.produced == [result.taken[0] + 2 + 3 + 2 + 2 + beat for beat in range(3)]
    result = simulate(layer, schedule, windows, 3)
    assert result.produced == [result.taken[0] + 2 + 3 + 2 + 2 + 2]


@pytest.mark.parametrize(
    ("layer", "columns", "lanes", "message"),
    [
        (dense(6, 4), 2, 4, "lanes must divide 2 .as its columns and outputs do., not 4"),
        (dense(6, 4), 2, 0, "lanes must divide 2 .* not 0"),
        (convolution((2, 2), 3, TABLES[1]), 2, 2, "lanes must divide 5 .as its outputs do., not 2"),
    ],
)
def test_lanes_that_do_not_fit(layer: FixedLayer, columns: int, lanes: int, message: str) -> None:
    with pytest.raises(UnitError, match=f"'layer': {message}"):
        SystolicCore(layer, layer_schedule(layer, Folding(2, columns)), lanes)
