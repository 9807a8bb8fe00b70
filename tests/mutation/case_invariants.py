"""Candidate invariants by case: the differences that are constant in a case of a few registers.

They are needed for mutants that run differently and are no fault all the same: a counter that
starts elsewhere, a word of a memory that is overwritten before it is read, or one that is wrong
until it is corrected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from math import prod

import numpy as np
from numpy.typing import NDArray

from tests.mutation.invariants import (
    Case,
    Difference,
    Invariant,
    Slice,
    equals_in_case,
    never,
)

_LARGEST_CONTROL = 4  # bits of a register that can distinguish cases
_MAX_PAIRS = 30
_SETS = 3
_MAX_CASES = 128
_LEAST_SAMPLES = 8
_LEAST_VALUES = 4

Codes = NDArray[np.int64]
"""The value of a register or a difference in each sample, renumbered from 0."""

Controls = tuple[Slice, ...]
"""Registers of the unit whose values together are a case."""


def invariants_by_case(
    differences: Sequence[Difference],
    registers: Sequence[Slice],
    samples: Sequence[tuple[int, int]],
) -> list[Invariant]:
    """The differences that were constant in each case, for the registers that determine most.

    The candidates claim that a difference, or another register that the case nearly determines,
    always has the value that it has in the samples of that case, and that cases without a sample
    never occur.

    Parameters
    ----------
    differences
        Of registers of the unit and of a mutant.
    registers
        The unit's.
    samples
        States of unit and mutant at the same time.
    """
    controls = {
        each: codes
        for each in registers
        if each.width <= _LARGEST_CONTROL
        for codes in [_codes([each.value(unit) for unit, _ in samples])]
        if codes.any()
    }
    values_of = {each: [each.value(*both) for both in samples] for each in differences}
    invariants = []
    changing: dict[Difference, Codes] = {}
    for each, values in values_of.items():
        if len(set(values)) == 1:
            invariants.append(equals_in_case((), each, values[0]))
        else:
            changing[each] = _codes(values)
    for chosen in _best_controls(list(changing.values()), controls):
        case_of = _case_numbers(chosen, controls)
        cases = np.unique(case_of, return_index=True)
        others = {
            Difference(other, None): codes
            for other, codes in controls.items()
            if other not in chosen and _determined(codes, case_of) > len(samples) // 2
        }
        values_of |= {each: [each.value(*both) for both in samples] for each in others}
        invariants += _impossible_cases(chosen, case_of, samples)
        for each, codes in (changing | others).items():
            # A counter is rarely at its end, so one sample must do.
            least = 1 if each.width <= _LARGEST_CONTROL else _LEAST_SAMPLES
            constant = _constant(codes, case_of, least)
            if each.unit is not None and each.width > _LARGEST_CONTROL:
                constant &= _changing([each.unit.value(unit) for unit, _ in samples], case_of)
            for number, first in zip(*cases, strict=True):
                if constant[number]:
                    unit, _ = samples[first]
                    case: Case = tuple((register, register.value(unit)) for register in chosen)
                    invariants.append(equals_in_case(case, each, values_of[each][first]))
    return invariants


def _best_controls(
    differences: Sequence[Codes], controls: Mapping[Slice, Codes]
) -> Iterator[Controls]:
    """The sets of one, two and three registers that determine the most differences."""

    def score(chosen: Controls) -> int:
        case_of = _case_numbers(chosen, controls)
        return sum(_determined(codes, case_of) for codes in differences)

    def best(sets: Iterator[Controls], count: int) -> list[Controls]:
        return sorted(sets, key=score, reverse=True)[:count]

    if not differences:
        return
    singles = [(each,) for each in controls]
    pairs = best(combinations(controls, 2), _MAX_PAIRS)
    triples = dict.fromkeys(
        tuple(sorted((*pair, each), key=lambda register: register.low))
        for pair in pairs
        for each in controls
        if each not in pair
    )
    yield from best(iter(singles), _SETS)
    yield from pairs[:_SETS]
    yield from best(iter(triples), 2 * _SETS)


def _determined(codes: Codes, case_of: Codes) -> int:
    """The number of samples whose case determines the value; rare cases count less."""
    return int((np.bincount(case_of) - _LEAST_SAMPLES)[_constant(codes, case_of)].sum())


def _impossible_cases(
    chosen: Controls, case_of: Codes, samples: Sequence[tuple[int, int]]
) -> Iterator[Invariant]:
    """Claims that combinations of values which no sample has never occur."""
    seen = [dict.fromkeys(each.value(unit) for unit, _ in samples) for each in chosen]
    counts = np.bincount(case_of, minlength=prod(len(each) for each in seen))
    if len(chosen) > 1 and len(counts) <= _MAX_CASES:
        for values, count in zip(product(*seen), counts, strict=True):
            if not count:
                yield never(tuple(zip(chosen, values, strict=True)))


def _constant(codes: Codes, case_of: Codes, least: int = _LEAST_SAMPLES) -> NDArray[np.bool_]:
    """For each case: whether the value is constant in at least `least` samples."""
    samples = np.bincount(case_of)
    total = np.bincount(case_of, codes)
    squares = np.bincount(case_of, codes * codes)
    # The variance is 0.
    constant: NDArray[np.bool_] = (samples * squares == total * total) & (samples >= least)
    return constant


def _changing(values: Sequence[int], case_of: Codes) -> NDArray[np.bool_]:
    """For each case: whether the register has several values in it.

    If it has one only, a constant difference to it says little.
    """
    codes = _codes(values)
    pairs = np.unique(case_of * len(codes) + codes) // len(codes)
    changing: NDArray[np.bool_] = np.bincount(pairs, minlength=case_of.max() + 1) >= _LEAST_VALUES
    return changing


def _case_numbers(chosen: Controls, controls: Mapping[Slice, Codes]) -> Codes:
    """The number of the case that each sample is in."""
    numbers = np.zeros_like(next(iter(controls.values())))
    for each in chosen:
        numbers = numbers * (1 + controls[each].max()) + controls[each]
    return numbers


def _codes(values: Sequence[int]) -> Codes:
    """Values renumbered from 0 in the order in which they appear."""
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return np.array([numbers[value] for value in values])
