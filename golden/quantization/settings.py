"""The choices of a quantization: widths and methods, for all layers and by layer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Literal, get_args

from systolith.golden.fixed.arithmetic import MAX_INDEX_BITS, Rounding
from systolith.golden.network.graph import (
    AveragePooling,
    Layer,
    Network,
)
from systolith.golden.quantization.methods import DEFAULT, METHODS, method

Granularity = Literal["channel", "tensor"]

MIN_PERCENTILE = 50

MIN_BITS = 2
MAX_BITS = 16
INDEX_EXTRA_BITS = 2
"""The bits that a table's index has more than its layer's values, unless `table_index_bits`."""


class SettingsError(ValueError):
    """An invalid setting: names the key, what was given and what is allowed."""


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
        The method by which formats are chosen, one of `methods.METHODS`. Weights are calibrated by
        `methods.DEFAULT` if the method does not suit them.
    granularity
        One weight scale for each output channel, or one for the layer. The last layer always has
        one.
    table_index_bits
        Width of the index of an activation table, from `MIN_BITS` to `MAX_INDEX_BITS`;
        by default `activation_bits + INDEX_EXTRA_BITS`.
    rounding
        How accumulators are rounded when they are requantized.
    percentile
        For the calibration `percentile`, the share of a feature map that must not saturate, in per
        cent, from `MIN_PERCENTILE` to 100; zeros do not count. By default `methods.PERCENTILE`.
    bias_correction
        Whether biases compensate the mean errors of sums (see `bias_correction`).
    """

    weight_bits: int = 8
    activation_bits: int = 8
    calibration: str = DEFAULT
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
    def weight_calibration(self) -> str:
        """The method by which formats of weights are chosen."""
        return self.calibration if method(self.calibration).suits_weights else DEFAULT


@dataclass(frozen=True)
class Settings:
    """The choices for a network: a default, and what differs in single layers.

    Parameters
    ----------
    default
        The choices for every layer.
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

    def __reduce__(self) -> tuple[Any, ...]:
        # Read-only mappings do not go from process to process.
        return Settings, (self.default, {name: dict(keys) for name, keys in self.layers.items()})

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
        """The mapping for `from_mapping`, complete except for keys without a value."""
        mapping: dict[str, Any] = {
            each.name: value
            for each in fields(self.default)
            if (value := getattr(self.default, each.name)) is not None
        }
        mapping["layers"] = {name: dict(keys) for name, keys in self.layers.items()}
        return mapping

    def to_toml(self) -> str:
        """The text of a settings file, complete except for keys without a value."""
        mapping = self.to_mapping()
        layers = mapping.pop("layers")
        tables = [("", mapping), *((f"\n[layers.{name}]\n", own) for name, own in layers.items())]
        return "".join(
            heading + "".join(f"{key} = {json.dumps(value)}\n" for key, value in own.items())
            for heading, own in tables
        )

    def of(self, name: str) -> LayerSettings:
        """The choices for the layer of this name."""
        return replace(self.default, **self.layers.get(name, {}))

    def check(self, network: Network) -> None:
        """Refuse names of layers that the network lacks, and keys without an effect.

        Raises
        ------
        SettingsError
            Names the layer and what is allowed.
        """
        known = {layer.name: layer for layer in network.layers}
        used = {self.default.calibration, *(self.of(name).calibration for name in self.layers)}
        if self.default.percentile is not None and not any(
            method(name).takes_percentile for name in used
        ):
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


def keys_of(layer: Layer, network: Network, calibration: str = DEFAULT) -> list[str]:
    """The keys that have an effect on a layer of a network, with this calibration method."""
    last = layer is network.output
    source = network.shapes()[layer.inputs[0]] if layer.inputs else network.input.image_shape
    arrays = layer.array_shapes(source)
    # The sums of centres, which have no bias, have one scale.
    weighted, biased = "weights" in arrays, "bias" in arrays
    requantized = not layer.activation.is_identity or (weighted and not last)
    meaning = {
        "weight_bits": weighted,
        "activation_bits": requantized,
        "calibration": weighted or requantized,
        "granularity": biased and not last,
        "table_index_bits": layer.activation.is_table,
        "rounding": requantized or isinstance(layer, AveragePooling),
        "percentile": requantized and method(calibration).takes_percentile,
        "bias_correction": biased,
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
    words = {
        "calibration": tuple(METHODS),
        "granularity": get_args(Granularity),
        "rounding": get_args(Rounding),
    }
    if key in words:
        fits, allowed = value in words[key], f"one of {', '.join(words[key])}"
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
