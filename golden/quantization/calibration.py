"""From a trained network to integers: formats chosen on calibration images, weights rounded.

Scales are powers of two: one a feature map, one an output channel or a layer for weights. What
the graph scales otherwise (the input, amplitudes of squashing functions) is folded into the
weights of the next layer that has some; see `affine`. If the last layer has an amplitude, it is
left out, and the scores are proportional to the real ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from systolith.golden.fixed.accumulator import accumulator_range
from systolith.golden.fixed.arithmetic import Integers, QFormat, Requantization
from systolith.golden.fixed.consistency import PIXEL_FORMAT, padding_of
from systolith.golden.fixed.integers import FixedLayer, FixedNetwork
from systolith.golden.network import float_model
from systolith.golden.network.affine import Affine, affines, pre_activation
from systolith.golden.network.graph import (
    AveragePooling,
    Convolution,
    Layer,
    MaxPooling,
    Network,
    Pooling,
    RadialBasis,
    Shape,
    Subsampling,
)
from systolith.golden.network.trained_network import Array, TrainedNetwork
from systolith.golden.quantization.bias_correction import with_corrected_bias
from systolith.golden.quantization.format_choice import (
    MOST_FRAC_BITS,
    choose_frac_bits,
    choose_frac_bits_before,
)
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.golden.quantization.settings import PERCENTILE, LayerSettings, Settings

Reals = NDArray[np.float64]

_BATCH = 200
_SAMPLED_VALUES = 1 << 20
_MULTIPLIER_BITS = 16
_CENTRE_HEADROOM_BITS = 4
_ZERO_TOLERANCE = 1e-6


class CalibrationError(ValueError):
    """A network that cannot be quantized so: names the layer and the reason."""


def quantize(
    trained: TrainedNetwork,
    calibration_images: NDArray[np.uint8],
    settings: Settings | None = None,
) -> QuantizedNetwork:
    """Make the fixed-point twin of a trained network.

    Parameters
    ----------
    trained
        The network.
    calibration_images
        uint8 `(images, height, width, channels)`, on which the formats of feature maps are
        chosen; never those that the network is judged by. Ranges are those of all images; squared
        errors are summed over as many, evenly picked, as give about a million values a layer.
    settings
        Widths and methods; 8 bits and least squared error by default.

    Raises
    ------
    SettingsError
        The settings name a layer that is not there, or a key that changes nothing in it.
    CalibrationError
        A layer cannot be made; its name and why.
    ValueError
        There are no images, or they are not of the network's shape.
    """
    settings = settings or Settings()
    settings.check(trained.network)
    return quantize_observed(observe(trained, calibration_images), settings)


@dataclass(frozen=True, eq=False)
class Observations:
    """What a network makes of calibration images in floats: enough for any settings.

    Parameters
    ----------
    trained
        The network.
    layers
        By name, the values before the activation of every layer with formats to choose.
    images
        The calibration images.
    """

    trained: TrainedNetwork
    layers: Mapping[str, _Observed]
    images: NDArray[np.uint8]


def observe(trained: TrainedNetwork, calibration_images: NDArray[np.uint8]) -> Observations:
    """Run a network on calibration images, once for all the settings to quantize it with.

    Parameters and errors are those of `quantize`.
    """
    return Observations(trained, _observe(trained, calibration_images), calibration_images)


def quantize_observed(observations: Observations, settings: Settings) -> QuantizedNetwork:
    """Make the fixed-point twin of a network that was observed: what `quantize` gives.

    Raises
    ------
    SettingsError, CalibrationError
        As `quantize`.
    """
    trained, observed = observations.trained, observations.layers
    network = trained.network
    settings.check(network)
    standing = affines(network)
    layers: list[FixedLayer] = []
    following = [*network.layers[2:], None]
    for (layer, _, shape), fed in zip(network.computing_layers(), following, strict=True):
        task = _Task(
            layer=layer,
            base=_base(network, layer, shape, layers, standing[layer.inputs[0]]),
            arrays={k: v.astype(np.float64) for k, v in trained.arrays[layer.name].items()},
            source=standing[layer.inputs[0]],
            settings=settings.of(layer.name),
            fed=fed,
            observed=observed.get(layer.name),
            trained=trained,
            before=tuple(layers),
            images=observations.images,
        )
        try:
            layers.append(_make(task))
        except (ValueError, OverflowError) as error:
            raise CalibrationError(f"{layer.type_name} {layer.name!r}: {error}") from None
    return QuantizedNetwork(FixedNetwork(network, tuple(layers)), trained, settings)


@dataclass(frozen=True)
class _Observed:
    """Values before the activation: maps of every so many images, and the ends of those of all."""

    values: Array
    ends: tuple[float, float]
    every: int

    def map(self, function: Callable[[Array], Array]) -> _Observed:
        """What a function that keeps order makes of the values."""
        low, high = function(np.array(self.ends))
        return replace(self, values=function(self.values), ends=(float(low), float(high)))


@dataclass(frozen=True)
class _Task:
    """What there is to know to make a layer."""

    layer: Layer
    base: FixedLayer
    arrays: dict[str, Reals]
    source: Affine
    settings: LayerSettings
    fed: Layer | None
    observed: _Observed | None
    trained: TrainedNetwork
    before: tuple[FixedLayer, ...]
    images: NDArray[np.uint8]

    @property
    def last(self) -> bool:
        """Whether it is the network's last layer."""
        return self.fed is None

    @property
    def inner(self) -> Affine:
        """What values before the activation stand for."""
        return pre_activation(self.layer, self.source)

    def function(self, values: Array) -> Array:
        """The squashing function without its amplitude."""
        return _FUNCTIONS[self.layer.activation.kind](
            self.layer.activation.slope * self.inner.gain * values
        )


