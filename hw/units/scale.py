# amaranth: UnusedElaboratable=no
"""Multiplication of sums of windows: by a coefficient of the channel, or of the window's place."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from amaranth.hdl import Cat, Const, Module, Shape, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from systolith.golden.fixed.integers import Integers
from systolith.hw.streams.beats import Beat
from systolith.hw.streams.component import Component
from systolith.hw.streams.counting import count
from systolith.hw.streams.formats import element
from systolith.hw.streams.lookup import Walk, look_up


class Coefficients(Protocol):
    """What has a constant for each value of the beats that pass: `ChannelConstants`, or below."""

    taken: Any
    data: Any


class PlaceConstants(wiring.Component):
    """Reads a constant of each beat's row and column, as beats of a map pass.

    Average pooling uses it for the factors of windows that reach into padding. Rows that are alike
    share their constants, and so do columns.

    Latency: the constants of a beat are in `data` 2 cycles after its `taken`.

    Parameters
    ----------
    values
        The constants, `(rows, columns)`; none is negative.
    shape
        The shape of one constant.
    groups
        Beats of each place.
    lanes
        Values a beat; all have the same constant.

    Members
    -------
    taken
        A beat passes in this cycle. The first one after reset is the first one of a map.
    data
        The constant of the beat that passed 2 cycles before, once for each lane.
    """

    def __init__(self, values: Integers, shape: Shape, groups: int, lanes: int) -> None:
        rows, self.row_kinds = np.unique(values, axis=0, return_inverse=True)
        kinds, self.column_kinds = np.unique(rows, axis=1, return_inverse=True)
        self.constants = [[int(value) for value in row] for row in kinds]
        self.groups = groups
        self.lanes = lanes
        self.shape = shape
        super().__init__({"taken": In(1), "data": Out(lanes * shape.width)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        if self.constants == [self.constants[0][:1]]:
            m.d.comb += self.data.eq(Const(self.constants[0][0], self.shape).replicate(self.lanes))
            return m
        group = Signal(range(self.groups))
        with m.If(self.taken):
            count(m, group, self.groups)
        next_column = self.taken & (group == self.groups - 1)
        columns, rows = self.column_kinds.tolist(), self.row_kinds.tolist()
        walk = Walk(m, len(columns), next_column, "column")
        at_end = walk.constant([*[False] * (len(columns) - 1), True], "end")
        column = walk.constant(columns, "kind")
        row = Walk(m, len(rows), next_column & at_end, "row").constant(rows, "kind")

        kind = Signal(len(column) + len(row), reset_less=True)
        table = [0] * (1 << len(kind))
        for number, values in enumerate(self.constants):
            for place, value in enumerate(values):
                table[number << len(column) | place] = value
        constant = Signal(self.shape, reset_less=True)
        m.d.sync += [
            kind.eq(Cat(column, row)),
            constant.eq(look_up(m, table, kind, "constant_next")),
        ]
        m.d.comb += self.data.eq(constant.replicate(self.lanes))
        return m


class Scale(Component):
    """Multiplies every value by a coefficient, with one multiplier a lane.

    It is a pipeline between a reducer of windows and their requantizing. Latency: 3 cycles.
    Registers before and behind each multiplier can become a part of it.

    Parameters
    ----------
    coefficients
        Reads the coefficients of the beats that pass, 2 cycles later.
    coefficient_shape
        The shape of one coefficient.
    sum_shape
        The shape of the values.
    product_shape
        The shape of the products, which fit it.
    lanes
        Values a beat.

    Members
    -------
    i_valid, i : sums
    o_valid, o : products
    """

    latency = 3

    def __init__(
        self,
        coefficients: Coefficients,
        coefficient_shape: Shape,
        sum_shape: Shape,
        product_shape: Shape,
        lanes: int,
    ) -> None:
        self.coefficients = coefficients
        self.coefficient_shape = coefficient_shape
        self.sum_shape = sum_shape
        self.product_shape = product_shape
        self.lanes = lanes
        self.input_beat = Beat(sum_shape, lanes)
        self.output_beat = Beat(product_shape, lanes)
        super().__init__(
            {
                "i_valid": In(1),
                "i": In(self.input_beat),
                "o_valid": Out(1),
                "o": Out(self.output_beat),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.coefficients = coefficients = self.coefficients
        waiting = Signal.like(self.i.data, name="waiting", reset_less=True)
        sums = Signal.like(self.i.data, name="sums", reset_less=True)
        valid = Signal(self.latency)
        last = Signal(self.latency, reset_less=True)
        m.d.comb += [
            coefficients.taken.eq(self.i_valid),
            self.o.last.eq(last[-1]),
            self.o_valid.eq(valid[-1]),
        ]
        m.d.sync += [
            waiting.eq(self.i.data),
            sums.eq(waiting),
            last.eq(Cat(self.i.last, last)),
            valid.eq(Cat(self.i_valid, valid)),
        ]
        for lane in range(self.lanes):
            product = element(sums, lane, self.sum_shape) * element(
                coefficients.data, lane, self.coefficient_shape
            )
            m.d.sync += self.o.data.word_select(lane, self.product_shape.width).eq(product)
        return m
