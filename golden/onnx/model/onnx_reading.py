"""Parses an ONNX file as a graph, and checks its operator set and its size."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from systolith.golden.errors import FileFormatError
from systolith.golden.files.whole_files import read_whole
from systolith.golden.onnx.model.onnx_graph import (
    Node,
    OnnxGraph,
    Unreadable,
    Values,
    tensor_type,
)
from systolith.golden.onnx.model.onnx_tensors import MAX_BYTES, TensorReader
from systolith.golden.onnx.model.plain_text import shown

if TYPE_CHECKING:
    import onnx

OPSETS = range(6, 29)
"""The versions of ONNX's operators whose meaning is known here."""

MAX_NODES = 10_000
"""The most nodes of a graph, functions written out."""

MAX_DEPTH = 50
"""The most functions that call each other in a row."""

_DEFAULT_DOMAINS = ("", "ai.onnx")


def read_onnx(path: str | os.PathLike[str]) -> OnnxGraph:
    """Read a model; weights in other files are read from its folder only.

    Raises
    ------
    ModuleNotFoundError
        The package `onnx` is not installed.
    FileFormatError
        The file is missing, damaged or too large, of an operator set that is not known, or its
        tensors do not fit together.
    """
    return parse_onnx(read_whole(path, MAX_BYTES), path)


def parse_onnx(content: bytes, path: str | os.PathLike[str]) -> OnnxGraph:
    """Read a model from the bytes of a file; `path` says where it lies.

    Errors are those of `read_onnx`.
    """
    import onnx
    from google.protobuf.message import DecodeError

    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError:
        raise FileFormatError(f"{path}: not an intact ONNX file") from None
    try:
        return _graph(_inlined(model), str(path))
    except FileFormatError as error:
        text = str(error)
        raise FileFormatError(text if text.startswith(f"{path}: ") else f"{path}: {text}") from None


def _graph(model: onnx.ModelProto, source: str) -> OnnxGraph:
    proto = model.graph
    if not proto.node:
        raise FileFormatError("has no nodes: not an ONNX model of a network")
    if proto.sparse_initializer:
        raise FileFormatError("has sparse initializers, which are not read")
    opset = _opset(model)
    reader = TensorReader(Path(source).parent)
    constants: dict[str, Values] = {}
    _require_text(
        each.name for part in (proto.initializer, proto.input, proto.output) for each in part
    )
    for tensor in proto.initializer:
        if tensor.name in constants:
            raise FileFormatError(f"two initializers are named {shown(tensor.name)!r}")
        constants[tensor.name] = reader.array(tensor)
    nodes = tuple(_node(node, reader) for node in proto.node)
    inputs = {each.name: tensor_type(each) for each in proto.input if each.name not in constants}
    made = [name for node in nodes for name in node.outputs if name]
    _require_unique([*constants, *inputs, *made])
    outputs = tuple(each.name for each in proto.output)
    for name in outputs:
        if name not in made and name not in inputs and name not in constants:
            raise FileFormatError(f"nothing makes the output {shown(name)!r}")
    return OnnxGraph(source, opset, nodes, constants, inputs, outputs, model)


def _opset(model: onnx.ModelProto) -> int:
    versions = [each.version for each in model.opset_import if each.domain in _DEFAULT_DOMAINS]
    if len(versions) != 1:
        raise FileFormatError(f"must name one version of ONNX's operators, not {len(versions)}")
    if versions[0] not in OPSETS:
        raise FileFormatError(
            f"opset {versions[0]}: read are {OPSETS.start} to {OPSETS.stop - 1}; "
            f"onnx.version_converter changes it"
        )
    return int(versions[0])


def _node(proto: onnx.NodeProto, reader: TensorReader) -> Node:
    attributes = (each.name for each in proto.attribute)
    _require_text(
        (proto.name, proto.op_type, proto.domain, *proto.input, *proto.output, *attributes)
    )
    name = proto.name or next((each for each in proto.output if each), "")
    return Node(
        name=name,
        operator=proto.op_type,
        domain="" if proto.domain in _DEFAULT_DOMAINS else proto.domain,
        inputs=tuple(proto.input),
        outputs=tuple(proto.output),
        attributes={each.name: _attribute(each, reader) for each in proto.attribute},
        proto=proto,
    )


def _attribute(proto: onnx.AttributeProto, reader: TensorReader) -> Any:
    """An integer, a float, a text, a list of these, an array, or `Unreadable`."""
    from onnx import AttributeProto

    if proto.type == AttributeProto.INT:
        return proto.i
    if proto.type == AttributeProto.FLOAT:
        return proto.f
    if proto.type == AttributeProto.STRING:
        return proto.s.decode("utf-8", "replace")
    if proto.type == AttributeProto.INTS:
        return list(proto.ints)
    if proto.type == AttributeProto.FLOATS:
        return list(proto.floats)
    if proto.type == AttributeProto.TENSOR:
        return reader.array(proto.t)
    return Unreadable()


def _require_text(names: Iterable[object]) -> None:
    """Refuse names that are not UTF-8, which protobuf gives as bytes."""
    for name in names:
        if not isinstance(name, str):
            raise FileFormatError("not an intact ONNX file: a name is no text")


def _require_unique(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise FileFormatError(f"two tensors are named {shown(name)!r}")
        seen.add(name)


def _inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its functions written out, if it has some: newer PyTorch wrote those."""
    from onnx import inliner

    sizes: dict[tuple[str, str], int] = {}
    functions = {(each.domain, each.name): each for each in model.functions}

    def count(nodes: Iterable[onnx.NodeProto], within: tuple[tuple[str, str], ...]) -> int:
        """The number of nodes after that; too many stop the counting."""
        total = 0
        for node in nodes:
            key = (node.domain, node.op_type)
            if key in within or len(within) > MAX_DEPTH:
                raise FileFormatError(
                    f"the function {shown(node.op_type)!r} calls itself, or functions call each "
                    f"other more than {MAX_DEPTH} deep"
                )
            if key in functions and key not in sizes:
                sizes[key] = count(functions[key].node, (*within, key))
            total += sizes.get(key, 1)
            if total > MAX_NODES:
                raise FileFormatError(f"has more than {MAX_NODES:,} nodes, the most that are read")
        return total

    count(model.graph.node, ())
    return inliner.inline_local_functions(model) if functions else model
