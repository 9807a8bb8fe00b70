"""Layers of a quantized network in ONNX's operators on 64-bit integers.

Maps are int64 tensors `(batch, channels, height, width)`. No intermediate value needs more than
62 bits (`fixed.consistency`), so the operators are as exact as `fixed.execution`; `docs/onnx.md`
says why, operator by operator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from systolith.golden.fixed.arithmetic import Requantization, Rounding
from systolith.golden.fixed.integers import FixedLayer, Integers
from systolith.golden.network.activations import FixedForm
from systolith.golden.network.graph import (
    AveragePooling,
    Convolution,
    Dense,
    Layer,
    MaxPooling,
    RadialBasis,
    Subsampling,
    WindowedLayer,
)

if TYPE_CHECKING:
    import onnx

_RECTIFIES = {
    FixedForm.IDENTITY: False,
    FixedForm.RECTIFIER: True,
    FixedForm.CLAMP: False,
    FixedForm.TABLE: False,
}
"""Whether negative accumulators become zero."""


class OnnxGraph:
    """The nodes and constants of a graph; a node has the name of its output tensor."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, name: str, *inputs: str, **attributes: Any) -> str:
        """A node, and the name of its tensor."""
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def constant(self, name: str, integers: ArrayLike) -> str:
        """A constant, and its name."""
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.array(integers, np.int64), name))
        return name

    def rename_last(self, name: str) -> str:
        """Another name for the last node."""
        self.nodes[-1].name = self.nodes[-1].output[0] = name
        return name


def add_layer(graph: OnnxGraph, layer: FixedLayer, source: str, name: str) -> str:
    """Add the nodes of a layer, which compute the tensor `name` from the tensor `source`.

    Raises
    ------
    ValueError
        The layer's type or its arithmetic has no exact form here.
    """
    _LayerNodes(graph, layer, name).value(source)
    return graph.rename_last(name)


