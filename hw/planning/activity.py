"""When each unit is busy, and with which image, by the cycle model."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from systolith.hw.accelerator import RESULT, Accelerator
from systolith.hw.streams.cycles import run_until_taken


@dataclass(frozen=True)
class Activity:
    """The activity of an accelerator's units for some images, the source always ready.

    The picture of a plan's timeline is drawn from it.

    Parameters
    ----------
    results
        The cycle of the final beat of each image's result.
    busy
        For each layer after the input, the number of cycles in which its unit is busy with each
        image in each span of time: `(images, spans)`. A unit with an array is busy when it issues a
        step, any other when it takes a beat.
    span_cycles
        Cycles of a span. The first span begins with cycle 0.
    """

    results: tuple[int, ...]
    busy: dict[str, NDArray[np.int64]]
    span_cycles: int


def activity(accelerator: Accelerator, images: int, spans: int) -> Activity:
    """Simulate some images with the cycle model, from cycle 0 to the last result.

    Parameters
    ----------
    accelerator
        The accelerator.
    images
        The number of images.
    spans
        About the number of spans that the time is divided into.
    """
    streams, inner = accelerator.cycles()
    beats = accelerator.layout.beats
    run_until_taken(streams[RESULT], images * beats)
    results = streams[RESULT].taken[beats - 1 : images * beats : beats]
    span = -(-(results[-1] + 1) // spans)
    names = [accelerator.fixed.network.input.name, *accelerator.units]
    busy = {}
    for before, name in pairwise(names):
        pieces, pieces_an_image = accelerator.units[name].busy(streams[before], inner[name])
        end = -(-(results[-1] + 1) // span) * span
        edges = np.zeros((images, end + 1), np.int64)
        for number, (first, cycles) in enumerate(pieces[: images * pieces_an_image]):
            # Work on rows that pooling drops may end after the last result.
            edges[number // pieces_an_image, min(first, end)] += 1
            edges[number // pieces_an_image, min(first + cycles, end)] -= 1
        worked = edges.cumsum(axis=1)[:, :-1]
        busy[name] = worked.reshape(images, -1, span).sum(axis=2)
    return Activity(tuple(results), busy, span)
