"""Pad: zeros, which the next layer adds itself, or a border of one value around the input."""

from __future__ import annotations

from systolith.golden.network.graph import Shape
from systolith.golden.onnx.model.onnx_graph import Values
from systolith.golden.onnx.translation.call import Call, Signal
from systolith.golden.onnx.translation.layouts import feature_map, made
from systolith.golden.onnx.translation.moving_operators import moved, pad_value
from systolith.golden.onnx.translation.steps import Border, Layout, Scaling, Source


def pad(call: Call) -> Values | Signal:
    """Zeros become padding of the next layer; any other value must be a border of the input."""
    signal = call.inputs[0] if call.inputs else None
    if not isinstance(signal, Signal) or not pad_value(call):
        return moved(call)
    value, pads = pad_value(call), call.whole_or_input("pads", 1) or []
    around = all(isinstance(each, Source | Layout | Scaling) for each in signal.step.chain())
    width = max(pads, default=0)
    first = pads == [0, 0, width, width] * 2
    if not around or not width or not (first or pads == [0, width, width, 0] * 2):
        return moved(call)
    if call.text("mode", "constant") != "constant":
        return moved(call)
    order = signal.order if first else signal.order.transpose(0, 3, 1, 2)
    source = feature_map(call, Signal(order, signal.step))
    height, columns, channels = source.shape
    shape = Shape(height + 2 * width, columns + 2 * width, channels)
    result = made(call, shape)
    if not first:
        result = result.transpose(0, 2, 3, 1)
    step = Border(
        source=source.step,
        shape=shape,
        node=call.node,
        tensor=call.node.outputs[0],
        order=result,
        width=width,
        value=value,
    )
    return Signal(result, step)
