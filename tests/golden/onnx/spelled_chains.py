"""Random chains of layers as ONNX models, in the many spellings that exporters have for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Pixels = NDArray[np.integer[Any]]
Reals = NDArray[Any]

OPSETS = tuple(range(7, 29))
"""The operator sets that both ONNX Runtime and the importer take."""


@dataclass(frozen=True, eq=False)
class SpelledChain:
    """A model, and what there is to know to run it without looking inside.

    Parameters
    ----------
    proto
        The model.
    layout
        The input's axes: `NCHW`, `NHWC`, `NHW` or `flat` (rows of `NHWC`).
    image
        Height, width and channels of an image.
    batch
        The images of a batch, or None for any number.
    ending
        `none`, `Softmax`, `LogSoftmax` or `ArgMax`.
    output
        The output of the chain, if the model has more than one.
    """

    proto: onnx.ModelProto
    layout: str
    image: tuple[int, int, int]
    batch: int | None
    ending: str
    output: str | None

    def fed(self, values: Reals) -> Reals:
        """The model's input for images `(batch, height, width, channels)`."""
        if self.layout == "NCHW":
            return values.transpose(0, 3, 1, 2)
        if self.layout == "NHW":
            return values[..., 0]
        return values.reshape(len(values), -1) if self.layout == "flat" else values


@dataclass
class _Writer:
    """The nodes and constants so far."""

    rng: np.random.Generator
    opset: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)
    count: int = 0

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, *options: Any) -> Any:
        return options[self.rng.integers(len(options))]

    def name(self, stem: str) -> str:
        self.count += 1
        here = str(self.count)
        return str(self.pick(f"/m/{stem}.{here}/{stem}", here, f"{stem}:{here}"))

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        made = self.name(operator)
        own = self.pick("", f"{made}_node")
        self.nodes.append(helper.make_node(operator, inputs, [made], own, **attributes))
        return made

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        made, array = self.name("c"), np.array(values, dtype)
        if self.chance(0.3):
            tensor = numpy_helper.from_array(array)
            self.nodes.append(helper.make_node("Constant", [], [made], value=tensor))
        elif dtype == np.float32 and array.ndim == 2 and self.chance(0.3):
            turned = self.constant(array.T)
            self.nodes.append(helper.make_node("Transpose", [turned], [made]))
        else:
            self.initializers.append(numpy_helper.from_array(array, made))
        return made

    def axes(self, operator: str, x: str, axes: list[int], since: int, **more: Any) -> str:
        """An operator whose axes became an input with an operator set."""
        if self.opset < since:
            return self.node(operator, x, axes=axes, **more)
        return self.node(operator, x, self.constant(axes, np.int64), **more)


def spelled_chain(seed: int, opset: int | None = None) -> SpelledChain:
    """The chain of a seed."""
    rng = np.random.default_rng(seed)
    out = _Writer(rng, opset or int(rng.choice(OPSETS)))
    image = (int(rng.integers(6, 12)), int(rng.integers(6, 12)), int(rng.integers(1, 4)))
    layout = str(rng.choice(["NCHW", "NCHW", "NHWC", "flat", *(["NHW"] if image[2] == 1 else [])]))
    batch = out.pick(None, None, 1, 3, 20)
    x, shape = _input(out, layout, image, batch)
    if out.chance(0.3):
        x = out.node("Sub", x, out.constant(rng.normal(0.4, 0.1, (image[2], 1, 1))))
        x = out.node("Div", x, out.constant(rng.uniform(0.5, 2, out.pick((), (image[2], 1, 1)))))
    for _ in range(int(rng.integers(0, 4))):
        x, shape = _block(out, x, shape)
    ending = "none"
    if out.chance(0.85):
        x, values = _flat(out, x, shape, batch)
        for _ in range(int(rng.integers(1, 3))):
            x, values = _dense(out, x, values)
        ending = str(rng.choice(["none", "none", "Softmax", "LogSoftmax", "ArgMax"]))
        if ending == "ArgMax":
            x = out.node("ArgMax", x, axis=1, keepdims=out.pick(0, 1))
        elif ending != "none":
            axis = out.pick(1, -1) if out.opset >= 13 else 1
            if ending == "LogSoftmax" and out.chance(0.5):
                x = out.node("Log", out.node("Softmax", x, axis=axis))
            else:
                x = out.node(ending, x, axis=axis)
    else:
        x = out.node("Relu", x)
    proto = _model(out, x, layout, image, batch, ending)
    output = x if len({each.name for each in proto.graph.output}) > 1 else None
    return SpelledChain(proto, layout, image, batch, ending, output)


