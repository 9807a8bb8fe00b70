"""The choices of a quantization."""

from __future__ import annotations

import copy
import tomllib
from typing import Any

import pytest

from systolith.golden.network import shipped
from systolith.golden.network.graph import (
    Activation,
    AveragePooling,
    Convolution,
    Dense,
    Input,
    Layer,
    MaxPooling,
    Network,
    RadialBasis,
    Subsampling,
)
from systolith.golden.quantization.methods import METHODS
from systolith.golden.quantization.settings import (
    LayerSettings,
    Settings,
    SettingsError,
    keys_of,
)

WEIGHTED = "weight_bits activation_bits calibration granularity rounding bias_correction"
TABLE = "weight_bits activation_bits calibration granularity table_index_bits rounding"


def test_defaults() -> None:
    default = Settings().of("C1")
    assert (default.weight_bits, default.activation_bits) == (8, 8)
    assert (default.calibration, default.granularity) == ("mse", "channel")
    assert default.index_bits == 10
    assert (default.rounding, default.percentile, default.bias_correction) == (
        "half_up",
        None,
        False,
    )


def test_a_layer_has_what_it_sets_and_the_default_otherwise() -> None:
    settings = Settings.from_mapping(
        {"weight_bits": 6, "table_index_bits": 9, "layers": {"C3": {"activation_bits": 4}}}
    )
    assert settings.of("C3") == LayerSettings(6, 4, table_index_bits=9)
    assert settings.of("F6") == LayerSettings(6, 8, table_index_bits=9)
    assert settings.of("C3").index_bits == 9


def test_a_mapping_goes_there_and_back() -> None:
    mapping: dict[str, Any] = {
        "weight_bits": 5,
        "activation_bits": 7,
        "calibration": "minmax",
        "granularity": "tensor",
        "rounding": "floor",
        "bias_correction": True,
        "layers": {"C1": {"weight_bits": 3, "calibration": "percentile", "percentile": 99.9}},
    }
    assert Settings.from_mapping(mapping).to_mapping() == mapping
    assert Settings.from_mapping(Settings().to_mapping()) == Settings()


def test_a_layer_may_take_back_what_has_no_value_by_default() -> None:
    mapping = {"table_index_bits": 9, "calibration": "percentile", "percentile": 60}
    own = {"C1": {"table_index_bits": None, "percentile": None}}
    settings = Settings.from_mapping({**mapping, "layers": own})
    assert (settings.of("C1").index_bits, settings.of("C1").percentile) == (10, None)
    assert (settings.of("C3").index_bits, settings.of("C3").percentile) == (9, 60)


def test_the_index_of_a_table_has_two_bits_more_than_its_values() -> None:
    settings = Settings(LayerSettings(3, 7), {"C1": {"activation_bits": 4}})
    assert (settings.of("C1").index_bits, settings.of("C3").index_bits) == (6, 9)


def test_the_narrowest_and_the_widest() -> None:
    for bits, index in ((2, 2), (16, 18)):
        settings = LayerSettings(bits, bits, table_index_bits=index)
        assert (settings.weight_bits, settings.activation_bits, settings.index_bits) == (
            *(bits, bits, index),
        )


def test_settings_as_a_file_are_read_again() -> None:
    settings = Settings(
        LayerSettings(5, 7, "percentile", "tensor", 9, "floor", 75.5, True),
        {"C1": {"weight_bits": 3, "bias_correction": False}, "F6": {"rounding": "half_even"}},
    )
    text = settings.to_toml()
    assert Settings.from_mapping(tomllib.loads(text)) == settings
    assert text == (
        "weight_bits = 5\nactivation_bits = 7\n"
        'calibration = "percentile"\ngranularity = "tensor"\ntable_index_bits = 9\n'
        'rounding = "floor"\npercentile = 75.5\nbias_correction = true\n'
        "\n[layers.C1]\nweight_bits = 3\nbias_correction = false\n"
        '\n[layers.F6]\nrounding = "half_even"\n'
    )
    usual = Settings.from_mapping(tomllib.loads(Settings().to_toml()))
    assert usual == Settings()


def test_settings_are_copied_with_those_of_layers() -> None:
    """As they are when they go from process to process."""
    own: dict[str, dict[str, Any]] = {"C1": {"weight_bits": 3}, "F6": {"rounding": "floor"}}
    settings = Settings(LayerSettings(5, 7), own)
    copied = copy.deepcopy(settings)
    assert copied == settings
    assert (copied.of("C1").weight_bits, copied.of("F6").rounding) == (3, "floor")


