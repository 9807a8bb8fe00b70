"""A layer's input: shapes, format, and the padding around it."""

from __future__ import annotations

import math
from dataclasses import replace

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.fixed.consistency import PIXEL_FORMAT, padding_of
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.affine import Affine
from systolith.golden.network.graph import Layer, Network, Shape
from systolith.golden.quantization.observation import CalibrationError

_ZERO_TOLERANCE = 1e-6


def with_input(
    network: Network, layer: Layer, shape: Shape, before: FixedLayer | None, source: Affine
) -> FixedLayer:
    """A layer with its shapes, its input format and its padding, and no integers yet.

    Parameters
    ----------
    network, layer, shape
        The graph, the layer and its output shape.
    before
        The layer that feeds it; None if that is the input.
    source
        What the fixed-point values of its input stand for.

    Raises
    ------
    CalibrationError
        No raw value stands for the zeros of a layer's padding.
    """
    fmt = before.output_format if before else PIXEL_FORMAT
    border, value = (0, 0) if before else (network.input.border, network.input.background)
    if any(layer.padding):
        zero = _raw_zero(layer, fmt, source)
        if border and zero != value:
            raise CalibrationError(
                f"{layer.type_name} {layer.name!r}: its padding, zero, is the raw pixel {zero}, "
                f"and the input's border is {value}: one of the two must go (docs/limits.md)"
            )
        value = zero
    made = FixedLayer(
        layer=layer,
        input_shape=before.output_shape if before else network.input.image_shape,
        output_shape=shape,
        input_format=fmt,
        output_format=fmt,
        padding_value=value,
    )
    return replace(made, padding=padding_of(made, border))


def _raw_zero(layer: Layer, fmt: QFormat, source: Affine) -> int:
    """The raw value that stands for the real zero."""
    try:
        exact = math.ldexp(-source.offset / source.gain, fmt.frac_bits)
    except OverflowError:
        exact = math.inf
    raw = round(exact) if math.isfinite(exact) else None
    if raw is not None and abs(exact - raw) <= _ZERO_TOLERANCE and fmt.contains(raw):
        return raw
    raise CalibrationError(
        f"{layer.type_name} {layer.name!r}: its padding is zero, but no raw value from "
        f"{fmt.min_raw} to {fmt.max_raw} stands for zero: that would be {exact:g} "
        "(docs/limits.md)"
    )
