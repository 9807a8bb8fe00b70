"""Operators that compute constants of constants, in NumPy: shape chains and weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce

import numpy as np

from systolith.golden.onnx.model.onnx_graph import Values
from systolith.golden.onnx.translation.call import Call


def computed(call: Call) -> Values:
    """The result of a node of `FOLDED` with constant inputs."""
    with np.errstate(all="ignore"):
        return np.asarray(FOLDED[call.node.operator](call))


def multiplications(call: Call) -> int:
    """The number of products that a node of `FOLDED` adds up."""
    if call.node.operator != "MatMul":
        return 0
    a, b = _given(call, 0), _given(call, 1)
    return a.size * b.size // max(1, b.shape[-2] if b.ndim > 1 else b.size)


def _constant(call: Call) -> Values:
    attributes = call.node.attributes
    value = attributes.get("value")
    for name, dtype in _PLAIN.items():
        if name in attributes:
            value = np.array(attributes[name], dtype)
    if not isinstance(value, np.ndarray):
        call.abandon("", "holds no tensor of numbers")
    return value


_PLAIN = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}
"""Attributes of a Constant that hold no tensor."""


def _constant_of_shape(call: Call) -> Values:
    sizes = call.whole_or_input("shape", 0) or []
    value = call.node.attributes.get("value", np.zeros(1, np.float32))
    call.require_size(math.prod(sizes))
    return np.full(sizes, value)


def _concat(call: Call) -> Values:
    parts = [call.constant(position) for position in range(len(call.inputs))]
    return np.concatenate([part for part in parts if part is not None], call.integer("axis", 0))


def _product_of(call: Call) -> Values:
    data, axes = _given(call, 0), call.whole_or_input("axes", 1)
    if not axes and call.integer("noop_with_empty_axes", 0):
        return data
    keep = bool(call.integer("keepdims", 1))
    return np.asarray(data.prod(tuple(axes) if axes else None, keepdims=keep))


def _matmul(call: Call) -> Values:
    a, b = _given(call, 0), _given(call, 1)
    call.require_size(a.size // max(1, a.shape[-1]) * (b.size // max(1, b.shape[0])))
    return np.asarray(np.matmul(a, b))


def _elementwise(function: Callable[..., Values]) -> Callable[[Call], Values]:
    def compute(call: Call) -> Values:
        operands = [_given(call, position) for position in range(len(call.inputs))]
        if len(operands) > 1:
            operands[1] = call.aligned(operands[0].shape, operands[1])
        call.require_size(math.prod(np.broadcast_shapes(*(each.shape for each in operands))))
        return function(*operands)

    return compute


def _divide(a: Values, b: Values) -> Values:
    if a.dtype.kind not in "iu":
        return np.divide(a, b)
    # ONNX cuts the fraction off.
    quotient: Values = np.trunc(np.divide(a, b)).astype(a.dtype)
    return quotient


def _remainder(call: Call) -> Values:
    a, b = _given(call, 0), _given(call, 1)
    if a.dtype.kind not in "iu" or b.dtype.kind not in "iu" or not b.all():
        call.abandon("", "is computed of integers only, and not of a division by zero")
    return _elementwise(np.fmod if call.integer("fmod", 0) else np.mod)(call)


def _given(call: Call, position: int) -> Values:
    value = call.constant(position)
    if value is None:
        call.abandon(f"input {position + 1}", "is missing")
    return value


FOLDED: dict[str, Callable[[Call], Values]] = {
    "Add": _elementwise(np.add),
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Div": _elementwise(_divide),
    "Equal": _elementwise(np.equal),
    "MatMul": _matmul,
    "Max": _elementwise(lambda *each: reduce(np.maximum, each)),
    "Min": _elementwise(lambda *each: reduce(np.minimum, each)),
    "Mod": _remainder,
    "Mul": _elementwise(np.multiply),
    "Neg": _elementwise(np.negative),
    "Reciprocal": _elementwise(np.reciprocal),
    "ReduceProd": _product_of,
    "Sqrt": _elementwise(np.sqrt),
    "Sub": _elementwise(np.subtract),
    "Where": _elementwise(np.where),
}
"""Operators that compute constants of constants, in addition to those of `MOVERS`."""
