"""From floats to integers: formats, folding, and what cannot be."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import ndtr

from systolith.golden.fixed import execution
from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network import float_model
from systolith.golden.network.affine import affines, pre_activation
from systolith.golden.network.graph import (
    NO_ACTIVATION,
    Activation,
    AveragePooling,
    Convolution,
    Dense,
    Input,
    Layer,
    MaxPooling,
    Network,
    Pooling,
    RadialBasis,
    Subsampling,
)
from systolith.golden.network.trained_network import TrainedNetwork, load_network
from systolith.golden.quantization.calibration import quantize, quantize_observed
from systolith.golden.quantization.format_choice import choose_frac_bits
from systolith.golden.quantization.methods import METHODS
from systolith.golden.quantization.observation import CalibrationError, observe
from systolith.golden.quantization.padding import padded_with
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.golden.quantization.settings import (
    LayerSettings,
    Settings,
    SettingsError,
    keys_of,
)
from tests.golden.random_networks import (
    input_of_some_size,
    random_arrays,
    random_images,
    random_trained,
)

SEEDS = st.integers(0, 2**32 - 1)
RELU = Activation("relu")
WIDE = Settings(LayerSettings(16, 16, "minmax", table_index_bits=18))

IMAGE = Input(name="input", height=6, width=6, scale=0.01, offset=-0.2, background=20)


def trained(*layers: Layer, source: Input = IMAGE, seed: int = 0) -> TrainedNetwork:
    """A chain of layers (each fed by the one before it) with random weights."""
    chain: list[Layer] = [source]
    for layer in layers:
        chain.append(replace(layer, inputs=(chain[-1].name,)))
    network = Network("chain", tuple(chain))
    rng = np.random.default_rng(seed)
    arrays = {
        layer.name: random_arrays(rng, layer, shape)
        for layer, shape, _ in network.computing_layers()
    }
    return TrainedNetwork(network, arrays)


def changed(network: TrainedNetwork, layer: str, name: str, array: Any) -> TrainedNetwork:
    """The network with another array."""
    arrays = {key: dict(value) for key, value in network.arrays.items()}
    arrays[layer][name] = np.asarray(array, np.float32)
    return TrainedNetwork(network.network, arrays)


def conv(
    name: str,
    kernel: tuple[int, int] = (3, 3),
    padding: tuple[int, int] = (0, 0),
    activation: Activation = NO_ACTIVATION,
) -> Convolution:
    return Convolution(
        name=name,
        inputs=("x",),
        kernel=kernel,
        out_channels=3,
        padding=padding,
        activation=activation,
    )


def dense(name: str, units: int = 4, **parameters: Any) -> Dense:
    return Dense(name=name, inputs=("x",), units=units, **parameters)


def images(network: TrainedNetwork, count: int = 20) -> NDArray[np.uint8]:
    return random_images(np.random.default_rng(1), network.network, count)


def real_values(quantized: QuantizedNetwork, pixels: NDArray[np.uint8]) -> dict[str, Any]:
    """What the fixed values of every layer stand for."""
    run = execution.run(quantized.fixed, pixels)
    standing = affines(quantized.fixed.network)
    return {
        name: standing[name].gain * quantized.fixed[name].output_format.dequantize(raw)
        + standing[name].offset
        for name, raw in run.outputs.items()
    }


def without_activations(network: TrainedNetwork) -> TrainedNetwork:
    layers = tuple(replace(layer, activation=NO_ACTIVATION) for layer in network.network.layers)
    return TrainedNetwork(Network("linear", layers), network.arrays)


def rounding_error(layer: FixedLayer, fan_in: int, largest: float) -> float:
    """How far rounded weights and bias can move a sum, of inputs up to `largest`."""
    if not layer.weight_formats:
        if layer.factors is not None:
            # Whole numbers, the smallest of which has the fewest digits.
            return largest / (2 * int(layer.factors.min()))
        # The multiplier of an average has 16 bits and more.
        return 2.0**-16 * largest
    step = max(fmt.step * 2.0 ** (fmt.bits - 16) for fmt in layer.weight_formats)
    if isinstance(layer.layer, RadialBasis):
        assert layer.weights is not None
        centre = float(np.abs(layer.weights).max()) * layer.weight_formats[0].step
        return fan_in * (2 * (largest + centre) * step / 2 + step**2 / 4)
    finest = max(fmt.step for fmt in layer.weight_formats) * layer.input_format.step
    return fan_in * largest * step / 2 + finest / 2


def activated(activation: Activation, before: NDArray[Any]) -> NDArray[Any]:
    """The activations of random networks, written out."""
    argument, amplitude = activation.slope * before, activation.amplitude
    low, high = activation.parameters if activation.kind == "clip" else (0.0, 0.0)
    values: dict[str, NDArray[Any]] = {
        "none": before,
        "relu": np.maximum(before, 0),
        "clip": np.minimum(np.maximum(before, low), high),
        "tanh": amplitude * np.tanh(argument),
        "sigmoid": amplitude / (1 + np.exp(np.clip(-argument, -60, 60))),
        "leaky_relu": amplitude * np.maximum(argument, argument / 10),
        "gelu": amplitude * argument * ndtr(argument),
    }
    return values[activation.kind]


@settings(max_examples=60)
@example(23974)  # Means of 1, 3, 4 and 12 values, whose factors have 16 bits and fewer.
@given(SEEDS)
def test_every_layer_is_the_real_one_but_for_rounding(seed: int) -> None:
    """Scales, offsets, amplitudes and borders are folded right, for every kind of layer.

    Each layer's fixed values are held against the float layer on what its fixed inputs stand for;
    what may lie between them is counted from the steps of the formats.
    """
    rng = np.random.default_rng(seed)
    network = random_trained(rng)
    pixels = random_images(rng, network.network, 10)
    with input_of_some_size():
        made = quantize(network, pixels, WIDE)
    found, standing = real_values(made, pixels), affines(network.network)
    source = float_model.run(network, pixels)["input"]
    linear = without_activations(network)
    for layer, shape, _ in network.network.computing_layers():
        fixed, inner = made.fixed[layer.name], pre_activation(layer, standing[layer.inputs[0]])
        before = float_model.apply(linear, layer.name, source.astype(np.float32))
        kind, slope = layer.activation.kind, layer.activation.slope
        expected = activated(layer.activation, before)
        # The slope of GELU is at most 1.13.
        steepness = layer.activation.amplitude * slope * 1.13 if layer.activation.is_table else 1.0
        fan_in = math.prod(layer.array_shapes(shape).get("weights", (1,))[:-1]) or 1
        if isinstance(layer, Pooling):
            fan_in = math.prod(layer.window)
        gain, offset = vars(standing[layer.inputs[0]]).values()
        error = rounding_error(fixed, fan_in, float(np.abs((source - offset) / gain).max()))
        how, held = fixed.requantization, np.ones(before.shape, bool)
        if how is not None:
            error += how.target.step / 2
            raw = (before - inner.offset) / (inner.gain * how.target.step)
            held = (raw < how.target.max_raw) | (how.limits[1] is not None)
            held &= (raw > how.target.min_raw) | (kind == "relu") | (how.limits[0] is not None)
        # The float layer itself has float32's errors.
        allowed = steepness * inner.gain * error + 2e-5 * (1 + np.abs(before).max())
        if layer.activation.is_table:
            allowed += standing[layer.name].gain * fixed.output_format.step
        assert np.abs(found[layer.name] - expected)[held].max(initial=0) <= allowed
        source = found[layer.name]


@pytest.mark.parametrize("name", ["lenet5", "lenet5-sigmoid", "lenet5-relu"])
@pytest.mark.parametrize(("bits", "calibration"), [(2, "minmax"), (3, "mse"), (16, "mse")])
def test_the_networks_that_ship_take_all_widths(name: str, bits: int, calibration: Any) -> None:
    network = load_network(name)
    pixels = random_images(np.random.default_rng(0), network.network, 4)
    made = quantize(network, pixels, Settings(LayerSettings(bits, bits, calibration)))
    assert execution.classes(made.fixed, pixels).shape == (4,)
    assert all(layer.accumulator_bits <= 48 for layer in made.fixed.layers)


def test_the_same_input_gives_the_same_bytes() -> None:
    network = trained(conv("C", activation=Activation("tanh", 1.7, 0.6)), dense("F"))
    pixels = images(network)
    assert quantize(network, pixels).sha256 == quantize(network, pixels.copy()).sha256


def test_formats_of_all_kinds_of_layers() -> None:
    network = trained(
        conv("C", activation=RELU),
        MaxPooling(name="M", inputs=("x",)),
        conv("D", kernel=(1, 1)),
        AveragePooling(name="A", inputs=("x",), window=(1, 2)),
        dense("T", activation=Activation("tanh")),
        dense("S", activation=Activation("sigmoid")),
        RadialBasis(name="R", inputs=("x",), units=3),
        dense("F"),
    )
    made = quantize(network, images(network), Settings(LayerSettings(7, 6))).fixed
    assert made["C"].input_format == QFormat(8, 0, signed=False)
    formats = {layer.name: layer.output_format for layer in made.layers}
    assert {name: (fmt.bits, fmt.signed) for name, fmt in formats.items() if name != "F"} == {
        "C": (6, False),
        "M": (6, False),
        "D": (6, True),
        "A": (6, True),
        "T": (6, True),
        # Squares have no sign.
        "R": (6, False),
        "S": (6, False),
    }
    assert formats["M"] == formats["C"]
    assert formats["A"] == formats["D"]
    assert formats["S"].frac_bits == 6
    others = (layer for layer in made.layers if layer.name != "R")
    assert all(fmt.bits == 7 for layer in others for fmt in layer.weight_formats)

    how = made["T"].requantization
    assert how is not None and how.table is not None
    assert (how.target.bits, how.target.signed, len(how.table)) == (8, True, 256)
    assert made["A"].requantization is not None
    assert made["A"].requantization.shifts.tolist() == [1, 1, 1]
    assert made["M"].requantization is None
    assert made["F"].requantization is None
    assert formats["F"].bits == made["F"].accumulator_bits
    assert len(set(made["F"].weight_formats)) == 1


def test_a_table_is_the_function_of_its_index() -> None:
    network = trained(dense("F", activation=Activation("tanh", 1.7159, 2 / 3)), dense("G"))
    layer = quantize(network, images(network)).fixed["F"]
    how = layer.requantization
    assert how is not None and how.table is not None
    for raw, entry in zip(
        range(how.target.min_raw, how.target.max_raw + 1), how.table, strict=True
    ):
        exact = np.tanh(2 / 3 * raw * 2.0**-how.target.frac_bits)
        low, high = layer.output_format.min_raw, layer.output_format.max_raw
        assert entry == max(low, min(high, round(exact * 2.0**layer.output_format.frac_bits)))


def test_granularity_and_overrides_by_layer() -> None:
    network = trained(conv("C", activation=RELU), conv("D", activation=RELU), dense("F"))
    weights = network.arrays["C"]["weights"] * np.array([1, 0.1, 0.01])
    network = changed(network, "C", "weights", weights)
    by_channel = quantize(network, images(network)).fixed["C"]
    assert len({fmt.frac_bits for fmt in by_channel.weight_formats}) == 3

    made = quantize(
        network,
        images(network),
        Settings(
            LayerSettings(granularity="tensor"),
            {"D": {"weight_bits": 3, "activation_bits": 5, "granularity": "channel"}},
        ),
    ).fixed
    assert len(set(made["C"].weight_formats)) == 1
    assert made["C"].output_format.bits == 8
    assert {fmt.bits for fmt in made["D"].weight_formats} == {3}
    assert made["D"].output_format.bits == 5


def test_minmax_saturates_nothing_on_its_own_images() -> None:
    network = trained(
        conv("C", activation=Activation("tanh")), conv("D", activation=RELU), dense("F")
    )
    pixels = images(network)
    wide = {"weight_bits": 16}
    made = quantize(network, pixels, Settings.from_mapping({"calibration": "minmax", **wide}))
    saturated = execution.run(made.fixed, pixels).saturated
    assert [int(saturated[name].sum()) for name in "CDF"] == [0, 0, 0]


def test_values_before_a_squashing_function_have_the_format_that_suits_it() -> None:
    """Rare large values, of which the sigmoid of the next layer makes 1, do not widen steps."""
    pool = Subsampling(name="S", inputs=("x",), activation=Activation("sigmoid"))
    network = trained(conv("C", kernel=(1, 1)), pool, dense("F"))
    network = changed(network, "C", "weights", [[[[1.0, -1.0, 1.0]]]])
    network = changed(network, "C", "bias", [0.0, 0.0, 30.0])
    network = changed(network, "S", "weights", [1.0, 1.0, 1.0])
    network = changed(network, "S", "bias", [0.0, 0.0, 0.0])
    pixels = images(network)
    fractions = [
        quantize(network, pixels, Settings(LayerSettings(calibration=method)))
        .fixed["C"]
        .output_format.frac_bits
        for method in ("minmax", "mse")
    ]
    assert fractions == [1, 5]


@pytest.mark.parametrize("calibration", METHODS)
@pytest.mark.parametrize("kind", ["none", "relu", "tanh", "sigmoid"])
def test_dead_channels_and_layers_are_no_trouble(calibration: Any, kind: Any) -> None:
    network = trained(
        conv("C", activation=Activation(kind)), dense("F", activation=Activation(kind))
    )
    # With so few values the least divergence gives some of them up.
    lost = 0.2 if calibration == "entropy" else 0.05
    weights = np.array(network.arrays["C"]["weights"])
    weights[..., 0] = 0
    weights[..., 1] *= 1e-30
    one_dead = changed(network, "C", "weights", weights)
    all_dead = changed(network, "C", "weights", weights * 0)
    for dead in (one_dead, all_dead, changed(all_dead, "C", "bias", [0, 0, 0])):
        pixels = images(dead)
        both = [LayerSettings(8, 8, calibration, bias_correction=on) for on in (False, True)]
        made, corrected = (quantize(dead, pixels, Settings(each)) for each in both)
        assert execution.classes(corrected.fixed, pixels).shape == (20,)
        found, real = real_values(made, pixels), float_model.run(dead, pixels)
        for name in ("C", "F"):
            spread = float(np.abs(real[name]).max())
            assert np.abs(found[name] - real[name]).max() <= lost * spread + 1e-9
            assert made.fixed[name].accumulator_bits < 32


@pytest.mark.parametrize("calibration", METHODS)
def test_images_that_are_all_the_same_are_no_trouble(calibration: Any) -> None:
    """Feature maps are then constant, and held as well as any."""
    network = trained(
        conv("C", activation=RELU), conv("D", activation=Activation("tanh")), dense("F")
    )
    how = Settings(LayerSettings(calibration=calibration, bias_correction=True))
    for value in (0, 20, 255):
        same = np.full((3, 6, 6, 1), value, np.uint8)
        made = quantize(network, same, how)
        assert execution.classes(made.fixed, images(network)).shape == (20,)
        found, real = real_values(made, same), float_model.run(network, same)
        for name in ("C", "D", "F"):
            assert np.abs(found[name] - real[name]).max() <= 0.05 * np.abs(real[name]).max() + 1e-9


@pytest.mark.parametrize("calibration", METHODS)
def test_the_method_of_a_layer_chooses_its_formats(calibration: Any) -> None:
    """What a layer is given is what `choose_frac_bits` says of its float values."""
    network = trained(conv("C", activation=RELU), dense("F"))
    pixels = images(network)
    values = float_model.run(network, pixels)["C"]
    made = quantize(network, pixels, Settings(LayerSettings(3, 3, calibration))).fixed["C"]
    assert made.output_format.frac_bits == choose_frac_bits(values, 3, False, calibration)
    of_weights: Any = "minmax" if calibration == "minmax" else "mse"
    weights = network.arrays["C"]["weights"] * np.float64(IMAGE.scale)
    assert [fmt.frac_bits for fmt in made.weight_formats] == [
        choose_frac_bits(weights[..., channel], 3, True, of_weights) for channel in range(3)
    ]


OF_A_LAYER = [
    (calibration, granularity, rounding, correct)
    for calibration in METHODS
    for granularity, rounding, correct in (
        *(("channel", "half_up", False), ("tensor", "floor", True)),
        *(("channel", "half_even", True), ("tensor", "half_up", False)),
    )
]


@pytest.mark.parametrize(("calibration", "granularity", "rounding", "correct"), OF_A_LAYER)
def test_a_layer_has_all_its_own_settings_and_the_others_have_none_of_them(
    calibration: Any, granularity: Any, rounding: Any, correct: bool
) -> None:
    """Formats by the layer's method, one bias or another, in the middle of a network."""
    network = trained(conv("C", activation=RELU), conv("D", activation=RELU), dense("F"))
    weights = network.arrays["D"]["weights"] * np.array([1, 0.2, 0.03])
    network = changed(changed(network, "D", "weights", weights), "D", "bias", [0.1, 0.2, 0.3])
    pixels = images(network, 30)
    own = {
        "weight_bits": 4,
        "activation_bits": 3,
        "calibration": calibration,
        "granularity": granularity,
        "rounding": rounding,
        "bias_correction": correct,
    }
    if calibration == "percentile":
        own["percentile"] = 70
    made = quantize(network, pixels, Settings(LayerSettings(9, 10), {"D": own})).fixed
    plain = quantize(network, pixels, Settings(LayerSettings(9, 10))).fixed

    layer, real = made["D"], dict(float_model.run(network, pixels))
    chosen = choose_frac_bits(real["D"], 3, False, calibration, percentile=own.get("percentile", 0))
    assert chosen is not None
    assert layer.output_format == QFormat(3, chosen, signed=False)
    of_weights = calibration if METHODS[calibration].suits_weights else "mse"
    columns = network.arrays["D"]["weights"].astype(float).reshape(-1, 3)
    fractions = [choose_frac_bits(columns[:, out], 4, True, of_weights) for out in range(3)]
    if granularity == "tensor":
        fractions = [choose_frac_bits(columns, 4, True, of_weights)] * 3
    assert [(fmt.bits, fmt.frac_bits) for fmt in layer.weight_formats] == [
        (4, each) for each in fractions
    ]
    assert layer.requantization is not None and layer.requantization.rounding == rounding

    sums = {name: before for name, before, _ in float_model.intermediates(network, pixels)}["D"]
    raw = np.lib.stride_tricks.sliding_window_view(
        execution.run(made, pixels).outputs["C"], (3, 3), (1, 2)
    )
    assert layer.weights is not None and layer.bias is not None
    held = np.tensordot(raw, layer.weights, axes=((4, 5, 3), (0, 1, 2))) + layer.bias
    steps = [2.0 ** -((each or 0) + layer.input_format.frac_bits) for each in fractions]
    uncorrected = [round(bias / step) for bias, step in zip((0.1, 0.2, 0.3), steps, strict=True)]
    assert (layer.bias.tolist() == uncorrected) == (not correct)
    for out, step in enumerate(steps if correct else ()):
        errors = (sums - held * step)[..., out][sums[..., out] > 0]
        assert errors.size and abs(errors.mean()) <= step / 2 + 1e-6

    # The layer before is as it was; the one after has another input, and formats of its own.
    assert made["C"].output_format == plain["C"].output_format
    assert made["F"].weight_formats == plain["F"].weight_formats
    assert made["F"].weights is not None and plain["F"].weights is not None
    assert made["F"].weights.tolist() == plain["F"].weights.tolist()


