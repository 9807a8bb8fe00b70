"""The integers of a layer, for each layer type: weights, bias, and the scale of its sums."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import numpy as np

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.fixed.integers import FixedLayer, Integers
from systolith.golden.network.graph import (
    AveragePooling,
    Convolution,
    Dense,
    Layer,
    MaxPooling,
    Pooling,
    RadialBasis,
    Shape,
    Subsampling,
)
from systolith.golden.qformat import MAX_BITS
from systolith.golden.quantization.float_layer import FloatLayer, Reals
from systolith.golden.quantization.format_choice import choose_frac_bits
from systolith.golden.quantization.methods import MOST_FRAC_BITS
from systolith.golden.quantization.settings import Granularity
from systolith.golden.quantization.value_format import requantized, target_frac_bits, with_values

_MULTIPLIER_BITS = 16
_CENTRE_HEADROOM_BITS = 4


def with_integers(layer: FloatLayer) -> FixedLayer:
    """A layer in integers; its accumulator range is still missing.

    Raises
    ------
    ValueError
        The layer's type has no quantization, or a value fits no format.
    """
    return layer.layer.entry(_QUANTIZATIONS, "quantization")(layer)


def _weighted(layer: FloatLayer) -> FixedLayer:
    """Convolution, dense and sub-sampling: sums of products, and a bias."""
    channels = layer.base.output_shape.channels
    weights, bias = layer.arrays["weights"], layer.arrays["bias"]
    window = _window_size(layer.layer) if isinstance(layer.layer, Subsampling) else 1
    bias = bias + layer.source.offset * window * weights.reshape(-1, channels).sum(axis=0)
    columns = layer.source.gain * weights.reshape(-1, channels)

    fmt, bits = layer.base.input_format, layer.settings.weight_bits
    sum_bits = fmt.bits + bits + (window * len(columns) - 1).bit_length()
    target = target_frac_bits(layer)
    frac_bits = _weight_frac_bits(layer, columns, bias, sum_bits, target)
    weight_formats = tuple(QFormat(bits, each) for each in frac_bits)
    raw = np.stack([each.quantize(columns[:, i]) for i, each in enumerate(weight_formats)], axis=1)
    acc_frac_bits = fmt.frac_bits + np.array(frac_bits)
    fixed = replace(
        layer.base,
        weights=raw.reshape(weights.shape),
        bias=np.rint(np.ldexp(bias, acc_frac_bits)).astype(np.int64),
        weight_formats=weight_formats,
    )
    return with_values(layer, fixed, acc_frac_bits, target)


def _weight_frac_bits(
    layer: FloatLayer, columns: Reals, bias: Reals, sum_bits: int, target: int | None
) -> list[int]:
    """The fraction bits of each channel's weights."""
    settings = layer.settings
    bits, calibration = settings.weight_bits, settings.weight_calibration
    whole = choose_frac_bits(columns, bits, True, calibration)
    if whole is None:
        whole = bits - 1
    # Weights that are small compared with their bias or with a step of the result hardly matter.
    # They must not make the accumulator wider than the products do.
    source = layer.base.input_format.frac_bits
    limits = [
        min(
            sum_bits - 1 - math.frexp(each)[1] if each else MOST_FRAC_BITS,
            MOST_FRAC_BITS if target is None else target + sum_bits,
        )
        - source
        for each in bias
    ]
    if layer.last or settings.granularity == "tensor":
        return [min(whole, *limits)] * len(limits)
    if settings.granularity != "channel":
        raise ValueError(
            f"granularity {settings.granularity!r}: allowed are {', '.join(get_args(Granularity))}"
        )
    result = []
    for channel, limit in enumerate(limits):
        own = choose_frac_bits(columns[:, channel], bits, True, calibration)
        result.append(min(whole if own is None else own, limit))
    return result


def _average(layer: FloatLayer) -> FixedLayer:
    """Average pooling: sums, and one requantization that divides."""
    sizes = _values_counted(layer.base)
    size, fixed, multiplier = int(sizes.max()), layer.base, 1
    fmt = layer.base.input_format
    # No multiplier has more than 17 bits: with a sign, 18, as the multipliers of FPGAs take.
    divided = (int(sizes.min()) - 1).bit_length() + _MULTIPLIER_BITS
    if (sizes != size).any():
        fixed = replace(fixed, factors=np.rint(2.0**divided / sizes).astype(np.int64))
        size = 1 << divided
    elif size & (size - 1):
        multiplier = round(2**divided / size)
    else:
        divided = size.bit_length() - 1
    acc_frac_bits = np.full(fixed.output_shape.channels, fmt.frac_bits + divided)
    if layer.activation.is_identity:
        return requantized(layer, fixed, acc_frac_bits, fmt, multiplier)
    # A sum of raw values, with its factor, is `size` times its mean.
    bias = size * math.ldexp(layer.source.offset / layer.source.gain, fmt.frac_bits)
    if bias:
        fixed = replace(fixed, bias=np.full(len(acc_frac_bits), round(bias), np.int64))
    return with_values(layer, fixed, acc_frac_bits, target_frac_bits(layer), multiplier)


def _maximum(layer: FloatLayer) -> FixedLayer:
    """Max pooling: the values of its input, in their format."""
    return layer.base


def _radial_basis(layer: FloatLayer) -> FixedLayer:
    """Squared distances from centres, at a common scale of inputs and centres."""
    centres = (layer.arrays["weights"] - layer.source.offset) / layer.source.gain
    fmt, bits = layer.base.input_format, layer.settings.weight_bits
    frac_bits = choose_frac_bits(centres, bits, True, layer.settings.weight_calibration)
    # With such inputs, finer centres only widen the squares.
    finest = fmt.frac_bits + max(0, bits - fmt.bits) + _CENTRE_HEADROOM_BITS
    frac_bits = finest if frac_bits is None else min(frac_bits, finest)
    common = max(frac_bits, fmt.frac_bits)
    centre_bits = bits + common - frac_bits
    if 2 * centre_bits > MAX_BITS:
        raise ValueError(
            f"its centres take {centre_bits} bits in steps of its input, {fmt}, and their squares "
            f"more than {MAX_BITS}: the input is far too small beside them"
        )
    raw = QFormat(bits, frac_bits).quantize(centres) << (common - frac_bits)
    fixed = replace(
        layer.base,
        weights=raw,
        weight_formats=(QFormat(centre_bits, common),) * centres.shape[-1],
        input_shift=common - fmt.frac_bits,
    )
    acc_frac_bits = np.full(centres.shape[-1], 2 * common)
    return with_values(layer, fixed, acc_frac_bits, target_frac_bits(layer))


_QUANTIZATIONS: dict[type[Layer], Callable[[FloatLayer], FixedLayer]] = {
    Convolution: _weighted,
    Subsampling: _weighted,
    AveragePooling: _average,
    MaxPooling: _maximum,
    Dense: _weighted,
    RadialBasis: _radial_basis,
}


def _values_counted(fixed: FixedLayer) -> Integers:
    """The number of values of which each window of an average pooling has the mean."""
    assert isinstance(fixed.layer, AveragePooling)
    pads = fixed.layer.pads
    height, width = fixed.padding.size(fixed.input_shape.height, fixed.input_shape.width)
    # The input's border is part of the map.
    return fixed.layer.values_counted(
        Shape(
            height - pads.above - pads.below,
            width - pads.left - pads.right,
            fixed.input_shape.channels,
        )
    )


def _window_size(fixed: Layer) -> int:
    assert isinstance(fixed, Pooling)
    return math.prod(fixed.window)
