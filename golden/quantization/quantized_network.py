"""A quantized network with its float parent and its settings, in one file."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from systolith.golden.errors import FileFormatError
from systolith.golden.files import npz
from systolith.golden.files.datasets import DatasetReference
from systolith.golden.files.json_files import Scalar
from systolith.golden.fixed import execution
from systolith.golden.fixed.arithmetic import MAX_BITS, Overflow, QFormat, Requantization, Rounding
from systolith.golden.fixed.consistency import (
    FixedNetworkError,
    check,
    checked_range,
    padding_of,
)
from systolith.golden.fixed.integers import FixedLayer, FixedNetwork, Integers
from systolith.golden.network import shipped
from systolith.golden.network.graph import Convolution, Layer, Network, Shape
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.qformat import RawImages
from systolith.golden.quantization.agreement import check_agreement
from systolith.golden.quantization.settings import Settings

SCHEMA = "systolith.quantized-network/1"
"""The schema of a file of a quantized network."""

_ARRAYS = ("weights", "weight_frac_bits", "bias", "factors", "shifts", "table")

_Raw = Annotated[int, msgspec.Meta(ge=-(1 << MAX_BITS), le=1 << MAX_BITS)]


class _Format(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `QFormat`; what it refuses is refused where it stands in the file."""

    bits: int
    frac_bits: int
    signed: bool

    def __post_init__(self) -> None:
        self.made()

    def made(self) -> QFormat:
        return QFormat(self.bits, self.frac_bits, self.signed)