def test_a_percentile_may_be_set() -> None:
    network = trained(conv("C", activation=RELU), dense("F"))
    pixels = images(network)
    fractions = []
    for mapping in ({}, {"percentile": 60}, {"layers": {"C": {"percentile": 60.0}}}):
        how = Settings.from_mapping({"calibration": "percentile", **mapping})
        fractions.append(quantize(network, pixels, how).fixed["C"].output_format.frac_bits)
    assert fractions[0] < fractions[1] == fractions[2]


@pytest.mark.parametrize("rounding", ["floor", "half_up", "half_even"])
def test_rounding_is_that_of_the_settings(rounding: Any) -> None:
    network = trained(
        conv("C", activation=Activation("tanh")),
        AveragePooling(name="A", inputs=("x",), window=(2, 2)),
        dense("F"),
    )
    made = quantize(network, images(network), Settings(LayerSettings(rounding=rounding))).fixed
    hows = [layer.requantization for layer in made.layers[:2]]
    assert [how and how.rounding for how in hows] == [rounding, rounding]
    by_layer = quantize(network, images(network), Settings(layers={"A": {"rounding": rounding}}))
    hows = [layer.requantization for layer in by_layer.fixed.layers[:2]]
    assert [how and how.rounding for how in hows] == ["half_up", rounding]


