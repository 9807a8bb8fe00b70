"""The cycles in which images pass the streams of an accelerator, by the cycle model."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from systolith.hw.streams.cycles import StreamCycles, run_until_taken

_MOST_IMAGES = 64

_FREEING = 16
"""More cycles than any part needs after its last beat until it is ready for any other image."""


class Timeline:
    """Runs a cycle model image by image, and finds whether images keep an initiation interval.

    Prediction and the sizing of buffers use it.

    Parameters
    ----------
    streams
        The streams by name, from source to sink, at least two. The last one has a sink.
    beats
        For each stream, the beats of an image.

    Attributes
    ----------
    beats
        As for the parameter.
    images
        The number of images that have passed.
    """

    def __init__(self, streams: Mapping[str, StreamCycles], beats: Mapping[str, int]) -> None:
        self._streams = dict(streams)
        self.beats = {name: beats[name] for name in self._streams}
        self._start, *_, self._end = self._streams
        self.images = 0

    def run(self, images: int) -> None:
        """Run until `images` images have passed."""
        self.images = max(self.images, images)
        # From sink to source: what a stream still lacks then are beats that no result needs.
        for name, stream in reversed(self._streams.items()):
            run_until_taken(stream, self.images * self.beats[name])

    def lag(self, interval: int) -> int:
        """Run images until it is known whether they keep an initiation interval.

        The source must send them at that interval. They keep it if each image passes every stream
        exactly `interval` cycles after the image before, for as many images in a row as an image
        can meet in flight: each image then meets the same state as the one before. They do not keep
        it once two images in a row leave a stream later than that, the second by no less than the
        first.

        Returns
        -------
        int
            The cycles that an image falls behind; 0 if images keep the interval.
        """
        in_step = 0
        for images in range(1, _MOST_IMAGES + 1):
            self.run(images)
            late = max(self._late(name, interval) for name in self._streams)
            if late > 0:
                return late
            in_step = in_step + 1 if images > 1 and self._in_step(interval) else 0
            start = self._streams[self._start].taken[(images - 1) * self.beats[self._start]]
            end = self._streams[self._end].taken[images * self.beats[self._end] - 1]
            met = (end + _FREEING - start) // interval
            if in_step and in_step >= met:
                return 0
        return 1

    def _late(self, name: str, interval: int) -> int:
        """The cycles by which the last image fell behind in a stream; 0 if this may be transient.

        It is not if the image before fell behind as well, by no more.
        """
        beats = self.beats[name]
        ends = self._streams[name].taken[beats - 1 :: beats][-3:]
        lags = [after - before - interval for before, after in pairwise(ends)]
        return lags[1] if len(lags) == 2 and lags[1] >= lags[0] > 0 else 0

    def _in_step(self, interval: int) -> bool:
        """Whether the last image passed every stream `interval` cycles after the one before."""
        end = self.images
        for name, stream in self._streams.items():
            beats = self.beats[name]
            cycles = np.array(stream.taken[(end - 2) * beats : end * beats])
            if (cycles[beats:] - cycles[:beats] != interval).any():
                return False
        return True

    def taken(self, name: str) -> NDArray[np.int64]:
        """The cycles in which the beats of a stream are taken: `(images, beats)`."""
        return self._frames(np.array(self._streams[name].taken), name)

    def offered(self, name: str) -> NDArray[np.int64]:
        """The cycles in which the beats of a stream are first offered: `(images, beats)`."""
        return self._frames(self._streams[name].offered(), name)

    def _frames(self, cycles: NDArray[np.int64], name: str) -> NDArray[np.int64]:
        beats = self.beats[name]
        return cycles[: self.images * beats].reshape(self.images, beats)
