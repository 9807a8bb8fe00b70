"""When images pass the streams of an accelerator, by the cycle model."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from systolith.hw.streams.cycles import StreamCycles, run_until_taken

Cycles = NDArray[np.int64]

_MOST_IMAGES = 64


class Timeline:
    """Images that pass one after the other through streams that processes connect.

    Parameters
    ----------
    streams
        By name, in order, two at least, the last of them with a sink that takes every beat.
    beats
        Beats of an image in each.

    Attributes
    ----------
    beats
        As given.
    images
        How many have passed.
    """

    def __init__(self, streams: Mapping[str, StreamCycles], beats: Mapping[str, int]) -> None:
        self._streams = dict(streams)
        self.beats = {name: beats[name] for name in self._streams}
        self._start, *_, self._end = self._streams
        self.images = 0

    def run(self, images: int) -> None:
        """Let images pass until so many are through."""
        self.images = max(self.images, images)
        run_until_taken(self._streams[self._end], self.images * self.beats[self._end])

    def lag(self, interval: int) -> int:
        """Let images pass that come at an interval, until it is seen whether they keep it.

        They do if one after the other passes every stream as the one before it, `interval` cycles
        later, for as many as are under way at a time: what an image meets is then what the one
        before it met. They do not once several left a stream later than that, each by no less than
        the one before it.

        Returns
        -------
        int
            The cycles that an image falls behind; 0 if they keep the interval.
        """
        alike = 0
        for images in range(1, _MOST_IMAGES + 1):
            self.run(images)
            late = max(self._late(name, interval) for name in self._streams)
            if late > 0:
                return late
            alike = alike + 1 if images > 1 and self._passed_alike(interval) else 0
            start = self._streams[self._start].taken[(images - 1) * self.beats[self._start]]
            under_way = -(-(self._streams[self._end].taken[-1] - start) // interval)
            if alike and alike >= under_way:
                return 0
        return 1

    def _late(self, name: str, interval: int) -> int:
        """The cycles by which the last image fell behind in a stream, if it keeps falling behind.

        That is if the image before it fell behind as well, and by no more.
        """
        beats = self.beats[name]
        ends = self._streams[name].taken[beats - 1 :: beats][-3:]
        lags = [after - before - interval for before, after in pairwise(ends)]
        return lags[1] if len(lags) == 2 and lags[1] >= lags[0] > 0 else 0

    def _passed_alike(self, interval: int) -> bool:
        """Whether the last image passed every stream so many cycles after the one before."""
        end = self.images
        for name, stream in self._streams.items():
            beats = self.beats[name]
            last = stream.taken[(end - 1) * beats : end * beats]
            before = stream.taken[(end - 2) * beats : (end - 1) * beats]
            if any(b - a != interval for a, b in zip(before, last, strict=True)):
                return False
        return True

    def taken(self, name: str) -> Cycles:
        """When the beats of a stream are taken: `(images, beats)`."""
        return self._frames(self._streams[name].taken, name)

    def offered(self, name: str) -> Cycles:
        """When the beats of a stream are first offered: `(images, beats)`."""
        return self._frames(self._streams[name].offered(), name)

    def _frames(self, cycles: list[int], name: str) -> Cycles:
        beats = self.beats[name]
        return np.array(cycles[: self.images * beats], np.int64).reshape(self.images, beats)