def spellings(chain: SpelledChain) -> set[str]:
    """What the model has of the many spellings."""
    graph = chain.proto.graph
    nodes = list(graph.node)
    found = {node.op_type for node in nodes}
    found |= {
        f"{node.op_type} {each.name}" + (f" {each.s.decode()}" if each.s else "")
        for node in nodes
        for each in node.attribute
    }
    found |= {
        f"{node.op_type} without {name}"
        for node in nodes
        for name in ("kernel_shape", "perm")
        if name not in {each.name for each in node.attribute}
    }
    makers = {name: node for node in nodes for name in node.output}
    for node in nodes:
        found |= {f"{makers[x].op_type}, {node.op_type}" for x in node.input if x in makers}
        found |= {f"{node.op_type} of {len(node.input)} inputs"}
        found |= {f"{node.op_type} of {len(node.output)} outputs"}
    found |= {f"{chain.layout} input", f"batch of {chain.batch}"}
    found |= {f"{len(graph.output)} outputs, {len({each.name for each in graph.output})} names"}
    if len(graph.input) > 1:
        found.add("initializers among the inputs")
    places = {name: at for at, node in enumerate(nodes) for name in node.output}
    if any(places.get(x, -1) > at for at, node in enumerate(nodes) for x in node.input):
        found.add("nodes out of order")
    if any(not node.name for node in nodes):
        found.add("nodes without names")
    return found


def save(chain: SpelledChain, folder: Path, external: bool) -> Path:
    """Write the model; its weights go into a file next to it, if that is wanted."""
    path = folder / "spelled.onnx"
    onnx.save(
        chain.proto,
        path,
        save_as_external_data=external,
        all_tensors_to_one_file=True,
        location="spelled.onnx.data",
        size_threshold=16,
    )
    return path


def _input(
    out: _Writer, layout: str, image: tuple[int, int, int], batch: int | None
) -> tuple[str, tuple[int, int, int]]:
    """The image as channels, height, width."""
    height, width, channels = image
    x = "x"
    if layout == "flat":
        sizes = [out.pick(-1, batch or -1), height, width, channels]
        x = out.node("Reshape", x, out.constant(sizes, np.int64))
    if layout in ("flat", "NHWC"):
        x = out.node("Transpose", x, perm=[0, 3, 1, 2])
    elif layout == "NHW":
        x = out.axes("Unsqueeze", x, [1], 13)
    return x, (channels, height, width)


def _block(out: _Writer, x: str, shape: tuple[int, int, int]) -> tuple[str, tuple[int, int, int]]:
    """A convolution or a pooling, with what follows it."""
    if out.chance(0.15):
        x = out.node(out.pick("Relu", "Sigmoid"), x)
    if min(shape[1:]) >= 3 and out.chance(0.7):
        x, shape = _convolution(out, x, shape)
    if out.chance(0.3):
        x = _normalized(out, x, shape[0], axes=4)
    activation = out.pick("Relu", "Relu", "Tanh", "Sigmoid", None)
    behind = out.chance(0.4)
    if activation and not behind:
        x = out.node(activation, x)
    if min(shape[1:]) >= 2 and out.chance(0.6):
        x, shape = _pooling(out, x, shape)
    if activation and behind:
        x = out.node(activation, x)
    if out.chance(0.3):
        x = out.node(out.pick("Identity", "Dropout"), x)
        if out.nodes[-1].op_type == "Dropout" and out.chance(0.5):
            out.nodes[-1].output.append(out.name("mask"))
    if out.chance(0.2):
        x = out.node("Transpose", out.node("Transpose", x, perm=[0, 2, 3, 1]), perm=[0, 3, 1, 2])
    return x, shape


