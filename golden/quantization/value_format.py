"""From a layer's exact sums to its values: the format, the requantization, the table."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from systolith.golden.fixed.accumulator import accumulator_range
from systolith.golden.fixed.arithmetic import QFormat, Requantization
from systolith.golden.fixed.integers import FixedLayer, Integers
from systolith.golden.network.activations import FixedForm
from systolith.golden.network.graph import Activation
from systolith.golden.quantization.float_layer import FloatLayer
from systolith.golden.quantization.format_choice import choose_frac_bits_before
from systolith.golden.quantization.methods import method

_HAS_TABLE = {
    FixedForm.IDENTITY: False,
    FixedForm.RECTIFIER: False,
    FixedForm.CLAMP: False,
    FixedForm.TABLE: True,
}
"""Whether accumulators are requantized to the index of a table."""


def target_frac_bits(layer: FloatLayer) -> int | None:
    """The `frac_bits` that accumulators are requantized to: of the values, or of a table's index.

    None if they are not requantized, or are zero on all calibration images.
    """
    if layer.gives_scores:
        return None
    activation, settings = layer.activation, layer.settings
    if activation.entry(_HAS_TABLE, "value format"):
        return layer.choose(layer.sums, settings.index_bits, True, through=layer.function)
    values = layer.sums.map(layer.of_sums, activation.function.rises)
    following = layer.following
    if (
        following is not None
        and activation.is_identity
        and method(settings.calibration).minimizes_errors
    ):
        # The next activation flattens large values, whose errors would outweigh all others here.
        return choose_frac_bits_before(
            values.values,
            settings.activation_bits,
            layer.signed,
            following=lambda rounded: following(layer.gain * rounded),
            ends=values.ends,
        )
    return layer.choose(values, settings.activation_bits, layer.signed)


def with_values(
    layer: FloatLayer,
    fixed: FixedLayer,
    acc_frac_bits: Integers,
    target: int | None,
    multiplier: int = 1,
) -> FixedLayer:
    """A layer that has its sums, with what follows them: a requantization, and maybe a table.

    Parameters
    ----------
    layer
        The layer in floats.
    fixed
        The same with weights and bias.
    acc_frac_bits
        The fraction bits of each channel's accumulator, times the multiplier.
    target
        Of `target_frac_bits`.
    multiplier
        Of the requantization.
    """
    if layer.gives_scores:
        # `with_accumulator` gives the format its width.
        return replace(fixed, output_format=QFormat(1, int(acc_frac_bits[0])))
    table = layer.activation.entry(_HAS_TABLE, "value format")
    bits = layer.settings.index_bits if table else layer.settings.activation_bits
    if target is None:
        # All values are zero on the calibration images: cover every possible sum.
        low, high = accumulator_range(fixed)
        spare = max(-low, high).bit_length() + 1 - bits
        target = int(acc_frac_bits.min()) - max(0, spare)
    # A step finer than that of every sum would only shift left.
    target = min(target, int(acc_frac_bits.max()))
    fmt = QFormat(bits, target, signed=table or layer.signed)
    fixed = requantized(layer, fixed, acc_frac_bits, fmt, multiplier)
    return _with_table(layer, fixed) if table else fixed


def requantized(
    layer: FloatLayer,
    fixed: FixedLayer,
    acc_frac_bits: Integers,
    target: QFormat,
    multiplier: int = 1,
) -> FixedLayer:
    """A layer whose accumulators are requantized to a format, which is that of its values."""
    shifts = acc_frac_bits - target.frac_bits
    limits = raw_limits(layer.activation, layer.gain, target)
    how = Requantization(shifts, target, multiplier, layer.settings.rounding, limits=limits)
    return replace(fixed, requantization=how, output_format=target)


def raw_limits(
    activation: Activation, gain: float, target: QFormat
) -> tuple[int | None, int | None]:
    """The limits of a clamp as raw values; None where the format's end comes first."""
    limits = activation.function.limits
    if limits is None:
        return None, None
    low, high = (round(math.ldexp(each / gain, target.frac_bits)) for each in limits)
    return (
        low if low >= target.min_raw else None,
        high if high <= target.max_raw else None,
    )


def with_accumulator(fixed: FixedLayer) -> FixedLayer:
    """A finished layer with its accumulator range; the format of scores becomes as wide.

    Scores are sums of weights that are not requantized; max pooling has neither.
    """
    made = replace(fixed, accumulator_range=accumulator_range(fixed))
    if made.requantization is not None or not made.weight_formats:
        return made
    fmt = QFormat(made.accumulator_bits, made.output_format.frac_bits)
    return replace(made, output_format=fmt)


def _with_table(layer: FloatLayer, fixed: FixedLayer) -> FixedLayer:
    """A layer whose requantized values index a table of its activation."""
    how = fixed.requantization
    assert how is not None
    bits, signed = layer.settings.activation_bits, layer.signed
    frac_bits = layer.choose(
        layer.sums.map(layer.function, layer.activation.function.rises), bits, signed
    )
    fmt = QFormat(bits, bits - signed if frac_bits is None else frac_bits, signed)
    indices = np.arange(how.target.min_raw, how.target.max_raw + 1)
    table = fmt.quantize(layer.function(how.target.dequantize(indices)))
    return replace(fixed, requantization=replace(how, table=table), output_format=fmt)
