"""The graph of a file as plain data, and the part of it that one output needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from systolith.golden.errors import FileFormatError
from systolith.golden.onnx.model.plain_text import shown

if TYPE_CHECKING:
    import onnx

Values = NDArray[Any]


class Unreadable:
    """The value of an attribute that holds a graph, a type or a sparse tensor."""


@dataclass(frozen=True, eq=False)
class Node:
    """A node: an operator, the names of its tensors, its attributes as Python has them.

    `name` is the node's own or, if it has none, that of its first output. An input or output that
    is left out has the name `""`.
    """

    name: str
    operator: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    proto: onnx.NodeProto = field(repr=False)


@dataclass(frozen=True)
class TensorType:
    """What a graph says of an input: NumPy's name of its type; sizes, None where not fixed."""

    dtype: str
    dims: tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class OnnxGraph:
    """A model that was read.

    Parameters
    ----------
    source
        Where it was read from, for errors.
    opset
        The version of ONNX's own operators.
    nodes
        In the order of the file.
    constants
        Initializers, by name.
    inputs
        By name, without those that are initializers too.
    outputs
        Their names.
    proto
        The model as `onnx` has it.
    """

    source: str
    opset: int
    nodes: tuple[Node, ...]
    constants: Mapping[str, Values]
    inputs: Mapping[str, TensorType]
    outputs: tuple[str, ...]
    proto: onnx.ModelProto = field(repr=False)

    def output(self, wanted: str | None) -> str:
        """The name of the output to take: the wanted one, or the only one.

        Raises
        ------
        FileFormatError
            There is no such output, or several to choose from.
        """
        # Some exporters list an output twice.
        outputs = list(dict.fromkeys(self.outputs))
        listed = ", ".join(shown(name) for name in outputs[:20])
        if wanted is None:
            if len(outputs) != 1:
                raise FileFormatError(
                    f"{self.source}: has {len(outputs)} outputs, choose one with --output: {listed}"
                )
            return outputs[0]
        if wanted not in self.outputs:
            raise FileFormatError(
                f"{self.source}: has no output {shown(wanted)!r}: it has {listed}"
            )
        return wanted

    def nodes_for(self, output: str) -> list[Node]:
        """The nodes that an output needs, each after those that feed it.

        Raises
        ------
        FileFormatError
            Nodes feed each other in a circle, or read a tensor that nothing makes.
        """
        makers = {name: node for node in self.nodes for name in node.outputs if name}
        known = {*self.inputs, *self.constants, ""}
        ordered: list[Node] = []
        begun: set[Node] = set()
        done: set[Node] = set()
        stack = [(makers[output], False)] if output in makers else []
        while stack:
            node, fed = stack.pop()
            if fed:
                done.add(node)
                ordered.append(node)
                continue
            if node in done:
                continue
            if node in begun:
                raise FileFormatError(
                    f"{self.source}: the graph has a cycle through the node {shown(node.name)!r}"
                )
            begun.add(node)
            stack.append((node, True))
            for name in node.inputs:
                if name in makers:
                    if makers[name] not in done:
                        stack.append((makers[name], False))
                elif name not in known:
                    raise FileFormatError(
                        f"{self.source}: node {shown(node.name)!r} reads {shown(name)!r}, which "
                        f"nothing makes"
                    )
        return ordered


def tensor_type(info: onnx.ValueInfoProto) -> TensorType:
    """The type and the sizes of an input; negative and symbolic sizes are not fixed."""
    from onnx import helper

    tensor = info.type.tensor_type
    try:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name
    except (KeyError, TypeError, ValueError):
        dtype = "unknown"
    dims = tuple(
        each.dim_value if each.HasField("dim_value") and each.dim_value >= 0 else None
        for each in tensor.shape.dim
    )
    return TensorType(dtype, dims)
