"""The choices of a quantization."""

from __future__ import annotations

from typing import Any

import pytest

from golden import networks
from golden.settings import LayerSettings, Settings, SettingsError


def test_defaults() -> None:
    default = Settings().of("C1")
    assert (default.weight_bits, default.activation_bits) == (8, 8)
    assert (default.calibration, default.granularity) == ("mse", "channel")
    assert default.index_bits == 10


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
        "layers": {"C1": {"weight_bits": 3}},
    }
    assert Settings.from_mapping(mapping).to_mapping() == mapping
    assert Settings.from_mapping(Settings().to_mapping()) == Settings()


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
        ({"activation_bits": 99}, "activation_bits: must be a whole number from 2 to 16, not 99"),
        ({"weight_bits": True}, "weight_bits: .* not True"),
        ({"weight_bits": "8"}, "weight_bits: .* not '8'"),
        ({"table_index_bits": 19}, "table_index_bits: .* from 2 to 18, not 19"),
        ({"calibration": "entropy"}, "calibration: must be one of mse, minmax, not 'entropy'"),
        ({"granularity": ["channel"]}, "granularity: must be one of channel, tensor, not"),
        ({"bits": 8}, "bits: no such key: allowed are calibration, granularity, weight_bits, "),
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
    ("network", "layer", "key", "value"),
    [
        ("lenet5", "C1", "table_index_bits", 8),
        ("lenet5", "S2", "granularity", "tensor"),
        ("lenet5", "output", "weight_bits", 4),
        ("lenet5-sigmoid", "C1", "activation_bits", 4),
        ("lenet5-relu", "C3", "calibration", "minmax"),
    ],
)
def test_keys_that_mean_something_are_taken(network: str, layer: str, key: str, value: Any) -> None:
    Settings(layers={layer: {key: value}}).check(networks.network(network))


@pytest.mark.parametrize(
    ("network", "layer", "key", "value", "message"),
    [
        ("lenet5", "C2", "weight_bits", 4, "layers.C2: network 'lenet5' has no layer 'C2': it has"),
        ("lenet5", "input", "activation_bits", 4, "input 'input': allowed there are no settings"),
        ("lenet5", "output", "activation_bits", 4, "allowed there are weight_bits, calibration$"),
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
        Settings(layers={layer: {key: value}}).check(networks.network(network))
