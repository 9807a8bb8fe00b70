"""Source, sink and monitor of a stream in a cocotb bench.

Each has a method `clock` that the bench calls once at every rising edge, before the edge changes
anything: one loop for all streams is several times faster than a coroutine for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from systolith.sim.record.packing import BeatFormat


class Signal(Protocol):
    """The part of cocotb's port handles that is used here."""

    @property
    def value(self) -> object:
        """The bits; as a string, most significant first. Set with an integer."""

    @value.setter
    def value(self, value: int) -> None: ...


@dataclass
class Concatenation:
    """Several ports read as one, the first the most significant."""

    signals: tuple[Signal, ...]

    @property
    def value(self) -> str:
        """The bits of all, most significant first."""
        return "".join(str(signal.value) for signal in self.signals)

    @value.setter
    def value(self, value: int) -> None:
        raise NotImplementedError("a concatenation of ports is read only")


class UndefinedError(ValueError):
    """A bit of a port is neither 0 nor 1."""


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
    """The ports of one stream; `last` is None if the stream has none."""

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
        The cycle of each beat, in order; the last beat offered may not be taken yet.
    """

    offered: list[int] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)

    def see(self, cycle: int, valid: bool, taken: bool) -> None:
        """Record what the stream did in one cycle."""
        if valid and len(self.offered) == len(self.taken):
            self.offered.append(cycle)
        if taken:
            self.taken.append(cycle)


@dataclass
class Frame:
    """The beats taken of a frame: their values and cycles."""

    values: list[int] = field(default_factory=list)
    cycles: BeatCycles = field(default_factory=BeatCycles)

    @property
    def beats(self) -> int:
        """The number of beats taken."""
        return len(self.cycles.taken)


class StreamDriver:
    """The source of a stream: offers beats, with pauses.

    Parameters
    ----------
    ports
        The ports of an input stream of the design.
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
        """The number of beats taken since `start`."""
        return len(self.cycles.taken)

    @property
    def exhausted(self) -> bool:
        """Whether all beats were taken."""
        return self._next is None

    def start(self, beats: Iterable[tuple[int, bool]], pauses: Iterator[bool]) -> None:
        """Offer `beats`, each its bits and whether it is `last`, from the next edge on.

        The beats of an earlier start that were not taken are dropped, and so are its cycles.
        """
        self._beats = iter(beats)
        self._next = next(self._beats, None)
        self._pauses = pauses
        self.cycles = BeatCycles()
        self._offer(None)

    def clock(self, cycle: int) -> bool:
        """Act at the rising edge that ends a cycle; returns whether the design took a beat."""
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
    """The sink of a stream: takes beats, with pauses.

    Parameters
    ----------
    ports
        The ports of an output stream of the design.
    """

    def __init__(self, ports: StreamPorts) -> None:
        self.ports = ports
        self._pauses: Iterator[bool] = iter(())
        self._ready = False
        ports.ready.value = 0

    def start(self, pauses: Iterator[bool]) -> None:
        """Pause by `pauses` from the next edge on; after its end, pause all the time."""
        self._pauses = pauses

    def hold(self) -> None:
        """Take nothing until the next edge at which `clock` is called."""
        self._ready = False
        self.ports.ready.value = 0

    def clock(self) -> None:
        """Act at a rising edge."""
        ready = not next(self._pauses, True)
        if ready != self._ready:
            self.ports.ready.value = int(ready)
            self._ready = ready


class StreamMonitor:
    """Checks the rules of a stream at every clock, and collects its frames.

    The rules: an offered payload stays, unchanged and valid, until it is taken; `last` is on the
    final beat of each frame and on no other; nothing is undefined.

    Parameters
    ----------
    name
        The stream's name, for messages.
    ports
        Its ports.
    beat
        The format of its beats.
    frame_beats
        The number of beats of a frame.
    on_frame
        Called with each complete frame.
    on_violation
        Called with a message for each broken rule.
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
        """Drop the frame that has begun, as a reset does."""
        self.frame = Frame()
        self._offered: tuple[int, bool] | None = None

    def clock(self, cycle: int) -> bool:
        """Check the rising edge that ends a cycle; returns whether a beat was taken."""
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
