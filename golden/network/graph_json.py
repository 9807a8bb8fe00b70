"""A graph as JSON, and back; reading is strict and names what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_type_hints

from systolith.golden.network.activations import ACTIVATIONS
from systolith.golden.network.graph import (
    LAYER_TYPES,
    Activation,
    GraphError,
    Layer,
    Network,
)

MAX_LAYERS = 1024
"""The longest graph that is read."""

MAX_SIZE = 65536
"""The largest size (of a map, of a kernel, in channels) that is read."""

_Reader = Callable[[Any], Any]


def to_json(network: Network) -> dict[str, Any]:
    """The graph as objects that JSON can hold."""
    return {"name": network.name, "layers": [_layer_to_json(layer) for layer in network.layers]}


def from_json(value: object) -> Network:
    """The graph that `to_json` wrote.

    Raises
    ------
    GraphError
        If a layer type or a key is unknown, a key is missing, a value is of the wrong type or too
        large, or the graph cannot be.
    """
    entries = _object("network", value, {"name", "layers"})
    layers = entries["layers"]
    if not isinstance(layers, list) or not 0 < len(layers) <= MAX_LAYERS:
        raise GraphError(f"network: 'layers' must be a list of 1 to {MAX_LAYERS} layers")
    return Network(
        _string(entries["name"]),
        tuple(_layer_from_json(position, layer) for position, layer in enumerate(layers)),
    )


def _layer_to_json(layer: Layer) -> dict[str, Any]:
    result: dict[str, Any] = {"type": layer.type_name}
    for field in fields(layer):
        result[field.name] = _value_to_json(getattr(layer, field.name))
    return result


def _value_to_json(value: Any) -> Any:
    if isinstance(value, Activation):
        return {"kind": value.kind, "amplitude": value.amplitude, "slope": value.slope}
    if isinstance(value, tuple):
        return [_value_to_json(item) for item in value]
    return value


def _layer_from_json(position: int, value: object) -> Layer:
    where = f"layer {position}"
    if not isinstance(value, dict):
        raise GraphError(f"{where}: must be an object, not {_shown(value)}")
    type_name = value.get("type")
    if not isinstance(type_name, str) or type_name not in LAYER_TYPES:
        raise GraphError(
            f"{where}: type {_shown(type_name)} is unknown: allowed are {', '.join(LAYER_TYPES)}"
        )
    layer_type = LAYER_TYPES[type_name]
    hints = get_type_hints(layer_type)
    keys = [field.name for field in fields(layer_type)]
    _object(where, value, {"type", *keys})
    arguments = {}
    for key in keys:
        try:
            arguments[key] = _READERS[hints[key]](value[key])
        except GraphError as error:
            raise GraphError(f"{where}: {key!r}: {error}") from None
    return layer_type(**arguments)


def _object(where: str, value: object, keys: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise GraphError(f"{where}: must be an object, not {_shown(value)}")
    for key in value:
        if key not in keys:
            raise GraphError(
                f"{where}: key {_shown(key)} is unknown: allowed are {', '.join(sorted(keys))}"
            )
    for key in sorted(keys):
        if key not in value:
            raise GraphError(f"{where}: key {key!r} is missing")
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise GraphError(f"must be a string, not {_shown(value)}")
    return value


def _integer(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_SIZE:
        raise GraphError(f"must be an integer from 0 to {MAX_SIZE}, not {_shown(value)}")
    return value


def _number(value: object) -> float:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_SIZE:
        return float(value)
    if not isinstance(value, float):
        raise GraphError(f"must be a number, not {_shown(value)}")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise GraphError(f"must be a list, not {_shown(value)}")
    return value


def _strings(value: object) -> tuple[str, ...]:
    return tuple(_string(item) for item in _list(value))


def _pair(value: object) -> tuple[int, int]:
    items = _list(value)
    if len(items) != 2:
        raise GraphError(f"must have 2 entries, not {len(items)}")
    return _integer(items[0]), _integer(items[1])


def _table(value: object) -> tuple[tuple[int, ...], ...] | None:
    if value is None:
        return None
    return tuple(tuple(_integer(item) for item in _list(row)) for row in _list(value))


def _activation(value: object) -> Activation:
    entries = _object("activation", value, {"kind", "amplitude", "slope"})
    kind = _string(entries["kind"])
    if kind not in ACTIVATIONS:
        raise GraphError(f"{_shown(kind)} is unknown: allowed are {', '.join(ACTIVATIONS)}")
    return Activation(kind, _number(entries["amplitude"]), _number(entries["slope"]))


_READERS: dict[Any, _Reader] = {
    str: _string,
    int: _integer,
    float: _number,
    tuple[str, ...]: _strings,
    tuple[int, int]: _pair,
    tuple[tuple[int, ...], ...] | None: _table,
    Activation: _activation,
}
