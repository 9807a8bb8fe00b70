"""The activation functions that a layer may have: one entry each, and nothing else to change.

To add one, add an `ActivationFunction` to `ACTIVATIONS`. The float model, calibration, bias
correction, fixed-point execution, the ONNX export and the hardware ask the entry what they need;
only training in PyTorch has an entry of its own (`scripts.training.torch_network`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import numpy as np
from numpy.typing import NDArray

from systolith.golden.choices import choice

Reals = NDArray[np.floating[Any]]


class FixedForm(Enum):
    """How fixed-point arithmetic, and so the hardware, computes a function."""

    IDENTITY = auto()
    """The accumulator is requantized as it is."""

    RECTIFIER = auto()
    """A negative accumulator becomes zero before it is requantized."""

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
        `f`, value by value, in the type of its argument. It never decreases: formats rely on it.
    derivative
        `f'`, value by value; at a corner, either side's.
    fixed_form
        How fixed-point arithmetic computes it. Only a table may be scaled by an `Activation`.
    signed
        Whether `f` has negative values, which need a signed format.
    """

    formula: str
    function: Callable[[Reals], Reals]
    derivative: Callable[[Reals], Reals]
    fixed_form: FixedForm
    signed: bool


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
        # In a form that cannot overflow.
        function=lambda a: (np.tanh(a / 2) + 1) / 2,
        derivative=lambda a: (1 - np.square(np.tanh(a / 2))) / 4,
        fixed_form=FixedForm.TABLE,
        signed=False,
    ),
}
"""The functions by name, in the order in which they are listed to users."""


def activation_function(name: str) -> ActivationFunction:
    """The function of this name.

    Raises
    ------
    ValueError
        There is none; says which there are.
    """
    return choice(ACTIVATIONS, name, "activation")
