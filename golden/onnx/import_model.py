"""Imports an ONNX model as an equivalent trained network, or lists every unsupported node."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from systolith.golden.network import graph_json
from systolith.golden.network.affine import affines
from systolith.golden.network.graph import (
    LAYER_TYPES,
    Input,
    Layer,
    Network,
    Shape,
)
from systolith.golden.network.trained_network import Array, TrainedNetwork
from systolith.golden.onnx.layer_names import LayerNames, network_name
from systolith.golden.onnx.model.onnx_graph import OnnxGraph
from systolith.golden.onnx.model.onnx_reading import read_onnx
from systolith.golden.onnx.preprocessing import Preprocessing
from systolith.golden.onnx.refusals import Refusal, RefusedError
from systolith.golden.onnx.translation.drafting import draft_layers
from systolith.golden.onnx.translation.graph_walk import Walk, walk
from systolith.golden.onnx.translation.layer_drafts import Draft, DraftError, InputDraft
from systolith.golden.onnx.translation.layouts import unusual_axes
from systolith.golden.onnx.translation.steps import Step
from systolith.golden.qformat import QFormat
from systolith.golden.quantization.padding import padding_value


@dataclass(frozen=True, eq=False)
class Origin:
    """The nodes that a layer comes from.

    Parameters
    ----------
    layer
        Its name.
    chief
        The name of the node after which it is named; `""` if there is none.
    nodes
        Names and operators of the nodes whose work it does, in order.
    equals
        The step whose tensor has its values; None if no tensor has.
    before_activation
        Whether the tensor has them as they are before the activation.
    """

    layer: str
    chief: str
    nodes: tuple[tuple[str, str], ...]
    equals: Step | None = field(repr=False)
    before_activation: bool


@dataclass(frozen=True, eq=False)
class ImportedNetwork:
    """A model that was imported.

    Parameters
    ----------
    trained
        The network; it takes raw values, and `preprocessing` is part of it.
    origins
        Where its layers come from, in order; the input has none.
    notes
        Remarks about single nodes: what was left out, what became larger.
    preprocessing
        What was declared.
    graph, walk
        The model as it was read.
    """

    trained: TrainedNetwork
    origins: tuple[Origin, ...]
    notes: tuple[str, ...]
    preprocessing: Preprocessing
    graph: OnnxGraph = field(repr=False)
    walk: Walk = field(repr=False)

    def with_preprocessing(self, preprocessing: Preprocessing) -> TrainedNetwork:
        """The network of the same model under another preprocessing.

        Raises
        ------
        ValueError
            The preprocessing does not fit the image or the model.
        """
        try:
            return _network(self.trained.name, self.walk, preprocessing)[0]
        except DraftError as error:
            raise ValueError(str(error.refusal)) from None


def import_onnx(
    path: str | os.PathLike[str],
    preprocessing: Preprocessing,
    output: str | None = None,
    image: tuple[int, int, int] | None = None,
) -> ImportedNetwork:
    """Read an ONNX model as a trained network of the same values in every layer.

    Parameters
    ----------
    path
        The model, of opset 6 to 28. Weights in other files are read from its folder only.
    preprocessing
        How the model's input is computed from raw values; the file does not say it.
    output
        The name of the output to take, where there are several.
    image
        The height, width and channels of the image whose values the input is a row of: row by
        row, channels ascending. By default such a row is an image of one pixel.

    Raises
    ------
    RefusedError
        Nodes cannot be imported; `refusals` has all of them.
    FileFormatError
        The file is missing, damaged, too large, or no single image goes in.
    ValueError
        The preprocessing or the declared image does not fit the input, or no layer is left.
    ModuleNotFoundError
        The package `onnx` is not installed.
    """
    graph = read_onnx(path)
    declared = None if image is None else Shape(*image)
    walked = walk(graph, graph.output(output), declared)
    try:
        trained, origins = _network(Path(path).stem, walked, preprocessing)
        found = trained.network.input.image_shape
        if declared is not None and found != declared:
            raise ValueError(f"its nodes take an image of {found}, not of {declared}")
    except DraftError as error:
        raise RefusedError(graph.source, [error.refusal], len(walked.nodes)) from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    notes = (*walked.notes, *unusual_axes(walked.last))
    return ImportedNetwork(trained, origins, notes, preprocessing, graph, walked)


def _network(
    stem: str, walked: Walk, preprocessing: Preprocessing
) -> tuple[TrainedNetwork, tuple[Origin, ...]]:
    """The network of a chain of steps, and where its layers come from."""
    if walked.input_type.dtype == "uint8" and not preprocessing.is_raw:
        raise ValueError("the model takes raw 8-bit pixels: declare them as raw")
    first, drafts = draft_layers(walked.last, preprocessing)
    if not drafts:
        raise ValueError(f"no layer is left of its {len(walked.nodes)} nodes")
    dtype = np.float64 if walked.input_type.dtype == "float64" else np.float32
    names = LayerNames()
    origins = tuple(_origin(names, draft) for draft in drafts)
    layers: list[Layer] = [_input(first, preprocessing.format)]
    arrays: dict[str, Mapping[str, Array]] = {}
    for origin, draft in zip(origins, drafts, strict=True):
        layers.append(_layer(draft, origin.layer, layers[-1].name))
        arrays[origin.layer] = _arrays(draft, dtype)
    network = Network(network_name(stem), tuple(layers))
    _require_one_padding(network, origins[0])
    # What could not be read again is not made.
    graph_json.from_json(json.dumps(graph_json.to_json(network)).encode())
    return TrainedNetwork(network, arrays), origins


def _require_one_padding(network: Network, origin: Origin) -> None:
    """Refuse a first layer with other padding than the border of the input.

    Raises
    ------
    DraftError
        The input has a border of another raw value than that of the layer's own padding.
    """
    first, layer = network.input, network.layers[1]
    if not first.border or not any(layer.pads):
        return
    own = padding_value(layer, first.format, affines(network)[first.name])
    if own != first.background:
        refusal = Refusal(
            origin.chief,
            dict(origin.nodes)[origin.chief],
            "pads",
            f"pads with the raw value {own} around a border of {first.background}: not built",
            "put the whole padding into the Pad before it, or leave that out",
        )
        raise DraftError(refusal)


def _origin(names: LayerNames, draft: Draft) -> Origin:
    chief = next(
        (node for node in draft.nodes if node.operator not in _HELPERS),
        draft.nodes[0] if draft.nodes else None,
    )
    wanted, operator = (chief.name, chief.operator) if chief is not None else ("normalize", "")
    name = names.take(wanted, operator, draft.kind)
    nodes = tuple((node.name, node.operator) for node in draft.nodes)
    shown = chief.name if chief is not None else ""
    return Origin(name, shown, nodes, draft.equals, draft.before_activation)


_HELPERS = ("Add", "Sub", "Mul", "Div", "Neg", "BatchNormalization")
"""Operators that do not give a layer its name, if it has another."""


def _input(draft: InputDraft, fmt: QFormat) -> Input:
    return Input(
        name="input",
        height=draft.shape.height,
        width=draft.shape.width,
        channels=draft.shape.channels,
        border=draft.border,
        background=draft.background,
        scale=draft.scale,
        offset=draft.offset,
        format=fmt,
    )


def _layer(draft: Draft, name: str, feeder: str) -> Layer:
    arguments: dict[str, Any] = {"name": name, "inputs": (feeder,)}
    if not draft.activation.is_identity:
        arguments["activation"] = draft.activation
    if draft.kind == "dense":
        arguments["units"] = draft.shape.channels
    else:
        windows = draft.windows
        above, left, below, right = windows.padding
        arguments["padding"] = (above, left)
        if (below, right) != (above, left):
            arguments["padding_end"] = (below, right)
        if draft.kind == "convolution":
            arguments |= {
                "kernel": windows.kernel,
                "out_channels": draft.shape.channels,
                "stride": windows.stride,
                "dilation": windows.dilation,
                "groups": draft.groups,
            }
        else:
            arguments["window"] = windows.kernel
            if windows.stride != windows.kernel:
                arguments["stride"] = windows.stride
        if draft.kind == "average_pooling":
            arguments["count_padding"] = draft.count_padding
    return LAYER_TYPES[draft.kind](**arguments)


def _arrays(draft: Draft, dtype: type[np.floating[Any]]) -> dict[str, NDArray[Any]]:
    if draft.weights is None or draft.bias is None:
        return {}
    with np.errstate(over="ignore"):
        return {"weights": draft.weights.astype(dtype), "bias": draft.bias.astype(dtype)}
