"""The cycle model: when each beat of each stream is offered and taken, without a simulation.

The planner predicts cycles and sizes buffers with it. Every component has a method `cycles`, which
starts a process. It computes the cycles in which the input's beats are taken, and those in which
the output's beats can be offered, by the recurrences of the hardware; nothing in it is measured.
Backpressure is part of the model: a process waits for the cycles of its sink where the hardware
stalls.

A process is a generator. When it needs a cycle that is not yet known, it yields the process that
computes it, which then runs. Cycles count from 0. The cycle of a transfer is the one in which
`valid` and `ready` are both high.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from itertools import count, pairwise
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Process = Iterator["Process"]
"""Yields the process that has to run next."""


NEVER = 1 << 40
"""A cycle later than any other, of which 2**22 multiples fit into a stream's 64 bits."""


class StreamCycles:
    """The cycles of the beats of a stream, in order: what the cycle model computes.

    Attributes
    ----------
    available
        For each beat, the first cycle in which it can be offered if all beats before it are taken.
        The source appends to it.
    taken
        For each beat, the cycle in which it is taken. The sink appends to it.
    source, sink
        The processes at both ends.
    """

    __slots__ = ("available", "sink", "source", "taken")

    source: Process
    sink: Process

    def __init__(self) -> None:
        # Streams have millions of beats: 8 bytes each, where a list needs 40.
        self.available: array[int] = array("q")
        self.taken: array[int] = array("q")

    def offered(self) -> NDArray[np.int64]:
        """For each beat in `taken`, the first cycle in which it is offered."""
        taken = np.array(self.taken)
        first: NDArray[np.int64] = np.array(self.available[: len(taken)])
        np.maximum(first[1:], taken[:-1] + 1, out=first[1:])
        return first


Busy = tuple[list[tuple[int, int]], int]
"""The spans in which a unit is busy, as (first cycle, cycles), and the number of spans an image."""


class Timed(Protocol):
    """A component with a cycle model."""

    def cycles(self, i: StreamCycles, o: StreamCycles) -> None:
        """Start its process between its input stream and its output stream."""


Component = TypeVar("Component")


def recurrence(
    process: Callable[[Component, StreamCycles, StreamCycles], Process],
) -> Callable[[Component, StreamCycles, StreamCycles], None]:
    """Decorate the generator method of a component's process: the result starts the process."""

    @wraps(process)
    def cycles(self: Component, i: StreamCycles, o: StreamCycles) -> None:
        i.sink = o.source = process(self, i, o)

    return cycles


def chain(i: StreamCycles, o: StreamCycles, *components: Timed) -> list[StreamCycles]:
    """Start the processes of a chain of components; returns the streams between them."""
    between = [StreamCycles() for _ in components[1:]]
    for component, (source, sink) in zip(components, pairwise([i, *between, o]), strict=True):
        component.cycles(source, sink)
    return between


def join(beats: StreamCycles, flags: StreamCycles, frame_beats: int, o: StreamCycles) -> None:
    """Start a process that joins the last beat of each frame to the frame's flag.

    Parameters
    ----------
    beats, flags
        The two sources.
    frame_beats
        Beats of a frame.
    o
        The joined beats.
    """

    def process() -> Process:
        while True:
            flags.taken += o.taken[frame_beats - 1 :: frame_beats][len(flags.taken) :]
            beat = len(o.available)
            frame, place = divmod(beat, frame_beats)
            while len(beats.available) == beat:
                yield beats.source
            available = beats.available[beat]
            if place == frame_beats - 1:
                while len(flags.available) == frame:
                    yield flags.source
                available = max(available, flags.available[frame])
            o.available.append(available)
            yield o.sink

    o.source = flags.sink = process()
    beats.taken, beats.sink = o.taken, o.sink


def offering(
    o: StreamCycles, first: Sequence[int], interval: int, beats: int | None = None
) -> None:
    """Start a source of beats.

    Parameters
    ----------
    o
        The stream that it feeds.
    first
        The cycles in which its first beats are available.
    interval
        Cycles between images. The last image of `first` repeats at this interval.
    beats
        Beats of that image; by default all of `first`.
    """

    def process() -> Process:
        o.available.extend(first)
        yield o.sink
        image = first[len(first) - (beats or len(first)) :]
        for number in count(1):
            o.available.extend([cycle + number * interval for cycle in image])
            yield o.sink

    o.source = process()


def always_ready(i: StreamCycles) -> None:
    """Start a sink that is always ready."""

    def process() -> Process:
        last = -1
        while True:
            while len(i.available) == len(i.taken):
                yield i.source
            for cycle in i.available[len(i.taken) :]:
                last = cycle if cycle > last else last + 1
                i.taken.append(last)
            yield i.source

    i.sink = process()


def run_until_taken(stream: StreamCycles, beats: int) -> None:
    """Run the processes until `beats` beats of a stream are taken."""
    process = stream.sink
    while len(stream.taken) < beats:
        process = next(process)
