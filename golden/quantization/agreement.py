"""Whether the formats of a quantized network are those that its settings and its graph ask for.

Checked of files, which may come from elsewhere: reports and hardware quote the settings, and
compute with the formats.
"""

from __future__ import annotations

from systolith.golden.fixed.consistency import FixedNetworkError
from systolith.golden.fixed.integers import FixedLayer, FixedNetwork
from systolith.golden.network.affine import Affine, affines, pre_activation
from systolith.golden.network.graph import AveragePooling, RadialBasis
from systolith.golden.quantization.padding import padding_value
from systolith.golden.quantization.settings import LayerSettings, Settings
from systolith.golden.quantization.value_format import raw_limits


def check_agreement(fixed: FixedNetwork, settings: Settings) -> None:
    """Refuse widths and rounding other than the settings', and padding other than the graph's.

    Raises
    ------
    FixedNetworkError
        Names the layer, what it has and what it should have.
    """
    sources = affines(fixed.network)
    for layer in fixed.layers:
        own = settings.of(layer.name)
        _check_weights(layer, own)
        _check_outputs(layer, own)
        _check_limits(layer, sources[layer.layer.inputs[0]])
        _check_padding(fixed, layer, sources[layer.layer.inputs[0]])


def _check_weights(layer: FixedLayer, settings: LayerSettings) -> None:
    if layer.weight_formats and isinstance(layer.layer, RadialBasis):
        # Centres of a coarser scale than the inputs are shifted left, which adds zeros.
        assert layer.weights is not None
        zeros = layer.weight_formats[0].bits - settings.weight_bits
        if zeros < 0 or (zeros and layer.input_shift) or (layer.weights & ((1 << zeros) - 1)).any():
            _fail(layer, f"centres are not of the {settings.weight_bits} bits of the settings")
        return
    for fmt in layer.weight_formats:
        _require(layer, "bits of weights", fmt.bits, settings.weight_bits)
    fractions = {fmt.frac_bits for fmt in layer.weight_formats}
    if settings.granularity == "tensor" and len(fractions) > 1:
        _fail(layer, "weights have several scales, the settings say granularity 'tensor'")


def _check_outputs(layer: FixedLayer, settings: LayerSettings) -> None:
    how = layer.requantization
    if how is None:
        return
    _require(layer, "rounding", how.rounding, settings.rounding)
    if how.table is not None:
        _require(layer, "bits of its table's index", how.target.bits, settings.index_bits)
    elif isinstance(layer.layer, AveragePooling) and layer.layer.activation.is_identity:
        _require(layer, "format of values", how.target, layer.input_format)
        return
    _require(layer, "bits of values", layer.output_format.bits, settings.activation_bits)


def _check_limits(layer: FixedLayer, source: Affine) -> None:
    how = layer.requantization
    if how is not None:
        gain = pre_activation(layer.layer, source).gain
        expected = raw_limits(layer.layer.activation, gain, how.target)
        _require(layer, "limits of values", how.limits, expected)


def _check_padding(fixed: FixedNetwork, layer: FixedLayer, source: Affine) -> None:
    """The border has the raw background, and other padding the layer's own value."""
    expected = fixed.network.input.background if layer is fixed.layers[0] else 0
    if any(layer.layer.pads):
        expected = padding_value(layer.layer, layer.input_format, source)
    _require(layer, "padding value", layer.padding_value, expected)


def _require(layer: FixedLayer, what: str, found: object, expected: object) -> None:
    if found != expected:
        _fail(layer, f"{what}: {found}, but graph and settings say {expected}")


def _fail(layer: FixedLayer, message: str) -> None:
    raise FixedNetworkError(f"{layer.layer.type_name} {layer.name!r}: {message}")
