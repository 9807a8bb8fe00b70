"""The cycle model's parts: when the beats of a stream can be offered, and when they are taken.

Every component of a unit has a method `cycles`: a process that maps the cycles at which its input's
beats can be offered to those at which it takes them, and to those at which its output's beats can
be offered, by the recurrences of its hardware. Nothing in it is measured. What the processes need
of each other they wait for, so that a stream that is held up holds up what feeds it.

A process is a generator. When it needs a cycle that is not yet known, it yields the process that
will know it, which then runs. Cycles count from 0; the cycle of a transfer is that in which both
`valid` and `ready` are high.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from itertools import count, pairwise
from typing import Protocol, TypeVar

Process = Iterator["Process"]
"""Yields the process that is to run before it."""


NEVER = 1 << 60
"""A cycle that does not come."""


class StreamCycles:
    """The cycles of the beats of a stream, in order.

    Attributes
    ----------
    available
        For each beat, the first cycle in which it could be offered if all before it were taken.
        Appended by the source.
    taken
        The cycle in which it is taken. Appended by the sink.
    source, sink
        The processes at both ends.
    """

    __slots__ = ("available", "sink", "source", "taken")

    source: Process
    sink: Process

    def __init__(self) -> None:
        self.available: list[int] = []
        self.taken: list[int] = []

    def offered(self) -> list[int]:
        """For each beat that was taken, the first cycle in which it was offered."""
        before = [-1, *self.taken]
        return [max(a, b + 1) for a, b in zip(self.available, before, strict=False)][
            : len(self.taken)
        ]


Busy = tuple[list[tuple[int, int]], int]
"""Spans of work in order, each by its first cycle and its cycles; how many belong to an image."""


class Timed(Protocol):
    """A component with a cycle model."""

    def cycles(self, i: StreamCycles, o: StreamCycles) -> None:
        """Start its processes between its input stream and its output stream."""


Component = TypeVar("Component")


def recurrence(
    process: Callable[[Component, StreamCycles, StreamCycles], Process],
) -> Callable[[Component, StreamCycles, StreamCycles], None]:
    """Make of a component's process, a generator method, the method that starts it."""

    @wraps(process)
    def cycles(self: Component, i: StreamCycles, o: StreamCycles) -> None:
        i.sink = o.source = process(self, i, o)

    return cycles


def chain(i: StreamCycles, o: StreamCycles, *components: Timed) -> list[StreamCycles]:
    """Start components one behind the other; the streams between them."""
    between = [StreamCycles() for _ in components[1:]]
    for component, (source, sink) in zip(components, pairwise([i, *between, o]), strict=True):
        component.cycles(source, sink)
    return between


def join(sources: Sequence[StreamCycles], o: StreamCycles) -> None:
    """Start a process that makes one beat of a beat of each source, all taken together."""

    def process() -> Process:
        while True:
            beat = len(o.available)
            for source in sources:
                while len(source.available) == beat:
                    yield source.source
            o.available.append(max(source.available[beat] for source in sources))
            yield o.sink

    o.source = process()
    for source in sources:
        source.taken, source.sink = o.taken, o.sink


def offering(o: StreamCycles, first: list[int], interval: int, beats: int | None = None) -> None:
    """Start a source: the cycles at which its first beats come.

    The last `beats` of them, an image, by default all, then come again each `interval` cycles.
    """

    def process() -> Process:
        o.available += first
        yield o.sink
        image = first[len(first) - (beats or len(first)) :]
        for number in count(1):
            o.available += [cycle + number * interval for cycle in image]
            yield o.sink

    o.source = process()


def always_ready(i: StreamCycles) -> None:
    """Start a sink that takes every beat as it comes."""

    def process() -> Process:
        last = -1
        while True:
            while len(i.available) == len(i.taken):
                yield i.source
            last = max(last + 1, i.available[len(i.taken)])
            i.taken.append(last)
            yield i.source

    i.sink = process()


def run_until_taken(stream: StreamCycles, beats: int) -> None:
    """Let the processes run until so many beats of a stream are taken."""
    process = stream.sink
    while len(stream.taken) < beats:
        process = next(process)
