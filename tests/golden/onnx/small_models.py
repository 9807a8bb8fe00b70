"""Small ONNX models, node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

from systolith import golden

RAW = golden.Preprocessing()


def constant(values: ArrayLike, dtype: Any = np.float32) -> np.ndarray[Any, Any]:
    return np.array(values, dtype)


def normal(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(0, 0.5, shape).astype(np.float32)


def node(operator: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    """A node that is named like its output; `inputs` are words."""
    name = attributes.pop("name", output)
    return helper.make_node(operator, inputs.split(), [output], name, **attributes)


def spelled(lines: str) -> list[onnx.NodeProto]:
    """Nodes such as `Gather s some y axis=1; Pad - p y mode=edge`; `-` is an input left out.

    With a point an attribute is a float, with a comma a list: `axes=2,` has one entry.
    """
    nodes = []
    for operator, *words in (line.split() for line in lines.split("; ")):
        attributes = dict(word.split("=") for word in words if "=" in word)
        *inputs, output = ("" if word == "-" else word for word in words if "=" not in word)
        values = {name: _value(text) for name, text in attributes.items()}
        nodes.append(helper.make_node(operator, inputs, [output], output, **values))
    return nodes


def _value(text: str) -> Any:
    if text[0].isalpha():
        return text
    numbers = [float(each) if "." in each else int(each) for each in text.split(",") if each]
    return numbers if "," in text else numbers[0]


def model(
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, np.ndarray[Any, Any]] | None = None,
    dims: Sequence[int | str] = ("N", 1, 8, 8),
    *,
    outputs: Sequence[str] = ("y",),
    opset: int = 13,
    dtype: int = TensorProto.FLOAT,
) -> bytes:
    """A model of the input `x`."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", dtype, list(dims))],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    content: bytes = made.SerializeToString()
    return content


def taken(
    folder: Path,
    content: bytes,
    preprocessing: golden.Preprocessing = RAW,
    output: str | None = None,
) -> golden.ImportedNetwork:
    """The network of a model, every layer compared with ONNX Runtime."""
    path = folder / "small.onnx"
    path.write_bytes(content)
    imported = golden.import_onnx(path, preprocessing, output)
    differences = golden.compare_with_runtime(imported)
    assert {each.layer for each in differences} == {each.layer for each in imported.origins}
    assert all(each.relative < 1e-5 for each in differences), differences
    return imported


def layers(imported: golden.ImportedNetwork) -> list[tuple[str, str]]:
    """Type and activation of every layer."""
    return [
        (layer.type_name, layer.activation.kind) for layer in imported.trained.network.layers[1:]
    ]
