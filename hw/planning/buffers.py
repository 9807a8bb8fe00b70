"""The smallest buffers with which the slowest unit never stalls, by the cycle model.

Images are sent at the initiation interval of the slowest unit. If they keep it, a source that is
always ready reaches the same interval: nothing arrives later then, and the slowest unit is not
faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from systolith.golden.fixed.integers import FixedNetwork
from systolith.hw.folding import Plan
from systolith.hw.planning.prediction import min_interval
from systolith.hw.planning.timeline import Timeline
from systolith.hw.streams.cycles import StreamCycles, always_ready, offering
from systolith.hw.units.convolution import Convolution
from systolith.hw.units.registry import Unit, build_unit

_FEW = 4
"""Up to this number, buffers are reduced one by one; more are first tried all at once."""


def with_smallest_buffers(fixed: FixedNetwork, plan: Plan) -> Plan:
    """The plan with the smallest depths and lines that keep the slowest unit's interval.

    If any of them were smaller by one, the slowest unit would stall. Of several such plans it is
    one with few lines, then with small FIFOs in the first layers.
    """
    buffers = _Buffers(fixed, plan)
    if buffers.lag():
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

    available: list[int]
    taken: list[int]

    def same_taken(self, taken: list[int], interval: int, beats: int) -> bool:
        """Whether `taken` has the same cycles, the last image repeating as often as needed."""
        expected = list(self.taken)
        while len(expected) < len(taken):
            expected += [cycle + interval for cycle in expected[-beats:]]
        return expected[: len(taken)] == taken


class _Buffers:
    """A plan and its units, whose buffers are first far too large and then reduced."""

    def __init__(self, fixed: FixedNetwork, plan: Plan) -> None:
        self.plan = dict(plan)
        self._fixed = fixed
        self._interval = min_interval(fixed, plan)
        self._units: dict[str, Unit] = {}
        for layer in fixed.layers:
            self._resize(layer.name, depth=layer.output_shape.size, lines=None)
        # The transfers with the present buffers: those of the pixels, and after each unit.
        self._transfers = [_Transfers(list(range(fixed.network.input.image_shape.size)), [])]

    def lines(self) -> Iterator[_Buffer]:
        """The line buffers that could be smaller."""
        for name, unit in self._units.items():
            if isinstance(unit, Convolution):
                fewest, _ = unit.feeder.geometry.kernel
                lines = unit.feeder.buffer_rows
                if lines > fewest:
                    yield _Buffer(name, "lines", range(fewest, lines + 1))

    def depths(self) -> Iterator[_Buffer]:
        """The FIFOs that could be smaller."""
        for name, folding in self.plan.items():
            if folding.depth > 1:
                yield _Buffer(name, "depth", range(1, folding.depth + 1))

    def reduce_all(self, buffers: list[_Buffer]) -> None:
        """Reduce each buffer to the smallest size that suffices; many at once where possible."""
        if len(buffers) <= _FEW:
            for buffer in buffers:
                self._reduce(buffer)
        elif self._try({buffer.layer: buffer.sizes[0] for buffer in buffers}, buffers[0].key):
            middle = len(buffers) // 2
            self.reduce_all(buffers[:middle])
            self.reduce_all(buffers[middle:])

    def _reduce(self, buffer: _Buffer) -> None:
        """Reduce a buffer to the smallest size that suffices."""
        name, key, sizes = buffer
        if key == "depth":
            self._reduce_depth(name, sizes)
            return
        # Most line buffers can hardly be smaller than the rows that were in use.
        while (lines := self.plan[name].lines or sizes[-1]) > sizes[0]:
            if self._try({name: lines - 1}, key):
                break

    def _reduce_depth(self, name: str, sizes: range) -> None:
        """Reduce a FIFO to the smallest depth that suffices; for most, that is the first tried.

        Otherwise the next trial is half way, then where the line through the last two lags is 0.
        """
        low, high = sizes[0], self.plan[name].depth
        lags: list[tuple[int, int]] = []
        while low < high:
            trial = (low + high) // 2 if lags else low
            if len(lags) > 1:
                (before, earlier_lag), (last, lag) = lags[-2:]
                if earlier_lag > lag:
                    trial = min(last + -(-lag * (last - before) // (earlier_lag - lag)), high - 1)
            lag = self._try({name: trial}, "depth")
            if lag:
                lags.append((trial, lag))
                low = trial + 1
            else:
                high = self.plan[name].depth

    def _try(self, sizes: Mapping[str, int], key: str) -> int:
        """Set the buffers of layers to some sizes if these suffice; returns the lag with them."""
        before = dict(self.plan), dict(self._units)
        for name, size in sizes.items():
            self._resize(name, **{key: size})
        # A unit rarely stalls more than the one before it.
        lag = self.lag(max(0, min(list(self._units).index(name) for name in sizes) - 1))
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
        always_ready(streams[-1])
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

    def _beats(self) -> list[int]:
        """The beats of an image: of the pixels, and after each unit."""
        layers = self._fixed.layers
        leaving = [layer.output_shape.size // self.plan[layer.name].lanes for layer in layers]
        return [self._fixed.network.input.image_shape.size, *leaving]

    def _resize(self, name: str, **sizes: Any) -> None:
        """Change the buffers of a unit."""
        self.plan[name] = replace(self.plan[name], **sizes)
        layer = self._fixed[name]
        before = layer.layer.inputs[0]
        lanes = self.plan[before].lanes if before in self.plan else 1
        self._units[name] = build_unit(layer, self.plan[name], lanes)
