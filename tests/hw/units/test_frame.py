"""The frame checker against a short model in Python, for frames of any length."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from hypothesis import given, settings
from hypothesis import strategies as st

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
    """The frames of a checker, with a lane more, in which the last beat has the frame's flag."""

    def __init__(self, layer: Input, lanes: int) -> None:
        self.checker = FrameChecker(layer, lanes)
        shape = value_shape(layer.format)
        super().__init__(
            {"i": In(beat_stream(shape, lanes)), "o": Out(beat_stream(shape, lanes + 1))}
        )

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


def received(frame: int, length: int) -> list[int]:
    return [(17 * frame + place) % 256 for place in range(length)]


def expected(lengths: list[int], size: int) -> tuple[list[list[int]], list[bool]]:
    frames = []
    for frame, length in enumerate(lengths):
        frames.append(received(frame, length)[:size] + [BACKGROUND] * (size - length))
    return frames, [length != size for length in lengths]


def check(
    lengths: list[int],
    layer: Input = IMAGE,
    idle: Pauses = never,
    backpressure: Pauses = never,
    reset_after: int | None = None,
    lanes: int = 1,
) -> list[int]:
    size, shape = layer.image_shape.size, value_shape(layer.format)
    result = run(
        Flagged(layer, lanes),
        beats([received(frame, length) for frame, length in enumerate(lengths)], shape, lanes),
        size // lanes * len(lengths),
        idle=idle,
        backpressure=backpressure,
        reset_after=reset_after,
    )
    frames = np.array(result.frames(shape, lanes + 1)).reshape(len(lengths), -1, lanes + 1)
    want, flags = expected(lengths, size)
    assert frames[:, :, :-1].reshape(len(lengths), -1).tolist() == want
    assert frames[:, -1, -1].astype(bool).tolist() == flags
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


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_a_beat_a_cycle_of_several_lanes(data: st.DataObject) -> None:
    """A frame is too short or too long by whole beats, and no beat takes longer for its lanes."""
    lanes = data.draw(st.integers(2, 4))
    layer = replace(IMAGE, channels=lanes * data.draw(st.integers(1, 2)))
    beats_of_image = layer.image_shape.size // lanes
    right = st.just(beats_of_image)
    lengths = data.draw(st.lists(right | st.integers(1, 2 * beats_of_image), max_size=5))
    lengths = [*lengths, beats_of_image]
    taken = check([lanes * length for length in lengths], layer, lanes=lanes)
    if set(lengths) == {beats_of_image}:
        assert taken == list(range(sum(lengths)))


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
    result = run(Flagged(layer, 1), beats([raw[:2], raw], value_shape(fmt), 1), 6)
    frames = result.frames(value_shape(fmt), 2)
    assert [frame[::2] for frame in frames] == [[*raw[:2], background], raw]
    assert [bool(frame[-1]) for frame in frames] == [True, False]
