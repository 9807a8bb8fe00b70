"""What hardware must put out for images by the fixed-point model: every layer's values, results.

Benches compare with it what they see on the streams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from systolith.golden.fixed.execution import FixedModel
from systolith.golden.fixed.integers import FixedNetwork, Integers
from systolith.golden.qformat import RawImages
from systolith.hw.streams.result_layout import Bytes, ResultLayout, hex_text


@dataclass(frozen=True)
class Result:
    """What leaves at `m_axis` for a frame: a class and its score, or all scores.

    Parameters
    ----------
    label
        The class that won; None if all scores leave.
    score
        The raw score of that class; None if all scores leave.
    wrong_length
        Whether the frame had too few or too many pixels: `tuser`.
    scores
        All raw scores, in stream order; none if a class leaves.
    """

    label: int | None = None
    score: int | None = None
    wrong_length: bool = False
    scores: tuple[int, ...] = ()


def results_of(layout: ResultLayout, data: Bytes, users: Sequence[bool]) -> tuple[Result, ...]:
    """The results in beats of `m_axis`.

    Parameters
    ----------
    layout
        Of the results.
    data
        `tdata` of their beats.
    users
        `tuser` of each result.

    Raises
    ------
    ValueError
        If a bit of `tdata` that belongs to no field is set.
    """
    values = layout.unpack(data)
    strange = np.argwhere((layout.pack(values) != data).any(axis=2))
    if len(strange):
        beat = data[tuple(strange[0])]
        raise ValueError(f"tdata {hex_text(beat)} has bits set between the class and the score")
    scores = values["score"].tolist()
    if layout.kind == "scores":
        return tuple(
            Result(wrong_length=user, scores=tuple(row))
            for row, user in zip(scores, users, strict=True)
        )
    classes = values["class"].tolist()
    return tuple(
        Result(label, score, user)
        for (label,), (score,), user in zip(classes, scores, users, strict=True)
    )


@dataclass(frozen=True, eq=False)
class Reference:
    """What hardware must put out for some images.

    Parameters
    ----------
    layers
        The values of each layer, by name, shape `(images, height, width, channels)`.
    results
        The result of each image.
    """

    layers: dict[str, Integers]
    results: tuple[Result, ...]


def reference(fixed: FixedNetwork, images: RawImages, layout: ResultLayout) -> Reference:
    """What hardware must put out by the fixed-point model.

    Parameters
    ----------
    fixed
        The network.
    images
        Pixels, shape `(images, height, width, channels)`.
    layout
        Of the results.
    """
    layers = FixedModel(fixed).run(images).outputs
    data = layout.results(fixed, layers[fixed.layers[-1].name])
    return Reference(layers, results_of(layout, data, [False] * len(images)))
