"""Poolings over windows or over whole maps, and equivalent reductions."""

from __future__ import annotations

from typing import Literal

import numpy as np

from systolith.golden.network.graph import Shape
from systolith.golden.network.windows import Windows
from systolith.golden.onnx.translation.call import Call, Signal
from systolith.golden.onnx.translation.layouts import (
    Pads,
    feature_map,
    has_layout,
    laid_out,
    made,
)
from systolith.golden.onnx.translation.steps import Pool, Squashing, Step
from systolith.golden.onnx.translation.window_attributes import WindowAttributes

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
    placed = WindowAttributes.of(call, source, [1, *kernel] if source.flat else kernel)
    if placed.windows.dilation != (1, 1):
        call.refuse("dilations", f"{placed.windows.dilation} are not built in pooling")
    placed.require_small_padding(call)
    if kind == "max" and placed.around != Pads() and not _is_never_negative(source.step):
        call.abandon(
            "input 1",
            f"has zeros {tuple(placed.around)} around it, which may win: not built",
            "pads of MaxPool never win",
        )
    shape = placed.output_shape(source.shape.channels)
    order = made(call, shape, source.flat)
    step = Pool(
        source=source.step,
        shape=shape,
        node=call.node,
        tensor=call.node.outputs[0],
        order=order,
        kind=kind,
        windows=placed.with_moot_strides(source.shape, placed.windows.kernel),
        count_padding=kind == "average" and _counts_padding(call, placed),
    )
    return Signal(order, step)


def _is_never_negative(step: Step) -> bool:
    """Whether zeros around a map never win over its values."""
    return isinstance(step, Squashing) and not step.activation.function.signed


def _counts_padding(call: Call, placed: WindowAttributes) -> bool:
    """Whether an average counts the padding around it; refused if it counts a part of it."""
    own = bool(call.integer("count_include_pad", 0)) and placed.own != Pads()
    counted = own or placed.around != Pads()
    if counted and (placed.ceil_adds or (not own and placed.own != Pads())):
        call.abandon("count_include_pad", "an average that counts a part of its padding")
    return counted


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
        windows=Windows((height, width), (height, width)),
    )
    return Signal(result, step)
