"""Activations: operators that a layer has, or that become one of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from systolith.golden.network.graph import Activation, GraphError
from systolith.golden.onnx.translation.call import Call, Signal
from systolith.golden.onnx.translation.steps import Squashing

_MOST = float(np.finfo(np.float32).max)


def plain(kind: str) -> Callable[[Call], Signal]:
    """The translation of an operator that is an activation without parameters."""

    def take(call: Call) -> Signal:
        return _squashed(call, kind)

    return take


def with_parameters(kind: str, **defaults: float) -> Callable[[Call], Signal]:
    """The translation of an operator whose attributes are the parameters, with these defaults."""

    def take(call: Call) -> Signal:
        return _squashed(call, kind, *(call.number(name, each) for name, each in defaults.items()))

    return take


def gelu(call: Call) -> Signal:
    """GELU, or its approximation by a tanh."""
    how = call.text("approximate", "none")
    if how not in ("none", "tanh"):
        call.abandon("approximate", "must be none or tanh")
    return _squashed(call, "gelu" if how == "none" else "gelu_tanh")


def prelu(call: Call) -> Signal:
    """A leaky ReLU, whose slope below zero must be the same for all values."""
    slopes = call.reals(1)
    if slopes is None or not slopes.size:
        call.abandon("input 2", "is missing")
    if (slopes != slopes.flat[0]).any():
        call.abandon("input 2", "has several slopes: not built", "train with one slope for all")
    return _squashed(call, "leaky_relu", float(slopes.flat[0]))


def clip(call: Call) -> Signal:
    """`Clip`: from 0 without an upper limit it is a ReLU, without any limit nothing."""
    low = _limit(call, "min", 1, -np.inf)
    high = _limit(call, "max", 2, np.inf)
    if high >= _MOST and (low == 0 or low <= -_MOST):
        return _squashed(call, "relu" if low == 0 else "none")
    if not -_MOST < low <= 0 < high < _MOST:
        call.refuse(
            "min" if low > 0 or low <= -_MOST else "max",
            f"limits from {low:g} to {high:g} are not on both sides of zero: not built",
        )
        return _squashed(call, "none")
    return _squashed(call, "clip", low, high)


def gated(call: Call) -> Signal | None:
    """`x * sigmoid(x)`, as exporters write Swish; None for any other product."""
    signals = [each for each in call.inputs if isinstance(each, Signal)]
    for x, gate in (signals, signals[::-1]) if len(signals) == 2 else ():
        step = gate.step
        if (
            isinstance(step, Squashing)
            and step.activation == Activation("sigmoid")
            and step.source is x.step
            and np.array_equal(gate.order, x.order)
        ):
            call.inputs = [x]
            return _squashed(call, "swish", 1.0)
    return None


def maximum(call: Call) -> Signal:
    """`Max` of a map and 0, which is a ReLU."""
    limits = [each for each in call.inputs if not isinstance(each, Signal)]
    if len(limits) != 1 or len(call.inputs) != 2:
        call.abandon(
            "", "joins feature maps: branches are not built; of one map and 0 it is a ReLU"
        )
    position = 0 if isinstance(call.inputs[1], Signal) else 1
    limit = call.reals(position)
    if limit is None or limit.any():
        call.abandon("", "with other constants than 0 is not built", "train with Relu")
    signal = call.signal(1 - position)
    if np.broadcast_shapes(limit.shape, signal.order.shape) != signal.order.shape:
        call.abandon("", "makes copies of a map")
    call.inputs = [signal]
    return _squashed(call, "relu")


def _limit(call: Call, name: str, position: int, default: float) -> float:
    value = call.constant(position)
    if value is not None and value.size == 1:
        return float(value.flat[0])
    given = call.node.attributes.get(name, default)
    return float(given) if isinstance(given, float) else default


def _squashed(call: Call, kind: str, *parameters: float) -> Signal:
    signal = call.signal()
    try:
        activation = Activation(kind, parameters=parameters)
    except GraphError as error:
        call.abandon("", str(error))
    padded = bool((signal.order < 0).any())
    if padded and activation(np.zeros(1)).any():
        call.abandon("input 1", "was padded before: zeros do not stay zero")
    step = Squashing(
        source=signal.step,
        shape=signal.step.shape,
        node=call.node,
        tensor=call.node.outputs[0],
        order=signal.order,
        activation=activation,
    )
    return Signal(signal.order, step)
