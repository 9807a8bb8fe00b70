# amaranth: UnusedElaboratable=no
"""The convolution unit: a window feeder, a systolic core and a requantizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle
from typing import Any

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network import graph
from systolith.hw.errors import UnitError
from systolith.hw.folding import Folding
from systolith.hw.streams.beats import beat_stream
from systolith.hw.streams.component import Component
from systolith.hw.streams.cycles import Busy, StreamCycles, chain
from systolith.hw.streams.formats import value_shape
from systolith.hw.systolic.array_work import ArraySize, array_work
from systolith.hw.systolic.core import SystolicCore
from systolith.hw.systolic.schedule import Chunk, layer_schedule
from systolith.hw.systolic.window import WindowFeeder
from systolith.hw.systolic.window_geometry import WindowGeometry
from systolith.hw.systolic.window_memory import MANY_CHUNKS, WindowMemory
from systolith.hw.units.requantize import Requantizer


def feeder_type(
    chunks: Sequence[Chunk], geometry: WindowGeometry
) -> type[WindowFeeder] | type[WindowMemory]:
    """What cuts windows into chunks: memories if there are many chunks, otherwise registers.

    Registers need no cycle of their own where a window has a chunk for each column that is shifted
    in for the next one, nor do memories ever: both take the same cycles a frame.
    """
    return WindowMemory if len(chunks) >= max(MANY_CHUNKS, geometry.most_shifts) else WindowFeeder


def window_geometry(layer: FixedLayer) -> WindowGeometry:
    """The windows of a convolution on its streamed map, with the padding and border around it."""
    conv = layer.layer
    assert isinstance(conv, graph.Convolution)
    return WindowGeometry(layer.input_shape, replace(conv.windows, padding=layer.padding))


class Convolution(Component):
    """The unit of a convolution, with or without a connection table.

    A convolution that covers its whole input, with every connection, is built as `dense.Dense`.

    Initiation interval in cycles, source and sink always ready: the largest of the input's beats,
    the output's beats, and `bands * ((columns - 1) * max(steps, horizontal stride) + max(steps, row
    change))`, with the steps of a window from the schedule and the row change from
    `WindowGeometry`. The last is `bands * columns * steps` if `steps` is at least the columns that
    a window reaches over and its stride. Frames overlap.

    Parameters, members, attributes and errors are those of every unit: `registry.build_unit`. Lanes
    divide the output maps, and without a connection table the folding's columns, too.
    """

    def __init__(self, layer: FixedLayer, folding: Folding, input_lanes: int) -> None:
        if not isinstance(layer.layer, graph.Convolution):
            raise UnitError(layer, "is not a convolution")
        schedule = layer_schedule(layer, folding)
        self.core = SystolicCore(layer, schedule, folding.lanes)
        self.requantizer = Requantizer(layer, folding.lanes, folding.depth)
        self.multipliers = self.core.multipliers
        try:
            geometry = window_geometry(layer)
            self.feeder = feeder_type(schedule.chunks, geometry)(
                geometry,
                schedule.chunks,
                input_lanes=input_lanes,
                value_shape=value_shape(layer.input_format),
                padding_value=layer.padding_value,
                buffer_rows=folding.lines,
            )
        except ValueError as error:
            raise UnitError(layer, str(error)) from None
        super().__init__(
            {
                "i": In(beat_stream(value_shape(layer.input_format), input_lanes)),
                "o": Out(beat_stream(value_shape(layer.output_format), folding.lanes)),
            }
        )

    @staticmethod
    def count_multipliers(layer: FixedLayer, size: ArraySize) -> Any:
        """Physical multipliers."""
        return size.rows * size.columns

    @staticmethod
    def frame_cycles(layer: FixedLayer, size: ArraySize, input_lanes: int) -> Any:
        """The initiation interval in cycles, source and sink always ready.

        It is the largest of the input's beats, the output's beats, and `bands * ((columns - 1) *
        max(steps, horizontal stride) + max(steps, row change))`. It may be longer, never shorter,
        if the unit stores fewer rows than by default, or if a window has more beats than steps, but
        fewer than the stride or the row change.
        """
        geometry = window_geometry(layer)
        work = array_work(layer)
        assert work is not None
        steps = work.steps(size.rows, size.columns)
        shifting = np.maximum(steps, geometry.windows.stride[1])
        band = (geometry.columns - 1) * shifting + np.maximum(steps, geometry.row_change)
        beats = np.maximum(
            layer.input_shape.size // input_lanes, layer.output_shape.size // size.lanes
        )
        return np.maximum(geometry.bands * band, beats)

    def cycles(self, i: StreamCycles, o: StreamCycles) -> list[StreamCycles]:
        """Start the cycle model (`streams.cycles`); the last two streams are the core's."""
        windows = StreamCycles()
        inner = self.feeder.cycles(i, windows)
        return [*inner, windows, *chain(windows, o, self.core, self.requantizer)]

    def busy(self, i: StreamCycles, inner: list[StreamCycles]) -> Busy:
        """The spans of cycles in which the steps of each chunk are issued (`registry.Unit`)."""
        folds = self.core.schedule.folds
        chunks = [(end - n + 1, n) for end, n in zip(inner[-2].taken, cycle(folds), strict=False)]
        return chunks, self.core.windows * len(folds)

    def depth_needed(self, inner: list[StreamCycles], o: StreamCycles) -> int:
        """The smallest `folding.depth` with which these transfers would not have stalled."""
        return self.requantizer.depth_needed(o)

    def lines_needed(self, i: StreamCycles, inner: list[StreamCycles]) -> int:
        """The smallest `folding.lines` with which these transfers would not have stalled."""
        return self.feeder.rows_needed(i, inner[0])

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.feeder = self.feeder
        m.submodules.core = self.core
        m.submodules.requantizer = self.requantizer
        wiring.connect(m, wiring.flipped(self.i), self.feeder.i)
        wiring.connect(m, self.feeder.o, self.core.i)
        wiring.connect(m, self.core.o, self.requantizer.i)
        wiring.connect(m, self.requantizer.o, wiring.flipped(self.o))
        return m
