"""A float network in ONNX's operators, so that ONNX Runtime can compute it.

The translation shares no code with the float model, nor with the export of integers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from systolith.golden.network import float_model
from systolith.golden.network.graph import (
    NO_ACTIVATION,
    Activation,
    AveragePooling,
    Convolution,
    Dense,
    Layer,
    MaxPooling,
    Pooling,
    RadialBasis,
    Shape,
    Subsampling,
    WindowedLayer,
)
from systolith.golden.network.trained_network import TrainedNetwork

Array = NDArray[Any]

OPSET = 20
TOLERANCE = 1e-5


class FloatOnnx:
    """A network as an ONNX model; its tensors are `(batch, channels, height, width)`.

    The input `x` has the values for which raw values stand. The output of a layer is a tensor of
    its name, and what goes into its activation is `NAME.sums`.
    """

    def __init__(self, trained: TrainedNetwork) -> None:
        self.trained = trained
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._last = "x"
        self.outputs: list[str] = []
        source = trained.network.input
        if source.border:
            around = self.constant([0, 0, source.border, source.border] * 2, np.int64)
            self.add("Pad", around, self.constant(self._standing(np.array(source.background))))
        for layer, shape, made in trained.network.computing_layers():
            self._layer(layer, trained.arrays[layer.name], shape, made)
            self._output(f"{layer.name}.sums")
            self._activation(layer.activation)
            self._output(layer.name)

    def constant(self, values: ArrayLike, dtype: Any = np.float32) -> str:
        """A constant, and its name."""
        name = f"k{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def add(self, operator: str, *inputs: str, **attributes: Any) -> None:
        """A node whose first input is the last tensor."""
        name = f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, [self._last, *inputs], [name], **attributes))
        self._last = name

    def content(self) -> bytes:
        """The content of an `.onnx` file."""
        height, width, channels = self.trained.network.input.image_shape
        graph = helper.make_graph(
            self._nodes,
            "floats",
            [
                helper.make_tensor_value_info(
                    "x", TensorProto.FLOAT, ["batch", channels, height, width]
                )
            ],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4)
                for name in self.outputs
            ],
            self._constants,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10
        )
        onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString()
        return content

    def run(self, images: Array) -> dict[str, Array]:
        """Every output by ONNX Runtime, `(batch, height, width, channels)`."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            self.content(), options, providers=["CPUExecutionProvider"]
        )
        x = self._standing(images).transpose(0, 3, 1, 2)
        values = session.run(self.outputs, {"x": x})
        return {
            name: np.asarray(each).transpose(0, 2, 3, 1)
            for name, each in zip(self.outputs, values, strict=True)
        }

    def _standing(self, raw: Array) -> Array:
        source = self.trained.network.input
        values = raw * source.format.step * source.scale + source.offset
        return np.asarray(values, np.float32)

    def _output(self, name: str) -> None:
        self._nodes.append(helper.make_node("Identity", [self._last], [name]))
        self.outputs.append(name)
        self._last = name

    def _layer(self, layer: Layer, arrays: Mapping[str, Array], source: Shape, made: Shape) -> None:
        if isinstance(layer, Convolution):
            self._convolution(layer, arrays, source)
        elif isinstance(layer, Pooling):
            self._pooling(layer, arrays)
        else:
            self.add("Transpose", perm=[0, 2, 3, 1])
            self.add("Flatten")
            if isinstance(layer, Dense):
                self.add("Gemm", self.constant(arrays["weights"]), self.constant(arrays["bias"]))
            else:
                assert isinstance(layer, RadialBasis)
                self.add("Unsqueeze", self.constant([2], np.int64))
                self.add("Sub", self.constant(arrays["weights"]))
                self.add("Mul", self._last)
                self.add("ReduceSum", self.constant([1], np.int64), keepdims=0)
            sizes = [-1, made.channels, made.height, made.width]
            self.add("Reshape", self.constant(sizes, np.int64))

    def _convolution(self, layer: Convolution, arrays: Mapping[str, Array], source: Shape) -> None:
        kernels = arrays["weights"].transpose(3, 2, 0, 1)
        if layer.groups > 1:
            # ONNX has no weights where there is no connection.
            own = [kernels[out, list(maps)] for out, maps in enumerate(layer.sources(source))]
            kernels = np.stack(own)
        self.add(
            "Conv",
            self.constant(kernels),
            self.constant(arrays["bias"]),
            kernel_shape=layer.kernel,
            dilations=layer.dilation,
            group=layer.groups,
            **_placement(layer),
        )

    def _pooling(self, layer: Pooling, arrays: Mapping[str, Array]) -> None:
        placement: dict[str, Any] = {"kernel_shape": layer.window, **_placement(layer)}
        if isinstance(layer, MaxPooling):
            self.add("MaxPool", **placement)
        elif isinstance(layer, AveragePooling):
            self.add("AveragePool", **placement, count_include_pad=int(layer.count_padding))
        else:
            assert isinstance(layer, Subsampling)
            self.add("AveragePool", **placement, count_include_pad=1)
            self.add("Mul", self.constant(layer.window[0] * layer.window[1]))
            self.add("Mul", self.constant(arrays["weights"][:, None, None]))
            self.add("Add", self.constant(arrays["bias"][:, None, None]))

    def _activation(self, activation: Activation) -> None:
        if activation.slope != 1:
            self.add("Mul", self.constant(activation.slope))
        _ACTIVATIONS[activation.kind](self, *activation.parameters)
        if activation.amplitude != 1:
            self.add("Mul", self.constant(activation.amplitude))

    def _swish(self, alpha: float) -> None:
        argument = self._last
        if alpha != 1:
            self.add("Mul", self.constant(alpha))
        self.add("Sigmoid")
        self.add("Mul", argument)

    def _square_root(self) -> None:
        self.add("Relu")
        self.add("Sqrt")

    def _exponential(self) -> None:
        self.add("Min", self.constant(80))
        self.add("Exp")


