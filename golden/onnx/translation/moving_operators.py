"""Operators that only move values, in NumPy: of constants, and of the places of a feature map.

What a Transpose does to values, it does to the places where they stand.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from systolith.golden.onnx.model.onnx_graph import Values
from systolith.golden.onnx.model.plain_text import shown
from systolith.golden.onnx.translation.call import Call, Signal

Mover = Callable[[Call, Values, Any], Values]
"""Called with the node, the values to move, and what stands for zero among them."""


def moved(call: Call) -> Values | Signal:
    """The result of a node of `MOVERS`, from its first input."""
    data = call.inputs[0] if call.inputs else None
    if data is None:
        call.abandon("input 1", "is missing")
    mover = MOVERS[call.node.operator]
    if isinstance(data, Signal):
        return Signal(mover(call, data.order, -1), data.step)
    return mover(call, data, data.dtype.type(0))


def _same(call: Call, data: Values, zero: Any) -> Values:
    return data


def _transpose(call: Call, data: Values, zero: Any) -> Values:
    return data.transpose(call.integers("perm"))


def _reshape(call: Call, data: Values, zero: Any) -> Values:
    sizes = call.whole_or_input("shape", 1)
    if sizes is None:
        call.abandon("shape", "is missing")
    if sizes and sizes[0] == call.batch:
        sizes = [call.images, *sizes[1:]]
    if not call.integer("allowzero", 0):
        sizes = [data.shape[at] if size == 0 else size for at, size in enumerate(sizes)]
    return data.reshape(sizes)


def _flatten(call: Call, data: Values, zero: Any) -> Values:
    axis = call.integer("axis", 1)
    axis += data.ndim if axis < 0 else 0
    return data.reshape(math.prod(data.shape[:axis]), math.prod(data.shape[axis:]))


def _squeeze(call: Call, data: Values, zero: Any) -> Values:
    axes = call.whole_or_input("axes", 1)
    return data.squeeze(None if axes is None else tuple(axes))


def _unsqueeze(call: Call, data: Values, zero: Any) -> Values:
    axes = call.whole_or_input("axes", 1)
    if axes is None:
        call.abandon("axes", "are missing")
    return np.expand_dims(data, tuple(axes))


def _slice(call: Call, data: Values, zero: Any) -> Values:
    starts, ends = call.whole_or_input("starts", 1), call.whole_or_input("ends", 2)
    if starts is None or ends is None:
        call.abandon("starts", "or ends are missing")
    axes = call.whole_or_input("axes", 3) or list(range(len(starts)))
    steps = call.whole_or_input("steps", 4) or [1] * len(starts)
    index: list[slice] = [slice(None)] * data.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        size = data.shape[axis]
        # Going down, an end below the first element means: with the first element.
        stop = None if step < 0 and end < -size else end
        index[axis] = slice(start, stop, step)
    return data[tuple(index)]


def _gather(call: Call, data: Values, zero: Any) -> Values:
    indices = call.constant(1)
    if indices is None or indices.dtype.kind not in "iu":
        call.abandon("input 2", "must be integers")
    axis = call.integer("axis", 0)
    call.require_size(data.size // max(1, data.shape[axis]) * indices.size)
    return np.take(data, indices, axis)


def _expand(call: Call, data: Values, zero: Any) -> Values:
    sizes = call.whole_or_input("shape", 1)
    if sizes is None:
        call.abandon("input 2", "is missing")
    shape = np.broadcast_shapes(data.shape, tuple(sizes))
    call.require_size(math.prod(shape))
    return np.broadcast_to(data, shape)


def _pad(call: Call, data: Values, zero: Any) -> Values:
    pads = call.whole_or_input("pads", 1)
    if pads is None:
        call.abandon("pads", "are missing")
    axes = call.whole_or_input("axes", 3) or list(range(data.ndim))
    mode = call.text("mode", "constant")
    value = pad_value(call)
    if any(pads) and mode != "constant":
        call.abandon("mode", f"{shown(mode)!r} is not built", "pad with zeros")
    if any(pads) and value:
        call.abandon(
            "value",
            f"{value:g} is taken around the input only, of one width on all four sides",
            "pad with zeros",
        )
    before, after = pads[: len(axes)], pads[len(axes) :]
    widths = [(0, 0)] * data.ndim
    index = [slice(None)] * data.ndim
    for axis, first, last in zip(axes, before, after, strict=True):
        widths[axis] = max(0, first), max(0, last)
        index[axis] = slice(max(0, -first), data.shape[axis] + min(0, last))
    cut = data[tuple(index)]
    call.require_size(math.prod(n + sum(w) for n, w in zip(cut.shape, widths, strict=True)))
    return np.pad(cut, widths, constant_values=zero)


def pad_value(call: Call) -> float:
    """The value that a Pad pads with."""
    value = call.reals(2)
    return call.number("value", 0.0) if value is None or not value.size else float(value.flat[0])


def _cast(call: Call, data: Values, zero: Any) -> Values:
    from onnx import helper

    try:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(call.integer("to", 0)))
    except (KeyError, TypeError, ValueError):
        call.abandon("to", "is none of NumPy's types")
    if not isinstance(call.inputs[0], Signal):
        return data.astype(dtype)
    if dtype.name not in ("float32", "float64") and not any(
        node.operator == "ArgMax" for node in call.inputs[0].step.endings()
    ):
        call.refuse("to", f"{dtype} would round the image's values", "compute in float32")
    return data


def _dropout(call: Call, data: Values, zero: Any) -> Values:
    training = call.constant(2)
    if training is not None and training.any():
        call.refuse("training_mode", "is on", "export the network for inference")
    call.require_alone()
    return data


MOVERS: dict[str, Mover] = {
    "Cast": _cast,
    "Dropout": _dropout,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Identity": _same,
    "Pad": _pad,
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
"""Operators that move values without changing them."""
