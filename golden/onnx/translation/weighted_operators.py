"""Convolutions and dense layers: Conv, Gemm and MatMul."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from systolith.golden.network.graph import Shape
from systolith.golden.onnx.translation.call import Call, Signal
from systolith.golden.onnx.translation.layouts import (
    FeatureMap,
    Pads,
    feature_map,
    laid_out,
    made,
)
from systolith.golden.onnx.translation.steps import Order, Products, Reals, Weights
from systolith.golden.onnx.translation.window_attributes import WindowAttributes


def conv(call: Call) -> Signal:
    """A convolution with constant weights."""
    weights = call.weights(1)
    if weights is None or weights.ndim not in (3, 4):
        call.abandon("input 2", "must be weights with 3 or 4 axes")
    if not weights.size:
        sizes = " x ".join(map(str, weights.shape))
        call.abandon("input 2", f"must have at least one weight, and its sizes are {sizes}")
    source = feature_map(call, call.signal())
    if source.flat:
        weights = weights[:, :, np.newaxis, :]
    placed = WindowAttributes.of(call, source, weights.shape[2:])
    shape = placed.output_shape(weights.shape[0])
    groups = call.integer("group", 1)
    out, own = weights.shape[:2]
    if groups < 1 or own * groups != source.shape.channels or out % groups:
        call.abandon(
            "group", f"{groups} does not divide {source.shape.channels} maps into {own} each"
        )
    bias = call.reals(2)
    if bias is not None and bias.shape != (out,):
        call.abandon("input 3", f"must have {out} values")
    kernel = np.moveaxis(weights, (2, 3), (0, 1))  # rows, columns, out, in
    placed = replace(placed, windows=placed.with_moot_strides(source.shape, (1, 1)))
    placed.require_small_padding(call)
    return Signal(
        made(call, shape, source.flat),
        Products(
            source=source.step,
            shape=shape,
            node=call.node,
            tensor=call.node.outputs[0],
            order=made(call, shape, source.flat),
            weights=_grouped(call, kernel, groups),
            bias=np.zeros(out) if bias is None else bias,
            windows=placed.windows,
            groups=groups,
        ),
    )


def _grouped(call: Call, kernel: Weights, groups: int) -> Weights:
    """Weights `(rows, columns, in, out)` over all input maps, zero outside of the groups."""
    rows, columns, out, own = kernel.shape
    if groups == 1:
        return kernel.transpose(0, 1, 3, 2)
    call.require_weights(rows * columns * out * own * groups)
    full = np.zeros((rows, columns, own * groups, out))
    for each in range(out):
        first = each // (out // groups) * own
        full[:, :, first : first + own, each] = kernel[:, :, each]
    return full


def gemm(call: Call) -> Signal:
    """`alpha * A @ B + beta * C`, where A are the values of a map and B, C are constants."""
    call.signal()
    weights, bias = call.weights(1), call.reals(2)
    if weights is None or weights.ndim != 2:
        call.abandon("input 2", "must be weights with 2 axes")
    if call.integer("transB", 0):
        weights = weights.T
    if (alpha := call.number("alpha", 1.0)) != 1:
        weights = alpha * weights.astype(np.float64)
    units = weights.shape[1]
    if bias is None:
        bias = np.zeros(units)
    elif bias.ndim > 1 and not np.array_equal(bias, np.broadcast_to(bias[:1], bias.shape)):
        call.abandon("input 3", "differs from image to image")
    elif bias.ndim > 1:
        bias = bias[0]
    bias = call.number("beta", 1.0) * np.broadcast_to(bias, units)
    signal = laid_out(call, call.signal())
    order = signal.order.T if call.integer("transA", 0) else signal.order
    return _dense(call, Signal(order, signal.step), weights, bias)


def matmul(call: Call) -> Signal:
    """The values of a map times constants; over the last axis of a map it is a convolution."""
    if not isinstance(call.inputs[0], Signal):
        call.abandon("input 1", "weights on the left are not built", "transpose both inputs")
    weights = call.weights(1)
    if weights is None or weights.ndim != 2:
        call.abandon("input 2", "must be weights with 2 axes")
    signal = call.signal()
    bias = np.zeros(weights.shape[1])
    if signal.order.ndim > 2 and signal.order.shape[-1] * call.images != signal.order.size:
        return _pixelwise(call, signal, weights, bias)
    signal = laid_out(call, signal)
    order = signal.order
    outer = order.shape[:-1]
    dense = _dense(call, Signal(order.reshape(-1, order.shape[-1]), signal.step), weights, bias)
    result = dense.order.reshape(*outer, -1)
    return Signal(result, replace(dense.step, order=result))


def _dense(call: Call, signal: Signal, weights: Weights, bias: Reals) -> Signal:
    """A dense layer; its rows are put in the order of the stream."""
    order, source = signal.order, signal.step
    if order.ndim != 2 or order.shape != (call.images, len(weights)):
        call.abandon(
            "input 1",
            f"must be {call.images} x {len(weights)} values, "
            f"not {' x '.join(map(str, order.shape))}",
        )
    places = _places(call, order, source.shape)
    given = places >= 0
    call.require_weights(source.shape.size * weights.shape[1])
    used, places = weights if given.all() else weights[given], places[given]
    is_repeated = len(np.unique(places)) < len(places)
    sizes = source.shape.size, weights.shape[1]
    rows: Weights = np.zeros(sizes, np.float64 if is_repeated else weights.dtype)
    if is_repeated:
        # A value that the graph repeats has a row for each of its copies.
        np.add.at(rows, places, used)
    else:
        rows[places] = used
    shape = Shape(1, 1, weights.shape[1])
    units = np.arange(call.images * shape.size).reshape(call.images, -1)
    step = Products(
        source=source,
        shape=shape,
        node=call.node,
        tensor=call.node.outputs[0],
        order=units,
        weights=rows,
        bias=np.array(bias),
    )
    return Signal(units, step)


def _places(call: Call, order: Order, shape: Shape) -> Order:
    """The places of one image's values, which must be the same in every image."""
    offsets = shape.size * np.arange(call.images)[:, np.newaxis]
    own = np.where(order < 0, -1, order - offsets)
    if (own != own[:1]).any() or own.max() >= shape.size:
        call.abandon("input 1", "mixes the values of several images")
    places: Order = own[0]
    return places


def _pixelwise(call: Call, signal: Signal, weights: Weights, bias: Reals) -> Signal:
    """A convolution of 1 x 1: the constants weigh the channels of each pixel."""
    order = signal.order
    if order.ndim != 4:
        call.abandon("input 1", f"must have 2 axes, or 4 with channels last, not {order.ndim}")
    source: FeatureMap = feature_map(call, Signal(order.transpose(0, 3, 1, 2), signal.step))
    if source.pads != Pads() or source.shape.channels != len(weights):
        call.abandon("input 1", f"must have {len(weights)} channels and no padding")
    shape = Shape(source.shape.height, source.shape.width, weights.shape[1])
    result = made(call, shape).transpose(0, 2, 3, 1)
    step = Products(
        source=source.step,
        shape=shape,
        node=call.node,
        tensor=call.node.outputs[0],
        order=result,
        weights=weights[np.newaxis, np.newaxis],
        bias=bias,
    )
    return Signal(result, step)