def test_a_bias_far_above_its_weights_does_not_widen_the_accumulator() -> None:
    network = trained(dense("F", activation=RELU), dense("G"))
    small = changed(network, "F", "weights", network.arrays["F"]["weights"] * 1e-6)
    made = quantize(small, images(small)).fixed["F"]
    assert made.accumulator_bits <= 8 + 8 + 6 + 1
    assert made.bias is not None and (made.bias != 0).all()


def test_a_channel_far_below_the_others_does_not_widen_the_accumulator() -> None:
    """It would only be shifted away again, with a rounding constant as large as the shift."""
    network = trained(conv("C", activation=RELU), dense("F"))
    weights = network.arrays["C"]["weights"] * np.array([1, 1, 1e-12])
    network = changed(changed(network, "C", "weights", weights), "C", "bias", [0, 0, 0])
    network = TrainedNetwork(  # Without an offset, which would end up in the bias.
        Network("plain", (replace(IMAGE, offset=0.0), *network.network.layers[1:])), network.arrays
    )
    assert quantize(network, images(network)).fixed["C"].accumulator_bits <= 8 + 8 + 4 + 2


def test_steps_finer_than_any_sum_are_not_made() -> None:
    """Few bits of weights and many of values: the values end where the finest sums do."""
    network = trained(conv("C", activation=RELU), conv("D"), dense("F"))
    weights = network.arrays["C"]["weights"] * np.array([1, 0.1, 0.01])
    network = changed(network, "C", "weights", weights)
    made = quantize(network, images(network), Settings(LayerSettings(2, 16))).fixed
    for layer in made.layers[:2]:
        assert layer.requantization is not None
        assert layer.requantization.shifts.max() >= 0
    assert made["C"].requantization is not None
    shifts = made["C"].requantization.shifts
    assert (shifts.max(), len(set(shifts.tolist()))) == (0, 3)


