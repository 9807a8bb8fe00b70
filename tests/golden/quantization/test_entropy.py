"""Divergences against a count, bin by bin, with dictionaries."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.quantization.entropy import divergence, least_divergence
from systolith.golden.quantization.format_choice import choose_frac_bits

SEEDS = st.integers(0, 2**32 - 1)


def samples(seed: int, signed: bool) -> list[float]:
    """Numbers with few or many far from the others."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(300) * rng.choice([0.01, 1, 30])
    values[: rng.integers(0, 40)] *= rng.uniform(1, 20)
    return [float(x) for x in (values if signed else abs(values))]


def slowly(values: list[float], bits: int, frac_bits: int, signed: bool, fine: int) -> float:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    bins = Counter(math.floor(x * 2.0**fine) for x in values)
    level = {each: math.floor((each + 0.5) * 2.0 ** (frac_bits - fine) + 0.5) for each in bins}
    inside = {each: count for each, count in bins.items() if low <= level[each] <= high}
    if not inside:
        return math.inf
    result = 0.0
    for each, count in inside.items():
        own = [bins[other] for other in inside if level[other] == level[each]]
        if each == min(inside):
            count += sum(bins[other] for other in bins if other < each)
        if each == max(inside):
            count += sum(bins[other] for other in bins if other > each)
        given, left = count / len(values), sum(own) / len(own) / sum(inside.values())
        result += given * math.log(given / left)
    return result


@given(SEEDS, st.integers(2, 8), st.booleans())
def test_entropy_has_the_least_divergence(seed: int, bits: int, signed: bool) -> None:
    values = samples(seed, signed)
    covering = choose_frac_bits(np.array(values), bits, signed, "minmax")
    found = choose_frac_bits(np.array(values), bits, signed, "entropy")
    assert covering is not None and found is not None
    fine = covering + 4
    by_hand = {f: slowly(values, bits, f, signed, fine) for f in range(covering, fine)}
    assert by_hand[found] == pytest.approx(min(by_hand.values()), abs=1e-12)

    bins, counts = np.unique(np.floor(np.array(values) * 2.0**fine), return_counts=True)
    for f, expected in by_hand.items():
        found_divergence = divergence(bins, counts, fine, QFormat(bits, f, signed))
        assert found_divergence == pytest.approx(expected, abs=1e-9)
        assert found_divergence >= -1e-12


def test_a_rare_value_far_away_is_given_up_and_many_are_not() -> None:
    bulk = np.random.default_rng(0).standard_normal(100_000)
    assert choose_frac_bits(np.append(bulk, 30.0), 8, True, "minmax") == 2
    assert choose_frac_bits(np.append(bulk, 30.0), 8, True, "entropy") == 5
    many = np.append(bulk, np.random.default_rng(1).uniform(-30, 30, 100_000))
    assert choose_frac_bits(many, 8, True, "entropy") == 2


def test_zeros_do_not_count() -> None:
    values = np.append(np.random.default_rng(0).standard_normal(1000), 30.0)
    with_zeros = np.append(values, np.zeros(100_000))
    assert choose_frac_bits(values, 8, True, "entropy") == choose_frac_bits(
        with_zeros, 8, True, "entropy"
    )


@pytest.mark.parametrize("bits", [11, 12, 16])
def test_where_levels_are_as_fine_as_bins_nothing_is_given_up(bits: int) -> None:
    values = np.append(np.random.default_rng(0).standard_normal(100_000), 1000.0)
    covering = choose_frac_bits(values, bits, True, "minmax")
    assert choose_frac_bits(values, bits, True, "entropy") == covering


def test_what_lies_beyond_a_format_is_infinitely_far() -> None:
    assert divergence(np.array([100.0]), np.array([5]), 3, QFormat(4, 2)) == np.inf
    assert least_divergence(np.array([100.0]), 4, True, -4) == -4
