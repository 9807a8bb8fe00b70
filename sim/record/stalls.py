"""When a stream's source or sink pauses."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Literal, get_args

StallKind = Literal["none", "cyclic", "random"]

STALL_KINDS: tuple[StallKind, ...] = get_args(StallKind)
"""The patterns that every unit meets, at its input and at its output."""

_CYCLE = (False, False, True, False, True, True, True)


def pauses(kind: StallKind, seed: int = 0) -> Iterator[bool]:
    """Without end, for one clock cycle after the other: whether to pause.

    `random` pauses in 1/8, 1/2 or 7/8 of the cycles, and changes that from time to time, so that
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
