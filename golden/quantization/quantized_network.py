"""A quantized network and where it comes from, in one file."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from systolith.golden.errors import FileFormatError
from systolith.golden.files import npz
from systolith.golden.fixed.arithmetic import QFormat, Requantization
from systolith.golden.fixed.consistency import (
    PIXEL_FORMAT,
    FixedNetworkError,
    check,
    checked_range,
    padding_of,
)
from systolith.golden.fixed.integers import FixedLayer, FixedNetwork, Integers
from systolith.golden.network.graph import Convolution, Layer, Network, Shape
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.quantization.settings import Settings

SCHEMA = "systolith.quantized-network/1"
"""The schema of a file of a quantized network."""

_LAYER_KEYS = ("name", "padding_value", "input_shift", "weight_bits", "requantization", "output")
_REQUANTIZATION_KEYS = ("target", "multiplier", "rounding", "overflow")
_ARRAYS = ("weights", "weight_frac_bits", "bias", "shifts", "table")


@dataclass(frozen=True, eq=False)
class QuantizedNetwork:
    """A network in integers, its float parent, and the settings that led from one to the other.

    Parameters
    ----------
    fixed
        Formats and integers.
    parent
        The trained network of the same graph.
    settings
        Widths and methods.

    Raises
    ------
    FixedNetworkError
        The integers do not fit the graph or each other.
    """

    fixed: FixedNetwork
    parent: TrainedNetwork
    settings: Settings

    def __post_init__(self) -> None:
        if self.fixed.network != self.parent.network:
            raise FixedNetworkError(
                f"network {self.fixed.name!r} has another graph than its parent"
            )
        self.settings.check(self.fixed.network)
        check(self.fixed)

    @property
    def name(self) -> str:
        """The network's name."""
        return self.fixed.name

    @cached_property
    def sha256(self) -> str:
        """The sha256 of the bytes that `save` writes, in hex."""
        return npz.digest(SCHEMA, *self.contents())

    @property
    def weight_bits_total(self) -> int:
        """Bits of all weights, coefficients and centres; missing connections and biases count 0."""
        total = 0
        for layer, source, _ in self.fixed.network.computing_layers():
            if isinstance(layer, Convolution):
                count = layer.links(source) * math.prod(layer.kernel)
            else:
                count = math.prod(layer.array_shapes(source).get("weights", (0,)))
            total += count * self.settings.of(layer.name).weight_bits
        return total

    def contents(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The header and the arrays that `save` writes."""
        parent_header, parent_arrays = self.parent.contents()
        arrays: dict[str, NDArray[Any]] = {f"float/{k}": v for k, v in parent_arrays.items()}
        layers = []
        for layer in self.fixed.layers:
            how = layer.requantization
            layers.append(
                {
                    "name": layer.name,
                    "padding_value": layer.padding_value,
                    "input_shift": layer.input_shift,
                    "weight_bits": [fmt.bits for fmt in layer.weight_formats[:1]],
                    "requantization": None
                    if how is None
                    else {
                        "target": _format_to_json(how.target),
                        "multiplier": how.multiplier,
                        "rounding": how.rounding,
                        "overflow": how.overflow,
                    },
                    "output": _format_to_json(layer.output_format),
                }
            )
            found: dict[str, Integers | None] = {"weights": layer.weights, "bias": layer.bias}
            if layer.weight_formats:
                found["weight_frac_bits"] = np.array([f.frac_bits for f in layer.weight_formats])
            if how is not None:
                found |= {"shifts": how.shifts, "table": how.table}
            for name, array in found.items():
                if array is not None:
                    arrays[f"fixed/{layer.name}/{name}"] = _narrowest(array)
        return {**parent_header, "settings": self.settings.to_mapping(), "layers": layers}, arrays

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one `.npz` file, whole or not at all; the same content gives the same bytes."""
        npz.write(path, SCHEMA, *self.contents())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> QuantizedNetwork:
        """Read what `save` wrote.

        Raises
        ------
        FileFormatError
            The file is missing, damaged, foreign, of another version, or its integers are not a
            quantized network.
        """
        header, arrays = npz.read(path, SCHEMA)
        try:
            return _from_contents(header, arrays)
        except (ValueError, OverflowError) as error:
            raise FileFormatError(f"{path}: {error}") from None


def _from_contents(
    header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> QuantizedNetwork:
    _keys("header", header, ("graph", "settings", "layers"))
    floats = {k.removeprefix("float/"): v for k, v in arrays.items() if k.startswith("float/")}
    parent = TrainedNetwork.from_contents({"graph": header["graph"]}, floats)
    network = parent.network
    integers = {k.removeprefix("fixed/"): v for k, v in arrays.items() if k.startswith("fixed/")}
    known = {f"{layer.name}/{name}" for layer in network.layers[1:] for name in _ARRAYS}
    strange = sorted(set(integers) - known) + sorted(
        name for name in arrays if not name.startswith(("float/", "fixed/"))
    )
    if strange:
        raise FixedNetworkError(f"array {strange[0]!r} is unknown")
    for name, array in integers.items():
        if array.dtype.kind != "i":
            raise FixedNetworkError(f"array {name!r} must be of signed integers, not {array.dtype}")

    entries = header["layers"]
    if not isinstance(entries, list) or len(entries) != len(network.layers) - 1:
        raise FixedNetworkError(f"layers must be a list of {len(network.layers) - 1}")
    layers: list[FixedLayer] = []
    fmt, border, shape = PIXEL_FORMAT, network.input.border, network.input.image_shape
    for entry, (layer, _, output_shape) in zip(entries, network.computing_layers(), strict=True):
        own = {
            name: integers[f"{layer.name}/{name}"].astype(np.int64)
            for name in _ARRAYS
            if f"{layer.name}/{name}" in integers
        }
        layers.append(_layer(network, layer, entry, own, (shape, output_shape), fmt, border))
        fmt, border, shape = layers[-1].output_format, 0, output_shape
    settings = header["settings"]
    if not isinstance(settings, dict):
        raise FixedNetworkError("settings must be an object")
    fixed = FixedNetwork(network, tuple(layers))
    return QuantizedNetwork(fixed, parent, Settings.from_mapping(settings))


def _layer(
    network: Network,
    layer: Layer,
    entry: Any,
    arrays: dict[str, Integers],
    shapes: tuple[Shape, Shape],
    fmt: QFormat,
    border: int,
) -> FixedLayer:
    """A layer from its entry in the header and its arrays, not checked beyond their types."""
    where = f"{layer.type_name} {layer.name!r}"
    _keys(where, entry, _LAYER_KEYS)
    if entry["name"] != layer.name:
        raise FixedNetworkError(f"{where}: is named {entry['name']!r} among the integers")
    frac_bits = arrays.get("weight_frac_bits", np.array([], np.int64))
    widths = entry["weight_bits"]
    if not isinstance(widths, list) or len(widths) != min(1, len(frac_bits)):
        raise FixedNetworkError(f"{where}: weight_bits must be a list of one width or none")
    if frac_bits.ndim != 1:
        raise FixedNetworkError(f"{where}: weight_frac_bits must be one a channel")
    made = FixedLayer(
        layer=layer,
        input_shape=shapes[0],
        output_shape=shapes[1],
        input_format=fmt,
        output_format=_format_from_json(where, entry["output"]),
        padding_value=_integer(where, "padding_value", entry["padding_value"]),
        weights=arrays.get("weights"),
        bias=arrays.get("bias"),
        weight_formats=tuple(QFormat(widths[0], each) for each in frac_bits.tolist()),
        input_shift=_integer(where, "input_shift", entry["input_shift"]),
        requantization=_requantization(where, entry["requantization"], arrays),
    )
    made = replace(made, padding=padding_of(made, border))
    return replace(made, accumulator_range=checked_range(network, made))


def _requantization(where: str, entry: Any, arrays: dict[str, Integers]) -> Requantization | None:
    shifts, table = arrays.get("shifts"), arrays.get("table")
    if entry is None:
        if shifts is not None or table is not None:
            raise FixedNetworkError(f"{where}: has shifts or a table, but no requantization")
        return None
    _keys(f"{where}: requantization", entry, _REQUANTIZATION_KEYS)
    if shifts is None:
        raise FixedNetworkError(f"{where}: array 'shifts' is missing")
    return Requantization(
        shifts=shifts,
        target=_format_from_json(where, entry["target"]),
        multiplier=_integer(where, "multiplier", entry["multiplier"]),
        rounding=entry["rounding"],
        overflow=entry["overflow"],
        table=table,
    )


def _format_to_json(fmt: QFormat) -> dict[str, Any]:
    return {each.name: getattr(fmt, each.name) for each in fields(fmt)}


def _format_from_json(where: str, value: Any) -> QFormat:
    _keys(f"{where}: format", value, tuple(each.name for each in fields(QFormat)))
    return QFormat(**value)


def _keys(where: str, value: Any, keys: tuple[str, ...]) -> None:
    if not isinstance(value, Mapping) or set(value) != set(keys):
        found = ", ".join(map(str, value)) if isinstance(value, Mapping) else type(value).__name__
        raise FixedNetworkError(f"{where}: must have the keys {', '.join(keys)}, not {found}")


def _integer(where: str, what: str, value: Any) -> int:
    if type(value) is not int or abs(value) >= 1 << 62:
        raise FixedNetworkError(f"{where}: {what} must be an integer, not {value!r}")
    return value


def _narrowest(array: Integers) -> NDArray[Any]:
    """The array in the narrowest signed type that holds it."""
    for dtype in (np.int8, np.int16, np.int32):
        limits = np.iinfo(dtype)
        if not array.size or (limits.min <= array.min() and array.max() <= limits.max):
            return array.astype(dtype)
    return array
