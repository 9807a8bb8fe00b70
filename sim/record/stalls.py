"""Stall patterns: the cycles in which the source or the sink of a stream pauses.

Every unit is simulated with each of them at its input and at its output.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Literal, get_args

from systolith.golden.choices import choice

StallKind = Literal["none", "cyclic", "random"]

STALL_KINDS: tuple[StallKind, ...] = get_args(StallKind)
"""The names of the patterns."""

_CYCLE = (False, False, True, False, True, True, True)


def pauses(kind: StallKind, seed: int = 0) -> Iterator[bool]:
    """For each clock cycle, without end: whether to pause.

    `random` pauses in 1/8, 1/2 or 7/8 of the cycles; the share changes from time to time, so that
    buffers run empty and full. The same seed gives the same pauses.

    Raises
    ------
    ValueError
        The pattern is unknown.
    """
    return choice(_PATTERNS, kind, "stall pattern")(seed)


def _random_pauses(seed: int) -> Iterator[bool]:
    generator = random.Random(seed)
    while True:
        share = generator.choice((1, 4, 7))
        for _ in range(generator.randrange(1, 48)):
            yield generator.randrange(8) < share


_PATTERNS: dict[StallKind, Callable[[int], Iterator[bool]]] = {
    "none": lambda _: itertools.repeat(False),
    "cyclic": lambda _: itertools.cycle(_CYCLE),
    "random": _random_pauses,
}