def test_the_border_and_a_padding_of_zero_are_one() -> None:
    bordered = replace(IMAGE, border=2, background=20)
    network = trained(conv("C", padding=(1, 2)), conv("D", padding=(2, 0)), source=bordered)
    made = quantize(network, images(network), WIDE).fixed
    assert (made["C"].padding, made["C"].padding_value) == ((3, 4, 3, 4), 20)
    assert made["C"].input_shape == (6, 6, 1)
    assert (made["D"].padding, made["D"].padding_value) == ((2, 0, 2, 0), 0)
    found = real_values(quantize(network, images(network), WIDE), images(network))
    real = float_model.run(network, images(network))
    assert np.abs(found["D"] - real["D"]).max() < 0.01


def test_a_border_before_a_layer_that_is_no_convolution() -> None:
    bordered = replace(IMAGE, border=1, background=99)
    for layer in (
        MaxPooling(name="L", inputs=("x",)),
        Subsampling(name="L", inputs=("x",), activation=RELU),
        RadialBasis(name="L", inputs=("x",), units=3),
    ):
        network = trained(layer, dense("F"), source=bordered)
        pixels = images(network)
        made = quantize(network, pixels, WIDE)
        assert (made.fixed["L"].padding, made.fixed["L"].padding_value) == ((1, 1, 1, 1), 99)
        found, real = real_values(made, pixels)["F"], float_model.run(network, pixels)["F"]
        assert np.abs(found - real).max() <= 0.002 * np.abs(real).max()


