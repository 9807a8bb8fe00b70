# amaranth: UnusedElaboratable=no
"""Claims about the classifier."""

from __future__ import annotations

from functools import reduce
from operator import and_
from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Assume, Cat, Elaboratable, Module, ResetSignal, Signal, Value

from systolith.hw.streams.formats import element
from systolith.hw.units.classify import Classifier
from tests.formal.prover import claim, cover
from tests.formal.units import Position


class ClassifierClaims(Elaboratable):
    """A classifier with any scores in each frame, a beat offered and taken whenever it can be.

    Claims
    ------
    winner
        The result's score is that at its index; none is better, and none before it is as good.
    """

    def __init__(self, classifier: Classifier, frame: int) -> None:
        self.classifier = classifier
        self.frame = frame

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.classifier = unit = self.classifier
        lanes, shape = unit.beat.lanes, unit.beat.value_shape
        source = Position(m, unit.i, self.frame + 8, unit.beats, "i")
        sink = Position(m, unit.o, self.frame + 8, 1, "o")
        m.d.comb += [
            Assume(~ResetSignal()),
            unit.i.valid.eq(1),
            unit.i.payload.data.eq(AnySeq(len(unit.i.payload.data))),
            unit.i.payload.last.eq(source.at_end),
            unit.o.ready.eq(1),
        ]
        beats = [Signal.like(unit.i.payload.data, name=f"beat{n}") for n in range(unit.beats)]
        for number, beat in enumerate(beats):
            with m.If(source.taken & (source.frame == self.frame) & (source.beat == number)):
                m.d.sync += beat.eq(unit.i.payload.data)
        scores = [element(beats[n // lanes], n % lanes, shape) for n in range(unit.beats * lanes)]
        index, score = unit.o.payload.index, unit.o.payload.score.as_signed()
        offered = unit.o.valid & (sink.frame == self.frame)
        wins = [
            (index == place) & (score == mine) & self._beats_all(scores, place)
            for place, mine in enumerate(scores)
        ]
        claim(m, "winner", ~offered | Cat(wins).any())
        cover(m, "result", offered)
        return m

    def _beats_all(self, scores: list[Value], place: int) -> Value:
        """Whether a score is the best, and better than those before it."""
        mine = scores[place]
        less = self.classifier.smallest_wins
        before = [mine < each if less else mine > each for each in scores[:place]]
        behind = [mine <= each if less else mine >= each for each in scores[place + 1 :]]
        return reduce(and_, [*before, *behind])
