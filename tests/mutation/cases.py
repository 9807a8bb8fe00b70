"""What a number depends on: the cases that registers distinguish, in which it is always the same.

So of a counter that runs otherwise in a mutant, of a word that is overwritten before it is read, or
of one that is wrong until it is corrected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from math import prod

import numpy as np
from numpy.typing import NDArray

from tests.mutation.facts import Case, Difference, Fact, Slice, in_case, never

_LARGEST_CONTROL = 4
_MOST_PAIRS = 30
_MOST_SETS = 3
_MOST_CASES = 128
_LEAST_STATES = 8
_LEAST_VALUES = 4

Codes = NDArray[np.int64]
Chosen = tuple[Slice, ...]


def facts_by_case(
    differences: Sequence[Difference],
    registers: Sequence[Slice],
    states: Sequence[tuple[int, int]],
) -> list[Fact]:
    """What held in each case of those registers that tell most of some differences.

    That a difference has a value, or another register that these registers nearly tell; and that
    these registers do not have values together which were not seen together.

    Parameters
    ----------
    differences
        Of states of a unit and of a mutant.
    registers
        The unit's.
    states
        States of unit and mutant that were seen together.
    """
    controls = {
        each: codes
        for each in registers
        if each.width <= _LARGEST_CONTROL
        for codes in [_codes([each.value(unit) for unit, _ in states])]
        if codes.any()
    }
    numbers = {each: [each.value(*both) for both in states] for each in differences}
    facts = []
    changing: dict[Difference, Codes] = {}
    for each, values in numbers.items():
        if len(set(values)) == 1:
            facts.append(in_case((), each, values[0]))
        else:
            changing[each] = _codes(values)
    for chosen in _telling(list(changing.values()), controls):
        case_of = _joined(chosen, controls)
        cases = np.unique(case_of, return_index=True)
        others = {
            Difference(other, None): codes
            for other, codes in controls.items()
            if other not in chosen and _told(codes, case_of) > len(states) // 2
        }
        numbers |= {each: [each.value(*both) for both in states] for each in others}
        facts += _never(chosen, case_of, states)
        for each, codes in (changing | others).items():
            # A counter is at its end seldom.
            same = _same(codes, case_of, 1 if each.width <= _LARGEST_CONTROL else _LEAST_STATES)
            if each.unit is not None and each.width > _LARGEST_CONTROL:
                same &= _moving([each.unit.value(unit) for unit, _ in states], case_of)
            for number, first in zip(*cases, strict=True):
                if same[number]:
                    unit, _ = states[first]
                    case: Case = tuple((register, register.value(unit)) for register in chosen)
                    facts.append(in_case(case, each, numbers[each][first]))
    return facts


def _telling(numbers: Sequence[Codes], controls: Mapping[Slice, Codes]) -> Iterator[Chosen]:
    """The sets of at most three registers with which most of some numbers is known."""

    def told(chosen: Chosen) -> int:
        case_of = _joined(chosen, controls)
        return sum(_told(codes, case_of) for codes in numbers)

    def best(sets: Iterator[Chosen], count: int) -> list[Chosen]:
        return sorted(sets, key=told, reverse=True)[:count]

    if not numbers:
        return
    singles = [(each,) for each in controls]
    pairs = best(combinations(controls, 2), _MOST_PAIRS)
    triples = dict.fromkeys(
        tuple(sorted((*pair, each), key=lambda register: register.low))
        for pair in pairs
        for each in controls
        if each not in pair
    )
    yield from best(iter(singles), _MOST_SETS)
    yield from pairs[:_MOST_SETS]
    yield from best(iter(triples), 2 * _MOST_SETS)


def _told(codes: Codes, case_of: Codes) -> int:
    """In how many states a number is known; of a case that was seldom seen nothing is."""
    return int((np.bincount(case_of) - _LEAST_STATES)[_same(codes, case_of)].sum())


def _never(
    chosen: Chosen,
    case_of: Codes,
    states: Sequence[tuple[int, int]],
) -> Iterator[Fact]:
    """That registers do not have values together that were not seen together."""
    seen = [dict.fromkeys(each.value(unit) for unit, _ in states) for each in chosen]
    counted = np.bincount(case_of, minlength=prod(len(each) for each in seen))
    if len(chosen) > 1 and len(counted) <= _MOST_CASES:
        for values, count in zip(product(*seen), counted, strict=True):
            if not count:
                yield never(tuple(zip(chosen, values, strict=True)))


def _same(codes: Codes, case_of: Codes, least: int = _LEAST_STATES) -> NDArray[np.bool_]:
    """In which cases, of those that were seen often enough, a number is always the same."""
    states = np.bincount(case_of)
    total = np.bincount(case_of, codes)
    squares = np.bincount(case_of, codes * codes)
    same: NDArray[np.bool_] = (states * squares == total * total) & (states >= least)
    return same


def _moving(values: Sequence[int], case_of: Codes) -> NDArray[np.bool_]:
    """In which cases a number has several values: that two stay as they are says little."""
    codes = _codes(values)
    pairs = np.unique(case_of * len(codes) + codes) // len(codes)
    moving: NDArray[np.bool_] = np.bincount(pairs, minlength=case_of.max() + 1) >= _LEAST_VALUES
    return moving


def _joined(chosen: Chosen, controls: Mapping[Slice, Codes]) -> Codes:
    """The number of the case in each state."""
    joined = np.zeros_like(next(iter(controls.values())))
    for each in chosen:
        joined = joined * (1 + controls[each].max()) + controls[each]
    return joined


def _codes(values: Sequence[int]) -> Codes:
    """Small numbers in place of others."""
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return np.array([numbers[value] for value in values])
