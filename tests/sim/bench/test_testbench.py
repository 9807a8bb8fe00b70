"""Source, sink, monitors and scoreboard of the kit, on ports that are plain objects."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest

from systolith.golden.network.graph import Shape
from systolith.hw.streams.result_layout import ResultField, ResultLayout
from systolith.sim.bench import testbench
from systolith.sim.bench.endpoints import StreamPorts
from systolith.sim.bench.testbench import LayerMonitor, Scoreboard, Sink, Source
from systolith.sim.record.packing import BeatFormat
from systolith.sim.record.reference import Reference, Result
from systolith.sim.record.taps import NetworkStreams, RuleBroken, Tap
from tests.sim.bench.test_endpoints import FakePort

CLASS = ResultLayout(
    "class", 32, 1, (ResultField("class", 0, 8, False), ResultField("score", 16, 16, True))
)
SCORES = ResultLayout("scores", 16, 3, (ResultField("score", 0, 16, True),))
C1 = Tap("C1", BeatFormat(2, 4, True), Shape(1, 2, 2))
F = Tap("F", BeatFormat(1, 4, False), Shape(1, 1, 3))


class Bench:
    """A harness without a simulator: each call of `clock` is one rising edge."""

    def __init__(self, result: ResultLayout) -> None:
        self.streams = NetworkStreams(
            BeatFormat(1, 4, False, gap=4), Shape(1, 3, 1), (C1, F), result, 9
        )
        self.ports: dict[str, FakePort] = {}
        self.dut = self
        self.parts: list[Any] = []
        self.cycle = 0

    def port(self, name: str) -> FakePort:
        return self.ports.setdefault(name, FakePort())

    def stream(self, prefix: str) -> StreamPorts:
        return StreamPorts(
            *(self.port(f"{prefix}{name}") for name in ("data", "valid", "ready", "last"))
        )

    def add(self, part: Any) -> None:
        self.parts.append(part)

    def fail(self, message: str) -> None:
        raise RuleBroken(message)

    async def until(self, done: Callable[[], bool]) -> None:
        assert done(), "would wait"

    def beat(self, prefix: str, data: str, last: bool = False, user: str = "0") -> None:
        """A beat that is offered and taken."""
        for name, bits in (("data", data), ("valid", "1"), ("ready", "1"), ("last", f"{last:b}")):
            self.port(f"{prefix}{name}").bits = bits
        self.port("m_axis_tuser").bits = user
        self.cycle += 1
        for part in self.parts:
            if part.name == prefix[:-2] or prefix == f"tap_{part.name}_":
                part.clock(self.cycle)


def finished(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that has nothing to wait for."""
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    return stopped.value.value


