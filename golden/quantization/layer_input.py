"""A layer's input: shapes, format, and the padding around it."""

from __future__ import annotations

from dataclasses import replace

from systolith.golden.fixed.consistency import padding_of
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.affine import Affine
from systolith.golden.network.graph import Layer, Network, Shape
from systolith.golden.quantization.observation import CalibrationError
from systolith.golden.quantization.padding import padding_value


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
        A border and padding of other values surround the input.
    """
    fmt = before.output_format if before else network.input.format
    border, value = (0, 0) if before else (network.input.border, network.input.background)
    if any(layer.pads):
        own = padding_value(layer, fmt, source)
        if border and own != value:
            raise CalibrationError(
                f"{layer.type_name} {layer.name!r}: its padding is the raw value {own}, and the "
                f"input's border is {value}: one of the two must go (docs/limits.md)"
            )
        value = own
    made = FixedLayer(
        layer=layer,
        input_shape=before.output_shape if before else network.input.image_shape,
        output_shape=shape,
        input_format=fmt,
        output_format=fmt,
        padding_value=value,
    )
    return replace(made, padding=padding_of(made, border))