@pytest.mark.parametrize(
    ("offset", "raw", "real"),
    # A pixel stands for 0.01 of its value and the offset.
    [(-0.2, 20, 0.0), (-0.203, 20, -0.003), (0.1, 0, 0.1), (-3.0, 255, -0.45)],
)
def test_padding_is_the_raw_value_nearest_to_zero(offset: float, raw: int, real: float) -> None:
    """The twin equals a float network whose border is that raw value, and says what it is."""
    source = replace(IMAGE, offset=offset)
    network = trained(conv("C", padding=(1, 1)), source=source)
    made = quantize(network, images(network), WIDE)
    assert made.fixed["C"].padding_value == raw
    found = padded_with(made.fixed["C"], affines(network.network)[network.network.input.name])
    assert found == pytest.approx(real) and (found == 0) == (real == 0)
    bordered = trained(conv("C"), source=replace(source, border=1, background=raw))
    same = TrainedNetwork(bordered.network, network.arrays)
    expected = float_model.run(same, images(network))["C"]
    difference = np.abs(real_values(made, images(network))["C"] - expected).max()
    assert difference < 0.001 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("layer", "background", "offset", "padding"),
    [
        (conv("L", padding=(1, 1)), 0, -0.2, 20),
        (conv("L", padding=(0, 1)), 20, 0.0, 0),
        # What is left out has a value of its own, whatever stands for zero.
        (MaxPooling(name="L", inputs=("x",), padding=(1, 0)), 20, -0.2, 0),
        (AveragePooling(name="L", inputs=("x",), padding=(1, 0)), 20, -0.2, 0),
        (
            AveragePooling(name="L", inputs=("x",), padding=(1, 0), count_padding=True),
            *(0, -0.2, 20),
        ),
    ],
)
def test_padding_and_a_border_of_other_values_are_refused(
    layer: Layer, background: int, offset: float, padding: int
) -> None:
    source = replace(IMAGE, border=1, background=background, offset=offset)
    network = trained(layer, dense("F"), source=source)
    reason = f"'L': its padding is the raw value {padding}, and the input's border is {background}:"
    with pytest.raises(CalibrationError, match=reason):
        quantize(network, images(network))
    # Without a border, or with one of the same value, there is one value.
    for same in (replace(source, border=0), replace(source, background=padding)):
        allowed = trained(layer, dense("F"), source=same)
        made = quantize(allowed, images(allowed)).fixed
        assert (made["L"].padding_value, made["F"].padding_value) == (padding, 0)


