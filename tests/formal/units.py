# amaranth: UnusedElaboratable=no
"""Claims about a unit: the rules of its streams under any stalls, and its values for any data."""

from __future__ import annotations

from functools import reduce
from operator import and_
from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import (
    Array,
    Assume,
    Cat,
    Elaboratable,
    Module,
    Mux,
    ResetSignal,
    Signal,
    Value,
)

from systolith.golden.fixed.integers import FixedLayer, Integers
from systolith.hw.streams.formats import element, value_shape
from tests.formal.definitions import inputs_of, is_output
from tests.formal.prover import claim, cover


class Position:
    """Where a stream stands, since the last reset: the frame, counted round, and its beat."""

    def __init__(self, m: Module, stream: Any, frames: int, beats: int, name: str) -> None:
        self.beats = beats
        self.beat = Signal(range(beats), name=f"{name}_beat")
        self.frame = Signal(range(frames), name=f"{name}_frame")
        self.taken = Signal(name=f"{name}_taken")
        self.at_end = self.beat == beats - 1
        m.d.comb += self.taken.eq(stream.valid & stream.ready)
        with m.If(self.taken):
            m.d.sync += self.beat.eq(Mux(self.at_end, 0, self.beat + 1))
            with m.If(self.at_end):
                m.d.sync += self.frame.eq(Mux(self.frame == frames - 1, 0, self.frame + 1))


class StallClaims(Elaboratable):
    """A stream component with frames that differ, any pauses on both sides, a reset in any cycle.

    Claims
    ------
    stable
        A beat that was offered and not taken is there in the next cycle, the same.
    order
        Every beat, when it is offered first, is the next one that is expected: none is lost,
        doubled, or in another's place.
    rises
        Once all of a frame has been taken, `valid` does not stay low for `most_waits` cycles,
        whatever `ready` does.
    accepts
        An input beat is not held up for `most_waits` cycles unless an output beat is.

    Parameters
    ----------
    component
        A component with the streams `i`, of beats, and `o`.
    inputs, outputs
        The payloads of the beats of each frame, `(frames, beats)`. After the last frame comes the
        first again.
    depth
        Cycles that are looked at.
    most_waits
        See above.
    """

    def __init__(
        self,
        component: Any,
        inputs: list[list[int]],
        outputs: list[list[int]],
        *,
        depth: int,
        most_waits: int,
    ) -> None:
        self.component = component
        self.inputs = inputs
        self.outputs = outputs
        self.depth = depth
        self.most_waits = most_waits

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.component = component = self.component
        i, o = component.i, component.o
        source = Position(m, i, len(self.inputs), len(self.inputs[0]), "i")
        sink = Position(m, o, len(self.outputs), len(self.outputs[0]), "o")
        payload = o.payload.as_value()
        m.d.comb += [
            i.valid.eq(AnySeq(1)),
            o.ready.eq(AnySeq(1)),
            i.payload.as_value().eq(
                Mux(i.valid, self._look_up(self.inputs, source), AnySeq(len(i.payload.as_value())))
            ),
        ]

        waited = Signal()
        before = Signal.like(payload)
        m.d.sync += [waited.eq(o.valid & ~o.ready), before.eq(payload)]
        claim(m, "stable", ~waited | (o.valid & (payload == before)))
        expected = self._look_up(self.outputs, sink)
        claim(m, "order", ~o.valid | waited | (payload == expected))
        # Negative while the rest of a frame is taken that no output needs.
        within = Signal(range(-self.depth, self.depth))
        m.d.sync += within.eq(within + (source.taken & source.at_end) - (sink.taken & sink.at_end))
        self._claim_no_waits(m, "rises", ~o.valid & (within > 0))
        self._claim_no_waits(m, "accepts", i.valid & ~i.ready & ~(o.valid & ~o.ready))

        at_end = sink.taken & sink.at_end & (sink.frame == len(self.inputs) - 1)
        cover(m, "all_frames", at_end)
        return m

    def _look_up(self, frames: list[list[int]], position: Position) -> Value:
        return Array(Array(frame)[position.beat] for frame in frames)[position.frame]

    def _claim_no_waits(self, m: Module, name: str, waits: Value) -> None:
        count = Signal(range(self.most_waits + 1), name=f"{name}_waits")
        m.d.sync += count.eq(Mux(waits, count + 1, 0))
        claim(m, name, count != self.most_waits)


