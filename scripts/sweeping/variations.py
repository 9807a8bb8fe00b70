"""The settings that a sweep varies, and the points that they make together.

`combinations` gives the settings of every point; `flat` and `words_of` name what they vary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from systolith.golden import LayerSettings, Network, Settings
from systolith.golden.quantization.methods import METHODS
from systolith.golden.quantization.settings import SettingsError, keys_of

MOST_POINTS = 1000
"""The largest number of points in one sweep."""

_OPTIONS = {
    "weight_bits": "--weight-bits",
    "activation_bits": "--activation-bits",
    "calibration": "--calibration",
}
"""The settings of all layers that have options of their own."""

_LAYERS = "layers"
_DEFAULTS = {key: value for key, value in asdict(LayerSettings()).items() if key not in _OPTIONS}
_SHORT = {
    "weight_bits": "w{}",
    "activation_bits": "a{}",
    "table_index_bits": "index{}",
    "percentile": "p{}",
}


@dataclass(frozen=True)
class Variation:
    """A setting and its values in a sweep.

    Parameters
    ----------
    key
        The key of a settings file: that of all layers, or `layers.NAME.KEY`.
    values
        Each of them is combined with all values of the other variations.
    """

    key: str
    values: tuple[Any, ...]

    @property
    def layer(self) -> tuple[str, str] | None:
        """The layer and its key; None for a setting of all layers."""
        head, _, rest = self.key.partition(".")
        name, _, key = rest.rpartition(".")
        return (name, key) if head == _LAYERS and name else None


def parse_variations(given: Sequence[str]) -> list[Variation]:
    """The variations that `--vary KEY=V,V...` stands for.

    Raises
    ------
    ValueError
        A key or a value is not allowed, there twice, or has an option of its own.
    """
    found: list[Variation] = []
    for text in given:
        key, equals, values = (part.strip() for part in text.partition("="))
        if not equals:
            raise ValueError(f"--vary: must be KEY=V,V..., not {text!r}")
        if key in _OPTIONS:
            raise ValueError(f"--vary {key}: has an option of its own, {_OPTIONS[key]}")
        if key in (each.key for each in found):
            raise ValueError(f"--vary {key}: is there twice")
        variation = Variation(key, tuple(_value(word.strip()) for word in values.split(",")))
        for place, value in enumerate(variation.values):
            if value in variation.values[:place]:
                raise ValueError(f"--vary {key}: {_word(value)} is there twice")
            try:
                Settings.from_mapping(_mapping({variation: value}))
            except SettingsError as error:
                raise ValueError(f"--vary {error}") from None
        found.append(variation)
    return found


def combinations(
    variations: Sequence[Variation], networks: Mapping[str, Network]
) -> list[Settings]:
    """The settings of all combinations of values, the last variation changing fastest.

    Raises
    ------
    ValueError
        There would be more than `MOST_POINTS` points, or a variation changes nothing in a network.
    """
    points = len(networks) * math.prod(len(each.values) for each in variations)
    if points > MOST_POINTS:
        raise ValueError(f"{points:,} points: at most {MOST_POINTS:,} can be swept at once")
    for name, network in networks.items():
        for each in variations:
            _require_effect(each, variations, name, network)
    return [
        Settings.from_mapping(_mapping(dict(zip(variations, values, strict=True))))
        for values in product(*(each.values for each in variations))
    ]


def counted(variations: Sequence[Variation], networks: int) -> str:
    """The number of points and where it comes from, in a line."""
    points = networks * math.prod(len(each.values) for each in variations)
    factors = [f"{len(each.values)} of {each.key}" for each in variations if len(each.values) > 1]
    if networks > 1:
        factors.insert(0, f"{networks} networks")
    number = f"{points:,} point{'s' if points > 1 else ''}"
    return f"{number}: {' x '.join(factors)}" if factors else number


def flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted keys, such as `layers.C3.weight_bits`."""
    return {key: value for key, value in settings.items() if key != _LAYERS} | {
        f"{_LAYERS}.{name}.{key}": value
        for name, keys in settings.get(_LAYERS, {}).items()
        for key, value in keys.items()
    }


def varied_keys(points: Sequence[Mapping[str, Any]]) -> list[str]:
    """The dotted keys, other than widths and calibration, that are not the default everywhere."""
    found = {
        key: None
        for settings in points
        for key, value in flat(settings).items()
        if key not in _OPTIONS and value != _DEFAULTS.get(key)
    }
    return list(found)


def shown_value(settings: Mapping[str, Any], key: str) -> str:
    """A setting's value in a table; empty if it is left to the program."""
    value = flat(settings).get(key)
    return "" if value is None else _word(value)


def words_of(settings: Mapping[str, Any], calibrations: int) -> Iterator[str]:
    """What sets settings apart, in short words, such as `w4-a6`, `minmax` and `C3-w3`.

    The calibration is named if the sweep has several.
    """
    yield f"w{settings['weight_bits']}-a{settings['activation_bits']}"
    if calibrations > 1:
        yield settings["calibration"]
    for key, value in flat(settings).items():
        if key not in _OPTIONS and value != _DEFAULTS.get(key):
            layer = Variation(key, ()).layer
            own = layer[1] if layer else key
            short = _SHORT[own].format(value) if own in _SHORT else _word(value)
            if own == "bias_correction":
                short = "bias" if value else "no-bias"
            yield f"{layer[0]}-{short}" if layer else short


def _require_effect(
    variation: Variation, variations: Sequence[Variation], name: str, network: Network
) -> None:
    """Refuse a setting that changes no layer of a network.

    Settings of single layers, and a percentile without its calibration, are refused by
    `Settings.check`.
    """
    if variation.layer or (variation.key in _OPTIONS and len(variation.values) == 1):
        return
    own = {each.layer for each in variations}
    if not any(
        variation.key in keys_of(layer, network, calibration)
        for layer in network.layers
        for calibration in METHODS
        if (layer.name, variation.key) not in own
    ):
        option = _OPTIONS.get(variation.key, f"--vary {variation.key}")
        raise ValueError(f"{option}: changes nothing in network {name!r}")


def _mapping(values: Mapping[Variation, Any]) -> dict[str, Any]:
    """The nested mapping of a settings file."""
    mapping: dict[str, Any] = {}
    for variation, value in values.items():
        if variation.layer:
            name, key = variation.layer
            mapping.setdefault(_LAYERS, {}).setdefault(name, {})[key] = value
        else:
            mapping[variation.key] = value
    return mapping


def _value(word: str) -> bool | int | float | str:
    """The value that a word stands for, as in a settings file, where words have quotes."""
    if word in ("true", "false"):
        return word == "true"
    for number in (int, float):
        try:
            return number(word)
        except ValueError:
            pass
    return word


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
