# amaranth: UnusedElaboratable=no
"""A pipeline of delays between reservation and write never loses, doubles or stalls a beat."""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from systolith.hw.streams.beats import Beat, beat_stream
from systolith.hw.streams.output_buffer import OutputBuffer
from tests.hw.stream_driver import Pauses, beats, cyclic, never, randomly, run

VALUE = unsigned(8)


class Delayed(wiring.Component):
    """Beats through `latency` registers into an output buffer of `depth`."""

    def __init__(self, latency: int, depth: int, registered: bool = False) -> None:
        self.latency = latency
        self.buffer = OutputBuffer(Beat(VALUE, 1), depth, registered=registered)
        super().__init__({"i": In(beat_stream(VALUE, 1)), "o": Out(beat_stream(VALUE, 1))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.buffer = buffer = self.buffer
        valid, payload = self.i.valid & self.i.ready, self.i.payload
        m.d.comb += [self.i.ready.eq(buffer.available), buffer.reserve.eq(valid)]
        for _ in range(self.latency):
            next_valid, next_payload = Signal(), Signal.like(payload)
            m.d.sync += [next_valid.eq(valid), next_payload.eq(payload)]
            valid, payload = next_valid, next_payload
        m.d.comb += [buffer.write_valid.eq(valid), buffer.write.eq(payload)]
        wiring.connect(m, buffer.o, wiring.flipped(self.o))
        return m


@pytest.mark.parametrize(("latency", "depth"), [(0, 2), (1, 3), (3, 5), (3, 9)])
def test_sustains_a_beat_a_cycle_from_latency_plus_two_on(latency: int, depth: int) -> None:
    inputs = beats([range(60)], VALUE, 1)
    result = run(Delayed(latency, depth), inputs, len(inputs))
    assert result.beats == inputs
    assert result.taken == list(range(60))
    assert result.produced == [cycle + latency + 1 for cycle in range(60)]


@pytest.mark.parametrize("depth", [2, 3, 5])
@pytest.mark.parametrize("idle", [never, cyclic(3), randomly(1, 0.6)])
@pytest.mark.parametrize("backpressure", [never, cyclic(2), randomly(2, 0.7)])
def test_no_stall_loses_a_beat(depth: int, idle: Pauses, backpressure: Pauses) -> None:
    inputs = beats([range(40), range(100, 140)], VALUE, 1)
    result = run(Delayed(2, depth), inputs, len(inputs), idle=idle, backpressure=backpressure)
    assert result.beats == inputs


@pytest.mark.parametrize("latency", [0, 2])
@pytest.mark.parametrize("depth", [2, 5])
@pytest.mark.parametrize("backpressure", [never, cyclic(2), cyclic(5), randomly(2, 0.7)])
def test_a_registered_output_has_the_same_cycles(
    latency: int, depth: int, backpressure: Pauses
) -> None:
    inputs = beats([range(40), range(100, 140)], VALUE, 1)
    plain, registered = (
        run(
            Delayed(latency, depth, each),
            inputs,
            len(inputs),
            idle=randomly(1, 0.3),
            backpressure=backpressure,
        )
        for each in (False, True)
    )
    assert registered == plain
    assert plain.beats == inputs


@pytest.mark.parametrize("registered", [False, True])
def test_reset_empties_it(registered: bool) -> None:
    inputs = beats([range(20)], VALUE, 1)
    result = run(Delayed(2, 4, registered), inputs, len(inputs), reset_after=3)
    assert result.beats == inputs


def test_refuses_a_depth_below_two() -> None:
    with pytest.raises(ValueError, match="depth must be at least 2, not 1"):
        OutputBuffer(VALUE, 1)
