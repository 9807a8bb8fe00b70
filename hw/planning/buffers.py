# amaranth: UnusedElaboratable=no
"""The smallest buffers with which the slowest unit never stalls, by the cycle model.

Images are sent at the initiation interval of the slowest unit. If they keep it, a source that is
always ready reaches the same interval: nothing arrives later then, and the slowest unit is not
faster.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np

from systolith.golden.fixed.integers import FixedNetwork
from systolith.hw.folding import Plan, input_lanes
from systolith.hw.planning.prediction import min_interval
from systolith.hw.planning.timeline import Timeline
from systolith.hw.streams.cycles import StreamCycles, always_ready, offering
from systolith.hw.streams.result_layout import ResultKind, result_layout
from systolith.hw.units.convolution import Convolution
from systolith.hw.units.dense import WholeInputUnit
from systolith.hw.units.registry import Unit, build_unit
from systolith.hw.units.score_stream import ScoreStream

_FEW = 4
"""Up to this number, buffers are reduced one by one; more are first tried all at once."""


def with_smallest_buffers(fixed: FixedNetwork, plan: Plan, result: ResultKind) -> Plan:
    """The plan with the smallest depths and lines that keep the slowest unit's interval.

    If any of them were smaller by one, the slowest unit would stall. Of several such plans it is
    one with few lines, then with small FIFOs in the first layers. `result` is what the accelerator
    puts out.
    """
    buffers = _Buffers(fixed, plan, result)
    if not buffers.reduce_usual() and buffers.lag():
        # The units stall each other with buffers of any size.
        return plan
    buffers.reduce_all(list(buffers.lines()))
    buffers.reduce_all(list(buffers.depths()))
    return buffers.plan


class _Buffer(NamedTuple):
    """A buffer of a layer's unit: its key in a `Folding`, and the sizes that it may have."""

    layer: str
    key: Literal["lines", "depth"]
    sizes: range


