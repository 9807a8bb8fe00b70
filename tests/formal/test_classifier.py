# amaranth: UnusedElaboratable=no
"""Argmin and argmax, for any scores: the lowest index wins a tie."""

from __future__ import annotations

import numpy as np
import pytest
from amaranth.hdl import Mux, Value

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.graph import Dense, Layer, RadialBasis, Shape
from systolith.hw.units.classify import Classifier
from tests.formal.classifier import ClassifierClaims
from tests.formal.prover import check
from tests.formal.units import StallClaims, payloads

pytestmark = pytest.mark.formal

KINDS: dict[str, type[Dense] | type[RadialBasis]] = {"argmax": Dense, "argmin": RadialBasis}
SIGNED, UNSIGNED = QFormat(4, 0), QFormat(4, 0, signed=False)
DEPTH = 30


def classifier(kind: str, scores: int, lanes: int, fmt: QFormat = SIGNED) -> Classifier:
    layer: Layer = KINDS[kind](name="output", inputs=("x",), units=scores)
    source = Shape(1, 1, 1)
    return Classifier(FixedLayer(layer, source, layer.output_shape(source), fmt, fmt), lanes)


@pytest.mark.parametrize("frame", [0, 1, 2])
@pytest.mark.parametrize("fmt", [SIGNED, UNSIGNED], ids=str)
@pytest.mark.parametrize(("scores", "lanes"), [(5, 1), (6, 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_winner(kind: str, scores: int, lanes: int, fmt: QFormat, frame: int) -> None:
    claims = ClassifierClaims(classifier(kind, scores, lanes, fmt), frame)
    assert check(claims, depth=DEPTH, memories=False).holds


def test_the_last_result_comes_in_the_cycles_that_are_looked_at() -> None:
    claims = ClassifierClaims(classifier("argmax", 6, 1), 2)
    assert check(claims, depth=DEPTH, mode="cover", memories=False).holds


def last_on_a_tie(self: Classifier, a: Value, i: Value, b: Value, j: Value) -> tuple[Value, Value]:
    later = b <= a if self.smallest_wins else b >= a
    return Mux(later, b, a), Mux(later, j, i)


def without_sign(self: Classifier, a: Value, i: Value, b: Value, j: Value) -> tuple[Value, Value]:
    less = b.as_unsigned() < a.as_unsigned()
    later = less if self.smallest_wins else b.as_unsigned() > a.as_unsigned()
    return Mux(later, b, a), Mux(later, j, i)


@pytest.mark.parametrize("wrong", [last_on_a_tie, without_sign])
@pytest.mark.parametrize(("scores", "lanes"), [(5, 1), (3, 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_comparison_is_refuted(
    kind: str, scores: int, lanes: int, wrong: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Classifier, "_better", wrong)
    claims = ClassifierClaims(classifier(kind, scores, lanes), 1)
    outcome = check(claims, depth=DEPTH, memories=False)
    assert not outcome.holds and outcome.claim == "winner"


@pytest.mark.parametrize("kind", KINDS)
def test_stream_rules(kind: str) -> None:
    unit = classifier(kind, 3, 1)
    frames = np.array([[3, -1, 3], [-8, 7, -8], [2, 2, 2]])
    best = frames.argmax(axis=1) if kind == "argmax" else frames.argmin(axis=1)
    results = [
        [int(place) | (int(frame[place]) & 0xFFFF_FFFF) << 8]
        for frame, place in zip(frames, best, strict=True)
    ]
    claims = StallClaims(
        unit, payloads(frames[:, None, None], 4, 1), results, depth=16, most_waits=8
    )
    assert check(claims, depth=16, memories=False).holds
    assert check(claims, depth=16, mode="cover", memories=False).holds
