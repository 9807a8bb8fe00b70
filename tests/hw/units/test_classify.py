# amaranth: UnusedElaboratable=no
"""The classifier against NumPy's argmax and argmin, which take the lowest index on a tie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import ClockDomain, Module
from amaranth.sim import Simulator

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.fixed.integers import FixedLayer, Integers
from systolith.golden.network.graph import Dense, Layer, RadialBasis, Shape
from systolith.hw.streams.formats import value_shape
from systolith.hw.streams.result_layout import result_layout
from systolith.hw.units.classify import Classifier
from tests.hw.stream_driver import Pauses, beats, cyclic, never, randomly


def make_layer(kind: type[Layer], scores: int, fmt: QFormat) -> FixedLayer:
    layer = kind(name="output", inputs=("F6",), units=scores)  # type: ignore[call-arg]
    return FixedLayer(
        layer=layer,
        input_shape=Shape(1, 1, 4),
        output_shape=Shape(1, 1, scores),
        input_format=fmt,
        output_format=fmt,
    )


def classify(
    layer: FixedLayer,
    frames: Integers,
    lanes: int,
    idle: Pauses = never,
    backpressure: Pauses = never,
    reset_after: int = 0,
) -> list[tuple[int, int]]:
    """The results, as unsigned (index, score)."""
    unit = Classifier(layer, lanes)
    inputs = beats(frames, value_shape(layer.output_format), lanes)
    results: list[tuple[int, int]] = []

    async def feed(ctx: Any, count: int) -> None:
        cycle = 0
        for data, last in inputs[:count]:
            while idle(cycle):
                await ctx.tick()
                cycle += 1
            ctx.set(unit.i.payload.data, data)
            ctx.set(unit.i.payload.last, last)
            ctx.set(unit.i.valid, 1)
            while not ctx.get(unit.i.ready):
                await ctx.tick()
                cycle += 1
            await ctx.tick()
            cycle += 1
            ctx.set(unit.i.valid, 0)

    async def source(ctx: Any) -> None:
        if reset_after:
            await feed(ctx, reset_after)
            ctx.set(domain.rst, 1)
            await ctx.tick()
            ctx.set(domain.rst, 0)
            results.clear()
        await feed(ctx, len(inputs))

    async def sink(ctx: Any) -> None:
        cycle = 0
        held = None
        while len(results) < len(frames) and cycle < 3000:
            offered = None
            if ctx.get(unit.o.valid):
                offered = (ctx.get(unit.o.payload.index), ctx.get(unit.o.payload.score))
            assert held is None or held == offered or reset_after
            ready = not backpressure(cycle)
            ctx.set(unit.o.ready, ready)
            held = offered
            if ready and offered is not None:
                results.append(offered)
                held = None
            await ctx.tick()
            cycle += 1

    top = Module()
    top.domains.sync = domain = ClockDomain("sync")
    top.submodules.unit = unit
    simulator = Simulator(top)
    simulator.add_clock(1e-8)
    simulator.add_testbench(source)
    simulator.add_testbench(sink)
    simulator.run()
    return results


def expected(layer: FixedLayer, frames: Integers) -> list[tuple[int, int]]:
    best = (np.argmin if layer.layer.winner == "smallest" else np.argmax)(frames, axis=1)
    mask = (1 << result_layout(layer, "class")["score"].bits) - 1
    return [(int(i), int(f[i]) & mask) for i, f in zip(best, frames, strict=True)]


def random_frames(layer: FixedLayer, frames: int, seed: int = 0) -> Integers:
    """Scores with many ties, and with the format's extremes."""
    fmt = layer.output_format
    rng = np.random.default_rng(seed)
    few = rng.integers(fmt.min_raw, fmt.max_raw, 3, endpoint=True)
    values = rng.choice([*few, fmt.min_raw, fmt.max_raw], (frames, layer.output_shape.size))
    values[::2] = rng.integers(fmt.min_raw, fmt.max_raw, values[::2].shape, endpoint=True)
    return values


@pytest.mark.parametrize("kind", [Dense, RadialBasis])
@pytest.mark.parametrize("lanes", [1, 2, 3, 6])
@pytest.mark.parametrize("fmt", [QFormat(4, 0), QFormat(31, 2, signed=False), QFormat(44, 0)])
def test_the_best_wins(kind: type[Layer], lanes: int, fmt: QFormat) -> None:
    layer = make_layer(kind, 6, fmt)
    frames = random_frames(layer, 12)
    assert classify(layer, frames, lanes) == expected(layer, frames)


@pytest.mark.parametrize(("scores", "lanes"), [(1, 1), (256, 4), (5, 5), (1000, 8)])
def test_numbers_of_scores(scores: int, lanes: int) -> None:
    layer = make_layer(Dense, scores, QFormat(9, 0))
    frames = random_frames(layer, 4)
    frames[1] = 7
    frames[2, -1] = 255
    # The last one wins.
    frames[3, :-1], frames[3, -1] = -9, -8
    assert classify(layer, frames, lanes) == expected(layer, frames)


@pytest.mark.parametrize("idle", [never, randomly(1)])
@pytest.mark.parametrize("backpressure", [never, cyclic(20), randomly(2, 0.9)])
def test_stalls(idle: Pauses, backpressure: Pauses) -> None:
    layer = make_layer(Dense, 4, QFormat(5, 0))
    frames = random_frames(layer, 12)
    assert classify(layer, frames, 2, idle, backpressure) == expected(layer, frames)


def test_reset_in_mid_frame_forgets_the_best() -> None:
    layer = make_layer(Dense, 4, QFormat(8, 0))
    frames = np.array([[127, 127, 1, 1], [-5, -9, -7, -128]])[::-1].copy()
    frames = np.vstack([[[127, 0, 0, 0]], frames])
    # The reset follows the large score of the first frame.
    assert classify(layer, frames, 1, reset_after=2) == expected(layer, frames)


def test_an_unknown_winner_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dense, "winner", "median")
    with pytest.raises(ValueError, match="winner 'median': allowed are largest, smallest"):
        Classifier(make_layer(Dense, 4, QFormat(8, 0)), 1)
