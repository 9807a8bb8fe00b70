"""The activation functions that a layer may have: one entry each, and nothing else to change.

To add one, add an `ActivationFunction` to `ACTIVATIONS`, or a `Family` to `FAMILIES` if it has
parameters. The float model, calibration, bias correction, fixed-point execution, the ONNX export
and the hardware ask the entry what they need; only training in PyTorch and the import of ONNX have
entries of their own (`scripts.training.torch_network`, `onnx.translation.operator_table`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from systolith.golden.choices import choice
from systolith.golden.network import activation_formulas as formulas
from systolith.golden.network.activation_formulas import Reals


class FixedForm(Enum):
    """How fixed-point arithmetic, and so the hardware, computes a function."""

    IDENTITY = auto()
    """The accumulator is requantized as it is."""

    RECTIFIER = auto()
    """A negative accumulator becomes zero before it is requantized."""

    CLAMP = auto()
    """The requantized value is brought between two limits."""

    TABLE = auto()
    """The accumulator is requantized to the index of a table, whose entry is the value."""


@dataclass(frozen=True)
class ActivationFunction:
    """An activation function `f(a)`, and all that any part of the project asks about it.

    Parameters
    ----------
    formula
        `f(a)` in one line, for people.
    function
        `f`, value by value, in the type of its argument.
    derivative
        `f'`, value by value; at a corner, either side's.
    fixed_form
        How fixed-point arithmetic computes it. Only a table may be scaled by an `Activation`.
    signed
        Whether `f` has negative values, which need a signed format.
    rises
        Whether `f` never decreases, so that it is greatest where its argument is.
    limits
        The least and the greatest value of a clamp.
    """

    formula: str
    function: Callable[[Reals], Reals]
    derivative: Callable[[Reals], Reals]
    fixed_form: FixedForm
    signed: bool
    rises: bool = True
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class Family:
    """Activation functions that differ in parameters.

    Parameters
    ----------
    parameters
        The names of the parameters.
    member
        The function with these parameters. A `ValueError` refuses them.
    """

    parameters: tuple[str, ...]
    member: Callable[..., ActivationFunction]


ACTIVATIONS: dict[str, ActivationFunction] = {
    "none": ActivationFunction(
        formula="a",
        function=lambda a: a,
        derivative=np.ones_like,
        fixed_form=FixedForm.IDENTITY,
        signed=True,
    ),
    "relu": ActivationFunction(
        formula="max(a, 0)",
        function=lambda a: np.maximum(a, 0),
        derivative=lambda a: (a > 0).astype(a.dtype),
        fixed_form=FixedForm.RECTIFIER,
        signed=False,
    ),
    "tanh": ActivationFunction(
        formula="tanh(a)",
        function=np.tanh,
        derivative=lambda a: 1 - np.square(np.tanh(a)),
        fixed_form=FixedForm.TABLE,
        signed=True,
    ),
    "sigmoid": ActivationFunction(
        formula="1 / (1 + exp(-a))",
        function=formulas.sigmoid,
        derivative=formulas.sigmoid_slope,
        fixed_form=FixedForm.TABLE,
        signed=False,
    ),
    "softplus": ActivationFunction(
        formula="log(1 + exp(a))",
        function=formulas.softplus,
        derivative=formulas.sigmoid,
        fixed_form=FixedForm.TABLE,
        signed=False,
    ),
    "softsign": ActivationFunction(
        formula="a / (1 + |a|)",
        function=lambda a: a / (1 + np.abs(a)),
        derivative=lambda a: 1 / np.square(1 + np.clip(np.abs(a), 0, 1e15)),
        fixed_form=FixedForm.TABLE,
        signed=True,
    ),
    "hard_swish": ActivationFunction(
        formula="a * min(max(a / 6 + 1/2, 0), 1)",
        function=lambda a: a * np.clip(a / 6 + 0.5, 0, 1),
        derivative=lambda a: np.where(np.abs(a) < 3, np.clip(a, -3, 3) / 3 + 0.5, a > 0).astype(
            a.dtype
        ),
        fixed_form=FixedForm.TABLE,
        signed=True,
        rises=False,
    ),
    "gelu": ActivationFunction(
        formula="a * (1 + erf(a / sqrt(2))) / 2",
        function=lambda a: a * ((formulas.erf(a / a.dtype.type(math.sqrt(2))) + 1) / 2),
        derivative=lambda a: (
            (formulas.erf(a / a.dtype.type(math.sqrt(2))) + 1) / 2
            + np.clip(a, -30, 30) * formulas.normal_density(a)
        ),
        fixed_form=FixedForm.TABLE,
        signed=True,
        rises=False,
    ),
    "gelu_tanh": ActivationFunction(
        formula="a * (1 + tanh(sqrt(2 / pi) * (a + 0.044715 * a**3))) / 2",
        function=formulas.gelu_tanh,
        derivative=formulas.gelu_tanh_slope,
        fixed_form=FixedForm.TABLE,
        signed=True,
        rises=False,
    ),
    "mish": ActivationFunction(
        formula="a * tanh(log(1 + exp(a)))",
        function=lambda a: a * np.tanh(formulas.softplus(a)),
        derivative=formulas.mish_slope,
        fixed_form=FixedForm.TABLE,
        signed=True,
        rises=False,
    ),
    "erf": ActivationFunction(
        formula="erf(a)",
        function=formulas.erf,
        derivative=lambda a: (
            2
            * a.dtype.type(math.sqrt(2))
            * formulas.normal_density(np.clip(a, -30, 30) * a.dtype.type(math.sqrt(2)))
        ),
        fixed_form=FixedForm.TABLE,
        signed=True,
    ),
    "abs": ActivationFunction(
        formula="|a|",
        function=np.abs,
        derivative=lambda a: np.where(a > 0, 1, -1).astype(a.dtype),
        fixed_form=FixedForm.TABLE,
        signed=False,
        rises=False,
    ),
    "sqrt": ActivationFunction(
        formula="sqrt(max(a, 0))",
        function=lambda a: np.sqrt(np.maximum(a, 0)),
        derivative=lambda a: np.where(
            a > 0, 0.5 / np.sqrt(np.maximum(a, np.finfo(a.dtype).tiny)), 0
        ).astype(a.dtype),
        fixed_form=FixedForm.TABLE,
        signed=False,
    ),
    "exp": ActivationFunction(
        formula=f"exp(min(a, {formulas.MOST_EXPONENT:g}))",
        function=lambda a: np.exp(np.minimum(a, formulas.MOST_EXPONENT)),
        derivative=lambda a: np.where(
            a < formulas.MOST_EXPONENT, np.exp(np.minimum(a, formulas.MOST_EXPONENT)), 0
        ).astype(a.dtype),
        fixed_form=FixedForm.TABLE,
        signed=False,
    ),
}
"""The functions without parameters by name, in the order in which they are listed to users."""


def _clip(low: float, high: float) -> ActivationFunction:
    if not low <= 0 < high:
        raise ValueError(f"low and high must be on both sides of zero, not {low:g} and {high:g}")
    return ActivationFunction(
        formula=f"min(max(a, {low:g}), {high:g})",
        function=lambda a: np.clip(a, low, high),
        derivative=lambda a: ((a > low) & (a < high)).astype(a.dtype),
        fixed_form=FixedForm.CLAMP,
        signed=low < 0,
        limits=(low, high),
    )


def _leaky_relu(alpha: float) -> ActivationFunction:
    return ActivationFunction(
        formula=f"a if a > 0, else {alpha:g} * a",
        function=lambda a: np.where(a > 0, a, a.dtype.type(alpha) * a),
        derivative=lambda a: np.where(a > 0, 1, alpha).astype(a.dtype),
        fixed_form=FixedForm.TABLE,
        signed=alpha > 0,
        rises=alpha >= 0,
    )


def _exponential_below_zero(scale: float, alpha: float, width: float) -> ActivationFunction:
    """`scale * a` above zero, and `scale * alpha * (exp(a / width) - 1)` below."""
    if not (scale > 0 and alpha > 0 and width > 0):
        raise ValueError("parameters must be positive")

    def function(a: Reals) -> Reals:
        below = a.dtype.type(alpha) * np.expm1(np.minimum(a, 0) / a.dtype.type(width))
        return a.dtype.type(scale) * np.where(a > 0, a, below)

    def derivative(a: Reals) -> Reals:
        below = alpha / width * np.exp(np.minimum(a, 0) / a.dtype.type(width))
        return (scale * np.where(a > 0, 1, below)).astype(a.dtype)

    return ActivationFunction(
        formula=f"{scale:g} * (a if a > 0, else {alpha:g} * (exp(a / {width:g}) - 1))",
        function=function,
        derivative=derivative,
        fixed_form=FixedForm.TABLE,
        signed=True,
    )


def _hard_sigmoid(alpha: float, beta: float) -> ActivationFunction:
    if alpha <= 0:
        raise ValueError(f"alpha must be positive, not {alpha:g}")
    return ActivationFunction(
        formula=f"min(max({alpha:g} * a + {beta:g}, 0), 1)",
        function=lambda a: np.clip(a.dtype.type(alpha) * a + a.dtype.type(beta), 0, 1),
        derivative=lambda a: (alpha * ((alpha * a + beta > 0) & (alpha * a + beta < 1))).astype(
            a.dtype
        ),
        fixed_form=FixedForm.TABLE,
        signed=False,
    )


def _swish(alpha: float) -> ActivationFunction:
    if alpha <= 0:
        raise ValueError(f"alpha must be positive, not {alpha:g}")

    def derivative(a: Reals) -> Reals:
        a = np.clip(a, -100 / alpha, 100 / alpha)
        return formulas.sigmoid(alpha * a) + alpha * a * formulas.sigmoid_slope(alpha * a)

    return ActivationFunction(
        formula=f"a / (1 + exp(-{alpha:g} * a))",
        function=lambda a: a * formulas.sigmoid(a.dtype.type(alpha) * a),
        derivative=derivative,
        fixed_form=FixedForm.TABLE,
        signed=True,
        rises=False,
    )


def _thresholded_relu(alpha: float) -> ActivationFunction:
    if alpha < 0:
        raise ValueError(f"alpha must be at least 0, not {alpha:g}")
    return ActivationFunction(
        formula=f"a if a > {alpha:g}, else 0",
        function=lambda a: np.where(a > alpha, a, a.dtype.type(0)),
        derivative=lambda a: (a > alpha).astype(a.dtype),
        fixed_form=FixedForm.TABLE,
        signed=False,
    )


FAMILIES: dict[str, Family] = {
    "clip": Family(("low", "high"), _clip),
    "leaky_relu": Family(("alpha",), _leaky_relu),
    "elu": Family(("alpha",), lambda alpha: _exponential_below_zero(1.0, alpha, 1.0)),
    "celu": Family(("alpha",), lambda alpha: _exponential_below_zero(1.0, alpha, alpha)),
    "selu": Family(
        ("alpha", "gamma"), lambda alpha, gamma: _exponential_below_zero(gamma, alpha, 1.0)
    ),
    "hard_sigmoid": Family(("alpha", "beta"), _hard_sigmoid),
    "swish": Family(("alpha",), _swish),
    "thresholded_relu": Family(("alpha",), _thresholded_relu),
}
"""The functions with parameters by name, in the order in which they are listed to users."""


def activation_function(name: str, parameters: tuple[float, ...] = ()) -> ActivationFunction:
    """The function of this name, with these parameters.

    Raises
    ------
    ValueError
        There is none; says which there are. Or its parameters are others.
    """
    every: dict[str, ActivationFunction | Family] = {**ACTIVATIONS, **FAMILIES}
    found = choice(every, name, "activation")
    names = found.parameters if isinstance(found, Family) else ()
    if len(parameters) != len(names):
        wanted = f"the parameters {', '.join(names)}" if names else "no parameters"
        raise ValueError(f"activation {name!r}: takes {wanted}, not {len(parameters)}")
    if isinstance(found, ActivationFunction):
        return found
    if not all(abs(each) < math.inf for each in parameters):
        raise ValueError(f"activation {name!r}: parameters must be finite, not {parameters}")
    try:
        return found.member(*parameters)
    except ValueError as error:
        raise ValueError(f"activation {name!r}: {error}") from None
