"""Poolings over windows that do not overlap or over whole maps, and equivalent reductions."""

from __future__ import annotations

from typing import Literal

import numpy as np

from systolith.golden.network.graph import Shape
from systolith.golden.onnx.translation.call import Call, Signal
from systolith.golden.onnx.translation.layouts import (
    Pads,
    feature_map,
    has_layout,
    laid_out,
    made,
)
from systolith.golden.onnx.translation.steps import Pool
from systolith.golden.onnx.translation.windows import Windows

_Kind = Literal["max", "average"]


def max_pool(call: Call) -> Signal:
    """The largest value of each window."""
    call.require_alone()
    return _pooled(call, "max")


def average_pool(call: Call) -> Signal:
    """The mean of each window."""
    return _pooled(call, "average")


def global_max_pool(call: Call) -> Signal:
    """The largest value of each channel."""
    return _whole(call, "max", _spatial_axes(call), keep=True)


def global_average_pool(call: Call) -> Signal:
    """The mean of each channel."""
    return _whole(call, "average", _spatial_axes(call), keep=True)


def reduce_max(call: Call) -> Signal:
    """The largest value over rows and columns."""
    return _whole(call, "max", call.whole_or_input("axes", 1), bool(call.integer("keepdims", 1)))


def reduce_mean(call: Call) -> Signal:
    """The mean over rows and columns."""
    return _whole(
        call, "average", call.whole_or_input("axes", 1), bool(call.integer("keepdims", 1))
    )


def _pooled(call: Call, kind: _Kind) -> Signal:
    source = feature_map(call, call.signal())
    kernel = call.integers("kernel_shape")
    if kernel is None:
        call.abandon("kernel_shape", "is missing")
    windows = Windows.of(call, source, [1, *kernel] if source.flat else kernel)
    shape = windows.output_shape(source.shape.channels)
    whole = source.shape.height // windows.kernel[0], source.shape.width // windows.kernel[1]
    if windows.pads != Pads():
        call.refuse(
            "pads", f"{tuple(windows.pads)} around pooling is not built", "pool without padding"
        )
    elif windows.dilations != (1, 1):
        call.refuse("dilations", f"{windows.dilations} are not built in pooling")
    elif any(
        stride != size and places != 1
        for stride, size, places in zip(
            windows.strides, windows.kernel, windows.places, strict=True
        )
    ):
        call.refuse(
            "strides",
            f"{windows.strides_text} is not the window, {windows.kernel[0]} x "
            f"{windows.kernel[1]}: windows that overlap or leave gaps are not built",
            "pool with a stride equal to the window",
        )
    elif windows.places != whole:
        call.refuse(
            "ceil_mode" if windows.ceil else "kernel_shape",
            f"windows cut off at the edge of a map of {source.shape} are not built",
            "pool without ceil_mode",
        )
    order = made(call, shape, source.flat)
    step = Pool(
        source=source.step,
        shape=shape,
        node=call.node,
        tensor=call.node.outputs[0],
        order=order,
        kind=kind,
        window=windows.kernel,
    )
    return Signal(order, step)


def _spatial_axes(call: Call) -> list[int]:
    return list(range(2, call.signal().order.ndim))


def _whole(call: Call, kind: _Kind, axes: list[int] | None, keep: bool) -> Signal:
    """Pools over the whole map; the reduced axes must be rows and columns."""
    signal = call.signal()
    if not has_layout(signal.step) and signal.order.ndim == 4 and axes in ([2, 3], [-2, -1]):
        feature = feature_map(call, signal)
        signal = Signal(made(call, feature.shape), feature.step)
    signal = laid_out(call, signal)
    order, (height, width, channels) = signal.order, signal.step.shape
    if not axes:
        call.abandon("axes", "must be those of rows and columns, not all")
    smallest = order.min(axis=tuple(axes), keepdims=True)
    pixels = height * width
    moved = np.moveaxis(order - smallest, axes, range(-len(axes), 0))
    offsets = np.sort(moved.reshape(-1, order.size // smallest.size), axis=1)
    if offsets.shape[1] != pixels or (offsets != channels * np.arange(pixels)).any():
        call.abandon(
            "axes", f"{axes} are not just the rows and columns of a map of {signal.step.shape}"
        )
    image, channel = np.divmod(smallest, signal.step.shape.size)
    result = image * channels + channel
    if not keep:
        result = result.squeeze(tuple(axes))
    step = Pool(
        source=signal.step,
        shape=Shape(1, 1, channels),
        node=call.node,
        tensor=call.node.outputs[0],
        order=result,
        kind=kind,
        window=(height, width),
    )
    return Signal(result, step)
