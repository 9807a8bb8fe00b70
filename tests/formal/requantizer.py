# amaranth: UnusedElaboratable=no
"""What requantizing is, said without the formula by which the hardware does it."""

from __future__ import annotations

from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import (
    Array,
    Assume,
    Cat,
    Const,
    Elaboratable,
    Module,
    Mux,
    Signal,
    Value,
    signed,
)

from golden.fixed_network import FixedLayer, Requantization
from hw.formats import value_shape
from hw.requantize import RequantizePipeline
from tests.formal.prover import claim


def is_value(total: Value, value: Value, layer: FixedLayer, channel: int) -> Value:
    """Whether `value` is what `layer` makes of `total`, an accumulator with its bias."""
    if layer.layer.activation.kind == "relu":
        total = Mux(total < 0, 0, total)
    how = layer.requantization
    if how is None:
        return value == total
    if how.table is not None:
        value = _index(value, how)
    return _is_nearest(total, value, how, int(how.shifts[channel]))


def _is_nearest(total: Value, value: Value, how: Requantization, shift: int) -> Value:
    """Whether `value` is the whole number nearest to `total / 2**shift`, ties upward, saturated.

    Nearest: `-1/2 <= total / 2**shift - value < 1/2`. At an end of the target's range, what lies
    beyond it is as good.
    """
    step = 1 << max(shift, 0)
    twice_error = 2 * ((total << max(-shift, 0)) - value * step)
    above = (twice_error >= -step) | (value == how.target.min_raw)
    below = (twice_error < step) | (value == how.target.max_raw)
    return above & below


def _index(entry: Value, how: Requantization) -> Value:
    """The index of an entry of a table in which no two are equal, and none is missing."""
    assert how.table is not None
    raw = {int(value) & (1 << len(entry)) - 1: at for at, value in enumerate(how.table)}
    target = value_shape(how.target)
    places = [Const(raw[bits] + how.target.min_raw, target) for bits in range(1 << len(entry))]
    return Array(places)[entry.as_unsigned()]


class RequantizerClaims(Elaboratable):
    """A `RequantizePipeline` with any accumulators that its layer can have.

    Parameters
    ----------
    layer, lanes
        Those of the pipeline. A table must be a permutation.
    """

    def __init__(self, layer: FixedLayer, lanes: int = 1) -> None:
        self.layer = layer
        self.pipeline = RequantizePipeline(layer, lanes)
        self.latency = self.pipeline.latency

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.pipeline = pipeline = self.pipeline
        layer, how = self.layer, self.layer.requantization
        channels, lanes = layer.output_shape.channels, pipeline.lanes
        low, high = layer.accumulator_range
        m.d.comb += [pipeline.i_valid.eq(AnySeq(1)), pipeline.i.last.eq(AnySeq(1))]

        group = Signal(range(channels // lanes))
        with m.If(pipeline.i_valid):
            m.d.sync += group.eq(Mux(group == channels // lanes - 1, 0, group + 1))
        totals = []
        for lane in range(lanes):
            total = Signal(signed(layer.accumulator_bits), name=f"total{lane}")
            bias = Signal(signed(layer.accumulator_bits), name=f"bias{lane}")
            half = Signal(signed(layer.accumulator_bits), name=f"half{lane}")
            m.d.comb += total.eq(AnySeq(total.shape()))
            with m.Switch(group):
                for place in range(channels // lanes):
                    channel = place * lanes + lane
                    with m.Case(place):
                        if layer.bias is not None:
                            m.d.comb += bias.eq(int(layer.bias[channel]))
                        if how is not None and how.shifts[channel] > 0:
                            m.d.comb += half.eq(1 << int(how.shifts[channel]) >> 1)
            # There is room for the rounding constant; the bias is taken off, and the rest wraps.
            m.d.comb += Assume((total >= low) & (total + half <= high))
            m.d.comb += pipeline.i.data.word_select(lane, len(total)).eq(total - bias)
            totals.append(total)

        given = Cat(pipeline.i_valid, pipeline.i.last, group, *totals)
        for stage in range(self.latency):
            later = Signal(len(given), name=f"given{stage}")
            m.d.sync += later.eq(given)
            given = later
        valid, last = given[0], given[1]
        group_then = given[2 : 2 + len(group)]
        claim(m, "valid", pipeline.o_valid == valid)
        claim(m, "last", ~valid | (pipeline.o.last == last))
        for lane in range(lanes):
            start = 2 + len(group) + lane * layer.accumulator_bits
            total = given[start : start + layer.accumulator_bits].as_signed()
            value = pipeline.output_beat.lane(pipeline.o, lane)
            right = [
                (group_then == place) & is_value(total, value, layer, place * lanes + lane)
                for place in range(channels // lanes)
            ]
            claim(m, f"value{lane}", ~valid | Cat(right).any())
        return m