def test_centres_and_inputs_come_to_a_common_scale() -> None:
    basis = RadialBasis(name="R", inputs=("x",), units=3)
    network = trained(dense("F", activation=RELU), basis)
    for factor in (0.001, 1.0, 1000.0):
        scaled = changed(network, "R", "weights", network.arrays["R"]["weights"] * factor)
        layer: FixedLayer = quantize(scaled, images(scaled)).fixed["R"]
        common = layer.input_format.frac_bits + layer.input_shift
        assert {fmt.frac_bits for fmt in layer.weight_formats} == {common}
        assert layer.input_shift >= 0
        assert layer.output_format.frac_bits == 2 * common
    assert layer.input_shift == 0
    # Centres near zero are at most four bits finer than the inputs, beside the bits they have more.
    near = changed(network, "R", "weights", network.arrays["R"]["weights"] * 1e-9)
    for bits, shift in ((4, 4), (8, 4), (12, 8)):
        settings = Settings(LayerSettings(bits, 8))
        assert quantize(near, images(near), settings).fixed["R"].input_shift == shift


def test_bad_requests_are_named() -> None:
    network = trained(conv("C", activation=RELU), dense("F"))
    with pytest.raises(ValueError, match="calibration: needs at least 1 image, not 0"):
        quantize(network, images(network)[:0])
    with pytest.raises(SettingsError, match="has no layer 'C9'"):
        quantize(network, images(network), Settings(layers={"C9": {"weight_bits": 4}}))
    for method in METHODS:
        with pytest.raises(ValueError, match="calibration: needs at least 1 image, not 0"):
            quantize(network, images(network)[:0], Settings(LayerSettings(calibration=method)))
    with pytest.raises(ValueError, match="images must be uint8 of 6 x 6 x 1"):
        quantize(network, np.zeros((3, 5, 6, 1), np.uint8))
    large = changed(network, "C", "weights", np.full((3, 3, 1, 3), 3e38))
    for method in METHODS:
        with pytest.raises(CalibrationError, match="'C': its float values are not finite"):
            quantize(large, images(large), Settings(LayerSettings(calibration=method)))


