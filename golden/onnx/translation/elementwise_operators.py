"""Operators on single values: scalings by constants, and the end of a classifier."""

from __future__ import annotations

import numpy as np

from systolith.golden.onnx.translation.call import Call, Signal
from systolith.golden.onnx.translation.output_order import as_output
from systolith.golden.onnx.translation.steps import (
    Ending,
    Order,
    Polynomial,
    Reals,
    Scaling,
    Squashing,
    last_shared,
)


def add(call: Call) -> Signal:
    """`x + c`, in either order."""
    signal, constant = _operands(call)
    return _scaled(call, signal, np.ones(()), constant)


def subtract(call: Call) -> Signal:
    """`x - c` or `c - x`."""
    signal, constant = _operands(call)
    first = isinstance(call.inputs[0], Signal)
    return _scaled(call, signal, np.array(1.0 if first else -1.0), -constant if first else constant)


def multiply(call: Call) -> Signal:
    """`x * c`, in either order."""
    signal, constant = _operands(call)
    return _scaled(call, signal, constant, np.zeros(()))


def divide(call: Call) -> Signal:
    """`x / c`."""
    signal, constant = _operands(call)
    if not isinstance(call.inputs[0], Signal):
        call.refuse("input 2", "is computed from the image: nothing divides by a feature map")
    if not constant.all():
        call.abandon("input 2", "has a zero to divide by")
    return _scaled(call, signal, 1 / constant, np.zeros(()))


def negate(call: Call) -> Signal:
    """`-x`."""
    return _scaled(call, call.signal(), np.array(-1.0), np.zeros(()))


def batch_normalization(call: Call) -> Signal:
    """`(x - mean) / sqrt(var + epsilon) * scale + bias`, constants of each channel."""
    signal = call.signal()
    call.require_alone()
    if call.integer("training_mode", 0):
        call.refuse("training_mode", "is on", "export the network for inference")
    if call.opset < 9 and not call.integer("spatial", 1):
        call.abandon("spatial", "0 normalizes every value by itself, which is not built")
    if signal.order.ndim < 2:
        call.abandon("input 1", "has no axis of channels")
    channels = signal.order.shape[1]
    constants = [call.reals(position) for position in range(1, 5)]
    scale, bias, mean, variance = (each if each is not None else np.empty(0) for each in constants)
    for position, each in enumerate((scale, bias, mean, variance), start=2):
        if each.shape != (channels,):
            call.abandon(f"input {position}", f"must have {channels} values, one a channel")
    spread = variance + call.number("epsilon", 1e-5)
    if spread.min() <= 0:
        call.abandon("input 5", "variances must be above 0")
    gain = scale / np.sqrt(spread)
    sizes = (1, channels) + (1,) * (signal.order.ndim - 2)
    return _scaled(call, signal, gain.reshape(sizes), (bias - mean * gain).reshape(sizes))


def softmax(call: Call) -> Signal:
    """Softmax at the output is dropped: it does not change the winning class."""
    signal = call.signal()
    order = signal.order
    axis = call.integer("axis", 1 if call.opset < 13 else -1)
    if not -order.ndim <= axis < order.ndim:
        call.abandon("axis", f"{axis} is none of {order.ndim}")
    # Up to opset 12 it is over all axes from this one on.
    over = order.shape[axis:] if call.opset < 13 else (order.shape[axis],)
    if int(np.prod(over)) * call.images != order.size or axis % order.ndim == 0:
        call.refuse("axis", f"{axis} is not over all scores of an image", "leave the operator out")
    return _ended(call, signal, order)


def log(call: Call) -> Signal:
    """`Log` of a Softmax is dropped with it: together they are a LogSoftmax."""
    signal = call.signal()
    before = signal.step.node
    if not isinstance(signal.step, Ending) or before is None or before.operator != "Softmax":
        call.abandon("", "is taken right after a Softmax at the end only")
    return _ended(call, signal, signal.order)


def arg_max(call: Call) -> Signal:
    """ArgMax at the output is dropped: the network gives the class of the largest score."""
    signal = call.signal()
    order = signal.order
    axis = call.integer("axis", 0)
    if call.integer("select_last_index", 0):
        call.refuse("select_last_index", "the last of equals: hardware gives the first")
    if not -order.ndim <= axis < order.ndim:
        call.abandon("axis", f"{axis} is none of {order.ndim}")
    scores = np.moveaxis(order, axis, -1)
    found = None
    if axis % order.ndim and scores[..., 0:1].size == call.images:
        found = as_output(Signal(scores, signal.step), call.images)
    if found is None or found.channels_first:
        call.abandon(
            "axis",
            f"{axis} does not count the scores of an image by row, column and channel",
            "leave the operator out",
        )
    first = found.step.shape.size * np.arange(call.images).reshape(scores.shape[:-1])
    if call.integer("keepdims", 1):
        first = np.expand_dims(first, axis)
    return _ended(call, Signal(first, found.step), first)


def _ended(call: Call, signal: Signal, order: Order) -> Signal:
    call.note("left out; the largest score stays the largest, and scores are those before it")
    step = Ending(
        source=signal.step,
        shape=signal.step.shape,
        node=call.node,
        tensor=call.node.outputs[0],
        order=order,
    )
    return Signal(order, step)


def _operands(call: Call) -> tuple[Signal, Reals]:
    """The signal and the constant of a sum or product; two signals are refused."""
    if len(call.inputs) != 2:
        call.abandon("", f"must have 2 inputs, not {len(call.inputs)}")
    first, second = call.inputs
    if isinstance(first, Signal) and isinstance(second, Signal):
        if last_shared(first.step, second.step, (Scaling, Polynomial, Squashing)) is not None:
            reason = "joins a map and a function of it, which gives no activation that is built"
            remedy = "train with another"
        else:
            reason = "joins two feature maps: branches and residual connections are not built"
            remedy = "a chain of layers"
        call.refuse("", reason, remedy)
        return first, np.ones(())
    place = 0 if isinstance(first, Signal) else 1
    constant = call.reals(1 - place)
    if constant is None:
        call.abandon(f"input {2 - place}", "is missing")
    if np.asarray(call.inputs[1 - place]).dtype.kind in "iu":
        call.refuse(
            "",
            "computes with integers, which wrap around and have no fractions",
            "cast the image to float32 first",
        )
    signal = call.signal(place)
    if place == 0:
        constant = call.aligned(signal.order.shape, constant)
    return signal, constant


def _scaled(call: Call, signal: Signal, gain: Reals, offset: Reals) -> Signal:
    """`gain * x + offset`, with the constants broadcast over the tensor as in ONNX."""
    order, step = signal.order, signal.step
    if np.broadcast_shapes(order.shape, gain.shape, offset.shape) != order.shape:
        call.abandon("input 2", f"enlarges the tensor, {' x '.join(map(str, order.shape))}")
    size = step.shape.size
    if not np.array_equal(np.sort(order, axis=None), np.arange(call.images * size)):
        call.abandon("input 1", "is no whole map: it was padded, cut off or repeated before")
    spread = []
    for constant in (gain, offset):
        values = np.empty(call.images * size)
        values[order] = np.broadcast_to(constant, order.shape)
        by_image = values.reshape(call.images, size)
        if (by_image != by_image[:1]).any():
            call.abandon("input 2", "differs from image to image")
        spread.append(by_image[0])
    scaling = Scaling(
        source=step,
        shape=step.shape,
        node=call.node,
        tensor=call.node.outputs[0],
        order=order,
        gain=spread[0],
        offset=spread[1],
    )
    return Signal(order, scaling)
