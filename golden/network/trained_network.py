"""A network with its trained weights: from a file, or one of the networks that ship."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from itertools import permutations
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from systolith.golden.errors import FileFormatError
from systolith.golden.files import npz
from systolith.golden.files.datasets import DatasetReference
from systolith.golden.network import graph_json, shipped
from systolith.golden.network.graph import Convolution, Layer, Network, Shape

Array = NDArray[np.floating[Any]]

SCHEMA = "systolith.trained-network/1"
"""The schema of a file of trained weights."""


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    graph: msgspec.Raw
    trained_on: DatasetReference | None = None


class WeightsError(ValueError):
    """Weights that do not fit their graph: names the layer, what was given and what is allowed."""


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A graph and the arrays that training filled, read-only.

    Parameters
    ----------
    network
        The graph.
    arrays
        For every layer after the input, its arrays by name: names and shapes are those of
        `Layer.array_shapes`, values finite float32 or float64, zero where a convolution has no
        connection. Layers without arrays may be left out.
    trained_on
        The images and labels that the weights were trained on; None if that is not known. The
        digits that ship are only used for networks that were trained on `datasets.MNIST`.

    Raises
    ------
    WeightsError
        The arrays do not fit the graph.
    """

    network: Network
    arrays: Mapping[str, Mapping[str, Array]]
    trained_on: DatasetReference | None = None

    def __post_init__(self) -> None:
        layers = {
            layer.name: (layer, source) for layer, source, _ in self.network.computing_layers()
        }
        for name in self.arrays:
            if name not in layers:
                raise WeightsError(f"arrays of {name!r}: network {self.name!r} has no such layer")
        checked = {
            name: _checked(layer, source, self.arrays.get(name, {}))
            for name, (layer, source) in layers.items()
        }
        object.__setattr__(self, "arrays", MappingProxyType(checked))

    def __reduce__(self) -> tuple[Any, ...]:
        # Read-only mappings do not go from process to process.
        arrays = {layer: dict(given) for layer, given in self.arrays.items()}
        return TrainedNetwork, (self.network, arrays, self.trained_on)

    @property
    def name(self) -> str:
        """The network's name."""
        return self.network.name

    @property
    def sha256(self) -> str:
        """The sha256 of the bytes that `save` writes, in hex."""
        return npz.digest(SCHEMA, *self.contents())

    def contents(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """The header and the arrays that `save` writes; an array's name is `layer/array`."""
        flat = {
            f"{layer}/{name}": array
            for layer, arrays in self.arrays.items()
            for name, array in arrays.items()
        }
        header: dict[str, Any] = {"graph": graph_json.to_json(self.network)}
        if self.trained_on is not None:
            header["trained_on"] = msgspec.to_builtins(self.trained_on)
        return header, flat

    @classmethod
    def from_contents(
        cls,
        graph: bytes | msgspec.Raw,
        arrays: Mapping[str, NDArray[Any]],
        trained_on: DatasetReference | None = None,
    ) -> TrainedNetwork:
        """The network with these `contents`: the JSON text of its graph, its arrays, its origin.

        Raises
        ------
        ValueError
            They are not the contents of a trained network.
        """
        network = graph_json.from_json(graph)
        nested: dict[str, dict[str, Array]] = {}
        for key, array in arrays.items():
            layer, slash, name = key.partition("/")
            if not slash:
                raise WeightsError(f"array {key!r}: a name has the form layer/array")
            nested.setdefault(layer, {})[name] = array
        return cls(network, nested, trained_on)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to one `.npz` file, whole or not at all; same content, same bytes."""
        npz.write(path, SCHEMA, *self.contents())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TrainedNetwork:
        """Read what `save` wrote.

        Raises
        ------
        FileFormatError
            The file is missing, damaged, foreign, of another version, or does not hold a
            network with weights that fit it.
        """
        return cls._decode(path, npz.read_content(path))

    @classmethod
    def _decode(cls, path: str | os.PathLike[str], content: bytes) -> TrainedNetwork:
        header, arrays = npz.decode(path, content, _Header, SCHEMA)
        try:
            return cls.from_contents(header.graph, arrays, header.trained_on)
        except ValueError as error:
            raise FileFormatError(f"{path}: {error}") from None


def load_network(name_or_path: str | os.PathLike[str]) -> TrainedNetwork:
    """A network that ships, by its name, or the network in a file.

    Raises
    ------
    FileFormatError
        The file does not hold a trained network.
    ValueError
        This is neither the name of a network nor a file.
    """
    if name_or_path in shipped.names():
        resource = resources.files("systolith.golden").joinpath("assets", f"{name_or_path}.npz")
        return TrainedNetwork._decode(str(name_or_path), resource.read_bytes())
    path = Path(name_or_path)
    if not path.exists():
        raise ValueError(
            f"network {str(name_or_path)!r} is neither a file nor one of "
            f"{', '.join(shipped.names())}"
        )
    return TrainedNetwork.load(path)


def _checked(layer: Layer, source: Shape, given: Mapping[str, Array]) -> Mapping[str, Array]:
    """Read-only copies of a layer's arrays, if they fit it."""
    where = f"{layer.type_name} {layer.name!r}"
    shapes = layer.array_shapes(source)
    for name in given:
        if name not in shapes:
            raise WeightsError(
                f"{where}: array {name!r} is unknown: allowed are {', '.join(shapes) or 'none'}"
            )
    result = {}
    for name, shape in shapes.items():
        if name not in given:
            raise WeightsError(f"{where}: array {name!r} is missing")
        array = np.array(given[name], order="C")
        if array.dtype not in (np.float32, np.float64):
            raise WeightsError(f"{where}: {name} must be float32 or float64, not {array.dtype}")
        if array.shape != shape:
            raise WeightsError(
                f"{where}: {name} must have the shape {shape}, not {array.shape}"
                f"{_hint(array.shape, shape)}"
            )
        if not np.isfinite(array).all():
            raise WeightsError(f"{where}: {name} has values that are not finite")
        array.flags.writeable = False
        result[name] = array
    if isinstance(layer, Convolution):
        _check_connections(where, layer, source, result["weights"])
    return MappingProxyType(result)


def _hint(given: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """The transposition by which an array of another framework would fit, if there is one."""
    if len(given) != len(wanted) or len(wanted) < 2:
        return ""
    # The order of PyTorch's axes first, where several would fit.
    usual = (2, 3, 1, 0) if len(wanted) == 4 else (1, 0)
    for axes in (usual, *permutations(range(len(wanted)))):
        if tuple(given[axis] for axis in axes) == wanted:
            return f": transpose{axes} would make it fit"
    return ""


def _check_connections(where: str, layer: Convolution, source: Shape, weights: Array) -> None:
    for out, maps in enumerate(layer.sources(source)):
        absent = sorted(set(range(source.channels)) - set(maps))
        if np.any(weights[:, :, absent, out]):
            raise WeightsError(
                f"{where}: weights of output map {out} must be zero for the input maps "
                f"{', '.join(map(str, absent))}, which do not feed it"
            )
