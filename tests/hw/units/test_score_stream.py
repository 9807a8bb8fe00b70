# amaranth: UnusedElaboratable=no
"""The stream of scores: the same scores one after the other, in the cycles of its model."""

from __future__ import annotations

from typing import Any

import pytest

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.network.graph import Dense
from systolith.hw.streams.formats import value_shape
from systolith.hw.units.score_stream import ScoreStream
from systolith.sim.bench.paces import modelled, random_paces
from systolith.sim.bench.unit_bench import measure_unit
from tests.hw.stream_driver import beats, randomly, run
from tests.hw.units.test_classify import make_layer, random_frames
from tests.sim.required import need


@pytest.mark.parametrize("fmt", [QFormat(7, 2), QFormat(45, 0)], ids=str)
@pytest.mark.parametrize("lanes", [1, 2, 6])
def test_it_agrees_with_its_model_at_any_pace(lanes: int, fmt: QFormat) -> None:
    need("icarus")
    layer = make_layer(Dense, 6, fmt)
    unit: Any = ScoreStream(layer, lanes)
    frames = random_frames(layer, 5).reshape(5, 1, 1, 6)
    paces = random_paces(lanes, frames.size // lanes, frames.size)
    found = measure_unit(unit, frames, frames, paces, simulator="icarus")
    assert found == tuple(modelled(unit, pace) for pace in paces)
    # Without pauses, a score in each cycle after the first.
    assert found[0].given == tuple(range(1, frames.size + 1))


def test_it_keeps_the_rules_of_streams_and_forgets_after_a_reset() -> None:
    layer = make_layer(Dense, 6, QFormat(5, 0, signed=False))
    shape = value_shape(layer.output_format)
    frames = random_frames(layer, 4)
    inputs = beats(frames, shape, 3)
    unit = ScoreStream(layer, 3)
    found = run(
        unit,
        inputs,
        frames.size,
        idle=randomly(1),
        backpressure=randomly(2, 0.7),
        reset_after=1,
    )
    assert found.frames(unit.o.payload.shape().value_shape, 1) == frames.tolist()
