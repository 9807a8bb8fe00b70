"""Checks of a quantized network, made once when it is built, so that its users need none."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, get_args

import numpy as np

from systolith.golden.fixed.accumulator import accumulator_range
from systolith.golden.fixed.arithmetic import (
    MAX_BITS,
    MAX_INDEX_BITS,
    MAX_SHIFT,
    Overflow,
    QFormat,
    Rounding,
)
from systolith.golden.fixed.integers import FixedLayer, FixedNetwork, Integers
from systolith.golden.network.graph import (
    AveragePooling,
    Convolution,
    Dense,
    Layer,
    MaxPooling,
    Network,
    RadialBasis,
    Shape,
    Subsampling,
)
from systolith.golden.network.windows import Padding

MAX_INPUT_SHIFT = 32
MAX_MULTIPLIER = 1 << 32


class FixedNetworkError(ValueError):
    """Integers that are no quantized network: names the layer, what was given and expected."""


def check(fixed: FixedNetwork) -> None:
    """Refuse a quantized network whose integers do not fit its graph, its formats or each other.

    Raises
    ------
    FixedNetworkError
        Names the layer and what is wrong.
    """
    names = [layer.name for layer in fixed.layers]
    expected = [layer.name for layer in fixed.network.layers[1:]]
    if names != expected:
        raise FixedNetworkError(f"layers must be {', '.join(expected)}, not {', '.join(names)}")
    fmt, shape = fixed.network.input.format, fixed.network.input.image_shape
    for layer in fixed.layers:
        if layer.layer != fixed.network[layer.name]:
            _fail(layer, "is not the layer of the graph")
        if (layer.input_shape, layer.input_format) != (shape, fmt):
            _fail(layer, f"takes {layer.input_shape} of {layer.input_format}, not {shape} of {fmt}")
        _check_padding(fixed, layer)
        _check_accumulator(fixed.network, layer)
        _check_result(layer, last=layer is fixed.layers[-1])
        fmt, shape = layer.output_format, layer.output_shape


def checked_range(network: Network, layer: FixedLayer) -> tuple[int, int]:
    """The accumulator range of a layer, whose integers are checked first.

    Raises
    ------
    FixedNetworkError
        Names the layer and what is wrong.
    """
    _check_weights(network, layer)
    _check_requantization(layer)
    return accumulator_range(layer)


def padding_of(fixed_layer: FixedLayer, border: int) -> Padding:
    """Rows and columns around a layer's input: a border, and the layer's own padding."""
    return fixed_layer.layer.pads.widened(border)


def _check_padding(fixed: FixedNetwork, layer: FixedLayer) -> None:
    border = fixed.network.input.border if layer is fixed.layers[0] else 0
    expected = padding_of(layer, border)
    if layer.padding != expected:
        _fail(layer, f"padding must be {expected}, not {layer.padding}")
    if not layer.input_format.contains(layer.padding_value):
        _fail(layer, f"padding value {layer.padding_value} is not of {layer.input_format}")
    if layer.output_shape != fixed.network.shapes()[layer.name]:
        _fail(layer, f"output shape {layer.output_shape} is not that of the graph")


def _check_weights(network: Network, layer: FixedLayer) -> None:
    source = network.shapes()[layer.layer.inputs[0]]
    shapes = layer.layer.array_shapes(source)
    channels = layer.output_shape.channels
    weights = _require(layer, "weights", layer.weights, shapes.get("weights"))
    if weights is not None:
        if len(layer.weight_formats) != channels:
            _fail(layer, f"needs {channels} weight formats, not {len(layer.weight_formats)}")
        columns = weights.reshape(-1, channels)
        for channel, fmt in enumerate(layer.weight_formats):
            if not fmt.contains(columns[:, channel]):
                _fail(layer, f"weights of channel {channel} leave their format {fmt}")
    elif layer.weight_formats:
        _fail(layer, "has weight formats without weights")
    rules = layer.layer.entry(_RULES, "rules for its integers")
    if "bias" in shapes or (rules.may_have_bias and layer.bias is not None):
        _require(layer, "bias", layer.bias, (channels,))
    elif layer.bias is not None:
        _fail(layer, "cannot have a bias")
    if layer.factors is not None and not rules.may_have_factors:
        _fail(layer, "cannot have factors")
    shift = layer.input_shift
    if not 0 <= shift <= rules.max_input_shift:
        _fail(layer, f"input shift {shift} is not allowed")
    rules.check(layer, source)


def _require(
    layer: FixedLayer, what: str, given: Integers | None, shape: tuple[int, ...] | None
) -> Integers | None:
    found = None if given is None else given.shape
    if found != shape:
        _fail(layer, f"{what} must have the shape {shape}, not {found}")
    if given is None:
        return None
    if given.dtype != np.int64:
        _fail(layer, f"{what} must be 64-bit integers, not {given.dtype}")
    if not QFormat(MAX_BITS, 0).contains(given):
        _fail(layer, f"{what} are wider than {MAX_BITS} bits")
    return given


def _check_connections(layer: FixedLayer, source: Shape) -> None:
    assert isinstance(layer.layer, Convolution) and layer.weights is not None
    for out, maps in enumerate(layer.layer.sources(source)):
        absent = sorted(set(range(source.channels)) - set(maps))
        if layer.weights[:, :, absent, out].any():
            _fail(layer, f"weights of output map {out} must be zero where it has no connection")


def _check_centres(layer: FixedLayer, source: Shape) -> None:
    common = layer.input_format.frac_bits + layer.input_shift
    if any(fmt.frac_bits != common for fmt in layer.weight_formats):
        _fail(layer, f"centres must have {common} fraction bits, the scale of its inputs")


def _check_factors(layer: FixedLayer, source: Shape) -> None:
    """Windows of different sizes have factors, others none."""
    assert isinstance(layer.layer, AveragePooling)
    counted = layer.layer.values_counted(source)
    expected = counted.shape if counted.min() != counted.max() else None
    factors = _require(layer, "factors", layer.factors, expected)
    if factors is not None and (factors.min() < 1 or factors.max() > MAX_MULTIPLIER):
        _fail(layer, f"factors must be from 1 to {MAX_MULTIPLIER}")


class _Rules(NamedTuple):
    """The rules for the integers of one layer type, in addition to those of all layers.

    Parameters
    ----------
    check
        Refuses weights that are not those of the type, given the shape of the layer's input.
    may_have_bias
        Whether a bias is allowed although training fills none.
    may_have_factors
        Whether the sums of its windows may have factors.
    max_input_shift
        The largest shift of its inputs.
    passes_values
        Whether its values are values of its input, in their format.
    """

    check: Callable[[FixedLayer, Shape], None] = lambda layer, source: None
    may_have_bias: bool = False
    may_have_factors: bool = False
    max_input_shift: int = 0
    passes_values: bool = False


_RULES: dict[type[Layer], _Rules] = {
    Convolution: _Rules(check=_check_connections),
    Subsampling: _Rules(),
    # Before an activation, average pooling adds the offset of its input.
    AveragePooling: _Rules(check=_check_factors, may_have_bias=True, may_have_factors=True),
    MaxPooling: _Rules(passes_values=True),
    Dense: _Rules(),
    RadialBasis: _Rules(check=_check_centres, max_input_shift=MAX_INPUT_SHIFT),
}


def _check_requantization(layer: FixedLayer) -> None:
    how = layer.requantization
    if how is None:
        return
    shifts = _require(layer, "shifts", how.shifts, (layer.output_shape.channels,))
    if shifts is not None and abs(shifts).max() > MAX_SHIFT:
        _fail(layer, f"shifts must be from {-MAX_SHIFT} to {MAX_SHIFT}")
    if not 1 <= how.multiplier <= MAX_MULTIPLIER:
        _fail(layer, f"multiplier must be from 1 to {MAX_MULTIPLIER}, not {how.multiplier}")
    if how.rounding not in get_args(Rounding) or how.overflow not in get_args(Overflow):
        _fail(layer, f"has the unknown modes {how.rounding!r} and {how.overflow!r}")


def _check_accumulator(network: Network, layer: FixedLayer) -> None:
    found = checked_range(network, layer)
    if layer.accumulator_range != found:
        _fail(layer, f"accumulators range over {found}, not {layer.accumulator_range}")
    bits, how = layer.accumulator_bits, layer.requantization
    if how is not None:
        bits += (how.multiplier - 1).bit_length() + max(0, -int(how.shifts.min()))
    if bits > MAX_BITS:
        _fail(layer, f"accumulators need {bits} bits, over {MAX_BITS}")


def _check_result(layer: FixedLayer, last: bool) -> None:
    how, output = layer.requantization, layer.output_format
    if layer.layer.entry(_RULES, "rules for its integers").passes_values:
        if how is not None or output != layer.input_format:
            _fail(layer, f"passes {layer.input_format} on, and not {output}")
        return
    if how is None:
        fractions = {fmt.frac_bits for fmt in layer.weight_formats}
        if not last or not layer.layer.activation.is_identity or len(fractions) != 1:
            _fail(layer, "needs a requantization: only scores of one scale have none")
        scale = layer.input_format.frac_bits + layer.input_shift + fractions.pop()
        if output != QFormat(layer.accumulator_bits, scale):
            _fail(layer, f"scores must be {layer.accumulator_bits} bits wide, not {output}")
        return
    for channel, fmt in enumerate(layer.weight_formats):
        scale = layer.input_format.frac_bits + layer.input_shift + fmt.frac_bits
        if how.multiplier == 1 and how.shifts[channel] != scale - how.target.frac_bits:
            _fail(layer, f"shift of channel {channel} does not fit its formats")
    if any(each is not None and not how.target.contains(np.array(each)) for each in how.limits):
        _fail(layer, f"limits {how.limits} are not of {how.target}")
    if (how.table is not None) != layer.layer.activation.is_table:
        _fail(layer, f"activation {layer.layer.activation.kind!r} and table do not fit each other")
    if how.table is None:
        if output != how.target:
            _fail(layer, f"output format {output} is not that of its requantization, {how.target}")
        return
    if how.target.bits > MAX_INDEX_BITS:
        _fail(layer, f"table index must have at most {MAX_INDEX_BITS} bits, not {how.target.bits}")
    _require(layer, "table", how.table, (1 << how.target.bits,))
    if not output.contains(how.table):
        _fail(layer, f"table leaves the output format {output}")


def _fail(layer: FixedLayer, message: str) -> None:
    raise FixedNetworkError(f"{layer.layer.type_name} {layer.name!r}: {message}")