class _Requantization(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    target: _Format
    multiplier: _Raw
    rounding: Rounding
    overflow: Overflow
    limits: tuple[_Raw | None, _Raw | None] = (None, None)


class _Layer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    padding_value: _Raw
    input_shift: _Raw
    weight_bits: Annotated[tuple[int, ...], msgspec.Meta(max_length=1)]
    requantization: _Requantization | None
    output: _Format


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    graph: msgspec.Raw
    settings: dict[str, Scalar | dict[str, dict[str, Scalar]]]
    layers: tuple[_Layer, ...]
    trained_on: DatasetReference | None = None
    calibrated_on: DatasetReference | None = None


@dataclass(frozen=True, eq=False)
class QuantizedNetwork:
    """A network in integers, its float parent, and the settings with which it was quantized.

    Parameters
    ----------
    fixed
        Formats and integers.
    parent
        The trained network of the same graph.
    settings
        Widths and methods.
    calibrated_on
        The images on which formats were chosen; None if that is not known.

    Raises
    ------
    FixedNetworkError
        The integers do not fit the graph or each other.
    """

    fixed: FixedNetwork
    parent: TrainedNetwork
    settings: Settings
    calibrated_on: DatasetReference | None = None

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
        counts = weight_counts(self.fixed.network)
        return sum(count * self.settings.of(name).weight_bits for name, count in counts.items())

    def contents(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The header and the arrays that `save` writes."""
        parent_header, parent_arrays = self.parent.contents()
        arrays: dict[str, NDArray[Any]] = {f"float/{k}": v for k, v in parent_arrays.items()}
        for layer in self.fixed.layers:
            how = layer.requantization
            found: dict[str, Integers | None] = {
                "weights": layer.weights,
                "bias": layer.bias,
                "factors": layer.factors,
            }
            if layer.weight_formats:
                found["weight_frac_bits"] = np.array([f.frac_bits for f in layer.weight_formats])
            if how is not None:
                found |= {"shifts": how.shifts, "table": how.table}
            for name, array in found.items():
                if array is not None:
                    arrays[f"fixed/{layer.name}/{name}"] = _narrowest(array)
        header = {
            **parent_header,
            "settings": self.settings.to_mapping(),
            "layers": [msgspec.to_builtins(_entry(layer)) for layer in self.fixed.layers],
        }
        if self.calibrated_on is not None:
            header["calibrated_on"] = msgspec.to_builtins(self.calibrated_on)
        return header, arrays

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one `.npz` file, whole or not at all; the same content gives the same bytes."""
        npz.write(path, SCHEMA, *self.contents())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> QuantizedNetwork:
        """Read what `save` wrote.

        Raises
        ------
        FileFormatError
            The file is missing, damaged, foreign, of another version, or its graph, settings,
            formats and integers do not agree.
        """
        name = os.fspath(path)
        if name in shipped.names() and not os.path.lexists(name):
            raise FileFormatError(
                f"{name}: no such file; `systolith quantize {name} --out {name}.npz` makes one "
                "of the network that ships"
            )
        header, arrays = npz.read(path, _Header, SCHEMA)
        try:
            return _from_contents(header, arrays)
        except (ValueError, OverflowError) as error:
            raise FileFormatError(f"{path}: {error}") from None


def fixed_maps(quantized: QuantizedNetwork, images: RawImages) -> dict[str, Integers]:
    """Every layer's output by name, as raw integers `(batch, height, width, channels)`.

    These are the values that the hardware has on the streams of its layers.

    Parameters
    ----------
    quantized
        The network.
    images
        Raw pixels, `(batch, height, width, channels)`.

    Raises
    ------
    ValueError
        The images are not of the shape and type that the network takes.
    """
    return dict(execution.run(quantized.fixed, images).outputs)


def weight_counts(network: Network) -> dict[str, int]:
    """The number of weights of each layer; missing connections and biases count 0."""
    return {
        layer.name: layer.links(source) * math.prod(layer.kernel)
        if isinstance(layer, Convolution)
        else math.prod(layer.array_shapes(source).get("weights", (0,)))
        for layer, source, _ in network.computing_layers()
    }


def _entry(layer: FixedLayer) -> _Layer:
    """A layer's entry in the header."""
    how = layer.requantization
    return _Layer(
        name=layer.name,
        padding_value=layer.padding_value,
        input_shift=layer.input_shift,
        weight_bits=tuple(fmt.bits for fmt in layer.weight_formats[:1]),
        requantization=None
        if how is None
        else _Requantization(
            _format(how.target), how.multiplier, how.rounding, how.overflow, how.limits
        ),
        output=_format(layer.output_format),
    )


def _format(fmt: QFormat) -> _Format:
    return _Format(fmt.bits, fmt.frac_bits, fmt.signed)


def _from_contents(header: _Header, arrays: Mapping[str, NDArray[Any]]) -> QuantizedNetwork:
    floats = {k.removeprefix("float/"): v for k, v in arrays.items() if k.startswith("float/")}
    parent = TrainedNetwork.from_contents(header.graph, floats, header.trained_on)
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

    if len(header.layers) != len(network.layers) - 1:
        raise FixedNetworkError(
            f"layers must have {len(network.layers) - 1} entries, not {len(header.layers)}"
        )
    layers: list[FixedLayer] = []
    source = network.input
    fmt, border, shape = source.format, source.border, source.image_shape
    computing = network.computing_layers()
    for entry, (layer, _, output_shape) in zip(header.layers, computing, strict=True):
        own = {
            name: integers[f"{layer.name}/{name}"].astype(np.int64)
            for name in _ARRAYS
            if f"{layer.name}/{name}" in integers
        }
        layers.append(_layer(network, layer, entry, own, (shape, output_shape), fmt, border))
        fmt, border, shape = layers[-1].output_format, 0, output_shape
    fixed = FixedNetwork(network, tuple(layers))
    settings = Settings.from_mapping(header.settings)
    made = QuantizedNetwork(fixed, parent, settings, header.calibrated_on)
    check_agreement(fixed, made.settings)
    return made


def _layer(
    network: Network,
    layer: Layer,
    entry: _Layer,
    arrays: dict[str, Integers],
    shapes: tuple[Shape, Shape],
    fmt: QFormat,
    border: int,
) -> FixedLayer:
    """A layer from its entry in the header and its arrays, not checked beyond their types."""
    where = f"{layer.type_name} {layer.name!r}"
    if entry.name != layer.name:
        raise FixedNetworkError(f"{where}: is named {entry.name!r} among the integers")
    frac_bits = arrays.get("weight_frac_bits", np.array([], np.int64))
    if frac_bits.ndim != 1:
        raise FixedNetworkError(f"{where}: weight_frac_bits must be one a channel")
    if len(entry.weight_bits) != min(1, len(frac_bits)):
        raise FixedNetworkError(f"{where}: weight_bits must be a list of one width or none")
    made = FixedLayer(
        layer=layer,
        input_shape=shapes[0],
        output_shape=shapes[1],
        input_format=fmt,
        output_format=entry.output.made(),
        padding_value=entry.padding_value,
        weights=arrays.get("weights"),
        bias=arrays.get("bias"),
        weight_formats=tuple(QFormat(entry.weight_bits[0], each) for each in frac_bits.tolist()),
        input_shift=entry.input_shift,
        factors=arrays.get("factors"),
        requantization=_requantization(where, entry.requantization, arrays),
    )
    made = replace(made, padding=padding_of(made, border))
    return replace(made, accumulator_range=checked_range(network, made))


def _requantization(
    where: str, entry: _Requantization | None, arrays: dict[str, Integers]
) -> Requantization | None:
    shifts, table = arrays.get("shifts"), arrays.get("table")
    if entry is None:
        if shifts is not None or table is not None:
            raise FixedNetworkError(f"{where}: has shifts or a table, but no requantization")
        return None
    if shifts is None:
        raise FixedNetworkError(f"{where}: array 'shifts' is missing")
    return Requantization(
        shifts=shifts,
        target=entry.target.made(),
        multiplier=entry.multiplier,
        rounding=entry.rounding,
        overflow=entry.overflow,
        table=table,
        limits=entry.limits,
    )


def _narrowest(array: Integers) -> NDArray[Any]:
    """The array in the narrowest signed type that holds it."""
    for dtype in (np.int8, np.int16, np.int32):
        limits = np.iinfo(dtype)
        if not array.size or (limits.min <= array.min() and array.max() <= limits.max):
            return array.astype(dtype)
    return array
