"""Activations: operators that a layer has, or that become one of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.polynomial.polynomial import polyadd, polymul
from numpy.typing import NDArray

from systolith.golden.network.graph import Activation, GraphError
from systolith.golden.onnx.translation.call import Call, Signal
from systolith.golden.onnx.translation.steps import (
    Polynomial,
    Reals,
    Scaling,
    Squashing,
    Step,
    last_shared,
)

_Terms = NDArray[np.floating[Any]]

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
    pair = _two_signals(call)
    for factor, gate in (pair, pair[::-1]) if pair else ():
        found = _gate(factor, gate)
        if found is None:
            continue
        amplitude = found.factor * found.gain
        if found.is_logistic:
            return _of(call, found.x, "swish", found.inner[1], amplitude=amplitude)
        for known in _FACTORS:
            if known.fits(found):
                return _of(call, found.x, known.kind, amplitude=known.amplitude * amplitude)
    return None


def divided(call: Call) -> Signal | None:
    """`x / g(x)`, as exporters write Softsign; None for any other quotient."""
    pair = _two_signals(call)
    found = _gate(*pair) if pair else None
    if found is not None and _SOFTSIGN.fits(found):
        return _of(call, found.x, _SOFTSIGN.kind, amplitude=found.factor / found.gain)
    return None


def polynomial(combine: Callable[[_Terms, _Terms], _Terms]) -> Callable[[Call], Signal | None]:
    """A sum or product of polynomials of one map, which GELU has inside; None for any other.

    None, too, if a scaling is all that it is.
    """

    def take(call: Call) -> Signal | None:
        one, other = _two_signals(call) or (None, None)
        if one is None or other is None or not np.array_equal(one.order, other.order):
            return None
        x = last_shared(one.step, other.step, (Scaling, Polynomial))
        if x is None or (one.order < 0).any():
            return None
        first, second = (_coefficients(_between(x, each.step)) for each in (one, other))
        if first is None or second is None:
            return None
        made = combine(first, second)
        return _polynomial(call, Signal(one.order, x), made) if len(made) > 2 else None

    return take


def power(call: Call) -> Signal:
    """`Pow`: the square or the cube of a map, which GELU has inside."""
    x, exponent = call.signal(), call.reals(1)
    if exponent is None or exponent.size != 1 or exponent.flat[0] not in (2, 3):
        call.abandon("input 2", "must be 2 or 3: activations have no other powers inside")
    if exponent.ndim > x.order.ndim:
        call.abandon("input 2", "has more axes than the map")
    return _polynomial(call, x, np.eye(_MOST_TERMS)[int(exponent.flat[0])])


_MOST_TERMS = 4
"""Those of a cube, the highest power that an activation has inside."""


def _polynomial(call: Call, x: Signal, coefficients: _Terms) -> Signal:
    if len(coefficients) > _MOST_TERMS:
        call.abandon("", "makes a power of a map above its cube, which no activation has inside")
    step = Polynomial(
        source=x.step,
        shape=x.step.shape,
        node=call.node,
        tensor=call.node.outputs[0],
        order=x.order,
        coefficients=tuple(coefficients.tolist()),
    )
    return Signal(x.order, step)


def _two_signals(call: Call) -> tuple[Signal, Signal] | None:
    signals = [each for each in call.inputs if isinstance(each, Signal)]
    return (signals[0], signals[1]) if len(signals) == len(call.inputs) == 2 else None


def _between(x: Step, step: Step) -> list[Step]:
    """The steps after `x`, up to `step`."""
    return [*takewhile(lambda each: each is not x, step.chain())][::-1]


def _coefficients(steps: Sequence[Step]) -> _Terms | None:
    """Those of the polynomial that scalings and polynomials are together, the constant first.

    None if there are other steps, a value of its own for each channel, or powers above a cube.
    """
    found = np.array([0.0, 1.0])
    for step in steps:
        inner, found = found, np.zeros(1)
        for each in _terms(step)[::-1]:
            found = polyadd(polymul(found, inner), [each])
        if len(found) > _MOST_TERMS or not np.isfinite(found).all():
            return None
    return found


def _terms(step: Step) -> tuple[float, ...]:
    """The coefficients of a scaling or polynomial; of any other step, none that are numbers."""
    if isinstance(step, Polynomial):
        return step.coefficients
    return (_same(step.offset), _same(step.gain)) if isinstance(step, Scaling) else (math.nan,)


@dataclass(frozen=True)
class _Found:
    """`factor * x` beside `gain * (f(inner(x)) + offset)`.

    Parameters
    ----------
    x, factor
        The map, and a positive number.
    functions, parameters
        The activations whose composition `f` is, and their parameters.
    inner
        The coefficients of a polynomial, the constant first.
    offset, gain
        Two numbers, the second one positive.
    """

    x: Signal
    factor: float
    functions: tuple[str, ...]
    parameters: tuple[float, ...]
    inner: tuple[float, ...]
    offset: float
    gain: float

    @property
    def is_logistic(self) -> bool:
        """Whether it is the gate of a Swish, of any slope."""
        line = len(self.inner) == 2 and self.inner[0] == 0 < self.inner[1]
        return self.functions == ("sigmoid",) and line and self.offset == 0


@dataclass(frozen=True)
class _Gate:
    """A gate that is known: `x` multiplied or divided by it is an activation.

    Parameters
    ----------
    functions, constants
        As `_Found` has them: parameters, inner coefficients, offset.
    kind, amplitude
        The activation.
    """

    functions: tuple[str, ...]
    constants: tuple[float, ...]
    kind: str
    amplitude: float = 1

    def fits(self, found: _Found) -> bool:
        """Whether it is this gate."""
        constants = *found.parameters, *found.inner, found.offset
        return (
            self.functions == found.functions
            and len(self.constants) == len(constants)
            and np.allclose(constants, self.constants, rtol=_FLOAT32, atol=0)
        )


_GELU_GAIN = math.sqrt(2 / math.pi)
_FACTORS = (
    _Gate(("erf",), (0, 1 / math.sqrt(2), 1), "gelu", 2),
    _Gate(("tanh",), (0, _GELU_GAIN, 0, 0.044715 * _GELU_GAIN, 1), "gelu_tanh", 2),
    _Gate(("softplus", "tanh"), (0, 1, 0), "mish"),
    _Gate(("clip",), (0, 6, 3, 1, 0), "hard_swish", 6),
    _Gate(("hard_sigmoid",), (1 / 6, 1 / 2, 0, 1, 0), "hard_swish"),
)
_SOFTSIGN = _Gate(("abs",), (0, 1, 1), "softsign")


def _gate(factor: Signal, gate: Signal) -> _Found | None:
    """A map, scaled, beside a function of it; None if the second is none."""
    before, gain = set(gate.step.chain()), 1.0
    x: Step | None = factor.step
    while isinstance(x, Scaling) and x not in before and not x.offset.any():
        gain *= _same(x.gain)
        x = x.source
    if x is None or x not in before or not np.array_equal(gate.order, factor.order):
        return None
    steps = _between(x, gate.step)
    start = [*takewhile(lambda each: not isinstance(each, Squashing), steps)]
    middle = [*takewhile(lambda each: isinstance(each, Squashing), steps[len(start) :])]
    inner, outer = _coefficients(start), _coefficients(steps[len(start) + len(middle) :])
    activations = [each.activation for each in middle if isinstance(each, Squashing)]
    if inner is None or outer is None or len(outer) != 2 or not (gain > 0 and outer[1] > 0):
        return None
    if any(each.amplitude != 1 for each in activations):
        return None
    return _Found(
        x=Signal(factor.order, x),
        factor=gain,
        functions=tuple(each.kind for each in activations),
        parameters=tuple(number for each in activations for number in each.parameters),
        inner=tuple(inner.tolist()),
        offset=float(outer[0] / outer[1]),
        gain=float(outer[1]),
    )


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


def _squashed(call: Call, kind: str, *parameters: float) -> Signal:
    return _of(call, call.signal(), kind, *parameters)


def _of(
    call: Call, signal: Signal, kind: str, *parameters: float, amplitude: float = 1.0
) -> Signal:
    """The activation of a map that need not be an input of the node itself."""
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