def payloads(frames: Integers, bits: int, lanes: int) -> list[list[int]]:
    """The payloads (`hw.streams.beats.Beat`) of values `(frames, height, width, channels)`."""
    beats = frames.reshape(len(frames), -1, lanes)
    mask = (1 << bits) - 1
    return [
        [
            sum((int(value) & mask) << (at * bits) for at, value in enumerate(beat))
            | (number == len(frame) - 1) << (lanes * bits)
            for number, beat in enumerate(frame)
        ]
        for frame in beats
    ]


class ValueClaims(Elaboratable):
    """A unit with any data, a beat offered and taken whenever it can be, without a reset.

    Claims
    ------
    not_early
        No output beat of the frame is offered before its inputs have been taken.
    value, last
        Each output beat of the frame is what the layer's definition makes of the frame's inputs.

    Parameters
    ----------
    unit
        The unit.
    layer
        Its layer.
    input_lanes, lanes
        Values a beat.
    frame
        Which frame is looked at.
    """

    def __init__(
        self,
        unit: Any,
        layer: FixedLayer,
        *,
        input_lanes: int,
        lanes: int,
        frame: int,
    ) -> None:
        self.unit = unit
        self.layer = layer
        self.input_lanes = input_lanes
        self.lanes = lanes
        self.frame = frame

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.unit = unit = self.unit
        layer = self.layer
        i, o = unit.i, unit.o
        # Counted so far that the input, some frames ahead, is not a round ahead.
        frames = self.frame + 8
        source = Position(m, i, frames, layer.input_shape.size // self.input_lanes, "i")
        sink = Position(m, o, frames, layer.output_shape.size // self.lanes, "o")
        m.d.comb += [
            Assume(~ResetSignal()),
            i.valid.eq(1),
            o.ready.eq(1),
            i.payload.data.eq(AnySeq(len(i.payload.data))),
            i.payload.last.eq(source.at_end),
        ]
        beats = [Signal.like(i.payload.data, name=f"beat{n}") for n in range(source.beats)]
        for number, beat in enumerate(beats):
            with m.If(source.taken & (source.frame == self.frame) & (source.beat == number)):
                m.d.sync += beat.eq(i.payload.data)
        shape = value_shape(layer.input_format)
        inputs = [
            element(beats[n // self.input_lanes], n % self.input_lanes, shape)
            for n in range(layer.input_shape.size)
        ]
        offered = o.valid & (sink.frame == self.frame)
        early: list[Value] = []
        right: list[Value] = []
        for beat in range(sink.beats):
            outputs = range(beat * self.lanes, (beat + 1) * self.lanes)
            needed = [n for out in outputs for n in inputs_of(layer, out) if n is not None]
            here = sink.beat == beat
            there = source.beat > max(needed, default=0) // self.input_lanes
            early.append(here & ~there & (source.frame == self.frame))
            values = [
                is_output(layer, inputs, out, o.payload.shape().lane(o.payload, lane))
                for lane, out in enumerate(outputs)
            ]
            right.append(here & reduce(and_, values))
        none_yet = (source.frame < self.frame) | Cat(early).any()
        claim(m, "not_early", ~(offered & none_yet))
        claim(m, "value", ~offered | Cat(right).any())
        claim(m, "last", ~o.valid | (o.payload.last == sink.at_end))
        cover(m, "whole_frame", sink.frame == self.frame + 1)
        return m