def _convolution(
    out: _Writer, x: str, shape: tuple[int, int, int]
) -> tuple[str, tuple[int, int, int]]:
    rng, (channels, height, width) = out.rng, shape
    kernel = [int(rng.integers(1, 4)), int(rng.integers(1, 4))]
    groups = out.pick(1, 1, 1, channels)
    outputs = groups * int(rng.integers(1, 4))
    sizes = (outputs, channels // groups, *kernel)
    weights = rng.normal(0, float(np.prod(sizes[1:])) ** -0.5, sizes)
    attributes: dict[str, Any] = {}
    if out.chance(0.5):
        attributes["kernel_shape"] = kernel
    if groups > 1:
        attributes["group"] = groups
    dilation = out.pick(1, 1, 1, 2) if min(height, width) > 5 else 1
    if dilation > 1:
        attributes["dilations"] = [dilation, dilation]
    if out.chance(0.3):
        attributes["strides"] = [1, 1]
    reach = [(k - 1) * dilation + 1 for k in kernel]
    how = out.pick("none", "pads", "one-sided", "SAME_UPPER", "SAME_LOWER", "VALID", "Pad")
    if dilation > 1 and how.startswith("SAME"):
        # ONNX Runtime has no such padding.
        how = "none"
    places = [height - reach[0] + 1, width - reach[1] + 1]
    if how in ("SAME_UPPER", "SAME_LOWER"):
        attributes["auto_pad"], places = how, [height, width]
    elif how == "VALID":
        attributes["auto_pad"] = how
    elif how != "none":
        begin = [int(rng.integers(0, r)) for r in reach]
        end = [int(rng.integers(0, r)) for r in reach] if how == "one-sided" else begin
        places = [s + a + b for s, a, b in zip(places, begin, end, strict=True)]
        if how == "Pad":
            x = _padded(out, x, [0, 0, *begin, 0, 0, *end])
        else:
            attributes["pads"] = [*begin, *end]
    inputs = [x, out.constant(weights)]
    bias = rng.normal(0, 0.3, outputs)
    where = out.pick("input", "Add", "none")
    if where == "input":
        inputs.append(out.constant(bias))
    x = out.node("Conv", *inputs, **attributes)
    if where == "Add":
        parts = [x, out.constant(bias.reshape(out.pick((-1, 1, 1), (1, -1, 1, 1))))]
        x = out.node("Add", *(parts[::-1] if out.chance(0.3) else parts))
    return x, (outputs, places[0], places[1])


def _padded(out: _Writer, x: str, pads: list[int]) -> str:
    if out.opset < 11:
        return out.node("Pad", x, pads=pads, mode="constant", value=0.0)
    inputs = [x, out.constant(pads, np.int64)]
    if out.chance(0.5):
        inputs.append(out.constant(0.0))
    return out.node("Pad", *inputs)


def _normalized(out: _Writer, x: str, channels: int, axes: int) -> str:
    """A batch normalization, or constants that do a part of its work."""
    rng = out.rng
    if out.chance(0.6):
        arrays = [
            *(rng.uniform(0.5, 1.5, channels), rng.normal(0, 0.3, channels)),
            *(rng.normal(0, 0.3, channels), rng.uniform(0.5, 2, channels)),
        ]
        epsilon = {"epsilon": 1e-3} if out.chance(0.5) else {}
        return out.node("BatchNormalization", x, *map(out.constant, arrays), **epsilon)
    sizes = out.pick((), (channels, 1, 1)) if axes == 4 else out.pick((), (channels,))
    constant = out.constant(rng.uniform(0.5, 1.5, sizes))
    operator = out.pick("Mul", "Div", "Add", "Sub", "reverse")
    if operator == "reverse":
        return out.node("Sub", constant, x)
    return out.node(operator, x, constant)


def _pooling(out: _Writer, x: str, shape: tuple[int, int, int]) -> tuple[str, tuple[int, int, int]]:
    channels, height, width = shape
    window = [int(out.rng.integers(1, min(4, size + 1))) for size in (height, width)]
    attributes: dict[str, Any] = {"kernel_shape": window, "strides": window}
    if out.chance(0.2):
        attributes["auto_pad"] = "VALID"
    elif out.chance(0.3):
        attributes["pads"] = [0, 0, 0, 0]
    x = out.node(out.pick("MaxPool", "AveragePool"), x, **attributes)
    return x, (channels, height // window[0], width // window[1])


def _flat(out: _Writer, x: str, shape: tuple[int, int, int], batch: int | None) -> tuple[str, int]:
    """Rows of values, in the order of any layout."""
    size = int(np.prod(shape))
    how = out.pick("Flatten", "Reshape", "zero", "chain", "turned", "global", "mean", "Squeeze")
    if how in ("turned", "chain") and out.chance(0.5):
        x = out.node("Transpose", x, perm=out.pick([0, 2, 3, 1], [0, 3, 1, 2], [0, 2, 1, 3]))
    if how == "Flatten":
        return out.node("Flatten", x, **out.pick({}, {"axis": 1})), size
    if how == "Reshape":
        sizes = [batch or -1, size] if out.chance(0.5) else [-1, size]
        return out.node("Reshape", x, out.constant(sizes, np.int64)), size
    if how == "chain":
        first = out.node("Gather", out.node("Shape", x), out.constant(0, np.int64), axis=0)
        parts = [out.axes("Unsqueeze", first, [0], 13), out.constant([-1], np.int64)]
        return out.node("Reshape", x, out.node("Concat", *parts, axis=0)), size
    if how == "global":
        x = out.node(out.pick("GlobalAveragePool", "GlobalMaxPool"), x)
        return out.node("Flatten", x), shape[0]
    if how == "mean":
        if out.chance(0.5):
            return out.axes("ReduceMean", x, [2, 3], 18, keepdims=0), shape[0]
        return out.node("Flatten", out.axes("ReduceMean", x, [2, 3], 18, keepdims=1)), shape[0]
    if how == "Squeeze":
        x = out.node("GlobalAveragePool", x)
        return out.axes("Squeeze", x, [2, 3], 13), shape[0]
    return out.node("Reshape", x, out.constant([0, -1], np.int64)), size


def _dense(out: _Writer, x: str, values: int) -> tuple[str, int]:
    rng, units = out.rng, int(out.rng.integers(2, 9))
    weights, bias = rng.normal(0, values**-0.5, (values, units)), rng.normal(0, 0.3, units)
    if out.chance(0.5):
        x = out.node("MatMul", x, out.constant(weights))
        if out.chance(0.7):
            x = out.node("Add", x, out.constant(bias.reshape(out.pick((units,), (1, units)))))
    else:
        attributes: dict[str, Any] = {}
        if out.chance(0.2):
            attributes["transA"], x = 1, out.node("Transpose", x)
        if out.chance(0.5):
            attributes["transB"], weights = 1, weights.T
        if out.chance(0.3):
            attributes |= {"alpha": 0.5, "beta": 2.0}
        inputs = [x, out.constant(weights)]
        if out.opset < 11 or out.chance(0.8):
            inputs.append(out.constant(bias.reshape(out.pick((units,), (1, units)))))
        x = out.node("Gemm", *inputs, **attributes)
    if out.chance(0.2):
        x = _normalized(out, x, units, axes=2)
    activation = out.pick("Relu", "Tanh", "Sigmoid", None)
    return (out.node(activation, x) if activation else x), units


def _model(
    out: _Writer,
    last: str,
    layout: str,
    image: tuple[int, int, int],
    batch: int | None,
    ending: str,
) -> onnx.ModelProto:
    height, width, channels = image
    first = batch or "N"
    dims = {
        "NCHW": [first, channels, height, width],
        "NHWC": [first, height, width, channels],
        "NHW": [first, height, width],
        "flat": [first, height * width * channels],
    }[layout]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)]
    if out.chance(0.3):
        inputs += [
            helper.make_tensor_value_info(each.name, each.data_type, each.dims)
            for each in out.initializers
        ]
    kind = TensorProto.INT64 if ending == "ArgMax" else TensorProto.FLOAT
    outputs = [helper.make_tensor_value_info(last, kind, None)]
    if out.chance(0.2):
        # An inner tensor is one of the outputs, too, or the only one is listed twice.
        makes_reals = [node for node in out.nodes if node.op_type in ("Conv", "Relu", "MaxPool")]
        other = makes_reals[0].output[0] if makes_reals and out.chance(0.7) else last
        outputs.insert(0, helper.make_tensor_value_info(other, TensorProto.FLOAT, None))
        if other == last:
            outputs = [outputs[1], outputs[1]]
    nodes = out.nodes
    if out.chance(0.3):
        nodes = [nodes[i] for i in out.rng.permutation(len(nodes))]
    graph = helper.make_graph(nodes, "spelled", inputs, outputs, out.initializers)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", out.opset)], ir_version=8
    )
