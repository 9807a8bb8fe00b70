"""A quantized network as an ONNX model, so that another engine can compute the same integers."""

from __future__ import annotations

import json
from dataclasses import asdict

from systolith.golden.choices import choice
from systolith.golden.fixed.integers import FixedNetwork
from systolith.golden.network.affine import affines
from systolith.golden.network.graph import Shape
from systolith.golden.onnx.operators import OnnxGraph, add_layer
from systolith.golden.quantization.quantized_network import QuantizedNetwork

SCHEMA = "systolith.onnx/1"
"""The schema of the metadata of a model."""

OPSET = 13
"""An operator set that old engines support; it has the operators used here on 64-bit integers."""

IR_VERSION = 7
"""The file format that came with it."""

IMAGES, CLASS, SCORES = "images", "class", "scores"

_BEST = {"largest": "ArgMax", "smallest": "ArgMin"}


def export_onnx(quantized: QuantizedNetwork) -> bytes:
    """The content of an `.onnx` file; the same network gives the same bytes.

    The model's input is `images`, raw values `(batch, channels, height, width)`, uint8 for pixels.
    Its outputs, all int64, are `class` `(batch,)`, `scores` `(batch, values)`, and for every layer,
    under its name, the raw values of `fixed.execution` as `(batch, channels, height, width)`.

    Raises
    ------
    ModuleNotFoundError
        The package `onnx` is not installed.
    ValueError
        A layer has no exact form in ONNX; names the layer.
    """
    import onnx
    from onnx import TensorProto, helper

    fixed, graph = quantized.fixed, OnnxGraph()
    x = graph.add("Cast", output_name(fixed.network.input.name), IMAGES, to=TensorProto.INT64)
    for layer in fixed.layers:
        x = add_layer(graph, layer, x, output_name(layer.name))
    _classify(graph, fixed, x)

    raw_type = helper.np_dtype_to_tensor_dtype(fixed.network.input.format.raw_type)
    images = helper.make_tensor_value_info(
        IMAGES, raw_type, ["batch", *_sizes(fixed.network.input.image_shape)]
    )
    values = {CLASS: (), SCORES: (fixed.layers[-1].output_shape.size,)} | {
        output_name(layer.name): _sizes(layer.output_shape) for layer in fixed.layers
    }
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", *sizes])
        for name, sizes in values.items()
    ]
    model = helper.make_model(
        helper.make_graph(graph.nodes, fixed.name, [images], outputs, graph.constants),
        producer_name="systolith",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    helper.set_model_props(model, _metadata(quantized))
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def output_name(layer: str) -> str:
    """The name of the output with a layer's values: the layer's own, unless it is taken."""
    return f"{layer}.values" if layer in (IMAGES, CLASS, SCORES) else layer


def _sizes(shape: Shape) -> tuple[int, int, int]:
    return shape.channels, shape.height, shape.width


def _classify(graph: OnnxGraph, fixed: FixedNetwork, last: str) -> None:
    """Scores in the order of a stream (pixel by pixel), and the lowest index of the best."""
    size = fixed.layers[-1].output_shape.size
    by_pixel = graph.add("Transpose", f"{SCORES}.by_pixel", last, perm=(0, 2, 3, 1))
    graph.add("Reshape", SCORES, by_pixel, graph.constant(f"{SCORES}.shape", (0, size)))
    best = choice(_BEST, fixed.network.output.winner, "winner")
    graph.add(best, CLASS, SCORES, axis=1, keepdims=0, select_last_index=0)


def _metadata(quantized: QuantizedNetwork) -> dict[str, str]:
    real = affines(quantized.fixed.network)
    layers = [
        {
            "name": layer.name,
            "type": layer.layer.type_name,
            "output": output_name(layer.name),
            "format": asdict(layer.output_format),
            **asdict(real[layer.name]),
        }
        for layer in quantized.fixed.layers
    ]
    return {
        "schema": SCHEMA,
        "network": quantized.name,
        "quantized_sha256": quantized.sha256,
        "layers": json.dumps(layers),
    }