def test_settings_do_not_change() -> None:
    keys = {"weight_bits": 3}
    settings = Settings(layers={"C1": keys})
    keys["weight_bits"] = 4
    assert settings.of("C1").weight_bits == 3
    with pytest.raises(TypeError):
        settings.layers["C1"]["weight_bits"] = 4  # type: ignore[index]


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"weight_bits": 0}, "weight_bits: must be a whole number from 2 to 16, not 0"),
        ({"weight_bits": 1}, "^weight_bits: must be a whole number from 2 to 16, not 1$"),
        ({"weight_bits": 17}, "^weight_bits: must be a whole number from 2 to 16, not 17$"),
        ({"weight_bits": 8.0}, "^weight_bits: must be a whole number from 2 to 16, not 8.0$"),
        ({"activation_bits": 1}, "^activation_bits: must be a whole number from 2 to 16, not 1$"),
        ({"activation_bits": 17}, "^activation_bits: must be a whole number from 2 to 16, not 17$"),
        ({"table_index_bits": 1}, "^table_index_bits: must be a whole number from 2 to 18, not 1$"),
        ({"percentile": 49.99}, "^percentile: must be a number from 50 to 100, not 49.99$"),
        *(
            ({key: None}, f"^{key}: must be .*, not None$")
            for key in ("weight_bits", "activation_bits", "calibration", "granularity")
        ),
        *(
            ({key: None}, f"^{key}: must be .*, not None$")
            for key in ("rounding", "bias_correction")
        ),
        (
            {"layers": {"C1": {"weight_bits": None}}},
            r"^layers\.C1\.weight_bits: must be a whole number from 2 to 16, not None$",
        ),
        (
            {"layers": {"F6": {"rounding": "up"}}},
            r"^layers\.F6\.rounding: must be one of floor, half_up, half_even, not 'up'$",
        ),
        ({"weight_bits": True}, "weight_bits: .* not True"),
        ({"weight_bits": "8"}, "weight_bits: .* not '8'"),
        ({"table_index_bits": 19}, "table_index_bits: .* from 2 to 18, not 19"),
        ({"calibration": "median"}, "must be one of mse, minmax, percentile, entropy, not 'med"),
        ({"calibration": ["mse"]}, "calibration: must be one of .*, not \\['mse'\\]"),
        ({"rounding": "up"}, "rounding: must be one of floor, half_up, half_even, not 'up'"),
        ({"percentile": 0.9999}, "percentile: must be a number from 50 to 100, not 0.9999"),
        ({"percentile": 100.1}, "percentile: must be a number from 50 to 100, not 100.1"),
        ({"percentile": float("nan")}, "percentile: must be a number from 50 to 100, not nan"),
        ({"percentile": True}, "percentile: .* not True"),
        ({"bias_correction": 1}, "bias_correction: must be true or false, not 1"),
        ({"granularity": ["channel"]}, "granularity: must be one of channel, tensor, not"),
        ({"bits": 8}, "bits: no such key: allowed are weight_bits, activation_bits, calib"),
        ({"layers": 3}, "layers: must be a table of settings, not 3"),
        ({"layers": {"C1": 3}}, "layers.C1: must be a table of settings, not 3"),
        ({"layers": {"C1": {"weight_bits": 1}}}, "layers.C1.weight_bits: .* not 1"),
        ({"layers": {"C1": {"widths": 1}}}, "layers.C1.widths: no such key"),
    ],
)
def test_bad_settings_are_named_by_path(mapping: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.from_mapping(mapping)


@pytest.mark.parametrize(
    ("network", "layer", "key", "value", "message"),
    [
        (
            *("lenet5", "C2", "weight_bits", 4),
            "^layers.C2: network 'lenet5' has no layer 'C2': it has input, C1, S2, C3, ",
        ),
        ("lenet5", "input", "activation_bits", 4, "input 'input': allowed there are no settings"),
        ("lenet5", "output", "activation_bits", 4, "allowed there are weight_bits, calibration$"),
        ("lenet5", "output", "bias_correction", True, "changes nothing in radial_basis 'output'"),
        ("lenet5-relu", "output", "rounding", "floor", "changes nothing in dense 'output'"),
        ("lenet5-relu", "S2", "rounding", "floor", "allowed there are no settings"),
        ("lenet5", "C1", "percentile", 99, "layers.C1.percentile: changes nothing in convolution"),
        ("lenet5", "output", "granularity", "tensor", "changes nothing in radial_basis 'output'"),
        ("lenet5-relu", "S2", "weight_bits", 4, "allowed there are no settings"),
        ("lenet5-relu", "C1", "table_index_bits", 4, "changes nothing in convolution 'C1'"),
        ("lenet5-relu", "output", "granularity", "tensor", "changes nothing in dense 'output'"),
    ],
)
def test_keys_that_would_change_nothing_are_refused(
    network: str, layer: str, key: str, value: Any, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings(layers={layer: {key: value}}).check(shipped.network(network))


@pytest.mark.parametrize(
    ("layer", "inside", "last"),
    [
        # The last layer has one scale, and is requantized only before an activation.
        (
            Convolution(name="L", inputs=("x",), kernel=(1, 1), out_channels=2),
            WEIGHTED,
            "weight_bits calibration bias_correction",
        ),
        (
            Dense(name="L", inputs=("x",), units=2, activation=Activation("relu")),
            WEIGHTED,
            "weight_bits activation_bits calibration rounding bias_correction",
        ),
        (
            Dense(name="L", inputs=("x",), units=2, activation=Activation("tanh")),
            f"{TABLE} bias_correction",
            "weight_bits activation_bits calibration table_index_bits rounding bias_correction",
        ),
        (
            Subsampling(name="L", inputs=("x",)),
            WEIGHTED,
            "weight_bits calibration bias_correction",
        ),
        # Distances have no bias, and so no scale of their own.
        (
            RadialBasis(name="L", inputs=("x",), units=2),
            "weight_bits activation_bits calibration rounding",
            "weight_bits calibration",
        ),
        (MaxPooling(name="L", inputs=("x",)), "", ""),
        (AveragePooling(name="L", inputs=("x",)), "rounding", "rounding"),
        *(
            (
                AveragePooling(name="L", inputs=("x",), activation=activation),
                f"activation_bits calibration {more}rounding",
                f"activation_bits calibration {more}rounding",
            )
            for activation, more in (
                (Activation("relu"), ""),
                (Activation("sigmoid"), "table_index_bits "),
            )
        ),
    ],
)
def test_keys_with_an_effect(layer: Layer, inside: str, last: str) -> None:
    """A percentile has one if the layer's values have a format, and its method is `percentile`."""
    source = Input(name="x", height=4, width=4)
    following = Dense(name="F", inputs=("L",), units=2)
    for layers, expected in (((source, layer, following), inside), ((source, layer), last)):
        network = Network("net", layers)
        keys = expected.split()
        assert keys_of(layer, network) == keys
        assert keys_of(layer, network, "minmax") == keys
        percentile = {"percentile"} if "activation_bits" in keys else set()
        assert set(keys_of(layer, network, "percentile")) == {*keys} | percentile
        assert keys_of(source, network) == []


@pytest.mark.parametrize("percentile", [50, 50.0, 99.99, 100, 100.0])
def test_both_ends_of_a_percentile_are_allowed(percentile: float) -> None:
    mapping = {"calibration": "percentile", "percentile": percentile}
    assert Settings.from_mapping(mapping).default.percentile == percentile


def test_a_percentile_needs_its_calibration() -> None:
    network = shipped.network("lenet5")
    by_percentile: dict[str, Any] = {"calibration": "percentile"}
    for mapping in (
        {"percentile": 99, **by_percentile},
        {"percentile": 99, "layers": {"C1": by_percentile}},
        {"layers": {"C1": {"percentile": 99, **by_percentile}}},
        {"layers": {"C1": {"percentile": 99}}, **by_percentile},
    ):
        Settings.from_mapping(mapping).check(network)
    with pytest.raises(SettingsError, match="percentile: changes nothing with the calibration 'ms"):
        Settings.from_mapping({"percentile": 99}).check(network)
    with pytest.raises(SettingsError, match=r"layers\.output\.percentile: changes nothing"):
        Settings.from_mapping({**by_percentile, "layers": {"output": {"percentile": 99}}}).check(
            network
        )


def test_weights_have_few_values() -> None:
    """Too few for a percentile or a histogram."""
    methods = {method: LayerSettings(calibration=method) for method in METHODS}
    assert {method: each.weight_calibration for method, each in methods.items()} == {
        "mse": "mse",
        "minmax": "minmax",
        "percentile": "mse",
        "entropy": "mse",
    }
