from __future__ import annotations

from itertools import groupby, islice
from typing import Any

import pytest

from systolith.sim.record.stalls import STALL_KINDS, StallKind, pauses


def first(kind: StallKind, seed: int, count: int = 2000) -> list[bool]:
    return list(islice(pauses(kind, seed), count))


def test_none_never_pauses() -> None:
    assert not any(first("none", 1))


@pytest.mark.parametrize("kind", STALL_KINDS[1:])
def test_the_others_pause_and_go_on(kind: StallKind) -> None:
    found = first(kind, 1)
    assert 0.2 < sum(found) / len(found) < 0.8


def test_cyclic_repeats() -> None:
    found = first("cyclic", 0, 70)
    assert found[:7] * 10 == found


def test_cyclic_has_short_and_long_runs_of_either_kind() -> None:
    found = first("cyclic", 0, 70)
    runs = [(pause, len(list(each))) for pause, each in groupby(found)]
    lengths = {kind: {length for pause, length in runs if pause == kind} for kind in (False, True)}
    assert lengths == {False: {1, 2}, True: {1, 3}}


def test_random_has_long_runs_of_either_kind_and_follows_its_seed() -> None:
    found = first("random", 3)
    text = "".join("01"[pause] for pause in found)
    assert "0" * 12 in text and "1" * 12 in text
    assert found == first("random", 3)
    assert found != first("random", 4)


def test_random_pauses_in_as_many_cycles_as_the_mean_of_its_shares() -> None:
    """1/8, 1/2 and 7/8, each for as many cycles as the others in the mean."""
    found = first("random", 5, 200_000)
    assert sum(found) / len(found) == pytest.approx((1 / 8 + 1 / 2 + 7 / 8) / 3, abs=0.02)


def test_an_unknown_pattern_is_refused() -> None:
    bogus: Any = "bogus"
    with pytest.raises(ValueError, match="stall pattern 'bogus': allowed are none, cyclic, random"):
        pauses(bogus)
