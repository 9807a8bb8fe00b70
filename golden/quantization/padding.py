"""The raw value with which a layer pads, and the real number that it stands for.

A network pads with the real zero. Under an offset no raw value may stand for it; then the nearest
one pads, and reports say what it stands for. Poolings that leave padding out pad with a value that
changes nothing.
"""

from __future__ import annotations

import math

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.affine import Affine
from systolith.golden.network.graph import AveragePooling, Layer, MaxPooling

_EXACT = 1e-6
"""A raw value stands for zero if it misses it by less than this, in its steps."""


def padding_value(layer: Layer, fmt: QFormat, source: Affine) -> int:
    """The raw value, of the format of its input, with which a layer pads."""
    if not _is_left_out(layer):
        return _nearest_to_zero(fmt, source)
    return fmt.min_raw if isinstance(layer, MaxPooling) else 0


def _is_left_out(layer: Layer) -> bool:
    """Whether a layer's results leave its padding out."""
    return isinstance(layer, MaxPooling) or (
        isinstance(layer, AveragePooling) and not layer.count_padding
    )


def _nearest_to_zero(fmt: QFormat, source: Affine) -> int:
    """The raw value of a format that stands for the real number nearest to zero."""
    exact = _raw_zero(fmt, source)
    return round(min(max(exact, fmt.min_raw), fmt.max_raw))


def padded_with(layer: FixedLayer, source: Affine) -> float:
    """The real number that a layer's padding stands for; 0 if it is zero, or never counts.

    `source` is what the values of the layer's input stand for.
    """
    fmt, raw = layer.input_format, layer.padding_value
    if not any(layer.layer.pads) or _is_left_out(layer.layer):
        return 0.0
    if abs(_raw_zero(fmt, source) - raw) <= _EXACT:
        return 0.0
    return source.gain * math.ldexp(raw, -fmt.frac_bits) + source.offset


def _raw_zero(fmt: QFormat, source: Affine) -> float:
    """The number that would stand for zero if raw values were not whole and had no ends."""
    try:
        return math.ldexp(-source.offset / source.gain, fmt.frac_bits)
    except OverflowError:
        return math.copysign(math.inf, -source.offset)
