"""Accumulator ranges, recomputed with Python integers, and inputs that attain their ends."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from systolith.golden.fixed.accumulator import accumulator_range
from systolith.golden.fixed.arithmetic import QFormat, Requantization
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.graph import (
    AveragePooling,
    Convolution,
    Dense,
    Layer,
    MaxPooling,
    RadialBasis,
    Shape,
    Subsampling,
)

FORMATS = st.builds(QFormat, st.integers(1, 4), st.just(0), st.booleans())
INTEGERS = st.integers(-9, 9)


def fixed(layer: Layer, source: Shape, fmt: QFormat, **arrays: Any) -> FixedLayer:
    return FixedLayer(layer, source, layer.output_shape(source), fmt, fmt, **arrays)


def dense(
    fmt: QFormat, weights: list[list[int]], bias: list[int], shifts: list[int] | None = None
) -> FixedLayer:
    """A dense layer with a list of weights for each output."""
    how = None if shifts is None else Requantization(np.array(shifts), QFormat(8, 0))
    layer = Dense(name="F", inputs=("x",), units=len(weights))
    return fixed(
        layer,
        Shape(1, 1, len(weights[0])),
        fmt,
        weights=np.array(weights).T,
        bias=np.array(bias),
        requantization=how,
    )


def every_partial_sum(terms: list[int]) -> set[int]:
    """All sums on the way, for every order of the terms."""
    return {sum(order[:n]) for order in permutations(terms) for n in range(1, len(order) + 1)}


@given(
    FORMATS,
    st.lists(st.lists(INTEGERS, min_size=2, max_size=2), min_size=1, max_size=2),
    st.lists(INTEGERS, min_size=2, max_size=2),
    st.lists(st.integers(-2, 4), min_size=2, max_size=2),
)
def test_no_input_and_no_order_leaves_the_range_and_its_ends_are_attained(
    fmt: QFormat, weights: list[list[int]], bias: list[int], shifts: list[int]
) -> None:
    bias, shifts = bias[: len(weights)], shifts[: len(weights)]
    sums = {0}
    for w, b, s in zip(weights, bias, shifts, strict=True):
        constant = 2 ** (s - 1) if s > 0 else 0
        for x in product(range(fmt.min_raw, fmt.max_raw + 1), repeat=len(w)):
            terms = [a * c for a, c in zip(x, w, strict=True)]
            sums |= every_partial_sum([*terms, b, constant])
    assert accumulator_range(dense(fmt, weights, bias, shifts)) == (min(sums), max(sums))


@given(FORMATS, st.lists(INTEGERS, min_size=1, max_size=3), st.integers(0, 3))
def test_radial_basis(fmt: QFormat, centre: list[int], shift: int) -> None:
    layer = fixed(
        RadialBasis(name="R", inputs=("x",), units=1),
        Shape(1, 1, len(centre)),
        fmt,
        weights=np.array(centre)[:, None],
        input_shift=shift,
    )
    inputs = range(fmt.min_raw, fmt.max_raw + 1)
    largest = sum(max(((x << shift) - w) ** 2 for x in inputs) for w in centre)
    assert accumulator_range(layer) == (0, largest)


@given(
    FORMATS, st.lists(INTEGERS, min_size=2, max_size=2), st.lists(INTEGERS, min_size=2, max_size=2)
)
def test_subsampling(fmt: QFormat, coefficients: list[int], bias: list[int]) -> None:
    layer = fixed(
        Subsampling(name="S", inputs=("x",), window=(1, 3)),
        Shape(1, 3, 2),
        fmt,
        weights=np.array(coefficients),
        bias=np.array(bias),
    )
    sums = {
        part
        for total in range(3 * fmt.min_raw, 3 * fmt.max_raw + 1)
        for w, b in zip(coefficients, bias, strict=True)
        for part in (total * w, b, total * w + b)
    }
    assert accumulator_range(layer) == (min(sums), max(sums))


def test_pooling() -> None:
    fmt, source = QFormat(4, 0), Shape(2, 3, 1)
    average = fixed(AveragePooling(name="P", inputs=("x",), window=(2, 3)), source, fmt)
    assert accumulator_range(average) == (-48, 42)
    rounded = replace(average, requantization=Requantization(np.array([3]), fmt))
    assert accumulator_range(rounded) == (-48, 46)
    assert accumulator_range(fixed(MaxPooling(name="P", inputs=("x",)), source, fmt)) == (-8, 7)


def test_a_rounding_that_is_not_known_has_no_range() -> None:
    fmt = QFormat(4, 0)
    pool = fixed(AveragePooling(name="P", inputs=("x",), window=(2, 3)), Shape(2, 3, 1), fmt)
    up: Any = "up"
    rounded = replace(pool, requantization=Requantization(np.array([3]), fmt, rounding=up))
    with pytest.raises(ValueError, match="layer 'P': rounding 'up' has no accumulator range"):
        accumulator_range(rounded)


def test_convolution_sums_over_kernel_and_maps() -> None:
    weights = np.array([[[[1, -2], [3, 4]], [[-5, 6], [7, -8]]]])
    layer = Convolution(name="C", inputs=("x",), kernel=(1, 2), out_channels=2)
    made = fixed(layer, Shape(1, 2, 2), QFormat(2, 0), weights=weights, bias=np.array([10, -20]))
    # Inputs from -2 to 1; output 0 has 11 of positive weights and 5 of negative, output 1 10 each.
    assert accumulator_range(made) == (min(-22 - 5, -20 - 10 - 20), max(11 + 10 + 10, 10 + 20))


def test_widths_beyond_64_bits_are_exact() -> None:
    layer = dense(QFormat(32, 0), [[2**61, -(2**61)]], [5])
    assert accumulator_range(layer) == (-(2**62) * (2**31) + 2**61, 2**61 * (2**32 - 1) + 5)
    assert replace(layer, accumulator_range=accumulator_range(layer)).accumulator_bits == 94


@pytest.mark.parametrize(
    ("ends", "bits"), [((0, 0), 1), ((-1, 0), 1), ((0, 1), 2), ((-128, 127), 8), ((-129, 0), 9)]
)
def test_accumulator_bits(ends: tuple[int, int], bits: int) -> None:
    layer = dense(QFormat(4, 0), [[1]], [0])
    assert replace(layer, accumulator_range=ends).accumulator_bits == bits
