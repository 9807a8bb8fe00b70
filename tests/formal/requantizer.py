# amaranth: UnusedElaboratable=no
"""Claims about the requantizer."""

from __future__ import annotations

from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import (
    Assume,
    Cat,
    Elaboratable,
    Module,
    Mux,
    Signal,
    signed,
)

from systolith.golden.fixed.integers import FixedLayer
from systolith.hw.units.requantize import RequantizePipeline
from tests.formal.definitions import is_value
from tests.formal.prover import claim


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
        multiplier = 1 if how is None else how.multiplier
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
                        if how is not None and multiplier == 1 and how.shifts[channel] > 0:
                            m.d.comb += half.eq(1 << int(how.shifts[channel]) >> 1)
            # There is room for the rounding constant, unless it is added to a product; the bias is
            # taken off, and the rest wraps.
            m.d.comb += Assume((total >= low) & (total + half <= high))
            given = pipeline.i.data.word_select(lane, pipeline.input_shape.width)
            m.d.comb += given.eq((total - bias) * multiplier)
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
