"""Wrappers of the frame checker and the classifier that make them units for the bench of units.

The bench of units streams values; these wrappers turn `last`s, flags and results into values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from systolith.golden.fixed.execution import winners
from systolith.golden.fixed.integers import FixedNetwork, Integers
from systolith.golden.network.graph import Input
from systolith.hw.streams.beats import beat_stream
from systolith.hw.streams.result_layout import result_layout
from systolith.hw.units.frame import FRAMES_IN_FLIGHT

PROMPT = 10
"""Images whose flags are taken at once."""

GROUP = PROMPT + FRAMES_IN_FLIGHT + 6
"""Images in a group, after which the pattern begins again."""

_LAST = 8
_IS_FLAG = 9
_FEW_SCORES = 5


class FrameBench(wiring.Component):
    """A frame checker whose `last`s and flags are part of the values of its streams.

    Of each `GROUP` images, the flags of the first are taken before the image's final pixel; those
    of the next are not taken until the checker is full of them, and the rest at the end.

    Parameters
    ----------
    checker
        A `hw.units.frame.FrameChecker`, or a component with its ports.
    size
        Pixels of an image.

    Members
    -------
    i : In(beat_stream(unsigned(9), 1))
        Bits 7..0: a pixel; bit 8: whether it ends an image.
    o : Out(beat_stream(unsigned(10), 1))
        Like `i`, bit 9 clear; or a flag in bit 0, bit 9 set. Bit 1 of a flag is set if the checker,
        full of flags, offers an image's final pixel. `last` is never set.
    """

    def __init__(self, checker: Any, size: int) -> None:
        self.checker = checker
        self.size = size
        super().__init__(
            {
                "i": In(beat_stream(unsigned(_LAST + 1), 1)),
                "o": Out(beat_stream(unsigned(_IS_FLAG + 1), 1)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.checker = checker = self.checker
        pixels, flags = checker.o, checker.wrong_length
        position = Signal(range(self.size))
        image = Signal(range(GROUP + 1))
        left = Signal(range(FRAMES_IN_FLIGHT + 1), init=1)
        flag_is_next = Signal()
        full = (image >= PROMPT + FRAMES_IN_FLIGHT) & (image != GROUP)
        with_flag = (image < PROMPT) | full | (image == GROUP)
        m.d.comb += [
            checker.i.payload.data.eq(self.i.payload.data[:_LAST]),
            checker.i.payload.last.eq(self.i.payload.data[_LAST]),
            checker.i.valid.eq(self.i.valid),
            self.i.ready.eq(checker.i.ready),
            flag_is_next.eq((left != 0) & (position == self.size - 1) & with_flag),
            self.o.valid.eq(Mux(flag_is_next, flags.valid, pixels.valid)),
            pixels.ready.eq(self.o.ready & ~flag_is_next),
            flags.ready.eq(self.o.ready & flag_is_next),
        ]
        with m.If(flag_is_next):
            beat = Cat(flags.payload, full & pixels.valid, Const(0, _IS_FLAG - 2), 1)
            m.d.comb += self.o.payload.data.eq(beat)
        with m.Else():
            m.d.comb += self.o.payload.data.eq(Cat(pixels.payload.data, pixels.payload.last))
        with m.If(self.o.valid & self.o.ready):
            with m.If(flag_is_next):
                m.d.sync += left.eq(left - 1)
                with m.If((image == GROUP) & (left == 1)):
                    m.d.sync += [image.eq(0), position.eq(0), left.eq(1)]
            with m.Elif(position == self.size - 1):
                m.d.sync += [image.eq(image + 1), position.eq(0), left.eq(1)]
                with m.If(image == GROUP - 1):
                    m.d.sync += [position.eq(self.size - 1), left.eq(FRAMES_IN_FLIGHT)]
            with m.Else():
                m.d.sync += position.eq(position + 1)
        return m


def frame_lengths(size: int, seed: int) -> list[int]:
    """The lengths of a group of images: right ones, and wrong ones of every kind."""
    rng = np.random.default_rng(seed)
    few = rng.integers(1, size, 2).tolist()
    wrong = [1, size - 1, size + 1, *few, size + int(rng.integers(2, size))]
    lengths = [size, *wrong, size, size, *wrong[::-1]]
    lengths += rng.choice([size, *wrong], GROUP - len(lengths)).tolist()
    return [max(1, length) for length in lengths]


def frame_values(layer: Input, lengths: list[int], seed: int) -> tuple[Integers, Integers]:
    """A group of images of these lengths, and the expected output, as values of `FrameBench`."""
    rng = np.random.default_rng(seed)
    size = layer.image_shape.size
    sent: list[int] = []
    expected: list[int] = []
    flags = [1 << _IS_FLAG | (length != size) for length in lengths]
    waiting = iter(flags)
    for number, length in enumerate(lengths):
        image = rng.integers(0, 1 << _LAST, length).tolist()
        sent += [*image[:-1], image[-1] | 1 << _LAST]
        whole = (image + [layer.background] * size)[:size]
        expected += whole[:-1]
        if number < PROMPT or number >= PROMPT + FRAMES_IN_FLIGHT:
            expected.append(next(waiting))
        expected.append(whole[-1] | 1 << _LAST)
    return np.array(sent), np.array([*expected, *waiting])


class ClassifierBench(wiring.Component):
    """A classifier whose results are values: the index in the lowest bits, then the score.

    Parameters
    ----------
    classifier
        A `hw.units.classify.Classifier`, or a component with its ports.

    Members
    -------
    i : In(beat_stream(...))
        The classifier's input.
    o : Out(beat_stream(unsigned(...), 1))
        A result; every beat is a frame.
    """

    def __init__(self, classifier: Any) -> None:
        self.classifier = classifier
        super().__init__(
            {
                "i": In(stream.Signature(classifier.i.payload.shape())),
                "o": Out(beat_stream(unsigned(len(classifier.o.payload.as_value())), 1)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.classifier = classifier = self.classifier
        wiring.connect(m, wiring.flipped(self.i), classifier.i)
        m.d.comb += [
            self.o.payload.data.eq(classifier.o.payload.as_value()),
            self.o.payload.last.eq(1),
            self.o.valid.eq(classifier.o.valid),
            classifier.o.ready.eq(self.o.ready),
        ]
        return m


def random_scores(fixed: FixedNetwork, frames: int, seed: int) -> Integers:
    """Random scores of the last layer, with many ties and the ends of its format."""
    rng = np.random.default_rng(seed)
    fmt, shape = fixed.layers[-1].output_format, (frames, *fixed.layers[-1].output_shape)
    few = rng.integers(fmt.min_raw, fmt.max_raw, _FEW_SCORES, endpoint=True)
    values: Integers = rng.choice([*few.tolist(), fmt.min_raw, fmt.max_raw], shape)
    values[::2] = rng.integers(fmt.min_raw, fmt.max_raw, values[::2].shape, endpoint=True)
    return values


def class_values(fixed: FixedNetwork, frames: Integers) -> Integers:
    """The expected output of `ClassifierBench` for frames of scores."""
    scores = frames.reshape(len(frames), -1)
    index = winners(fixed, scores)
    score = np.take_along_axis(scores, index[:, None], axis=1)[:, 0]
    layout = result_layout(fixed.layers[-1], "class")
    mask = (1 << layout["score"].bits) - 1
    values: Integers = index | (score & mask) << layout["class"].bits
    return values.reshape(-1, 1, 1, 1)