def _placement(layer: WindowedLayer) -> dict[str, Any]:
    return {"strides": layer.windows.stride, "pads": layer.windows.padding}


def _operator(name: str, *parameters: str, **attributes: Any) -> Callable[..., None]:
    def add(graph: FloatOnnx, *values: float) -> None:
        graph.add(name, **dict(zip(parameters, values, strict=True)), **attributes)

    return add


_ACTIVATIONS: dict[str, Callable[..., None]] = {
    "none": lambda graph: None,
    "clip": lambda graph, low, high: graph.add("Clip", graph.constant(low), graph.constant(high)),
    "relu": _operator("Relu"),
    "tanh": _operator("Tanh"),
    "sigmoid": _operator("Sigmoid"),
    "softplus": _operator("Softplus"),
    "softsign": _operator("Softsign"),
    "hard_swish": _operator("HardSwish"),
    "gelu": _operator("Gelu"),
    "gelu_tanh": _operator("Gelu", approximate="tanh"),
    "mish": _operator("Mish"),
    "erf": _operator("Erf"),
    "abs": _operator("Abs"),
    "sqrt": FloatOnnx._square_root,
    "exp": FloatOnnx._exponential,
    "leaky_relu": _operator("LeakyRelu", "alpha"),
    "elu": _operator("Elu", "alpha"),
    "celu": _operator("Celu", "alpha"),
    "selu": _operator("Selu", "alpha", "gamma"),
    "hard_sigmoid": _operator("HardSigmoid", "alpha", "beta"),
    "swish": FloatOnnx._swish,
    "thresholded_relu": _operator("ThresholdedRelu", "alpha"),
}


def assert_floats_equal(trained: TrainedNetwork, images: Array) -> None:
    """Hold the float model against ONNX Runtime, layer by layer, but for float32's rounding.

    A layer gets what ONNX Runtime computed before it, and an activation what goes into that of ONNX
    Runtime: some are steep, and would enlarge the rounding of the layers before.
    """
    linear = TrainedNetwork(
        replace(
            trained.network,
            layers=tuple(
                replace(layer, activation=NO_ACTIVATION) for layer in trained.network.layers
            ),
        ),
        trained.arrays,
    )
    expected = FloatOnnx(trained).run(images)
    source = float_model.run(trained, images)[trained.network.input.name]
    for layer, _, shape in trained.network.computing_layers():
        sums, values = expected[f"{layer.name}.sums"], expected[layer.name]
        found = float_model.apply(linear, layer.name, source)
        assert found.shape == (len(images), *shape)
        assert found.dtype == np.float32
        _assert_close(found, sums, layer.name)
        _assert_close(layer.activation(sums), values, f"{layer.name}: {layer.activation}")
        source = values


def _assert_close(found: Array, expected: Array, what: str) -> None:
    most = TOLERANCE * max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found, expected, rtol=0, atol=most, err_msg=what)
