"""Which unit works when, and for which image, by the cycle model."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from systolith.hw.accelerator import Accelerator
from systolith.hw.streams.cycles import run_until_taken


@dataclass(frozen=True)
class Activity:
    """Some images that pass an accelerator from cycle 0 on, as they are taken.

    Parameters
    ----------
    results
        The cycle of each image's result.
    busy
        For each layer after the input and each image, how many cycles of every span of
        `span_cycles` its unit works: `(images, spans)`. A unit with an array works when it issues a
        step, any other when it takes a beat.
    span_cycles
        Cycles of a span, the first of which begins with cycle 0.
    """

    results: tuple[int, ...]
    busy: dict[str, NDArray[np.int64]]
    span_cycles: int


def activity(accelerator: Accelerator, images: int, spans: int) -> Activity:
    """Let images pass, and look at about so many spans of time until the last result."""
    streams, inner = accelerator.cycles()
    run_until_taken(streams["m_axis"], images)
    results = streams["m_axis"].taken[:images]
    span = -(-(results[-1] + 1) // spans)
    names = [accelerator.fixed.network.input.name, *accelerator.units]
    busy = {}
    for before, name in pairwise(names):
        pieces, pieces_an_image = accelerator.units[name].busy(streams[before], inner[name])
        edges = np.zeros((images, -(-(results[-1] + 1) // span) * span + 1), np.int64)
        for number, (first, cycles) in enumerate(pieces[: images * pieces_an_image]):
            edges[number // pieces_an_image, [first, first + cycles]] += 1, -1
        worked = edges.cumsum(axis=1)[:, :-1]
        busy[name] = worked.reshape(images, -1, span).sum(axis=2)
    return Activity(tuple(results), busy, span)