@pytest.fixture
def harness(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(testbench, "bit", lambda bench, name: bench.port(name))
    monkeypatch.setattr(testbench, "stream_ports", lambda bench, prefix: bench.stream(prefix))
    monkeypatch.setattr(testbench, "_tap_ports", lambda bench, tap: bench.stream(tap.port("")))
    return Bench(getattr(request, "param", CLASS))


def test_a_class_its_score_and_the_flag_of_its_image_are_received_in_order(harness: Any) -> None:
    sink = Sink(harness)
    harness.beat("m_axis_t", f"{0xFFFB:016b}{7:016b}", last=True)
    harness.beat("m_axis_t", f"{9:016b}{200:016b}", last=True, user="1")
    harness.beat("m_axis_t", f"{1:016b}{2:016b}", last=True)
    assert finished(sink.receive(2)) == [Result(7, -5), Result(200, 9, wrong_length=True)]
    assert finished(sink.receive()) == [Result(2, 1)]
    harness.beat("m_axis_t", f"{1:016b}{0x102:016b}", last=True)
    with pytest.raises(ValueError, match="tdata 00010102 has bits set between"):
        sink.receive().send(None)


@pytest.mark.parametrize("harness", [SCORES], indirect=True)
def test_the_flag_of_a_stream_of_scores_is_that_of_the_final_beat(harness: Any) -> None:
    """The documents say nothing of it in the beats before."""
    sink = Sink(harness)
    for users in ("001", "110"):
        for place, (score, user) in enumerate(zip((3, 0xFFFE, 5), users, strict=True)):
            harness.beat("m_axis_t", f"{score:016b}", last=place == 2, user=user)
    assert finished(sink.receive(2)) == [
        Result(scores=(3, -2, 5), wrong_length=True),
        Result(scores=(3, -2, 5), wrong_length=False),
    ]


def test_values_of_a_layer_are_shaped_as_its_map(harness: Any) -> None:
    monitor = LayerMonitor(harness, "C1")
    for frame in range(2):
        harness.beat("tap_C1_", "11110001")
        harness.beat("tap_C1_", f"{2 + frame:04b}1000", last=True)
    values = finished(monitor.receive(2))
    assert values.tolist() == [[[[1, -1], [-8, 2]]], [[[1, -1], [-8, 3]]]]
    with pytest.raises(ValueError, match="layer 'C2': the network has C1, F"):
        LayerMonitor(harness, "C2")
    with pytest.raises(RuleBroken, match="C1: last is set on beat 1 of 2 of a frame"):
        harness.beat("tap_C1_", "00000000", last=True)


def test_a_reset_drops_frames_that_were_not_received(harness: Any) -> None:
    sink, monitor = Sink(harness), LayerMonitor(harness, "C1")
    harness.beat("m_axis_t", f"{1:032b}", last=True)
    harness.beat("tap_C1_", "00000000")
    sink.restart()
    monitor.restart()
    harness.beat("m_axis_t", f"{2:032b}", last=True)
    harness.beat("tap_C1_", "00000001")
    harness.beat("tap_C1_", "00000010", last=True)
    assert finished(sink.receive()) == [Result(2, 0)]
    assert len(sink.frames) == 0
    assert finished(monitor.receive()).ravel().tolist() == [1, 0, 2, 0]


def test_the_state_of_a_stream_counts_frames_and_the_beats_after_them(harness: Any) -> None:
    monitor = LayerMonitor(harness, "C1")
    for beat in range(5):
        harness.beat("tap_C1_", "00000000", last=beat % 2 == 1)
    assert monitor.state() == "C1 had 2 frames and 1 beats more"


def test_the_scoreboard_names_every_layer_and_every_result_that_differs(harness: Any) -> None:
    layers = {
        "C1": np.array([[[[1, -1], [-8, 2]]], [[[0, 0], [0, 0]]]]),
        "F": np.array([[[[1, 2, 3]]], [[[4, 5, 6]]]]),
    }
    board = Scoreboard(Reference(layers, (Result(7, 1), Result(5, 4))))
    streams = LayerMonitor(harness, "C1"), LayerMonitor(harness, "F"), Sink(harness)

    def play(c1: tuple[str, ...], f: tuple[str, ...], results: tuple[str, ...]) -> None:
        for place, data in enumerate(c1):
            harness.beat("tap_C1_", data, last=place % 2 == 1)
        for place, data in enumerate(f):
            harness.beat("tap_F_", data, last=place % 3 == 2)
        for data in results:
            harness.beat("m_axis_t", data, last=True)

    c1 = "11110001", "00101000", "00000000", "00000000"
    f = "0001", "0010", "0011", "0100", "0101", "0110"
    results = f"{1:016b}{7:016b}", f"{4:016b}{5:016b}"
    play(c1, f, results)
    finished(board.check(*streams))
    play((*c1[:3], "01000011"), (*f[:5], "0111"), (results[0], f"{3:016b}{5:016b}"))
    with pytest.raises(AssertionError) as wrong:
        board.check(*streams).send(None)
    assert str(wrong.value) == (
        "C1: 2 of 8 values differ, the first in image 1, row 0, column 1, channel 0: "
        "expected 0, found 3\n"
        "F: 1 of 6 values differ, the first in image 1, row 0, column 0, channel 2: "
        "expected 6, found 7\n"
        f"m_axis: image 1: expected {Result(5, 4)}, found {Result(5, 3)}"
    )


IMAGES = np.array([[1, 2, 15], [4, 5, 6]]).reshape(2, 1, 3, 1)


def sent(harness: Any, lengths: list[int | None] | None, pauses: list[bool]) -> list[str]:
    """What a source offers in each cycle, each beat taken at once: its value, `L` for `last`."""
    source = Source(harness, iter(pauses))
    ports = harness.stream("s_axis_t")
    ports.ready.bits = "1"
    source.start(IMAGES, lengths)
    seen = []
    for cycle in range(11):
        source.clock(cycle)
        beat = f"{int(ports.data.bits, 2)}{'L' * int(ports.last.bits, 2)}"
        seen.append(beat if ports.valid.bits == "1" else "")
    assert source.idle
    assert source.taken == len(source.cycles.taken) == sum(map(bool, seen))
    return seen


@pytest.mark.parametrize(
    ("lengths", "beats"),
    [
        (None, ["1", "2", "15L", "4", "5", "6L"]),
        ([2, None], ["1", "2L", "4", "5", "6L"]),
        ([None, 5], ["1", "2", "15L", "4", "5", "6", "90", "90L"]),
        ([1, 3], ["1L", "4", "5", "6L"]),
    ],
)
def test_frames_are_cut_off_or_get_more_beats(
    harness: Any, lengths: list[int | None] | None, beats: list[str]
) -> None:
    seen = sent(harness, lengths, [False] * 20)
    assert seen == [*beats, *[""] * (11 - len(beats))]


def test_a_source_pauses_by_its_pattern(harness: Any) -> None:
    pauses = [True, False, False, True, True, *[False] * 9]
    assert sent(harness, None, pauses) == ["", "1", "2", "", "", "15L", "4", "5", "6L", "", ""]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((1, 1, 4, 1)), r"\(1, 1, 4, 1\) cannot go in: .* must end with \(1, 3, 1\)"),
        (np.zeros((3, 1, 1)), r"\(1, 3, 1, 1\) cannot go in"),
        (IMAGES + 1, "values of images must be from 0 to 15"),
        (IMAGES - 2, "values of images must be from 0 to 15"),
    ],
)
def test_images_that_cannot_go_in_are_refused(harness: Any, images: Any, message: str) -> None:
    source = Source(harness)
    with pytest.raises(ValueError, match=message):
        source.start(images)
    assert source.idle


def test_a_source_that_is_sending_is_left_alone(harness: Any) -> None:
    source = Source(harness)
    source.start(IMAGES[0])
    with pytest.raises(RuntimeError, match="await the earlier send first"):
        source.send(IMAGES).send(None)
    source.restart()
    assert source.idle


def test_a_sink_takes_nothing_in_a_reset_and_what_its_pattern_says_after_it(harness: Any) -> None:
    sink = Sink(harness, iter([False, True, False, False]))
    ready = harness.port("m_axis_tready")
    harness.port("m_axis_tvalid").bits = "0"
    sink.clock(0)
    assert ready.bits == "1"
    sink.restart()
    assert ready.bits == "0"
    seen = []
    for cycle in range(5):
        sink.clock(cycle)
        seen.append(ready.bits)
    assert seen == ["0", "1", "1", "0", "0"]
