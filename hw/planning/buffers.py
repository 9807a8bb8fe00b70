"""The least buffers with which the slowest unit never waits, by the cycle model.

Images are let pass at the pace of the slowest unit. If they pass alike, each in step with the one
before it, so they do when they come as they are taken: nothing comes later then, and the slowest
unit is never faster.
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


def with_smallest_buffers(fixed: FixedNetwork, plan: Plan) -> Plan:
    """The plan with the least depths and lines that let images pass at the slowest unit's pace.

    With one less of any, the slowest unit would have to wait. Of several such plans it is one with
    few lines, and with small FIFOs before larger ones.
    """
    buffers = _Buffers(fixed, plan)
    if buffers.lag():
        # The units hold each other up, whatever the buffers.
        return plan
    buffers.reduce_all(list(buffers.lines()))
    buffers.reduce_all(list(buffers.depths()))
    return buffers.plan


class _Buffer(NamedTuple):
    """A buffer of a layer's unit: its key in a `Folding`, and the sizes that it may have."""

    layer: str
    key: Literal["lines", "depth"]
    sizes: range


class _Passed(NamedTuple):
    """Images that passed a stream, the last of them as all behind it do: when its beats could be
    offered, and when they were taken.
    """

    available: list[int]
    taken: list[int]

    def taken_alike(self, taken: list[int], interval: int, beats: int) -> bool:
        """Whether as many beats, or more of them, were taken in the same cycles."""
        same = list(self.taken)
        while len(same) < len(taken):
            same += [cycle + interval for cycle in same[-beats:]]
        return same[: len(taken)] == taken


class _Buffers:
    """A plan whose buffers suffice, as far as `lag` was asked; at first far too large."""

    def __init__(self, fixed: FixedNetwork, plan: Plan) -> None:
        self.plan = dict(plan)
        self._fixed = fixed
        self._interval = min_interval(fixed, plan)
        self._units: dict[str, Unit] = {}
        for layer in fixed.layers:
            self._resize(layer.name, depth=layer.output_shape.size, lines=None)
        # What passed with the buffers as they are: the pixels, and what left each unit.
        self._passed = [_Passed(list(range(fixed.network.input.image_shape.size)), [])]

    def lines(self) -> Iterator[_Buffer]:
        """The rows of their input that layers store, if they could be fewer."""
        for name, unit in self._units.items():
            if isinstance(unit, Convolution):
                least, _ = unit.feeder.geometry.kernel
                lines = unit.feeder.row_buffer.buffer_rows
                if lines > least:
                    yield _Buffer(name, "lines", range(least, lines + 1))

    def depths(self) -> Iterator[_Buffer]:
        """The FIFOs that could be smaller."""
        for name, folding in self.plan.items():
            if folding.depth > 1:
                yield _Buffer(name, "depth", range(1, folding.depth + 1))

    def reduce_all(self, buffers: list[_Buffer]) -> None:
        """Give each of some buffers the least size that suffices; many at once where that does."""
        if len(buffers) <= _FEW:
            for buffer in buffers:
                self._reduce(buffer)
        elif self._try({buffer.layer: buffer.sizes[0] for buffer in buffers}, buffers[0].key):
            middle = len(buffers) // 2
            self.reduce_all(buffers[:middle])
            self.reduce_all(buffers[middle:])

    def _reduce(self, buffer: _Buffer) -> None:
        """Give a buffer the least size that suffices."""
        name, key, sizes = buffer
        if key == "depth":
            self._reduce_depth(name, sizes)
            return
        # Most row buffers can do with hardly less than was needed of them.
        while (lines := self.plan[name].lines or sizes[-1]) > sizes[0]:
            if self._try({name: lines - 1}, key):
                break

    def _reduce_depth(self, name: str, sizes: range) -> None:
        """Give a FIFO the least depth that suffices: most can do with the least of all.

        Otherwise it is sought half way, then where the line through the last two lags ends.
        """
        low, high = sizes[0], self.plan[name].depth
        lags: list[tuple[int, int]] = []
        while low < high:
            trial = (low + high) // 2 if lags else low
            if len(lags) > 1:
                (before, longer), (last, lag) = lags[-2:]
                if longer > lag:
                    trial = min(last + -(-lag * (last - before) // (longer - lag)), high - 1)
            lag = self._try({name: trial}, "depth")
            if lag:
                lags.append((trial, lag))
                low = trial + 1
            else:
                high = self.plan[name].depth

    def _try(self, sizes: Mapping[str, int], key: str) -> int:
        """Give layers' buffers some sizes, if they suffice; otherwise the lag with them."""
        before = dict(self.plan), dict(self._units)
        for name, size in sizes.items():
            self._resize(name, **{key: size})
        # A unit seldom holds up more than the one before it.
        lag = self.lag(max(0, min(list(self._units).index(name) for name in sizes) - 1))
        if lag:
            self.plan, self._units = before
        return lag

    def lag(self, first: int = 0) -> int:
        """Cycles that an image falls behind the slowest unit's pace.

        If it does not, the buffers become what was needed of them, which changes no cycle.

        Parameters
        ----------
        first
            The first unit that passing beats are followed through. Those before it give what they
            gave; only if more is held up than was, all are followed.
        """
        names = list(self._units)[first:]
        arrived = self._passed[first]
        arriving = StreamCycles()
        beats = self._beats()
        offering(arriving, arrived.available, self._interval, beats[first])
        streams = [arriving, *(StreamCycles() for _ in names)]
        inner = [
            self._units[name].cycles(i, o)
            for name, (i, o) in zip(names, pairwise(streams), strict=True)
        ]
        always_ready(streams[-1])
        ends = ["", *names]
        passing = Timeline(
            dict(zip(ends, streams, strict=True)), dict(zip(ends, beats[first:], strict=True))
        )
        lag = passing.lag(self._interval)
        if lag:
            return lag
        if first and not arrived.taken_alike(arriving.taken, self._interval, beats[first]):
            return self.lag()
        for name, (i, o), within in zip(names, pairwise(streams), inner, strict=True):
            unit = self._units[name]
            needed = {"depth": unit.depth_needed(within, o)}
            if isinstance(unit, Convolution):
                needed["lines"] = unit.lines_needed(i, within)
            self._resize(name, **needed)
        self._passed[first + 1 :] = [
            _Passed(stream.available[: passing.images * n], stream.taken[: passing.images * n])
            for stream, n in zip(streams[1:], beats[first + 1 :], strict=True)
        ]
        return 0

    def _beats(self) -> list[int]:
        """Beats of an image: of the pixels, and of what leaves each unit."""
        layers = self._fixed.layers
        leaving = [layer.output_shape.size // self.plan[layer.name].lanes for layer in layers]
        return [self._fixed.network.input.image_shape.size, *leaving]

    def _resize(self, name: str, **sizes: Any) -> None:
        """Change buffers of a unit."""
        self.plan[name] = replace(self.plan[name], **sizes)
        layer = self._fixed[name]
        before = layer.layer.inputs[0]
        lanes = self.plan[before].lanes if before in self.plan else 1
        self._units[name] = build_unit(layer, self.plan[name], lanes)
