"""The frame checker against a short model in Python, for frames of any length."""

from __future__ import annotations

import random
from typing import Any

import pytest
from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from systolith.golden.network.graph import Input
from systolith.golden.qformat import QFormat
from systolith.hw.streams.beats import beat_stream
from systolith.hw.streams.formats import value_shape
from systolith.hw.units.frame import FRAMES_IN_FLIGHT, FrameChecker
from tests.hw.stream_driver import Pauses, beats, cyclic, never, randomly, run

BACKGROUND = 9
IMAGE = Input(name="input", height=2, width=3, channels=2, background=BACKGROUND)
SIZE = 12


class Flagged(wiring.Component):
    """The frames of a checker; the last beat has the frame's flag in the bit above the value."""

    def __init__(self, layer: Input) -> None:
        self.checker = FrameChecker(layer)
        shape = value_shape(layer.format)
        super().__init__({"i": In(beat_stream(shape, 1)), "o": Out(beat_stream(shape, 2))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.checker = checker = self.checker
        wiring.connect(m, wiring.flipped(self.i), checker.i)
        final = checker.o.payload.last
        flag = checker.wrong_length.payload & final
        m.d.comb += [
            self.o.payload.data.eq(Cat(checker.o.payload.data, flag)),
            self.o.payload.last.eq(final),
            self.o.valid.eq(checker.o.valid & (checker.wrong_length.valid | ~final)),
            checker.o.ready.eq(self.o.ready & (checker.wrong_length.valid | ~final)),
            checker.wrong_length.ready.eq(self.o.valid & self.o.ready & final),
        ]
        return m


def pixels(lengths: list[int]) -> list[tuple[int, int]]:
    return [
        ((17 * frame + place) % 256, int(place == length - 1))
        for frame, length in enumerate(lengths)
        for place in range(length)
    ]


def expected(lengths: list[int], size: int) -> tuple[list[list[int]], list[bool]]:
    frames = []
    for frame, length in enumerate(lengths):
        received = [(17 * frame + place) % 256 for place in range(length)][:size]
        frames.append(received + [BACKGROUND] * (size - len(received)))
    return frames, [length != size for length in lengths]


def check(
    lengths: list[int],
    layer: Input = IMAGE,
    idle: Pauses = never,
    backpressure: Pauses = never,
    reset_after: int | None = None,
) -> list[int]:
    size = layer.image_shape.size
    result = run(
        Flagged(layer),
        pixels(lengths),
        size * len(lengths),
        idle=idle,
        backpressure=backpressure,
        reset_after=reset_after,
    )
    frames = result.frames(value_shape(layer.format), 2)
    want, flags = expected(lengths, size)
    assert [frame[::2] for frame in frames] == want
    assert [bool(frame[-1]) for frame in frames] == flags
    return result.taken


@pytest.mark.parametrize("wrong", [1, SIZE - 1, SIZE + 1, 3 * SIZE])
def test_a_wrong_length_is_corrected_and_flagged(wrong: int) -> None:
    check([SIZE, wrong, SIZE, wrong, wrong, SIZE])


@pytest.mark.parametrize("idle", [never, randomly(1)])
@pytest.mark.parametrize("backpressure", [never, cyclic(3), randomly(2, 0.8)])
def test_stalls(idle: Pauses, backpressure: Pauses) -> None:
    rng = random.Random(3)
    lengths = [rng.choice([SIZE, rng.randint(1, 2 * SIZE)]) for _ in range(8)]
    check(lengths, idle=idle, backpressure=backpressure)


def test_a_frame_of_one_pixel() -> None:
    check([1, 1, 3, 1, 2, 1], Input(name="input", height=1, width=1, background=BACKGROUND))


def test_a_pixel_a_cycle() -> None:
    assert check([SIZE] * 4) == list(range(4 * SIZE))


@pytest.mark.parametrize("after", [3, SIZE + 4, 3 * SIZE])
def test_reset_in_mid_frame_leaves_it_as_new(after: int) -> None:
    check([SIZE, 2 * SIZE, 4, SIZE], reset_after=after)


def test_a_frame_waits_when_too_many_are_in_flight() -> None:
    check(
        [1] * (2 * FRAMES_IN_FLIGHT), Input(name="input", height=1, width=1), backpressure=cyclic(9)
    )


@pytest.mark.parametrize(("text", "background"), [("s8.5", -128), ("u12.4", 4000), ("s1.0", -1)])
def test_other_formats(text: str, background: int) -> None:
    """Values keep their bits, and the background fills up what is missing."""
    fmt = QFormat.parse(text)
    layer = Input(name="input", height=1, width=3, background=background, format=fmt)
    raw = [fmt.min_raw, fmt.max_raw, fmt.min_raw]
    result = run(Flagged(layer), beats([raw[:2], raw], value_shape(fmt), 1), 6)
    frames = result.frames(value_shape(fmt), 2)
    assert [frame[::2] for frame in frames] == [[*raw[:2], background], raw]
    assert [bool(frame[-1]) for frame in frames] == [True, False]
