"""Paces (the cycles of a unit's source and sink), and a unit's cycles at a pace by its model.

Tests compare them with the cycles that `unit_bench.measure_unit` finds in simulation.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat

import numpy as np

from systolith.hw.streams.cycles import NEVER, Process, StreamCycles, offering, run_until_taken
from systolith.hw.units.registry import Unit
from systolith.sim.bench.unit_bench import Pace, UnitCycles

KINDS = ("none", "some", "slow", "bursts")
"""No pauses; single ones now and then; one before nearly every beat; a few long ones."""

_LATE = 1_000


def random_paces(seed: int, beats_in: int, beats_out: int) -> list[Pace]:
    """No pauses; a sink that starts when all buffers are full; each source kind with two sinks."""
    rng = np.random.default_rng(seed)
    sinks = [*rng.permutation(KINDS), *rng.permutation(KINDS)]
    kinds = [("none", "none"), *zip(2 * KINDS, sinks, strict=True)]
    paces = [
        Pace(_random_pace(rng, source, beats_in), _random_pace(rng, sink, beats_out))
        for source, sink in kinds
    ]
    return [paces[0], Pace([0] * beats_in, [_LATE] * beats_out), *paces[1:]]


def _random_pace(rng: np.random.Generator, kind: str, beats: int) -> list[int]:
    pauses = {
        "none": np.zeros(beats, int),
        "some": rng.random(beats) < 0.3,
        "slow": rng.integers(1, 9, beats),
        "bursts": np.where(rng.random(beats) < 4 / beats, rng.integers(0, 150, beats), 0),
    }
    cycles: list[int] = np.cumsum(pauses[kind]).tolist()
    return cycles


def modelled(unit: Unit, pace: Pace) -> UnitCycles:
    """The cycles of a unit at a pace by its cycle model."""
    i, o = StreamCycles(), StreamCycles()
    offering(i, list(pace.offers), NEVER)
    unit.cycles(i, o)
    taking(o, pace.takes)
    beats_in, beats_out = len(pace.offers), len(pace.takes)
    run_until_taken(o, beats_out)
    run_until_taken(i, beats_in)
    return UnitCycles(
        taken=tuple(i.taken[:beats_in]),
        offered=tuple(o.offered()[:beats_out].tolist()),
        given=tuple(o.taken[:beats_out]),
    )


def taking(i: StreamCycles, cycles: Sequence[int]) -> None:
    """Start a sink that takes each beat no earlier than its cycle, and later beats at once."""

    def process() -> Process:
        last = -1
        for cycle in chain(cycles, repeat(0)):
            while len(i.available) == len(i.taken):
                yield i.source
            last = max(last + 1, i.available[len(i.taken)], cycle)
            i.taken.append(last)
            yield i.source

    i.sink = process()
