# amaranth: UnusedElaboratable=no
"""The dense unit, and its base, which is that of the radial basis unit as well."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from systolith.golden.fixed.integers import FixedLayer
from systolith.hw.errors import UnitError
from systolith.hw.folding import Folding
from systolith.hw.streams.beats import beat_stream
from systolith.hw.streams.component import Component
from systolith.hw.streams.cycles import Busy, StreamCycles, chain
from systolith.hw.streams.formats import value_shape
from systolith.hw.systolic.array_work import ArraySize, array_work
from systolith.hw.systolic.chunk_store import ChunkStore
from systolith.hw.systolic.chunker import Chunker, chunker_cycles
from systolith.hw.systolic.core import SystolicCore
from systolith.hw.systolic.schedule import as_dense, layer_schedule
from systolith.hw.units.requantize import Requantizer


class WholeInputUnit(Component):
    """The unit of a layer that takes its whole input: a chunker, a core and a requantizer.

    In the order "outputs" a `ChunkStore` between chunker and core repeats the chunks for each fold.

    Initiation interval in cycles, source and sink always ready: the largest of `chunker_cycles`,
    `ceil(inputs / rows) * ceil(outputs / columns)` and the output's beats. Frames overlap.

    Parameters
    ----------
    layer
        A dense or radial basis layer.
    folding
        The size of the unit. `lanes` divides columns and outputs.
    input_lanes
        Values in a beat of the input; divides its channels.

    Members
    -------
    i : In(beat_stream(value_shape(layer.input_format), input_lanes))
    o : Out(beat_stream(value_shape(layer.output_format), folding.lanes))

    Attributes
    ----------
    multipliers
        Physical multipliers.

    Raises
    ------
    UnitError
        A folding or a number of lanes that the layer does not allow, or an arithmetic that is not
        built.
    """

    def __init__(self, layer: FixedLayer, folding: Folding, input_lanes: int) -> None:
        channels = layer.input_shape.channels
        if input_lanes < 1 or channels % input_lanes:
            raise UnitError(
                layer, f"input lanes must divide its {channels} input channels, not {input_lanes}"
            )
        schedule = layer_schedule(layer, folding)
        self.core = SystolicCore(layer, schedule, folding.lanes)
        self.chunker = Chunker(
            value_shape(layer.input_format),
            elements=schedule.elements,
            rows=schedule.rows,
            input_lanes=input_lanes,
        )
        self.store = None
        if schedule.order == "outputs":
            self.store = ChunkStore(
                schedule.rows * layer.input_format.bits,
                chunks=self.chunker.chunks,
                passes=len(schedule.groups),
            )
        self.requantizer = Requantizer(layer, folding.lanes, folding.depth)
        self.multipliers = self.core.multipliers
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

        It is the largest of the chunker's, the steps and the output's beats. In the order "inputs"
        the array holds each chunk for all its folds.
        """
        work = array_work(as_dense(layer) or layer)
        assert work is not None
        hold = -(-work.outputs // size.columns) if size.order == "inputs" else 1
        chunks = chunker_cycles(layer.input_shape.size, size.rows, input_lanes, hold)
        computing = np.maximum(work.steps(size.rows, size.columns), work.outputs // size.lanes)
        return np.maximum(computing, chunks)

    def cycles(self, i: StreamCycles, o: StreamCycles) -> list[StreamCycles]:
        """Start the cycle model (`streams.cycles`); the last two streams are the core's."""
        stores = [] if self.store is None else [self.store]
        return chain(i, o, self.chunker, *stores, self.core, self.requantizer)

    def busy(self, i: StreamCycles, inner: list[StreamCycles]) -> Busy:
        """The spans of cycles in which the steps of each chunk are issued (`registry.Unit`)."""
        folds = self.core.schedule.folds
        chunks = [(end - n + 1, n) for end, n in zip(inner[-2].taken, cycle(folds), strict=False)]
        return chunks, len(folds)

    def depth_needed(self, inner: list[StreamCycles], o: StreamCycles) -> int:
        """The smallest `folding.depth` with which these transfers would not have stalled."""
        return self.requantizer.depth_needed(o)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.chunker = self.chunker
        m.submodules.core = self.core
        m.submodules.requantizer = self.requantizer
        wiring.connect(m, wiring.flipped(self.i), self.chunker.i)
        if self.store is None:
            wiring.connect(m, self.chunker.o, self.core.i)
        else:
            m.submodules.store = self.store
            wiring.connect(m, self.chunker.o, self.store.i)
            wiring.connect(m, self.store.o, self.core.i)
        wiring.connect(m, self.core.o, self.requantizer.i)
        wiring.connect(m, self.requantizer.o, wiring.flipped(self.o))
        return m


class Dense(WholeInputUnit):
    """The unit of a dense layer, or of a convolution that is equivalent to one (`as_dense`).

    Parameters, members and errors as for `WholeInputUnit`.
    """

    def __init__(self, layer: FixedLayer, folding: Folding, input_lanes: int) -> None:
        dense = as_dense(layer)
        if dense is None:
            raise UnitError(layer, "does not take its whole input with every connection")
        super().__init__(dense, folding, input_lanes)
