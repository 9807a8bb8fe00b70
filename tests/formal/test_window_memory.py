# amaranth: UnusedElaboratable=no
"""The memories of windows: the rules of their streams under any stalls and resets."""

from __future__ import annotations

import numpy as np
import pytest
from amaranth.hdl import unsigned

from systolith.golden.fixed.integers import Integers
from systolith.golden.network.graph import Shape
from systolith.golden.network.windows import Windows
from systolith.hw.systolic.window_geometry import WindowGeometry
from systolith.hw.systolic.window_memory import WindowMemory
from tests.formal.faulty import FAULTS, Faulty
from tests.formal.prover import check
from tests.formal.units import StallClaims, payloads
from tests.hw.adapters import ChunksAsBeats

pytestmark = pytest.mark.formal

DEPTH = 24
MAPS = np.array([[1, 2], [3, 1], [0, 3]]).reshape(3, 2, 1, 1)
"""One window of two rows, a row a chunk: a chunk is a value of the map."""
GEOMETRY = WindowGeometry(Shape(2, 1, 1), Windows((2, 1)))
LEFT_OVER = np.array([[1, 2, 0], [3, 1, 1], [0, 3, 2]]).reshape(3, 3, 1, 1)
"""The same values, with a row after the window."""


def claims(
    fault: str | None = None, geometry: WindowGeometry = GEOMETRY, maps: Integers = MAPS
) -> StallClaims:
    memory = ChunksAsBeats(
        WindowMemory(
            geometry,
            [(0,), (1,)],
            input_lanes=1,
            value_shape=unsigned(2),
            buffer_rows=3,
        )
    )
    without_last = [[beat & 3 for beat in frame] for frame in payloads(MAPS, 2, 1)]
    return StallClaims(
        memory if fault is None else Faulty(memory, fault),
        payloads(maps, 2, 1),
        without_last,
        depth=DEPTH,
        most_waits=14,
    )


def test_stream_rules() -> None:
    assert check(claims(), depth=DEPTH, memories=False).holds


def test_rows_that_no_window_covers_are_taken() -> None:
    strided = claims(None, WindowGeometry(Shape(3, 1, 1), Windows((2, 1), (2, 1))), LEFT_OVER)
    assert check(strided, depth=DEPTH, memories=False).holds
    assert check(strided, depth=DEPTH, mode="cover", memories=False).holds


def test_all_frames_pass_in_the_cycles_that_are_looked_at() -> None:
    assert check(claims(), depth=DEPTH, mode="cover", memories=False).holds


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_rule_is_refuted(fault: str) -> None:
    outcome = check(claims(fault), depth=DEPTH + 10, memories=False)
    assert not outcome.holds and outcome.claim == FAULTS[fault]


def test_a_row_that_is_freed_too_early_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WindowGeometry, "rows_released", lambda self, band: 3)
    assert not check(claims(), depth=DEPTH + 10, memories=False).holds
