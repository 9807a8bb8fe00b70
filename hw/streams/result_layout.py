"""What a result at `m_axis` looks like: its beats, and the fields of `m_axis_tdata`.

Hardware, manifest, test benches and data sheet all take it from here; nothing else knows a position
or a width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from systolith.golden.choices import choice
from systolith.golden.files.json_files import Count, PositiveCount
from systolith.golden.fixed.execution import winners
from systolith.golden.fixed.integers import FixedLayer, FixedNetwork, Integers
from systolith.golden.network.graph import Network

ResultKind = Literal["class", "scores"]
"""What an accelerator puts out: the class and its score, or all scores."""

RESULT_KINDS: tuple[ResultKind, ...] = ("class", "scores")
"""All of them."""

_BYTE = 8
_HALVES = (32, 64)
_SCORE_BITS = (8, 16, 32, 64)

Bytes = NDArray[np.uint8]
"""`m_axis_tdata` of the beats of some results, little-endian: `(results, beats, bytes)`."""


class ResultField(msgspec.Struct, frozen=True):
    """A number in `m_axis_tdata`, in whole bytes.

    Parameters
    ----------
    name
        `class`, the index of the winning score in stream order; or `score`, a raw score.
    low
        The position of its lowest bit.
    bits
        Its width.
    signed
        Whether it is two's complement, sign-extended; otherwise zeros precede it.
    """

    name: Literal["class", "score"]
    low: Count
    bits: PositiveCount
    signed: bool

    @property
    def high(self) -> int:
        """The position of its highest bit."""
        return self.low + self.bits - 1


class ResultLayout(msgspec.Struct, frozen=True):
    """The result of an image: `beats` beats with the same fields; the bits between them are 0.

    Parameters
    ----------
    kind
        What it is: `class`, or `scores`.
    bits
        The width of `m_axis_tdata`.
    beats
        Beats of a result; `m_axis_tlast` is set on the last.
    fields
        The numbers in a beat.
    """

    kind: ResultKind
    bits: PositiveCount
    beats: PositiveCount
    fields: tuple[ResultField, ...]

    @property
    def bytes(self) -> int:
        """Bytes of a beat."""
        return self.bits // _BYTE

    def __getitem__(self, name: str) -> ResultField:
        """The field of this name."""
        return next(field for field in self.fields if field.name == name)

    def pack(self, values: Mapping[str, Integers]) -> Bytes:
        """The beats of results, from the values of each field, `(results, beats)`."""
        shape = next(iter(values.values())).shape
        data = np.zeros((*shape, self.bytes), np.uint8)
        for field in self.fields:
            wide = np.ascontiguousarray(values[field.name], "<i8")[..., None].view(np.uint8)
            data[..., _places(field)] = wide[..., : field.bits // _BYTE]
        return data

    def unpack(self, data: Bytes) -> dict[str, Integers]:
        """The values of each field, `(results, beats)`; the opposite of `pack`."""
        return {field.name: _value(data[..., _places(field)], field) for field in self.fields}

    def results(self, fixed: FixedNetwork, scores: Integers) -> Bytes:
        """The beats of the results for the scores of a network.

        Parameters
        ----------
        fixed
            The network, which says which score wins.
        scores
            The values of its last layer, `(results, ...)` in stream order.
        """
        rows = scores.reshape(len(scores), -1)
        if self.kind == "scores":
            return self.pack({"score": rows})
        best = winners(fixed, rows)[:, None]
        return self.pack({"class": best, "score": np.take_along_axis(rows, best, axis=1)})


def hex_text(beat: NDArray[np.uint8]) -> str:
    """The hex digits of a beat, most significant first."""
    return beat[::-1].tobytes().hex()


def default_result(network: Network) -> ResultKind:
    """The kind of result of a network where none is chosen.

    It is `class` for a network that ends as classifiers do (`Network.has_classes`), and `scores`
    for a single value and for a feature map.
    """
    return "class" if network.has_classes else "scores"


def result_layout(layer: FixedLayer, kind: ResultKind) -> ResultLayout:
    """The layout of a result of this kind, by the layer that computes the scores.

    Class: the class is the lower half of a beat, the score the upper one; halves have 32 bits, or
    64 if the score with its sign needs more than 32. Scores: one a beat, in stream order, with 8,
    16, 32 or 64 bits, the fewest that hold a score with its sign.

    Raises
    ------
    ValueError
        There is no such kind.
    """
    return choice({"class": _class_layout, "scores": _scores_layout}, kind, "result")(layer)


def _class_layout(layer: FixedLayer) -> ResultLayout:
    scores = layer.output_shape.size
    half = _fewest(_HALVES, _signed_bits(layer))
    index_bits = _BYTE * max(1, -(-(scores - 1).bit_length() // _BYTE))
    index = ResultField("class", 0, index_bits, False)
    return ResultLayout("class", 2 * half, 1, (index, ResultField("score", half, half, True)))


def _scores_layout(layer: FixedLayer) -> ResultLayout:
    bits = _fewest(_SCORE_BITS, _signed_bits(layer))
    score = ResultField("score", 0, bits, True)
    return ResultLayout("scores", bits, layer.output_shape.size, (score,))


def _signed_bits(layer: FixedLayer) -> int:
    """Bits of a score with its sign; golden's formats have at most 62."""
    return layer.output_format.bits + (not layer.output_format.signed)


def _fewest(widths: tuple[int, ...], bits: int) -> int:
    return next(width for width in widths if bits <= width)


def _places(field: ResultField) -> slice:
    """The bytes of a field in a beat."""
    return slice(field.low // _BYTE, (field.high + 1) // _BYTE)


def _value(data: Bytes, field: ResultField) -> Integers:
    negative = (data[..., -1:] >> (_BYTE - 1)) & field.signed
    wide = np.repeat(negative * np.uint8(0xFF), 8, axis=-1)
    wide[..., : data.shape[-1]] = data
    values: Integers = np.ascontiguousarray(wide).view("<i8")[..., 0]
    return values
