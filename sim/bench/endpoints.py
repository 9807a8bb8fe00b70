"""The two ends of a stream in a cocotb bench, and the monitor of its rules.

Each has a method `clock` that the bench calls once at every rising edge, before the edge has
changed anything: one loop for all streams is several times cheaper than a coroutine for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from systolith.sim.record.packing import BeatFormat


class Signal(Protocol):
    """What is used of cocotb's handles of ports."""

    @property
    def value(self) -> object:
        """The bits, most significant first when made a string; set with an integer."""

    @value.setter
    def value(self, value: int) -> None: ...


@dataclass
class Concatenation:
    """Ports read as one, the first of them the most significant."""

    signals: tuple[Signal, ...]

    @property
    def value(self) -> str:
        """The bits of all, most significant first."""
        return "".join(str(signal.value) for signal in self.signals)

    @value.setter
    def value(self, value: int) -> None:
        raise NotImplementedError("several ports are not written as one")


class UndefinedError(ValueError):
    """A port that is neither 0 nor 1."""


def read(signal: Signal) -> int:
    """The unsigned value of a port.

    Raises
    ------
    UndefinedError
        If a bit is undefined.
    """
    bits = str(signal.value)
    try:
        return int(bits, 2)
    except ValueError:
        raise UndefinedError(f"undefined bits: {bits}") from None


@dataclass(frozen=True)
class StreamPorts:
    """The ports of one stream; `last` is absent where the stream has none."""

    data: Signal
    valid: Signal
    ready: Signal
    last: Signal | None


@dataclass
class BeatCycles:
    """The cycles in which the beats of a stream were first offered, and taken.

    Parameters
    ----------
    offered, taken
        Those of each beat, in order; the last beat offered may not have been taken yet.
    """

    offered: list[int] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)

    def see(self, cycle: int, valid: bool, taken: bool) -> None:
        """Note what a stream did in one cycle."""
        if valid and len(self.offered) == len(self.taken):
            self.offered.append(cycle)
        if taken:
            self.taken.append(cycle)


@dataclass
class Frame:
    """What was taken of a frame: its values, and the cycles of its beats."""

    values: list[int] = field(default_factory=list)
    cycles: BeatCycles = field(default_factory=BeatCycles)

    @property
    def beats(self) -> int:
        """How many beats were taken."""
        return len(self.cycles.taken)


class StreamDriver:
    """The source of a stream: offers beats, pausing as it is told.

    Parameters
    ----------
    ports
        Of the stream that the design takes in.
    """

    def __init__(self, ports: StreamPorts) -> None:
        self.ports = ports
        self.cycles = BeatCycles()
        self._beats: Iterator[tuple[int, bool]] = iter(())
        self._next: tuple[int, bool] | None = None
        self._pauses: Iterator[bool] = iter(())
        self._offering = False
        ports.valid.value = 0
        ports.data.value = 0
        if ports.last is not None:
            ports.last.value = 0

    @property
    def taken(self) -> int:
        """How many beats were taken since the start."""
        return len(self.cycles.taken)

    @property
    def exhausted(self) -> bool:
        """Whether all beats were taken."""
        return self._next is None

    def start(self, beats: Iterable[tuple[int, bool]], pauses: Iterator[bool]) -> None:
        """Offer `beats`, each its bits and whether it is `last`, from the next edge on.

        What was left of an earlier start is forgotten, and so are its cycles.
        """
        self._beats = iter(beats)
        self._next = next(self._beats, None)
        self._pauses = pauses
        self.cycles = BeatCycles()
        self._offer(None)

    def clock(self, cycle: int) -> bool:
        """Act at the rising edge that ends a cycle; whether the design took a beat."""
        took = self._offering and bool(read(self.ports.ready))
        self.cycles.see(cycle, self._offering, took)
        if took:
            self._next = next(self._beats, None)
        if took or not self._offering:
            pause = self._next is None or next(self._pauses)
            self._offer(None if pause else self._next)
        return took

    def _offer(self, beat: tuple[int, bool] | None) -> None:
        if beat is not None:
            data, last = beat
            self.ports.data.value = data
            if self.ports.last is not None:
                self.ports.last.value = int(last)
        if (beat is not None) != self._offering:
            self._offering = not self._offering
            self.ports.valid.value = int(self._offering)


class ReadyDriver:
    """The sink of a stream: takes beats, pausing as it is told.

    Parameters
    ----------
    ports
        Of the stream that the design gives out.
    """

    def __init__(self, ports: StreamPorts) -> None:
        self.ports = ports
        self._pauses: Iterator[bool] = iter(())
        self._ready = False
        ports.ready.value = 0

    def start(self, pauses: Iterator[bool]) -> None:
        """Pause as `pauses` says, from the next edge on; never ready once it ends."""
        self._pauses = pauses

    def clock(self) -> None:
        """Act at a rising edge."""
        ready = not next(self._pauses, True)
        if ready != self._ready:
            self.ports.ready.value = int(ready)
            self._ready = ready


class StreamMonitor:
    """Checks a stream's rules at every clock, and collects its frames.

    The rules: an offered payload stays, unchanged and valid, until it is taken; `last` is on the
    final beat of each frame and on no other; nothing is undefined.

    Parameters
    ----------
    name
        Of the stream, for messages.
    ports
        Of the stream.
    beat
        Its format.
    frame_beats
        Beats a frame.
    on_frame
        Called with each complete frame.
    on_violation
        Called with each breach of a rule, in words.
    """

    def __init__(
        self,
        name: str,
        ports: StreamPorts,
        beat: BeatFormat,
        frame_beats: int,
        on_frame: Callable[[Frame], None],
        on_violation: Callable[[str], None],
    ) -> None:
        self.name = name
        self.ports = ports
        self.beat = beat
        self.frame_beats = frame_beats
        self.valid = False
        self._on_frame = on_frame
        self._on_violation = on_violation
        self.restart()

    def restart(self) -> None:
        """Begin anew, as after a reset: the frame under way is dropped."""
        self.frame = Frame()
        self._offered: tuple[int, bool] | None = None

    def clock(self, cycle: int) -> bool:
        """Look at the rising edge that ends a cycle; whether a beat was taken."""
        ports = self.ports
        try:
            self.valid = bool(read(ports.valid))
            if not self.valid:
                if self._offered is not None:
                    self._violation("valid was dropped before the beat was taken")
                    self._offered = None
                return False
            payload = read(ports.data), bool(ports.last is not None and read(ports.last))
            taken = bool(read(ports.ready))
        except UndefinedError as error:
            self._violation(str(error))
            return False
        if self._offered is not None and payload != self._offered:
            self._violation(f"the payload changed before it was taken: {self._offered}, {payload}")
        self._offered = None if taken else payload
        self.frame.cycles.see(cycle, True, taken)
        if taken:
            self._take(*payload)
        return taken

    def _take(self, data: int, last: bool) -> None:
        frame = self.frame
        frame.values.extend(self.beat.unpack(data))
        complete = frame.beats == self.frame_beats
        if self.beat.has_last and last != complete:
            where = f"beat {frame.beats} of {self.frame_beats}"
            self._violation(f"last is {'set' if last else 'missing'} on {where} of a frame")
        if complete:
            self.frame = Frame()
            self._on_frame(frame)

    def _violation(self, message: str) -> None:
        self._on_violation(f"{self.name}: {message}")
