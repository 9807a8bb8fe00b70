"""Stall patterns: the cycles in which the source or the sink of a stream pauses.

Every unit is simulated with each of them at its input and at its output.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Literal, get_args

StallKind = Literal["none", "cyclic", "random"]

STALL_KINDS: tuple[StallKind, ...] = get_args(StallKind)
"""The names of the patterns."""

_CYCLE = (False, False, True, False, True, True, True)


def pauses(kind: StallKind, seed: int = 0) -> Iterator[bool]:
    """For each clock cycle, without end: whether to pause.

    `random` pauses in 1/8, 1/2 or 7/8 of the cycles; the share changes from time to time, so that
    buffers run empty and full. The same seed gives the same pauses.
    """
    if kind == "none":
        return itertools.repeat(False)
    if kind == "cyclic":
        return itertools.cycle(_CYCLE)
    return _random_pauses(random.Random(seed))


def _random_pauses(generator: random.Random) -> Iterator[bool]:
    while True:
        share = generator.choice((1, 4, 7))
        for _ in range(generator.randrange(1, 48)):
            yield generator.randrange(8) < share
