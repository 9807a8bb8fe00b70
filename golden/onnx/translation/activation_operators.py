"""Activations: operators that a layer has, or that become one of its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from systolith.golden.network.graph import Activation, GraphError
from systolith.golden.onnx.translation.call import Call, Signal
from systolith.golden.onnx.translation.steps import Reals, Scaling, Squashing, Step

_MOST = float(np.finfo(np.float32).max)

_FLOAT32 = 1e-6
"""The relative error that float32 leaves in a constant such as the root of 2."""


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
    """`x * g(x)`, as exporters write Swish, GELU, HardSwish and Mish; None for any other product.

    `x` and `g` may be multiplied by constants, as by the half of GELU.
    """
    signals = [each for each in call.inputs if isinstance(each, Signal)]
    for factor, gate in (signals, signals[::-1]) if len(signals) == 2 else ():
        before, gain = set(gate.step.chain()), 1.0
        x: Step | None = factor.step
        while isinstance(x, Scaling) and x not in before and not x.offset.any():
            gain *= _same(x.gain)
            x = x.source
        if x is None or x not in before or not np.array_equal(gate.order, factor.order):
            continue
        found = _gated_by(gate.step, x)
        if found is not None and gain > 0:
            call.inputs = [Signal(factor.order, x)]
            amplitude = gain * found.amplitude
            return _squashed(call, found.kind, *found.parameters, amplitude=amplitude)
    return None


@dataclass(frozen=True)
class _Gate:
    """`x * g(x)`, where `g(x) = f(inner gain * x + inner offset) + outer offset`.

    Parameters
    ----------
    functions
        The activations whose composition `f` is.
    constants
        Their parameters, then inner gain, inner offset and outer offset.
    kind, amplitude
        The activation that the product is, and its amplitude.
    """

    functions: tuple[str, ...]
    constants: tuple[float, ...]
    kind: str
    amplitude: float


_GATES = (
    _Gate(("erf",), (1 / math.sqrt(2), 0, 1), "gelu", 2),
    _Gate(("softplus", "tanh"), (1, 0, 0), "mish", 1),
    _Gate(("clip",), (0, 6, 1, 3, 0), "hard_swish", 6),
    _Gate(("hard_sigmoid",), (1 / 6, 1 / 2, 1, 0, 0), "hard_swish", 1),
)


def _gated_by(gate: Step, x: Step) -> Activation | None:
    """The activation `x * g(x)`, by the steps from `x` to `g`; None if there is none."""
    inner, outer = [1.0, 0.0], [1.0, 0.0]
    functions: list[str] = []
    parameters: list[float] = []
    for step in [each for each in gate.chain() if each not in set(x.chain())][::-1]:
        if isinstance(step, Scaling):
            scaled = outer if functions else inner
            gain, offset = _same(step.gain), _same(step.offset)
            scaled[:] = gain * scaled[0], gain * scaled[1] + offset
        elif isinstance(step, Squashing) and outer == [1, 0] and step.activation.amplitude == 1:
            functions.append(step.activation.kind)
            parameters += step.activation.parameters
        else:
            return None
    if not outer[0] > 0:
        return None
    if functions == ["sigmoid"] and inner[0] > 0 and inner[1] == outer[1] == 0:
        return Activation("swish", outer[0], parameters=(inner[0],))
    constants = (*parameters, *inner, outer[1] / outer[0])
    for each in _GATES:
        if each.functions == tuple(functions) and np.allclose(
            constants, each.constants, rtol=_FLOAT32, atol=0
        ):
            return Activation(each.kind, each.amplitude * outer[0])
    return None


def _same(values: Reals) -> float:
    """The value of all entries; not a number if they differ."""
    return float(values[0]) if (values == values[0]).all() else math.nan


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


def _squashed(call: Call, kind: str, *parameters: float, amplitude: float = 1.0) -> Signal:
    signal = call.signal()
    try:
        activation = Activation(kind, amplitude, parameters=parameters)
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
