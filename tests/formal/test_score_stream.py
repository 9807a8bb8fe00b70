# amaranth: UnusedElaboratable=no
"""The stream of scores: every score in its place, under any stalls and resets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Value

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.graph import Dense, Shape
from systolith.hw.streams.formats import select_word
from systolith.hw.units import score_stream
from systolith.hw.units.score_stream import ScoreStream
from tests.formal.faulty import FAULTS, Faulty
from tests.formal.prover import check
from tests.formal.units import StallClaims, payloads

pytestmark = pytest.mark.formal

DEPTH = 16
FRAMES = np.array([[3, -1, 2, -8, 7, 0], [-8, 7, -7, 1, 2, 3]])[:, None, None]


def claims(lanes: int, fault: str | None = None) -> StallClaims:
    layer, source = Dense(name="output", inputs=("x",), units=6), Shape(1, 1, 1)
    fmt = QFormat(4, 0)
    unit: Any = ScoreStream(FixedLayer(layer, source, Shape(1, 1, 6), fmt, fmt), lanes)
    return StallClaims(
        unit if fault is None else Faulty(unit, fault),
        payloads(FRAMES, 4, lanes),
        payloads(FRAMES, 8, 1),
        depth=DEPTH,
        most_waits=6,
    )


@pytest.mark.parametrize("mode", ["bmc", "cover"])
@pytest.mark.parametrize("lanes", [1, 3])
def test_stream_rules(lanes: int, mode: Any) -> None:
    assert check(claims(lanes), depth=DEPTH, mode=mode, memories=False).holds


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_rule_is_refuted(fault: str) -> None:
    outcome = check(claims(3, fault), depth=DEPTH, memories=False)
    # The FIFO is full before the frame has been taken.
    claim = "accepts" if fault == "waits for ready" else FAULTS[fault]
    assert not outcome.holds and outcome.claim == claim


def test_a_wrong_lane_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(word: Value, index: Value, width: int) -> Value:
        return select_word(word, ~index, width)

    monkeypatch.setattr(score_stream, "select_word", wrong)
    outcome = check(claims(2), depth=DEPTH, memories=False)
    assert not outcome.holds and outcome.claim == "order"
