"""Choices of the binary point against a search with exact rational numbers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from systolith.golden.quantization.format_choice import choose_frac_bits, choose_frac_bits_before
from systolith.golden.quantization.methods import METHODS

VALUES = st.lists(
    st.floats(-100, 100).filter(lambda x: x == 0 or abs(x) > 1e-3), min_size=1, max_size=12
)
FRACTIONS = range(-12, 32)


def held(x: float, bits: int, frac_bits: int, signed: bool) -> tuple[Fraction, bool]:
    """What a format makes of a value, and whether it saturates."""
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    scale = Fraction(2) ** frac_bits
    raw = round(Fraction(x) * scale)
    return max(low, min(high, raw)) / scale, not low <= raw <= high


@given(VALUES, st.integers(2, 8), st.booleans())
def test_minmax_has_the_finest_step_that_holds_all_values(
    values: list[float], bits: int, signed: bool
) -> None:
    if not signed:
        values = [abs(x) for x in values]
    found = choose_frac_bits(np.array(values), bits, signed, "minmax")
    if not any(values):
        assert found is None
        return
    fitting = [f for f in FRACTIONS if not any(held(x, bits, f, signed)[1] for x in values)]
    assert found == max(fitting)


@given(VALUES, st.integers(2, 8), st.booleans())
def test_mse_has_the_least_sum_of_squared_errors(
    values: list[float], bits: int, signed: bool
) -> None:
    if not signed:
        values = [abs(x) for x in values]
    found = choose_frac_bits(np.array(values), bits, signed, "mse")
    if not any(values):
        assert found is None
        return
    assert found is not None

    def error(frac_bits: int) -> float:
        return float(sum((held(x, bits, frac_bits, signed)[0] - Fraction(x)) ** 2 for x in values))

    least = min(map(error, FRACTIONS))
    assert error(found) == pytest.approx(least, rel=1e-9, abs=1e-18)


@given(VALUES, st.integers(2, 8), st.booleans(), st.sampled_from([50, 75, 90, 99.99, 100]))
def test_percentile_has_the_finest_step_that_holds_so_many(
    values: list[float], bits: int, signed: bool, percentile: float
) -> None:
    if not signed:
        values = [abs(x) for x in values]
    found = choose_frac_bits(np.array(values), bits, signed, "percentile", percentile=percentile)
    counted = [x for x in values if x]
    if not counted:
        assert found is None
        return

    def share(frac_bits: int) -> Fraction:
        """Of values that are not zero, those that saturate."""
        lost = sum(held(x, bits, frac_bits, signed)[1] for x in counted)
        return Fraction(lost, len(counted))

    allowed = 1 - Fraction(percentile) / 100
    assert found == max(f for f in FRACTIONS if share(f) <= allowed)


@pytest.mark.parametrize(
    ("count", "far", "frac_bits"),
    [(20_000, 0, 6), (20_000, 2, 6), (20_000, 3, 0), (10_000, 1, 6), (9_999, 1, 0)],
)
def test_the_usual_percentile_gives_up_one_of_ten_thousand(
    count: int, far: int, frac_bits: int
) -> None:
    """8 bits hold these values with 6 fraction bits up to 1, and with none up to 100."""
    values = np.ones(count)
    values[:far] = 100.0
    assert choose_frac_bits(values, 8, True, "percentile") == frac_bits


@pytest.mark.parametrize("method", METHODS)
def test_a_single_value_is_held_by_every_method(method: str) -> None:
    """A feature map that is the same everywhere, or zero but for that."""
    for values in (np.full(1000, 5.0), np.array([0.0] * 1000 + [5.0])):
        frac_bits = choose_frac_bits(values, 8, True, method)
        assert frac_bits is not None
        assert held(5.0, 8, frac_bits, True) == (Fraction(5), False)
    assert choose_frac_bits(np.zeros(1000), 8, True, method) is None
    assert choose_frac_bits(np.zeros(1000), 8, True, method, ends=(0.0, 100.0)) == 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(method: str, value: float) -> None:
    with pytest.raises(ValueError, match="values must be finite, not from"):
        choose_frac_bits(np.array([1.0, value]), 8, True, method)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_values_in_any_order_have_the_same_format(method: str) -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal(1000) ** 3
    found = choose_frac_bits(values, 5, True, method)
    assert choose_frac_bits(rng.permutation(values), 5, True, method) == found


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("power", [-40, -20, 12])
def test_a_format_does_not_depend_on_the_unit_of_the_values(method: str, power: int) -> None:
    values = np.random.default_rng(0).standard_normal(1000) ** 3
    scaled = np.ldexp(values, power)
    of_values, of_scaled = (choose_frac_bits(x, 5, True, method) for x in (values, scaled))
    assert of_values is not None and of_scaled == of_values - power
    of_values, of_scaled = (
        choose_frac_bits_before(x, 5, True, lambda y: y) for x in (values, scaled)
    )
    assert of_values is not None and of_scaled == of_values - power


def test_mse_prefers_many_small_values_to_a_rare_large_one() -> None:
    small = np.linspace(-0.01, 0.01, 1001)
    few = np.concatenate([small, [1.0]])
    assert choose_frac_bits(few, 4, True, "minmax") == 2
    assert choose_frac_bits(few, 4, True, "mse") == 2
    many = np.concatenate([np.repeat(small, 100), [1.0]])
    assert choose_frac_bits(many, 4, True, "minmax") == 2
    assert choose_frac_bits(many, 4, True, "mse") == 9


@pytest.mark.parametrize(
    ("method", "values", "bits", "fewest"),
    [
        # With 0 fraction bits 0.5 is lost, with 1 half of 1.0: a squared error of 0.25 in both.
        ("mse", [1.0, 0.5], 2, 0),
        ("mse", [-4.0, 2.0, 1.0, -2.0, 1.0, -1.0, 1.0, 3.0, -3.0], 3, 0),
        # With 3 fraction bits both are exact, with 4 both are in the last level: no divergence.
        ("entropy", [0.25, 0.5], 4, 3),
        ("minmax", [1.0, 0.5], 2, 0),
        ("percentile", [1.0, 0.5], 2, 0),
    ],
)
def test_ties_take_the_fewest_fraction_bits(
    method: str, values: list[float], bits: int, fewest: int
) -> None:
    array = np.array(values)
    assert choose_frac_bits(array, bits, True, method) == fewest
    if method == "mse":
        found = choose_frac_bits_before(array[:, None], bits, True, lambda x: x.sum(axis=1))
        assert found == fewest


def test_errors_count_behind_the_function() -> None:
    """Of values beyond 5, tanh leaves nothing to be lost."""
    values = np.concatenate([np.linspace(-1, 1, 1001), np.linspace(5, 60, 1001)])
    plain = choose_frac_bits(values, 6, True, "mse")
    behind = choose_frac_bits(values, 6, True, "mse", through=np.tanh)
    assert plain is not None and behind is not None
    assert plain <= 0
    assert behind >= 3


@given(VALUES, st.integers(2, 8), st.booleans())
def test_what_follows_decides(values: list[float], bits: int, signed: bool) -> None:
    """Without a function in between it is the choice by least squared error."""
    if not signed:
        values = [abs(x) for x in values]
    maps = np.array(values)[:, None]
    found = choose_frac_bits_before(maps, bits, signed, lambda x: 3 * x.sum(axis=1))
    assert found == choose_frac_bits(np.array(values), bits, signed, "mse")


def test_values_lose_at_most_sixteen_bits_to_what_follows() -> None:
    """It makes nothing of more than 2**-16, which s8.23 has finer than s8.22; s8.6 holds 1."""
    limit = 2.0**-16
    values = np.append(np.linspace(-limit, limit, 301), 1.0)
    assert choose_frac_bits_before(values, 8, True, lambda x: np.clip(x, -limit, limit)) == 22
    assert choose_frac_bits_before(values[:-1], 8, True, lambda x: x) == 23


def test_what_follows_may_mix_values() -> None:
    """Of two values that are compared, only what is near the other counts."""
    maps = np.stack([np.linspace(-1, 1, 1001), np.full(1001, 40.0)], axis=1)
    following = lambda x: np.minimum(x[:, 0], x[:, 1])  # noqa: E731
    assert choose_frac_bits(maps, 6, True, "mse") == -1
    assert choose_frac_bits_before(maps, 6, True, following) == 5


def test_the_ends_of_all_values_count() -> None:
    values = np.array([0.1, 0.2])
    assert choose_frac_bits(values, 8, True, "minmax", ends=(-1.0, 100.0)) == 0
    assert choose_frac_bits(values, 8, False, "minmax", ends=(-1.0, 100.0)) == 1
    # An unsigned format has no room for what is below zero, and needs none.
    assert choose_frac_bits(values, 8, False, "minmax", ends=(-100.0, 1.5)) == 7
    assert choose_frac_bits(-values, 8, False, "minmax") is None
    assert choose_frac_bits(np.zeros(3), 8, True, "minmax", ends=(0.0, 100.0)) == 0


def test_the_ends_of_all_values_count_before_a_function_too() -> None:
    """With 0 to 7 fraction bits 8 bits hold these values exactly, and with 0 all up to 100."""
    for values in (np.array([[1.0, -1.0]]), np.zeros((3, 2))):
        found = choose_frac_bits_before(values, 8, True, lambda x: x[:, 0], ends=(-1.0, 100.0))
        assert found == 0


def test_tiny_values_count_as_zero_and_huge_ones_are_refused() -> None:
    assert choose_frac_bits(np.array([1e-300, 0.0]), 8, True, "mse") is None
    with pytest.raises(ValueError, match=r"values up to 1e\+200 are too large for 8 bits"):
        choose_frac_bits(np.array([1e200]), 8, True, "mse")