def test_a_granularity_that_is_not_known_is_refused() -> None:
    network = trained(conv("C", activation=RELU), dense("F"))
    smuggled = Settings()
    object.__setattr__(smuggled.default, "granularity", "group")
    object.__setattr__(smuggled, "of", lambda name: smuggled.default)
    with pytest.raises(CalibrationError, match="convolution 'C': granularity 'group': allowed"):
        quantize(network, images(network), smuggled)


@pytest.mark.parametrize(("factor", "bits"), [(1e15, 65), (1e8, 42), (1e5, 32)])
def test_accumulators_that_fit_no_register_are_refused(factor: float, bits: int) -> None:
    """Squares of 32 bits and more."""
    network = trained(dense("F", activation=RELU), RadialBasis(name="R", inputs=("x",), units=2))
    far = changed(network, "R", "weights", network.arrays["R"]["weights"] * factor)
    with pytest.raises(CalibrationError, match=rf"'R': its centres take {bits} bits .* too small"):
        quantize(far, images(far), Settings(LayerSettings(16, 16)))


@given(SEEDS)
@settings(max_examples=20)
def test_a_network_that_was_observed_once_is_quantized_as_any(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_trained(rng)
    images = random_images(rng, network.network, 6)
    seen = observe(network, images)
    for each in (Settings(), Settings(LayerSettings(4, 5, "minmax"))):
        with input_of_some_size():
            once = quantize_observed(seen, each)
        assert once.sha256 == quantize(network, images, each).sha256


def test_layers_that_are_taken_over_are_those_made_from_scratch() -> None:
    """Whatever layers have settings of their own, and whatever changes in whichever of them.

    The layers before it are always taken over.
    """
    others: dict[str, tuple[Any, ...]] = {
        "weight_bits": (2, 3, 9),
        "activation_bits": (2, 5),
        "table_index_bits": (3, 11),
        "calibration": ("minmax", "percentile"),
        "granularity": ("tensor", "channel"),
        "rounding": ("floor", "half_even"),
        "bias_correction": (True, False),
    }
    taken: dict[bool, int] = {True: 0, False: 0}
    for seed in range(12):
        rng = np.random.default_rng(seed)
        network = random_trained(rng)
        observed = observe(network, random_images(rng, network.network, 6))
        correct = bool(seed % 2)
        own: dict[str, dict[str, Any]] = {
            layer.name: {
                key: values[rng.integers(len(values))]
                for key, values in others.items()
                if key in keys_of(layer, network.network)
                and rng.random() < (0.7 if key == "bias_correction" else 0.2)
            }
            for layer in network.network.layers[1:]
            if seed % 3
        }
        default = LayerSettings(4, 4, table_index_bits=6, bias_correction=correct)
        before = Settings(default, own)
        base = quantize_observed(observed, before)
        for place, layer in enumerate(network.network.layers[1:]):
            for key in keys_of(layer, network.network):
                for value in others.get(key, ()):
                    changes = {**own.get(layer.name, {}), key: value}
                    after = Settings(default, {**own, layer.name: changes})
                    made = quantize_observed(observed, after, base)
                    assert made.sha256 == quantize_observed(observed, after).sha256
                    pairs = zip(made.fixed.layers, base.fixed.layers, strict=True)
                    same = [a is b for a, b in pairs]
                    assert all(same[:place])
                    taken[correct] += sum(same[place + 1 :])
        everywhere = Settings(replace(default, bias_correction=not correct), own)
        made = quantize_observed(observed, everywhere, base)
        assert made.sha256 == quantize_observed(observed, everywhere).sha256
    assert min(taken.values()) > 20


def test_a_corrected_bias_is_made_anew_if_any_layer_before_it_changed() -> None:
    """Not only if the one directly before it did, which is taken over as its format is the same."""
    network = trained(dense("A", activation=RELU), dense("B", activation=RELU), dense("C"))
    observed = observe(network, images(network))
    alone = {"C": {"bias_correction": True}}
    base = quantize_observed(observed, Settings(LayerSettings(4, 4), alone))
    other = Settings(LayerSettings(4, 4), {**alone, "A": {"weight_bits": 2}})
    made, expected = quantize_observed(observed, other, base), quantize_observed(observed, other)
    assert made.fixed["B"] is base.fixed["B"]
    assert made.sha256 == expected.sha256
    assert made.fixed["C"].bias is not None and base.fixed["C"].bias is not None
    assert made.fixed["C"].bias.tolist() != base.fixed["C"].bias.tolist()


def test_settings_are_checked_whoever_observed() -> None:
    network = trained(conv("C", activation=RELU), dense("F"))
    observed = observe(network, images(network))
    for own in ({"C9": {"weight_bits": 4}}, {"C": {"table_index_bits": 4}}):
        with pytest.raises(SettingsError, match=r"^layers\.C"):
            quantize_observed(observed, Settings(layers=own))


def test_weights_of_64_bits_are_rounded_as_they_are() -> None:
    """A float32 has no number so little below a half, which would go up to an even one."""
    network = trained(dense("F", units=1), source=Input(name="input", height=1, width=1))
    halves = np.array([[125.5 - 1e-9]])
    arrays = {"F": {"weights": halves, "bias": np.zeros(1)}}
    double = TrainedNetwork(network.network, arrays)
    made = quantize(double, np.full((1, 1, 1, 1), 3, np.uint8)).fixed["F"]
    assert made.weight_formats == (QFormat(8, 0),)
    assert made.weights is not None and made.weights.tolist() == [[125]]


def test_layers_of_other_observations_are_not_taken_over() -> None:
    rng = np.random.default_rng(0)
    network = random_trained(rng)
    images = random_images(rng, network.network, 6)
    like = quantize(network, images)
    with pytest.raises(ValueError, match="'random': is not made of these observations"):
        quantize_observed(observe(network, images[1:]), Settings(), like)
    again = random_trained(np.random.default_rng(0))
    with pytest.raises(ValueError, match="not made of these observations"):
        quantize_observed(observe(again, images), Settings(), like)
