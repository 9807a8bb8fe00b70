"""Fixed-point arithmetic against exact rational numbers."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from systolith.golden.fixed.arithmetic import (
    MAX_BITS,
    Overflow,
    QFormat,
    Requantization,
    Rounding,
    overflow,
    requantize,
    shift_right,
)

INT64 = st.integers(-(2**63), 2**63 - 1)
ROUNDINGS: tuple[Rounding, ...] = ("floor", "half_up", "half_even")
OVERFLOWS: tuple[Overflow, ...] = ("saturate", "wrap")


def rounded(value: Fraction, rounding: Rounding) -> int:
    """An exact rational rounded by the definition of the mode."""
    if rounding == "floor":
        return math.floor(value)
    if rounding == "half_up":
        return math.floor(value + Fraction(1, 2))
    return round(value)


def limited(value: int, fmt: QFormat, mode: Overflow) -> int:
    if mode == "saturate":
        return max(fmt.min_raw, min(fmt.max_raw, value))
    while value > fmt.max_raw:
        value -= 2**fmt.bits
    while value < fmt.min_raw:
        value += 2**fmt.bits
    return value


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [
        ("floor", [-3, -2, -1, 0, 1, 2]),
        ("half_up", [-2, -1, 0, 1, 2, 3]),
        ("half_even", [-2, -2, 0, 0, 2, 2]),
    ],
)
def test_the_table_that_defines_rounding(rounding: Rounding, expected: list[int]) -> None:
    assert shift_right([-5, -3, -1, 1, 3, 5], 1, rounding).tolist() == expected


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_shift_right_of_every_small_value(rounding: Rounding) -> None:
    values = np.arange(-300, 301)
    for shift in range(-3, 12):
        expected = [rounded(Fraction(int(x)) / Fraction(2) ** shift, rounding) for x in values]
        assert shift_right(values, shift, rounding).tolist() == expected


@given(INT64, st.integers(0, 62), st.sampled_from(ROUNDINGS))
def test_shift_right_over_all_64_bits(x: int, shift: int, rounding: Rounding) -> None:
    assert int(shift_right(x, shift, rounding)) == rounded(Fraction(x, 2**shift), rounding)


@given(INT64, st.integers(0, 62))
def test_a_left_shift_is_exact_or_refused(x: int, shift: int) -> None:
    if -(2**63) <= x << shift < 2**63:
        assert int(shift_right(x, -shift, "half_up")) == x << shift
    else:
        with pytest.raises(OverflowError, match="64 bits"):
            shift_right(x, -shift, "half_up")


def test_one_shift_a_channel() -> None:
    values = np.array([[5, 5, 5], [-5, -5, -5]])
    assert shift_right(values, [0, 1, -1], "half_up").tolist() == [[5, 3, 10], [-5, -2, -10]]


@pytest.mark.parametrize("mode", OVERFLOWS)
def test_overflow_of_every_small_value(mode: Overflow) -> None:
    values = list(range(-70, 71))
    for bits, signed in product(range(1, 6), (False, True)):
        fmt = QFormat(bits, 0, signed)
        assert overflow(values, fmt, mode).tolist() == [limited(x, fmt, mode) for x in values]


@given(INT64, st.integers(1, MAX_BITS), st.booleans(), st.sampled_from(OVERFLOWS))
def test_overflow_over_all_64_bits(x: int, bits: int, signed: bool, mode: Overflow) -> None:
    fmt = QFormat(bits, 0, signed)
    expected = limited(x, fmt, "saturate")
    if mode == "wrap":
        expected = (x - fmt.min_raw) % 2**bits + fmt.min_raw
    assert int(overflow(x, fmt, mode)) == expected


def test_requantize_every_small_case() -> None:
    accumulators = np.arange(-40, 41)
    for bits, shift, rounding, mode, multiplier in product(
        (2, 4), (-1, 0, 3), ROUNDINGS, OVERFLOWS, (1, 3)
    ):
        fmt = QFormat(bits, 0)
        how = Requantization(np.array([shift]), fmt, multiplier, rounding, mode)
        raw, left = requantize(accumulators[:, None], how)
        exact = [
            rounded(Fraction(int(x) * multiplier) / Fraction(2) ** shift, rounding)
            for x in accumulators
        ]
        assert raw[:, 0].tolist() == [limited(x, fmt, mode) for x in exact]
        assert left.tolist() == [sum(not fmt.min_raw <= x <= fmt.max_raw for x in exact)]


def test_requantize_through_a_table() -> None:
    how = Requantization(np.array([1]), QFormat(2, 0), table=np.array([10, 11, 12, 13]))
    raw, left = requantize(np.array([[-9], [-4], [-1], [2], [3]]), how)
    assert raw[:, 0].tolist() == [10, 10, 12, 13, 13]
    assert left.tolist() == [2]


def test_what_saturates_is_counted_by_channel() -> None:
    how = Requantization(np.array([0]), QFormat(4, 0))
    _, left = requantize(np.array([[[7, 8, -9], [8, 9, 0]], [[0, 8, 7], [0, -8, -8]]]), how)
    assert left.tolist() == [1, 3, 1]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_product_beyond_64_bits_is_refused(sign: int) -> None:
    how = Requantization(np.array([31]), QFormat(40, 0), multiplier=2**31)
    raw, _ = requantize(np.array([[5], [sign * (2**32 - 1)]]), how)
    assert raw.ravel().tolist() == [5, sign * (2**32 - 1)]
    with pytest.raises(OverflowError, match="multiplier 2147483648: a product leaves 64 bits"):
        requantize(np.array([[5], [sign * 2**32]]), how)


def test_quantize_every_small_format() -> None:
    for bits, frac_bits, signed in product(range(1, 6), (-2, 0, 3, 9), (False, True)):
        fmt = QFormat(bits, frac_bits, signed)
        for numerator in range(-80, 81):
            x = Fraction(numerator, 4) * Fraction(2) ** -frac_bits
            expected = limited(round(x * Fraction(2) ** frac_bits), fmt, "saturate")
            assert int(fmt.quantize(float(x))) == expected


@given(
    st.floats(allow_nan=False),
    st.integers(1, MAX_BITS),
    st.integers(-80, 80),
    st.booleans(),
)
def test_quantize_is_the_nearest_raw_value(
    x: float, bits: int, frac_bits: int, signed: bool
) -> None:
    fmt = QFormat(bits, frac_bits, signed)
    raw = int(fmt.quantize(x))
    if math.isinf(x):
        assert raw == (fmt.max_raw if x > 0 else fmt.min_raw)
    else:
        exact = round(Fraction(x) * Fraction(2) ** frac_bits)
        assert raw == limited(exact, fmt, "saturate")


@given(st.integers(1, 53), st.integers(-100, 100), st.booleans(), st.data())
def test_quantize_undoes_dequantize(
    bits: int, frac_bits: int, signed: bool, data: st.DataObject
) -> None:
    fmt = QFormat(bits, frac_bits, signed)
    raw = data.draw(st.integers(fmt.min_raw, fmt.max_raw))
    assert Fraction(float(fmt.dequantize(raw))) == raw * Fraction(2) ** -frac_bits
    assert int(fmt.quantize(fmt.dequantize(raw))) == raw


def test_bad_parameters_are_named() -> None:
    with pytest.raises(ValueError, match="not float64"):
        shift_right([0.5], 1, "floor")
    with pytest.raises(ValueError, match="shift must be from -62 to 62, not 63"):
        shift_right(1, [3, 63], "floor")
    with pytest.raises(ValueError, match="shift must be from -62 to 62, not -64"):
        shift_right(1, [3, -64, 63], "floor")
    with pytest.raises(ValueError, match="rounding 'up': allowed are floor, half_up, half_even"):
        shift_right(1, 1, "up")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="overflow 'clip': allowed are saturate, wrap"):
        overflow(1, QFormat(8, 0), "clip")  # type: ignore[arg-type]