class _LayerNodes:
    """The nodes of one layer; methods take the name of a tensor and return that of the next."""

    def __init__(self, graph: OnnxGraph, layer: FixedLayer, name: str) -> None:
        self.graph = graph
        self.layer = layer
        self.name = name

    def value(self, x: str) -> str:
        """The layer's raw values, from those of the layer before it."""
        x = self._sums(self._padded(x))
        if self.layer.bias is not None:
            x = self._add("Add", "biased", x, self._by_channel("bias", self.layer.bias))
        if self.layer.layer.activation.entry(_RECTIFIES, "exact form in ONNX"):
            x = self._add("Max", "relu", x, self._constant("zero", 0))
        if self.layer.requantization is not None:
            x = self._requantized(x, self.layer.requantization)
        return x

    def _add(self, operator: str, name: str, *inputs: str, **attributes: Any) -> str:
        return self.graph.add(operator, f"{self.name}.{name}", *inputs, **attributes)

    def _constant(self, name: str, integers: ArrayLike) -> str:
        return self.graph.constant(f"{self.name}.{name}", integers)

    def _by_channel(self, name: str, integers: Integers) -> str:
        return self._constant(name, integers.reshape(-1, 1, 1))

    def _reshaped(self, name: str, x: str, *sizes: int) -> str:
        # A size of 0 means that of the input: the batch.
        return self._add("Reshape", name, x, self._constant(f"{name}_sizes", (0, *sizes)))

    def _padded(self, x: str) -> str:
        above, left, below, right = self.layer.padding
        if not any(self.layer.padding):
            return x
        pads = self._constant("pads", (0, 0, above, left, 0, 0, below, right))
        return self._add("Pad", "padded", x, pads, self._constant("pad", self.layer.padding_value))

    def _sums(self, x: str) -> str:
        """The accumulators, bias not included."""
        return self.layer.layer.entry(_SUMS, "exact form in ONNX")(self, x)

    def convolution(self, x: str) -> str:
        """The sums of a convolution."""
        assert isinstance(self.layer.layer, Convolution)
        kernel = self.layer.layer.kernel
        # So far it is (batch, channel, kernel row, row, kernel column, column).
        x = self._add("Transpose", "by_place", self._gathered(x), perm=(0, 1, 2, 4, 3, 5))
        height, width, _ = self.layer.output_shape
        patches = self._reshaped("patches", x, self._values(kernel), height * width)
        return self._products(patches, kernel)

    def dense(self, x: str) -> str:
        """The sums of a dense layer."""
        size = self._padded_size
        return self._products(self._reshaped("values", x, self._values(size), 1), size)

    def _gathered(self, x: str) -> str:
        """Every element of every window: `(batch, channel, its row, row, its column, column)`."""
        assert isinstance(self.layer.layer, WindowedLayer)
        windows = self.layer.layer.windows
        rows, columns = (
            np.arange(size)[:, None] * dilation + np.arange(count) * stride
            for size, dilation, stride, count in zip(
                windows.kernel,
                windows.dilation,
                windows.stride,
                self.layer.output_shape[:2],
                strict=True,
            )
        )
        x = self._add("Gather", "rows", x, self._constant("row", rows), axis=2)
        return self._add("Gather", "windows", x, self._constant("column", columns), axis=4)

    def _products(self, patches: str, kernel: tuple[int, int]) -> str:
        height, width, channels = self.layer.output_shape
        weights = self._constant("weights", self._weights_by_output(kernel))
        x = self._add("MatMul", "products", weights, patches)
        return self._reshaped("sums", x, channels, height, width)

    def distances(self, x: str) -> str:
        """The squared distances of a radial basis layer."""
        x = self._reshaped("values", x, 1, self._values(self._padded_size))
        if self.layer.input_shift:
            x = self._add("Mul", "shifted", x, self._constant("scale", 1 << self.layer.input_shift))
        centres = self._constant("centres", self._weights_by_output(self._padded_size))
        x = self._add("Sub", "differences", x, centres)
        x = self._add("Mul", "squares", x, x)
        x = self._add("ReduceSum", "distances", x, self._constant("axis", [2]), keepdims=0)
        return self._reshaped("sums", x, self.layer.output_shape.channels, 1, 1)

    def maximum(self, x: str) -> str:
        """The largest value of each window."""
        return self._add("ReduceMax", "largest", self._gathered(x), axes=(2, 4), keepdims=0)

    def window_sum(self, x: str) -> str:
        """The sum of each window, times a coefficient or a factor if it has one."""
        x = self._gathered(x)
        x = self._add("ReduceSum", "sums", x, self._constant("window", (2, 4)), keepdims=0)
        if self.layer.weights is not None:
            x = self._add("Mul", "products", x, self._by_channel("weights", self.layer.weights))
        if self.layer.factors is not None:
            x = self._add("Mul", "weighed", x, self._constant("factors", self.layer.factors))
        return x

    def _requantized(self, x: str, how: Requantization) -> str:
        factors = how.multiplier << np.maximum(-how.shifts, 0)
        if (factors != 1).any():
            x = self._add("Mul", "multiplied", x, self._by_channel("factor", factors))
        if (how.shifts > 0).any():
            x = self._shifted_right(x, np.maximum(how.shifts, 0), how.rounding)
        low, high = self._constant("low", how.target.min_raw), how.target.max_raw
        if how.overflow == "saturate":
            x = self._add("Clip", "saturated", x, low, self._constant("high", high))
        elif how.overflow == "wrap":
            x = self._add("Sub", "above_low", x, low)
            x = self._add("Mod", "low_bits", x, self._constant("modulus", 1 << how.target.bits))
            x = self._add("Add", "wrapped", x, low)
        else:
            raise ValueError(
                f"layer {self.layer.name!r}: overflow {how.overflow!r} has no exact form in ONNX"
            )
        if how.limits != (None, None):
            least, most = how.range
            ends = self._constant("least", least), self._constant("most", most)
            x = self._add("Clip", "clamped", x, *ends)
        if how.table is None:
            return x
        index = self._add("Sub", "index", x, low)
        return self._add("Gather", "entry", self._constant("table", how.table), index)

    def _shifted_right(self, x: str, shifts: Integers, rounding: Rounding) -> str:
        divisors = np.int64(1) << shifts
        divisor = self._by_channel("divisor", divisors)
        if rounding == "half_up":
            x = self._add("Add", "rounded", x, self._by_channel("half", divisors >> 1))
        elif rounding == "half_even":
            # A half less one, plus one where the result would be odd.
            floor = self._floor("floor", x, divisor)
            odd = self._add("Mod", "odd", floor, self._by_channel("two", np.minimum(divisors, 2)))
            x = self._add("Add", "odd_rounded", x, odd)
            below_half = np.maximum((divisors >> 1) - 1, 0)
            x = self._add("Add", "rounded", x, self._by_channel("below_half", below_half))
        elif rounding != "floor":
            raise ValueError(
                f"layer {self.layer.name!r}: rounding {rounding!r} has no exact form in ONNX"
            )
        return self._floor("shifted_right", x, divisor)

    def _floor(self, name: str, x: str, divisor: str) -> str:
        """`floor(x / divisor)`: the remainder of Mod is subtracted, so the division is exact."""
        remainder = self._add("Mod", f"{name}_remainder", x, divisor)
        multiple = self._add("Sub", f"{name}_multiple", x, remainder)
        return self._add("Div", name, multiple, divisor)

    @property
    def _padded_size(self) -> tuple[int, int]:
        height, width, _ = self.layer.input_shape
        return self.layer.padding.size(height, width)

    def _values(self, kernel: tuple[int, int]) -> int:
        return kernel[0] * kernel[1] * self.layer.input_shape.channels

    def _weights_by_output(self, kernel: tuple[int, int]) -> Integers:
        """Weights `(outputs, values of a patch)`, in the order in which maps are stored here."""
        assert self.layer.weights is not None
        weights = self.layer.weights.reshape(*kernel, self.layer.input_shape.channels, -1)
        return weights.transpose(3, 2, 0, 1).reshape(weights.shape[-1], -1)


_SUMS: dict[type[Layer], Callable[[_LayerNodes, str], str]] = {
    Convolution: _LayerNodes.convolution,
    Subsampling: _LayerNodes.window_sum,
    AveragePooling: _LayerNodes.window_sum,
    MaxPooling: _LayerNodes.maximum,
    Dense: _LayerNodes.dense,
    RadialBasis: _LayerNodes.distances,
}
