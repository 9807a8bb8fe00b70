"""What hardware must put out for images by the fixed-point model: every layer's values, results.

Benches compare with it what they see on the streams.
"""

from __future__ import annotations

from dataclasses import dataclass

from systolith.golden.fixed.execution import FixedModel, winners
from systolith.golden.fixed.integers import FixedNetwork, Integers
from systolith.golden.qformat import RawImages

_SCORE_MASK = 0xFFFF_FFFF
_SCORE_POSITION = 32


@dataclass(frozen=True)
class Result:
    """What leaves at `m_axis` for a frame.

    Parameters
    ----------
    label
        The class that won: `tdata`, bits 7 to 0.
    score
        The raw score of that class: `tdata`, bits 63 to 32.
    wrong_length
        Whether the frame had too few or too many pixels: `tuser`.
    """

    label: int
    score: int
    wrong_length: bool = False

    @classmethod
    def from_beat(cls, data: int, user: int) -> Result:
        """The result in a beat of `m_axis`, by its unsigned `tdata` and its `tuser`.

        Raises
        ------
        ValueError
            If a bit of `tdata` between the class and the score is set.
        """
        score = data >> _SCORE_POSITION
        if score >> 31:
            score -= 1 << 32
        result = cls(data & 0xFF, score, bool(user))
        if result.tdata != data:
            raise ValueError(f"tdata {data:016x} has bits set between the class and the score")
        return result

    @property
    def tdata(self) -> int:
        """The beat's `tdata`, unsigned."""
        return self.label | (self.score & _SCORE_MASK) << _SCORE_POSITION


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


def reference(fixed: FixedNetwork, images: RawImages) -> Reference:
    """What hardware must put out by the fixed-point model.

    Parameters
    ----------
    fixed
        The network.
    images
        Pixels, shape `(images, height, width, channels)`.
    """
    layers = FixedModel(fixed).run(images).outputs
    return Reference(layers, winning(fixed, layers[fixed.layers[-1].name]))


def winning(fixed: FixedNetwork, scores: Integers) -> tuple[Result, ...]:
    """The results for the values of the last layer, `(images, height, width, channels)`."""
    rows = scores.reshape(len(scores), -1)
    return tuple(
        Result(label, int(row[label]))
        for row, label in zip(rows, winners(fixed, rows).tolist(), strict=True)
    )