class _Transfers(NamedTuple):
    """The beats of images on a stream, up to the steady state: when available, and when taken."""

    available: array[int]
    taken: array[int]

    def same_taken(self, taken: array[int], interval: int, beats: int) -> bool:
        """Whether `taken` has the same cycles, the last image repeating as often as needed."""
        expected = np.array(self.taken)
        images = max(0, -(-(len(taken) - len(expected)) // beats))
        later = np.arange(1, images + 1)[:, None] * interval + expected[-beats:]
        return np.array_equal(np.concatenate([expected, later.ravel()])[: len(taken)], taken)


class _Buffers:
    """A plan and its units, whose buffers are first far too large and then reduced."""

    def __init__(self, fixed: FixedNetwork, plan: Plan, result: ResultKind) -> None:
        self.plan = dict(plan)
        self._fixed = fixed
        self._result = result
        beats = result_layout(fixed.layers[-1], result).beats
        self._interval = min_interval(fixed, plan, beats)
        self._units: dict[str, Unit] = {}
        for layer, image in zip(fixed.layers, self._beats()[1:], strict=True):
            self._resize(layer.name, depth=image, lines=None)
        # The transfers with the present buffers: those of the pixels, and after each unit.
        self._transfers = [_Transfers(array("q", range(self._beats()[0])), array("q"))]

    def lines(self) -> Iterator[_Buffer]:
        """The line buffers that could be smaller."""
        for name, unit in self._units.items():
            if isinstance(unit, Convolution):
                fewest, _ = unit.feeder.geometry.windows.reach
                lines = unit.feeder.buffer_rows
                if lines > fewest:
                    yield _Buffer(name, "lines", range(fewest, lines + 1))

    def depths(self) -> Iterator[_Buffer]:
        """The FIFOs that could be smaller."""
        for name in self._units:
            depth = self.plan[name].depth
            if depth > 1:
                yield _Buffer(name, "depth", range(1, depth + 1))

    def reduce_usual(self) -> bool:
        """Reduce the buffers of most networks, all at once; whether these sizes suffice.

        Often only the FIFO in front of a unit that takes its whole input cannot be the smallest: it
        fills up while that unit still works on the image before.
        """
        before_whole_input = {
            name
            for name, (_, after) in zip(self._units, pairwise(self._units.values()), strict=False)
            if isinstance(after, WholeInputUnit)
        }
        depths = [each for each in self.depths() if each.layer not in before_whole_input]
        sizes = [(buffer, buffer.sizes[0]) for buffer in [*self.lines(), *depths]]
        return not (self._try(sizes) if sizes else self.lag())

    def reduce_all(self, buffers: list[_Buffer]) -> None:
        """Reduce each buffer to the smallest size that suffices; many at once where possible."""
        if len(buffers) <= _FEW:
            for buffer in buffers:
                self._reduce(buffer)
        elif self._try([(buffer, buffer.sizes[0]) for buffer in buffers]):
            middle = len(buffers) // 2
            self.reduce_all(buffers[:middle])
            self.reduce_all(buffers[middle:])

    def _reduce(self, buffer: _Buffer) -> None:
        """Reduce a buffer to the smallest size that suffices."""
        name, key, sizes = buffer
        if key == "depth":
            self._reduce_depth(buffer)
            return
        # Most line buffers can hardly be smaller than the rows that were in use.
        while (lines := self.plan[name].lines or sizes[-1]) > sizes[0]:
            if self._try([(buffer, lines - 1)]):
                break

    def _reduce_depth(self, buffer: _Buffer) -> None:
        """Reduce a FIFO to the smallest depth that suffices; for most, that is the first tried.

        Otherwise trials are half way or, after one that lags, where the line through the last two
        lags is 0.
        """
        name, _, sizes = buffer
        low, high = sizes[0], self.plan[name].depth
        lags: list[tuple[int, int]] = []
        lag = 0
        while low < high:
            trial = (low + high) // 2 if lags else low
            if lag and len(lags) > 1:
                (before, earlier_lag), (last, lag) = lags[-2:]
                if earlier_lag > lag:
                    trial = min(last + -(-lag * (last - before) // (earlier_lag - lag)), high - 1)
            lag = self._try([(buffer, trial)])
            if lag:
                lags.append((trial, lag))
                low = trial + 1
            else:
                high = self.plan[name].depth

    def _try(self, sizes: Sequence[tuple[_Buffer, int]]) -> int:
        """Set buffers to some sizes if these suffice; returns the lag with them."""
        before = dict(self.plan), dict(self._units)
        for buffer, size in sizes:
            self._resize(buffer.layer, **{buffer.key: size})
        names = list(self._units)
        # A unit rarely stalls more than the one before it.
        first = min(names.index(buffer.layer) for buffer, _ in sizes) - 1
        lag = self.lag(min(max(0, first), len(self._transfers) - 1))
        if lag:
            self.plan, self._units = before
        return lag

    def lag(self, first: int = 0) -> int:
        """Cycles that an image falls behind the slowest unit's interval; 0 if it keeps it.

        If it does, each buffer is reduced to the entries that were in use, which changes no cycle.

        Parameters
        ----------
        first
            The first unit to simulate. Those before it are assumed to transfer the same beats as
            before; if a stall reaches them, all units are simulated.
        """
        names = list(self._units)[first:]
        before = self._transfers[first]
        source = StreamCycles()
        beats = self._beats()
        offering(source, before.available, self._interval, beats[first])
        streams = [source, *(StreamCycles() for _ in names)]
        inner = [
            self._units[name].cycles(i, o)
            for name, (i, o) in zip(names, pairwise(streams), strict=True)
        ]
        self._start_sink(streams[-1])
        ends = ["", *names]
        timeline = Timeline(
            dict(zip(ends, streams, strict=True)), dict(zip(ends, beats[first:], strict=True))
        )
        lag = timeline.lag(self._interval)
        if lag:
            return lag
        if first and not before.same_taken(source.taken, self._interval, beats[first]):
            return self.lag()
        for name, (i, o), within in zip(names, pairwise(streams), inner, strict=True):
            unit = self._units[name]
            needed = {"depth": unit.depth_needed(within, o)}
            if isinstance(unit, Convolution):
                needed["lines"] = unit.lines_needed(i, within)
            self._resize(name, **needed)
        self._transfers[first + 1 :] = [
            _Transfers(stream.available[: timeline.images * n], stream.taken[: timeline.images * n])
            for stream, n in zip(streams[1:], beats[first + 1 :], strict=True)
        ]
        return 0

    def _start_sink(self, scores: StreamCycles) -> None:
        """Start what takes the scores; a classifier takes a beat a cycle."""
        if self._result == "class":
            always_ready(scores)
            return
        result = StreamCycles()
        last = self._fixed.layers[-1]
        ScoreStream(last, self.plan[last.name].lanes).cycles(scores, result)
        always_ready(result)

    def _beats(self) -> list[int]:
        """The beats of an image: of the pixels, and after each unit."""
        source = self._fixed.network.input
        layers = self._fixed.layers
        leaving = [layer.output_shape.size // self.plan[layer.name].lanes for layer in layers]
        return [source.image_shape.size // input_lanes(source, self.plan), *leaving]

    def _resize(self, name: str, **sizes: Any) -> None:
        """Change the buffers of a unit."""
        self.plan[name] = replace(self.plan[name], **sizes)
        layer = self._fixed[name]
        before = layer.layer.inputs[0]
        lanes = self.plan[before].lanes if before in self.plan else 1
        self._units[name] = build_unit(layer, self.plan[name], lanes)