_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    # 1 / (1 + exp(-a)), in a form that cannot overflow.
    "sigmoid": lambda a: (np.tanh(a / 2) + 1) / 2,
}

_SLOPES: dict[str, Callable[[Array], Array]] = {
    "none": np.ones_like,
    "relu": lambda a: (a > 0).astype(a.dtype),
    "tanh": lambda a: 1 - np.square(np.tanh(a)),
    "sigmoid": lambda a: 1 - np.square(np.tanh(a / 2)),
}
"""Slopes of activations, but for a factor."""


def _observe(trained: TrainedNetwork, images: NDArray[np.uint8]) -> dict[str, _Observed]:
    """What the float model makes of the images, by name of every layer with formats to choose."""
    if not len(images):
        raise ValueError("calibration: needs at least 1 image, not 0")
    parts: dict[str, list[Array]] = {}
    ends: dict[str, list[float]] = {}
    every: dict[str, int] = {}
    # What overflows is found among the values.
    with np.errstate(over="ignore", invalid="ignore"):
        for name, start, before in _float_values(trained, images):
            layer = trained.network[name]
            low, high = float(before.min()), float(before.max())
            if not math.isfinite(low) or not math.isfinite(high):
                raise CalibrationError(
                    f"{layer.type_name} {name!r}: its float values are not finite"
                )
            if layer.inputs and not isinstance(layer, MaxPooling):
                # Every so many images, counted from the first of all.
                step = every[name] = -(-before[0].size * len(images) // _SAMPLED_VALUES)
                parts.setdefault(name, []).append(before[-start % step :: step])
                ends.setdefault(name, []).extend((low, high))
    return {
        name: _Observed(np.concatenate(arrays), (min(ends[name]), max(ends[name])), every[name])
        for name, arrays in parts.items()
    }


def _float_values(
    trained: TrainedNetwork, images: NDArray[np.uint8]
) -> Iterator[tuple[str, int, Array]]:
    """Batch by batch: a layer's name, the batch's first image, values before the activation."""
    for start in range(0, len(images), _BATCH):
        for name, before, _ in float_model.intermediates(trained, images[start : start + _BATCH]):
            yield name, start, before


def _base(
    network: Network, layer: Layer, shape: Shape, before: list[FixedLayer], source: Affine
) -> FixedLayer:
    """A layer's shapes, input format and padding."""
    border, background = network.input.border, network.input.background
    if before:
        border, background = 0, 0
    fmt = before[-1].output_format if before else PIXEL_FORMAT
    value = background
    if isinstance(layer, Convolution) and any(layer.padding):
        zero = _raw_zero(layer, fmt, source)
        if border and zero != background:
            raise CalibrationError(
                f"convolution {layer.name!r}: its padding, zero, is the raw pixel {zero}, and the "
                f"input's border is {background}: one of the two must go"
            )
        value = zero
    made = FixedLayer(
        layer=layer,
        input_shape=before[-1].output_shape if before else network.input.image_shape,
        output_shape=shape,
        input_format=fmt,
        output_format=fmt,
        padding_value=value,
    )
    return replace(made, padding=padding_of(made, border))


def _raw_zero(layer: Layer, fmt: QFormat, source: Affine) -> int:
    """The raw value that stands for the real zero."""
    exact = math.ldexp(-source.offset / source.gain, fmt.frac_bits)
    raw = round(exact)
    if abs(exact - raw) > _ZERO_TOLERANCE or not fmt.contains(raw):
        raise CalibrationError(
            f"convolution {layer.name!r}: its padding is zero, but no raw value from "
            f"{fmt.min_raw} to {fmt.max_raw} stands for zero: that would be {exact:g}"
        )
    return raw


def _make(task: _Task) -> FixedLayer:
    layer = task.layer
    if isinstance(layer, MaxPooling):
        made = task.base
    elif isinstance(layer, AveragePooling):
        made = _average(task)
    elif isinstance(layer, RadialBasis):
        made = _radial_basis(task)
    else:
        made = _weighted(task)
        if task.settings.bias_correction:
            made = _bias_corrected(task, made)
    made = replace(made, accumulator_range=accumulator_range(made))
    if made.requantization is None and not isinstance(layer, MaxPooling):
        # Only now is it known how wide the scores are.
        fmt = QFormat(made.accumulator_bits, made.output_format.frac_bits)
        made = replace(made, output_format=fmt)
    return made


def _weighted(task: _Task) -> FixedLayer:
    """Convolution, dense and sub-sampling: sums of products, and a bias."""
    channels = task.base.output_shape.channels
    weights, bias = task.arrays["weights"], task.arrays["bias"]
    window = 1
    if isinstance(task.layer, Subsampling):
        window = task.layer.window[0] * task.layer.window[1]
    bias = bias + task.source.offset * window * weights.reshape(-1, channels).sum(axis=0)
    columns = task.source.gain * weights.reshape(-1, channels)

    fmt, bits = task.base.input_format, task.settings.weight_bits
    sum_bits = fmt.bits + bits + (window * len(columns) - 1).bit_length()
    target = _target_frac_bits(task)
    frac_bits = _weight_frac_bits(task, columns, bias, sum_bits, target)
    weight_formats = tuple(QFormat(bits, each) for each in frac_bits)
    raw = np.stack([each.quantize(columns[:, i]) for i, each in enumerate(weight_formats)], axis=1)
    acc_frac_bits = fmt.frac_bits + np.array(frac_bits)
    layer = replace(
        task.base,
        weights=raw.reshape(weights.shape),
        bias=np.rint(np.ldexp(bias, acc_frac_bits)).astype(np.int64),
        weight_formats=weight_formats,
    )
    return _finished(task, layer, acc_frac_bits, target)


def _bias_corrected(task: _Task, layer: FixedLayer) -> FixedLayer:
    observed = _inner_values(task)
    activation = task.layer.activation
    arguments = activation.slope * task.inner.gain * observed.values
    return with_corrected_bias(
        task.trained.network,
        task.before,
        layer,
        task.images[:: observed.every],
        observed.values,
        _SLOPES[activation.kind](arguments),
    )


def _weight_frac_bits(
    task: _Task, columns: Reals, bias: Reals, sum_bits: int, target: int | None
) -> list[int]:
    """The fraction bits of each channel's weights."""
    settings = task.settings
    bits, method = settings.weight_bits, settings.weight_calibration
    whole = choose_frac_bits(columns, bits, True, method)
    if whole is None:
        whole = bits - 1
    # Weights so small beside their bias, or beside a step of the result, that they hardly matter
    # get no more bits than an accumulator of products has anyway.
    source = task.base.input_format.frac_bits
    limits = [
        min(
            sum_bits - 1 - math.frexp(each)[1] if each else MOST_FRAC_BITS,
            MOST_FRAC_BITS if target is None else target + sum_bits,
        )
        - source
        for each in bias
    ]
    if task.last or settings.granularity == "tensor":
        return [min(whole, *limits)] * len(limits)
    result = []
    for channel, limit in enumerate(limits):
        own = choose_frac_bits(columns[:, channel], bits, True, method)
        result.append(min(whole if own is None else own, limit))
    return result


def _average(task: _Task) -> FixedLayer:
    """Average pooling: sums, and one requantizing that divides."""
    assert isinstance(task.layer, Pooling)
    size = task.layer.window[0] * task.layer.window[1]
    fmt = task.base.input_format
    if size & (size - 1):
        divided = size.bit_length() + _MULTIPLIER_BITS
        multiplier = round(2**divided / size)
    else:
        divided, multiplier = size.bit_length() - 1, 1
    layer = task.base
    acc_frac_bits = np.full(layer.output_shape.channels, fmt.frac_bits + divided)
    if task.layer.activation.kind == "none":
        return _requantized(task, layer, acc_frac_bits, fmt, multiplier)
    # A sum of raw values is `size` times its mean.
    bias = size * math.ldexp(task.source.offset / task.source.gain, fmt.frac_bits)
    if bias:
        layer = replace(layer, bias=np.full(len(acc_frac_bits), round(bias), np.int64))
    return _finished(task, layer, acc_frac_bits, _target_frac_bits(task), multiplier)


def _radial_basis(task: _Task) -> FixedLayer:
    """Squared distances from centres, at a common scale of inputs and centres."""
    centres = (task.arrays["weights"] - task.source.offset) / task.source.gain
    fmt, bits = task.base.input_format, task.settings.weight_bits
    frac_bits = choose_frac_bits(centres, bits, True, task.settings.weight_calibration)
    # Finer centres than this, beside such inputs, only widen the squares.
    finest = fmt.frac_bits + max(0, bits - fmt.bits) + _CENTRE_HEADROOM_BITS
    frac_bits = finest if frac_bits is None else min(frac_bits, finest)
    common = max(frac_bits, fmt.frac_bits)
    raw = QFormat(bits, frac_bits).quantize(centres) << (common - frac_bits)
    layer = replace(
        task.base,
        weights=raw,
        weight_formats=(QFormat(bits + common - frac_bits, common),) * centres.shape[-1],
        input_shift=common - fmt.frac_bits,
    )
    acc_frac_bits = np.full(centres.shape[-1], 2 * common)
    return _finished(task, layer, acc_frac_bits, _target_frac_bits(task))


def _target_frac_bits(task: _Task) -> int | None:
    """The fraction bits to requantize to (of a table, those of its index)."""
    kind = task.layer.activation.kind
    if task.last and kind == "none":
        return None
    observed = _inner_values(task)
    if task.layer.activation.is_table:
        return _observed_frac_bits(task, observed, task.settings.index_bits, True, task.function)
    if kind == "relu":
        observed = observed.map(lambda values: np.maximum(values, 0))
    bits, signed = task.settings.activation_bits, _is_signed(task.layer)
    fed = task.fed
    if (
        task.settings.calibration == "mse"
        and kind == "none"
        and fed is not None
        and fed.activation.is_table
    ):
        # Large values lose little in a squashing function, and would outweigh all others here.
        name, gain = fed.name, task.inner.gain
        return choose_frac_bits_before(
            observed.values,
            bits,
            signed,
            following=lambda values: float_model.apply(task.trained, name, gain * values),
            ends=observed.ends,
        )
    return _observed_frac_bits(task, observed, bits, signed)


def _observed_frac_bits(
    task: _Task,
    observed: _Observed,
    bits: int,
    signed: bool,
    through: Callable[[Array], Array] | None = None,
) -> int | None:
    """The choice for values of a feature map, by the layer's method."""
    percentile = task.settings.percentile
    return choose_frac_bits(
        observed.values,
        bits,
        signed,
        task.settings.calibration,
        through=through,
        ends=observed.ends,
        percentile=PERCENTILE if percentile is None else percentile,
    )


def _inner_values(task: _Task) -> _Observed:
    """The values before the activation, without their gain; an offset they do not have."""
    assert task.observed is not None
    return task.observed.map(lambda values: values / np.float64(task.inner.gain))


def _is_signed(layer: Layer) -> bool:
    return layer.activation.kind not in ("relu", "sigmoid") and not (
        isinstance(layer, RadialBasis) and layer.activation.kind == "none"
    )


def _finished(
    task: _Task,
    layer: FixedLayer,
    acc_frac_bits: Integers,
    target: int | None,
    multiplier: int = 1,
) -> FixedLayer:
    """A layer of exact sums with what follows: requantization, and maybe a table."""
    kind, settings = task.layer.activation.kind, task.settings
    if task.last and kind == "none":
        # Its format gets the width of the accumulator later.
        return replace(layer, output_format=QFormat(1, int(acc_frac_bits[0])))
    table = task.layer.activation.is_table
    bits = settings.index_bits if table else settings.activation_bits
    if target is None:
        # Always zero on the calibration images: every sum that can be is covered.
        low, high = accumulator_range(layer)
        spare = max(-low, high).bit_length() + 1 - bits
        target = int(acc_frac_bits.min()) - max(0, spare)
    # A step finer than every sum's would only shift left.
    target = min(target, int(acc_frac_bits.max()))
    fmt = QFormat(bits, target, signed=table or _is_signed(task.layer))
    return _requantized(task, layer, acc_frac_bits, fmt, multiplier)


def _requantized(
    task: _Task, layer: FixedLayer, acc_frac_bits: Integers, target: QFormat, multiplier: int
) -> FixedLayer:
    how = Requantization(
        acc_frac_bits - target.frac_bits, target, multiplier, task.settings.rounding
    )
    if not task.layer.activation.is_table:
        return replace(layer, requantization=how, output_format=target)
    fmt = _table_format(task)
    indices = np.arange(target.min_raw, target.max_raw + 1)
    table = fmt.quantize(task.function(target.dequantize(indices)))
    return replace(layer, requantization=replace(how, table=table), output_format=fmt)


def _table_format(task: _Task) -> QFormat:
    """The format of a squashing function's values."""
    observed = _inner_values(task).map(task.function)
    bits, signed = task.settings.activation_bits, _is_signed(task.layer)
    frac_bits = _observed_frac_bits(task, observed, bits, signed)
    return QFormat(bits, bits - signed if frac_bits is None else frac_bits, signed)
