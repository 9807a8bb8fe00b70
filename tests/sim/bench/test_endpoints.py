"""Driver and monitor on ports that are plain objects: each rule, broken alone."""

from __future__ import annotations

import itertools

import pytest

from systolith.sim.bench.endpoints import (
    BeatCycles,
    Concatenation,
    Frame,
    ReadyDriver,
    StreamDriver,
    StreamMonitor,
    StreamPorts,
    UndefinedError,
    read,
)
from systolith.sim.record.packing import BeatFormat


class FakePort:
    """A port that reads as bits, and remembers what was written to it."""

    def __init__(self) -> None:
        self.bits = "z"
        self.written: list[int] = []

    @property
    def value(self) -> object:
        return self.bits

    @value.setter
    def value(self, value: int) -> None:
        self.bits = f"{value:b}"
        self.written.append(value)


class FakeStream:
    def __init__(self) -> None:
        self.data, self.valid, self.ready, self.last = (FakePort() for _ in range(4))

    def ports(self, has_last: bool = True) -> StreamPorts:
        return StreamPorts(self.data, self.valid, self.ready, self.last if has_last else None)


def watch(*cycles: str, has_last: bool = True) -> tuple[list[Frame], list[str]]:
    """Frames of two beats, and violations, in cycles of the bits of data, valid, ready, last."""
    stream = FakeStream()
    frames: list[Frame] = []
    violations: list[str] = []
    beat = BeatFormat(1, 4, False, has_last)
    monitor = StreamMonitor("C1", stream.ports(has_last), beat, 2, frames.append, violations.append)
    for number, cycle in enumerate(cycles):
        names = (stream.data, stream.valid, stream.ready, stream.last)
        for port, bits in zip(names, cycle.split(), strict=True):
            port.bits = bits
        monitor.clock(number)
    return frames, violations


def test_a_stream_by_the_rules() -> None:
    stalled = ["0101 0 1 1", "0101 1 0 0", "0101 1 0 0", "0101 1 1 0"]
    frames, violations = watch(*stalled, "0110 1 1 1", "0111 1 1 0", "0000 0 1 0", "1000 1 1 1")
    assert frames == [
        Frame([5, 6], BeatCycles(offered=[1, 4], taken=[3, 4])),
        Frame([7, 8], BeatCycles(offered=[5, 7], taken=[5, 7])),
    ]
    assert not violations
    frames, violations = watch("0101 1 1 1", "0110 1 1 0", has_last=False)
    assert [frame.values for frame in frames] == [[5, 6]]
    assert not violations


@pytest.mark.parametrize(
    ("cycles", "message"),
    [
        (["0101 1 0 0", "0101 0 0 0"], "C1: valid was dropped before the beat was taken"),
        (
            ["0101 1 0 0", "0111 1 1 0"],
            "C1: the payload changed before it was taken: (5, False), (7, False)",
        ),
        # A beat is compared with the one before it however long it waits.
        (
            ["0101 1 0 0", "0101 1 0 0", "0111 1 1 0"],
            "C1: the payload changed before it was taken: (5, False), (7, False)",
        ),
        (
            ["0101 1 0 0", "0101 1 1 1"],
            "C1: the payload changed before it was taken: (5, False), (5, True)",
        ),
        (["0101 1 1 1"], "C1: last is set on beat 1 of 2 of a frame"),
        (["0101 1 1 0", "0101 1 1 0"], "C1: last is missing on beat 2 of 2 of a frame"),
        (["0x01 1 1 0"], "C1: undefined bits: 0x01"),
        (["0001 x 1 0"], "C1: undefined bits: x"),
        (["0001 1 z 0"], "C1: undefined bits: z"),
    ],
)
def test_each_broken_rule_is_named(cycles: list[str], message: str) -> None:
    assert message in watch(*cycles)[1]


def test_undefined_data_that_nobody_offers_is_no_matter() -> None:
    assert watch("xxxx 0 1 x") == ([], [])


def test_a_restart_forgets_the_frame_under_way() -> None:
    stream = FakeStream()
    frames: list[Frame] = []
    violations: list[str] = []
    monitor = StreamMonitor(
        "C1", stream.ports(), BeatFormat(1, 4, False), 1, frames.append, violations.append
    )
    stream.data.bits, stream.valid.bits, stream.ready.bits, stream.last.bits = "1", "1", "0", "1"
    monitor.clock(0)
    assert monitor.frame.cycles.offered == [0]
    monitor.restart()
    stream.valid.bits = "0"
    monitor.clock(1)
    assert not violations and monitor.frame == Frame()


def test_the_driver_keeps_what_it_offers_until_it_is_taken() -> None:
    stream = FakeStream()
    driver = StreamDriver(stream.ports())
    driver.start([(5, False), (6, True)], iter([True, False, True, False]))
    offered = []
    for cycle, ready in enumerate("0010001"):
        stream.ready.bits = ready
        driver.clock(cycle)
        offered.append(f"{stream.valid.bits} {stream.data.bits} {stream.last.bits}")
    assert offered == ["0 0 0", "1 101 0", "0 101 0", "1 110 1", "1 110 1", "1 110 1", "0 110 1"]
    assert driver.taken == 2
    # What an edge sets is there in the cycle after it.
    assert driver.cycles == BeatCycles(offered=[2, 4], taken=[2, 6])


def test_a_driver_that_starts_again_drops_its_beats_and_counts_anew() -> None:
    stream = FakeStream()
    driver = StreamDriver(stream.ports())
    driver.start([(1, False), (2, False), (3, True)], itertools.repeat(False))
    stream.ready.bits = "1"
    for cycle in range(3):
        driver.clock(cycle)
    assert (driver.taken, stream.valid.bits) == (2, "1")
    driver.start([(9, True)], itertools.repeat(False))
    assert (driver.taken, driver.cycles, stream.valid.bits) == (0, BeatCycles(), "0")
    driver.clock(3)
    driver.clock(4)
    assert (driver.taken, driver.exhausted, stream.data.bits) == (1, True, "1001")


def test_the_sink_pauses_and_stops_at_the_end_of_the_pattern() -> None:
    stream = FakeStream()
    sink = ReadyDriver(stream.ports())
    sink.start(iter([False, False, True, False]))
    shown = []
    for _ in range(6):
        sink.clock()
        shown.append(stream.ready.bits)
    assert "".join(shown) == "110100"
    # A write costs time: only changes are written.
    assert stream.ready.written == [0, 1, 0, 1, 0]
    sink.start(iter([False, False]))
    sink.clock()
    sink.hold()
    assert stream.ready.bits == "0"
    sink.clock()
    assert stream.ready.bits == "1"


def test_reading() -> None:
    port = FakePort()
    port.bits = "1101"
    assert read(port) == 13
    port.bits = "1x01"
    with pytest.raises(UndefinedError, match="1x01"):
        read(port)


def test_a_concatenation_reads_the_first_port_as_the_highest() -> None:
    high, low = FakePort(), FakePort()
    high.bits, low.bits = "1", "01"
    both = Concatenation((high, low))
    assert read(both) == 5
    with pytest.raises(NotImplementedError):
        both.value = 1


def test_pauses_are_asked_only_while_a_beat_waits() -> None:
    driver = StreamDriver(FakeStream().ports())
    driver.start([], itertools.repeat(False))
    assert not driver.clock(0)
