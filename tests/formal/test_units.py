# amaranth: UnusedElaboratable=no
"""Every unit: the rules of its streams under any stalls and resets, its values for any data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from systolith.hw.streams.output_buffer import OutputBuffer
from systolith.hw.systolic.window_memory import WindowMemory
from systolith.hw.units import convolution, reducer
from systolith.hw.units.registry import UNITS, build_unit
from systolith.sim.bench.unit_reference import layer_values
from tests.formal.faulty import FAULTS, Faulty
from tests.formal.prover import check
from tests.formal.small_layers import ANY_DATA, STALLED, Instance
from tests.formal.units import StallClaims, ValueClaims, payloads

pytestmark = pytest.mark.formal

FRAMES = (0, 1, 2)
BORDERED = ["convolution", "convolution-strided"]
POOLINGS = [name for name in ANY_DATA if "pool" in name or name == "subsampling"]


def build(instance: Instance) -> Any:
    return build_unit(instance.layer, instance.folding, instance.input_lanes)


def stall_claims(instance: Instance, unit: Any) -> StallClaims:
    """Claims about frames of random values, and what `golden` makes of them."""
    layer = instance.layer
    rng = np.random.default_rng(0)
    given = rng.integers(-2, 2, (instance.frames, *layer.input_shape))
    expected = layer_values(layer, given)
    return StallClaims(
        unit,
        payloads(given, layer.input_format.bits, instance.input_lanes),
        payloads(expected, layer.output_format.bits, instance.folding.lanes),
        depth=instance.depth,
        most_waits=instance.most_waits,
    )


def value_claims(instance: Instance, frame: int, unit: Any = None) -> ValueClaims:
    return ValueClaims(
        unit or build(instance),
        instance.layer,
        input_lanes=instance.input_lanes,
        lanes=instance.folding.lanes,
        frame=frame,
    )


def test_every_type_of_unit_is_here() -> None:
    for instances in (STALLED, ANY_DATA):
        assert {type(each.layer.layer) for each in instances.values()} == set(UNITS)


@pytest.mark.parametrize("name", STALLED)
def test_stream_rules(name: str) -> None:
    instance = STALLED[name]
    claims = stall_claims(instance, build(instance))
    assert check(claims, depth=instance.depth, memories=False).holds


@pytest.mark.parametrize("name", STALLED)
def test_all_frames_pass_in_the_cycles_that_are_looked_at(name: str) -> None:
    instance = STALLED[name]
    claims = stall_claims(instance, build(instance))
    assert check(claims, depth=instance.depth, mode="cover", memories=False).holds


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", STALLED)
def test_a_broken_rule_is_refuted(name: str, fault: str) -> None:
    instance = STALLED[name]
    claims = stall_claims(instance, Faulty(build(instance), fault))
    outcome = check(claims, depth=instance.depth + 10, memories=False)
    assert not outcome.holds and outcome.claim == FAULTS[fault]


@pytest.mark.parametrize("name", [name for name in POOLINGS if "factors" not in name])
def test_a_buffer_that_promises_too_much_is_refuted(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = OutputBuffer.elaborate

    def elaborate(self: OutputBuffer, platform: Any) -> Any:
        m = right(self, platform)
        # A place more than there is.
        m.submodules.fifo.depth = self.depth - 1
        return m

    monkeypatch.setattr(OutputBuffer, "elaborate", elaborate)
    instance = STALLED[name]
    outcome = check(
        stall_claims(instance, build(instance)), depth=instance.depth + 12, memories=False
    )
    assert not outcome.holds


@pytest.mark.parametrize("padding_error", [0, 1])
@pytest.mark.parametrize("name", BORDERED)
def test_values_of_windows_in_memories(
    name: str, padding_error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolution, "MANY_CHUNKS", 2)
    instance = ANY_DATA[name]
    layer = instance.layer
    wrong = replace(layer, padding_value=layer.padding_value - padding_error)
    unit = build(replace(instance, layer=wrong))
    assert isinstance(unit.feeder, WindowMemory)
    outcome = check(value_claims(instance, 1, unit), depth=instance.depth, memories=False)
    assert outcome.claim == ("value" if padding_error else None)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("name", ANY_DATA)
def test_values(name: str, frame: int) -> None:
    instance = ANY_DATA[name]
    claims = value_claims(instance, frame)
    assert check(claims, depth=instance.depth, memories=False).holds


@pytest.mark.parametrize("name", ANY_DATA)
def test_the_last_frame_passes_in_the_cycles_that_are_looked_at(name: str) -> None:
    instance = ANY_DATA[name]
    claims = value_claims(instance, FRAMES[-1])
    assert check(claims, depth=instance.depth, mode="cover", memories=False).holds


@pytest.mark.parametrize("array", ["weights", "bias"])
@pytest.mark.parametrize("name", [name for name in ANY_DATA if "pool" not in name])
def test_a_wrong_constant_is_refuted(name: str, array: str) -> None:
    instance = ANY_DATA[name]
    wrong = getattr(instance.layer, array)
    if wrong is None:
        pytest.skip("a radial basis has no bias")
    wrong = wrong.copy()
    wrong.flat[-1] += 1
    unit = build(replace(instance, layer=replace(instance.layer, **{array: wrong})))
    outcome = check(value_claims(instance, 1, unit), depth=instance.depth, memories=False)
    assert not outcome.holds and outcome.claim == "value"


@pytest.mark.parametrize("name", POOLINGS)
def test_a_window_that_forgets_is_refuted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for operation, reduction in reducer.REDUCTIONS.items():
        forgetful = reduction._replace(join=lambda known, value: value)
        monkeypatch.setitem(reducer.REDUCTIONS, operation, forgetful)
    instance = ANY_DATA[name]
    outcome = check(value_claims(instance, 1), depth=instance.depth, memories=False)
    assert not outcome.holds and outcome.claim == "value"
