"""Activation functions in fixed point: no error beyond rounding; the document has them all."""

from __future__ import annotations

from collections.abc import Callable
from math import erf, exp, expm1, log1p, tanh

import numpy as np
import pytest

from tests.golden.quantization.activation_errors import DOCUMENT, INPUTS, document, error

# By hand, not by the project's formulas.
FORMULAS: dict[str, Callable[[float], float]] = {
    "relu": lambda a: max(a, 0),
    "clip": lambda a: min(max(a, 0), 3),
    "tanh": tanh,
    "sigmoid": lambda a: 1 / (1 + exp(-a)),
    "softplus": lambda a: log1p(exp(a)),
    "softsign": lambda a: a / (1 + abs(a)),
    "erf": erf,
    "leaky_relu": lambda a: a if a > 0 else 0.1 * a,
    "elu": lambda a: a if a > 0 else expm1(a),
    "gelu": lambda a: a * (1 + erf(a / 2**0.5)) / 2,
    "hard_sigmoid": lambda a: min(max(0.2 * a + 0.5, 0), 1),
    "abs": abs,
}


@pytest.mark.parametrize("kind", FORMULAS)
@pytest.mark.parametrize("bits", [4, 8])
def test_no_error_is_larger_than_rounding_of_index_and_value(kind: str, bits: int) -> None:
    values = np.array([FORMULAS[kind](each) for each in INPUTS * 2.0**-9])
    # The index rounds to half a step of its own, of which 2**(bits + 2) cover -4 to 4.
    half = 2**9 * 8 // 2 ** (bits + 2) // 2
    steepest = np.abs(values[half:] - values[:-half]).max()
    found = error(kind, bits)
    assert found.largest <= found.step / 2 + steepest + 1e-6
    # The format fits the values: with half its step they would not.
    reach = 2**bits - 1 if values.min() >= 0 else 2 ** (bits - 1) - 1
    assert found.step / 2 * (reach + 0.5) <= np.abs(values).max() <= found.step * (reach + 0.5)


def test_the_document_has_the_errors() -> None:
    text = DOCUMENT.read_text()
    assert document(text) == text
