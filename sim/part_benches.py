"""The frame checker and the classifier between streams of values, for the bench of units."""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Module, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.fixed_model import winners
from golden.fixed_network import FixedNetwork, Integers
from golden.graph import Input
from hw.classify import CLASSIFICATION, MAX_SCORE_BITS
from hw.stream import beat_stream

_LAST = 8
_FLAG = 9
_SCORE = 8
_FEW_SCORES = 5


class FrameBench(wiring.Component):
    """A frame checker between streams whose values hold its `last`s and its flags.

    Parameters
    ----------
    checker
        A `hw.frame.FrameChecker`, or a place for one.

    Members
    -------
    i : In(beat_stream(unsigned(9), 1))
        A pixel, and above it whether it ends an image.
    o : Out(beat_stream(unsigned(10), 1))
        A pixel, above it whether it ends an image, and above that, with such a one, whether the
        image's length was wrong. Its own `last` is never set.
    """

    def __init__(self, checker: Any) -> None:
        self.checker = checker
        super().__init__(
            {
                "i": In(beat_stream(unsigned(_LAST + 1), 1)),
                "o": Out(beat_stream(unsigned(_FLAG + 1), 1)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.checker = checker = self.checker
        pixels, flags = checker.o, checker.wrong_length
        complete = flags.valid | ~pixels.payload.last
        flag = flags.payload & pixels.payload.last
        m.d.comb += [
            checker.i.payload.data.eq(self.i.payload.data[:_LAST]),
            checker.i.payload.last.eq(self.i.payload.data[_LAST]),
            checker.i.valid.eq(self.i.valid),
            self.i.ready.eq(checker.i.ready),
            self.o.payload.data[:_LAST].eq(pixels.payload.data),
            self.o.payload.data[_LAST].eq(pixels.payload.last),
            self.o.payload.data[_FLAG].eq(flag),
            self.o.valid.eq(pixels.valid & complete),
            pixels.ready.eq(self.o.ready & complete),
            flags.ready.eq(self.o.ready & pixels.valid & flags.valid & pixels.payload.last),
        ]
        return m


def frame_lengths(size: int, seed: int) -> list[int]:
    """Lengths of images, right and wrong ones, each kind behind each."""
    rng = np.random.default_rng(seed)
    wrong = [1, size - 1, size + 1, size + int(rng.integers(2, size)), int(rng.integers(2, size))]
    kinds = [size, *wrong, size, size, *rng.permutation(wrong).tolist(), size]
    return [max(1, int(length)) for length in kinds]


def frame_values(layer: Input, lengths: list[int], seed: int) -> tuple[Integers, Integers]:
    """Images of some lengths, and what should come out, as the values of `FrameBench`."""
    rng = np.random.default_rng(seed)
    size = layer.image_shape.size
    given, expected = [], []
    for length in lengths:
        image = rng.integers(0, 1 << _LAST, length)
        ends = np.arange(length) == length - 1
        given.append(image | ends << _LAST)
        whole = np.full(size, layer.background)
        whole[:length] = image[:size]
        whole[-1] |= 1 << _LAST | (length != size) << _FLAG
        expected.append(whole)
    return np.concatenate(given), np.concatenate(expected)


class ClassifierBench(wiring.Component):
    """A classifier whose results are values: the index in the lowest 8 bits, the score above.

    Parameters
    ----------
    classifier
        A `hw.classify.Classifier`, or a place for one.

    Members
    -------
    i : In(beat_stream(...))
        The classifier's.
    o : Out(beat_stream(unsigned(40), 1))
        A result; each is a frame.
    """

    def __init__(self, classifier: Any) -> None:
        self.classifier = classifier
        super().__init__(
            {
                "i": In(stream.Signature(classifier.i.payload.shape())),
                "o": Out(beat_stream(unsigned(CLASSIFICATION.size), 1)),
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
    """Scores of the last layer, many of them equal, with its format's ends among them."""
    rng = np.random.default_rng(seed)
    fmt, shape = fixed.layers[-1].output_format, (frames, *fixed.layers[-1].output_shape)
    few = rng.integers(fmt.min_raw, fmt.max_raw, _FEW_SCORES, endpoint=True)
    values: Integers = rng.choice([*few.tolist(), fmt.min_raw, fmt.max_raw], shape)
    values[::2] = rng.integers(fmt.min_raw, fmt.max_raw, values[::2].shape, endpoint=True)
    return values


def class_values(fixed: FixedNetwork, frames: Integers) -> Integers:
    """What `ClassifierBench` makes of frames of scores."""
    scores = frames.reshape(len(frames), -1)
    index = winners(fixed, scores)
    score = np.take_along_axis(scores, index[:, None], axis=1)[:, 0]
    values: Integers = index | (score & ((1 << MAX_SCORE_BITS) - 1)) << _SCORE
    return values.reshape(-1, 1, 1, 1)
