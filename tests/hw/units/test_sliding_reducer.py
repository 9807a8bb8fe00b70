# amaranth: UnusedElaboratable=no
"""Windows that overlap, have gaps, or reach into padding: against `golden`, and their cycles."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from systolith.golden.fixed.accumulator import accumulator_range
from systolith.golden.fixed.arithmetic import QFormat, Requantization
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.graph import AveragePooling, MaxPooling, Pooling, Shape, Subsampling
from systolith.golden.network.windows import Padding
from systolith.hw.errors import UnitError
from systolith.hw.folding import Folding
from systolith.hw.planning.sizes import unit_options
from systolith.hw.streams.cycles import StreamCycles, always_ready, offering, run_until_taken
from systolith.hw.streams.formats import value_shape
from systolith.hw.systolic.array_work import ArraySize
from systolith.hw.units.registry import build_unit, unit_type
from systolith.hw.units.sliding_reducer import DelayLine, axes
from systolith.sim.bench.unit_reference import layer_values, random_frames
from tests.hw.stream_driver import beats, never, randomly, run

RAW = QFormat(4, 0)


def make_layer(
    kind: type[Pooling],
    source: Shape,
    *,
    fmt: QFormat = RAW,
    padding_value: int | None = None,
    multiplier: int = 1,
    shift: int = 3,
    **windows: Any,
) -> FixedLayer:
    """A pooling layer; an average of windows of different sizes has factors."""
    layer = kind(name="P", inputs=("x",), **windows)
    if padding_value is None:
        padding_value = fmt.min_raw if kind is MaxPooling else 0
    fixed = FixedLayer(
        layer,
        source,
        layer.output_shape(source),
        fmt,
        fmt,
        padding=layer.pads,
        padding_value=padding_value,
    )
    rng = np.random.default_rng(source.size)
    if kind is not MaxPooling:
        how = Requantization(np.full(source.channels, shift), fmt, multiplier=multiplier)
        fixed = replace(fixed, requantization=how)
    if kind is Subsampling:
        weights, bias = rng.integers(-20, 20, (2, source.channels))
        fixed = replace(fixed, weights=weights, bias=bias)
    if isinstance(layer, AveragePooling):
        sizes = layer.values_counted(source)
        if sizes.min() != sizes.max():
            fixed = replace(fixed, factors=np.rint(32 / sizes).astype(np.int64))
        fixed = replace(fixed, bias=rng.integers(-9, 9, source.channels))
    return replace(fixed, accumulator_range=accumulator_range(fixed))


@st.composite
def layers(draw: st.DrawFn) -> tuple[FixedLayer, int, int]:
    """A layer with any windows that are no tiles, its input lanes and its output lanes."""

    def pair(low: int, high: int) -> tuple[int, int]:
        return draw(st.integers(low, high)), draw(st.integers(low, high))

    window = pair(1, 4)
    before, after = (
        (draw(st.integers(0, window[0] - 1)), draw(st.integers(0, window[1] - 1))) for _ in range(2)
    )
    lanes, parts, groups = (draw(st.integers(1, most)) for most in (2, 2, 5))
    least = [max(1, w - a - b) for w, a, b in zip(window, before, after, strict=True)]
    source = Shape(
        draw(st.integers(least[0], 6)), draw(st.integers(least[1], 7)), lanes * parts * groups
    )
    fmt = QFormat(draw(st.integers(1, 5)), 0, signed=draw(st.booleans()))
    kinds: list[type[Pooling]] = [MaxPooling, AveragePooling, Subsampling]
    kind = draw(st.sampled_from(kinds))
    windows: dict[str, Any] = {"window": window, "stride": pair(1, 4)}
    windows |= {"padding": before, "padding_end": after}
    if kind is AveragePooling and any(before + after):
        windows["count_padding"] = draw(st.booleans())
    layer = make_layer(
        kind,
        source,
        fmt=fmt,
        padding_value=draw(st.none() | st.integers(fmt.min_raw, fmt.max_raw)),
        multiplier=draw(st.integers(1, 300)) if kind is AveragePooling else 1,
        shift=draw(st.integers(-1, 9)),
        **windows,
    )
    return layer, lanes * parts, lanes


def check(
    layer: FixedLayer, input_lanes: int, lanes: int, *, depth: int = 2, stalls: int | None = None
) -> list[int]:
    """Compare every value, and every cycle unless there are stalls; returns those of the input."""
    unit = build_unit(layer, Folding(lanes=lanes, depth=depth), input_lanes)
    how = layer.requantization
    scaled = layer.factors is not None or (how is not None and how.multiplier != 1)
    multipliers = lanes if scaled or isinstance(layer.layer, Subsampling) else 0
    counted = unit_type(layer).count_multipliers(layer, ArraySize(1, 1, lanes))
    assert unit.multipliers == counted == multipliers
    frames = random_frames(layer, 1)[:3]
    inputs = beats(frames.reshape(3, -1), value_shape(layer.input_format), input_lanes)
    outputs = 3 * layer.output_shape.size // lanes
    result = run(
        unit,
        inputs,
        outputs,
        idle=never if stalls is None else randomly(stalls, 0.3),
        backpressure=never if stalls is None else randomly(stalls + 1, 0.4),
    )
    expected = layer_values(layer, frames).reshape(3, -1).tolist()
    assert result.frames(value_shape(layer.output_format), lanes) == expected
    if stalls is None:
        i, o = StreamCycles(), StreamCycles()
        offering(i, [0] * len(inputs), 0)
        unit.cycles(i, o)
        always_ready(o)
        run_until_taken(o, outputs)
        assert i.taken[: len(inputs)].tolist() == result.taken
        assert o.taken[:outputs].tolist() == result.produced
    return result.taken


@settings(max_examples=25, deadline=None)
@given(layers(), st.integers(1, 4), st.none() | st.integers(0, 1000))
def test_any_windows(case: tuple[FixedLayer, int, int], depth: int, stalls: int | None) -> None:
    check(*case, depth=depth, stalls=stalls)


@pytest.mark.parametrize(
    ("kind", "source", "windows"),
    [
        (MaxPooling, Shape(6, 7, 8), {"window": (3, 3), "stride": (2, 2), "padding": (1, 1)}),
        (MaxPooling, Shape(5, 5, 12), {"window": (3, 3), "stride": (1, 1), "padding": (1, 1)}),
        (AveragePooling, Shape(3, 5, 10), {"window": (2, 2), "stride": (1, 1)}),
        (AveragePooling, Shape(7, 5, 2), {"window": (7, 5)}),
        (Subsampling, Shape(5, 6, 4), {"window": (1, 2), "stride": (2, 3)}),
        (
            AveragePooling,
            Shape(4, 5, 2),
            {
                "window": (3, 3),
                "stride": (1, 1),
                "padding": (1, 1),
                "count_padding": True,
                "padding_value": 5,
            },
        ),
    ],
)
def test_usual_windows(kind: type[Pooling], source: Shape, windows: dict[str, Any]) -> None:
    check(make_layer(kind, source, **windows), 2, 1)


@pytest.mark.parametrize("after", [1, 9, 31, 50])
def test_reset_in_mid_frame_leaves_it_as_new(after: int) -> None:
    layer = make_layer(
        AveragePooling, Shape(4, 5, 10), window=(3, 3), stride=(1, 1), padding=(1, 1)
    )
    unit = build_unit(layer, Folding(depth=2), 2)
    frames = random_frames(layer, 1)[:2]
    result = run(
        unit,
        beats(frames.reshape(2, -1), value_shape(RAW), 2),
        2 * layer.output_shape.size,
        reset_after=after,
    )
    assert result.frames(value_shape(RAW), 1) == layer_values(layer, frames).reshape(2, -1).tolist()


@pytest.mark.parametrize(
    ("windows", "positions"),
    [
        ({"window": (3, 3), "stride": (2, 2), "padding": (1, 1)}, (7, 8)),
        ({"window": (3, 3), "stride": (1, 1), "padding": (1, 1)}, (8, 9)),
        ({"window": (3, 3), "stride": (2, 2), "padding": (0, 0), "padding_end": (2, 1)}, (8, 8)),
        ({"window": (5, 5), "stride": (1, 2), "padding": (2, 2)}, (9, 8)),
    ],
)
def test_cycles_of_a_frame(windows: dict[str, Any], positions: tuple[int, int]) -> None:
    """A position with an input is a cycle; so is each further one at the end, where two windows
    would be complete at once."""
    layer = make_layer(MaxPooling, Shape(7, 8, 6), **windows)
    frame = positions[0] * positions[1] * 3
    size = unit_options(layer, 2).size
    assert unit_type(layer).frame_cycles(layer, size, 2).tolist() == [
        max(frame, layer.output_shape.size // lanes) for lanes in (1, 2)
    ]
    taken = check(layer, 2, 2, depth=4)
    beats_of_a_frame = layer.input_shape.size // 2
    assert taken[2 * beats_of_a_frame] - taken[beats_of_a_frame] == frame


@pytest.mark.parametrize("size", [1, 4, 7])
def test_positions_of_an_axis(size: int) -> None:
    """Windows open and are complete in their order, and each position in the padding counts."""
    for kernel, stride in product((1, 2, 3, 5), (1, 2, 4)):
        for before, after in product(range(kernel), range(kernel)):
            if size + before + after < kernel:
                continue
            layer = make_layer(
                MaxPooling,
                Shape(size, 1, 1),
                window=(kernel, 1),
                stride=(stride, 1),
                padding=(before, 0),
                padding_end=(after, 0),
            )
            rows, columns = axes(layer)
            assert len(columns.steps) == 1
            opened = complete = 0
            for position, step in enumerate(rows.steps):
                assert step.inside == (position < size)
                assert step.known == opened - complete
                opened += len(step.padding) - step.known
                for window, padding in enumerate(step.padding, complete):
                    reach = range(window * stride - before, window * stride - before + kernel)
                    assert padding == sum(not 0 <= each < size for each in reach)
                    assert max(reach[0], 0) <= position
                    if window == complete:
                        assert step.completes == (min(reach[-1], size - 1) <= position)
                complete += step.completes
                assert step.last == (step.completes and complete == layer.output_shape.height)
            assert opened == complete == layer.output_shape.height


@pytest.mark.parametrize("length", range(1, 9))
def test_a_delay_line(length: int) -> None:
    line = DelayLine(8, length)

    async def bench(ctx: Any) -> None:
        given: list[int] = []
        for cycle in range(60):
            step = (cycle * 7) % 5 != 0
            ctx.set(line.step, step)
            ctx.set(line.i, cycle)
            if step:
                if len(given) >= length:
                    assert ctx.get(line.o) == given[-length]
                given.append(cycle)
            await ctx.tick()

    simulator = Simulator(line)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


def test_padding_as_wide_as_the_window_is_refused() -> None:
    """A border of the images and the padding of the layer may add up to that."""
    layer = make_layer(MaxPooling, Shape(5, 5, 1), window=(3, 3), padding=(1, 1))
    wide = replace(layer, padding=Padding(1, 1, 1, 3))
    with pytest.raises(UnitError, match=r"'P': the border and the padding .* 3, must be smaller"):
        build_unit(wide, Folding(), 1)
