"""The choices of a quantization: widths and methods, for all layers and by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Literal, get_args

from systolith.golden.fixed.arithmetic import MAX_INDEX_BITS, Rounding
from systolith.golden.network.graph import (
    AveragePooling,
    Input,
    Layer,
    MaxPooling,
    Network,
    RadialBasis,
)

Calibration = Literal["mse", "minmax", "percentile", "entropy"]
Granularity = Literal["channel", "tensor"]

PERCENTILE = 99.99
"""How much of a feature map must not saturate, in per cent, unless it is set."""
MIN_PERCENTILE = 50

MIN_BITS = 2
MAX_BITS = 16
INDEX_EXTRA_BITS = 2
"""How much wider than its layer's values a table's index is, unless it is set."""


class SettingsError(ValueError):
    """A setting that cannot be: names the key, what was given and what is allowed."""


@dataclass(frozen=True)
class LayerSettings:
    """The choices for one layer.

    Parameters
    ----------
    weight_bits
        Width of weights, coefficients and centres, from `MIN_BITS` to `MAX_BITS`.
    activation_bits
        Width of the layer's values, from `MIN_BITS` to `MAX_BITS`.
    calibration
        How formats are chosen: by least squared error, to cover the range, to cover all of it but
        the farthest values, or by least divergence (see `format_choice`). The last two are
        for feature maps; weights then have the least squared error.
    granularity
        One weight scale an output channel, or one for the layer. The last layer has one always.
    table_index_bits
        Width of the index of an activation table, from `MIN_BITS` to `MAX_INDEX_BITS`;
        by default `activation_bits + INDEX_EXTRA_BITS`.
    rounding
        How accumulators are rounded when they are requantized.
    percentile
        For the calibration `percentile`, how much of a feature map must not saturate, in per cent,
        from `MIN_PERCENTILE` to 100; zeros do not count. By default `PERCENTILE`.
    bias_correction
        Whether biases make up for the mean errors of sums (see `bias_correction`).
    """

    weight_bits: int = 8
    activation_bits: int = 8
    calibration: Calibration = "mse"
    granularity: Granularity = "channel"
    table_index_bits: int | None = None
    rounding: Rounding = "half_up"
    percentile: float | None = None
    bias_correction: bool = False

    def __post_init__(self) -> None:
        for each in fields(self):
            _check(each.name, getattr(self, each.name), each.name)

    @property
    def index_bits(self) -> int:
        """Width of the index of an activation table."""
        if self.table_index_bits is None:
            return self.activation_bits + INDEX_EXTRA_BITS
        return self.table_index_bits

    @property
    def weight_calibration(self) -> Calibration:
        """How formats of weights are chosen: a channel has too few for the other methods."""
        return "minmax" if self.calibration == "minmax" else "mse"


@dataclass(frozen=True)
class Settings:
    """The choices for a network: a default, and what single layers have instead.

    Parameters
    ----------
    default
        What holds for every layer.
    layers
        By layer name, the keys of `LayerSettings` that differ, with their values.
    """

    default: LayerSettings = field(default_factory=LayerSettings)
    layers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, keys in self.layers.items():
            for key, value in keys.items():
                _check(key, value, f"layers.{name}.{key}")
        frozen = {name: MappingProxyType(dict(keys)) for name, keys in self.layers.items()}
        object.__setattr__(self, "layers", MappingProxyType(frozen))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Settings:
        """Settings from nested mappings, as in a TOML file.

        The keys of `LayerSettings` stand at the top, and again under `layers.NAME`. A key that is
        absent has its default.

        Raises
        ------
        SettingsError
            An unknown key or a value that is not allowed, named by its path.
        """
        top = dict(mapping)
        layers = top.pop("layers", {})
        for path, value in [("layers", layers), *_below("layers", layers)]:
            if not isinstance(value, Mapping):
                raise SettingsError(f"{path}: must be a table of settings, not {value!r}")
        for key, value in top.items():
            _check(key, value, key)
        return cls(LayerSettings(**top), layers)

    def to_mapping(self) -> dict[str, Any]:
        """What `from_mapping` takes, complete but for the keys that have no value."""
        mapping: dict[str, Any] = {
            each.name: value
            for each in fields(self.default)
            if (value := getattr(self.default, each.name)) is not None
        }
        mapping["layers"] = {name: dict(keys) for name, keys in self.layers.items()}
        return mapping

    def of(self, name: str) -> LayerSettings:
        """The choices for the layer of this name."""
        return replace(self.default, **self.layers.get(name, {}))

    def check(self, network: Network) -> None:
        """Refuse names of layers that the network lacks, and keys that would change nothing.

        Raises
        ------
        SettingsError
            Names the layer and what is allowed.
        """
        known = {layer.name: layer for layer in network.layers}
        methods = {self.default.calibration, *(self.of(name).calibration for name in self.layers)}
        if self.default.percentile is not None and "percentile" not in methods:
            raise SettingsError(
                f"percentile: changes nothing with the calibration {self.default.calibration!r}"
            )
        for name, keys in self.layers.items():
            if name not in known:
                raise SettingsError(
                    f"layers.{name}: network {network.name!r} has no layer {name!r}: "
                    f"it has {', '.join(known)}"
                )
            allowed = keys_of(known[name], network, self.of(name).calibration)
            for key in keys:
                if key not in allowed:
                    raise SettingsError(
                        f"layers.{name}.{key}: changes nothing in {known[name].type_name} "
                        f"{name!r}: allowed there are {', '.join(allowed) or 'no settings'}"
                    )


def keys_of(layer: Layer, network: Network, calibration: Calibration = "mse") -> list[str]:
    """The keys that have a meaning for a layer of a network, whose calibration is given."""
    last = layer is network.output
    activation = layer.activation
    weighted = not isinstance(layer, (Input, AveragePooling, MaxPooling))
    requantized = not isinstance(layer, (Input, MaxPooling)) and (
        activation.kind != "none" or (weighted and not last)
    )
    meaning = {
        "weight_bits": weighted,
        "activation_bits": requantized,
        "calibration": weighted or requantized,
        "granularity": weighted and not last and not isinstance(layer, RadialBasis),
        "table_index_bits": activation.is_table,
        "rounding": requantized or isinstance(layer, AveragePooling),
        "percentile": requantized and calibration == "percentile",
        "bias_correction": weighted and not isinstance(layer, RadialBasis),
    }
    return [key for key, has in meaning.items() if has]


def _below(path: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        return []
    return [(f"{path}.{key}", entry) for key, entry in value.items()]


def _check(key: str, value: Any, path: str) -> None:
    """Refuse a key that does not exist or a value that it cannot have."""
    keys = [each.name for each in fields(LayerSettings)]
    if key not in keys:
        raise SettingsError(f"{path}: no such key: allowed are {', '.join(keys)}")
    if value is None and key in ("table_index_bits", "percentile"):
        return
    if key in _WORDS:
        fits, allowed = value in _WORDS[key], f"one of {', '.join(_WORDS[key])}"
    elif key == "bias_correction":
        fits, allowed = type(value) is bool, "true or false"
    elif key == "percentile":
        fits = type(value) in (int, float) and MIN_PERCENTILE <= value <= 100
        allowed = f"a number from {MIN_PERCENTILE} to 100"
    else:
        most = MAX_INDEX_BITS if key == "table_index_bits" else MAX_BITS
        fits = type(value) is int and MIN_BITS <= value <= most
        allowed = f"a whole number from {MIN_BITS} to {most}"
    if not fits:
        raise SettingsError(f"{path}: must be {allowed}, not {value!r}")


_WORDS = {
    "calibration": get_args(Calibration),
    "granularity": get_args(Granularity),
    "rounding": get_args(Rounding),
}
