"""Candidate invariants: claims that hold in sampled states and may hold in all that are reachable.

`equivalence` drops those that the solver refutes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tests.mutation.case_invariants import invariants_by_case
from tests.mutation.invariants import (
    Difference,
    Invariant,
    Slice,
    at_most,
    bit_is,
    bits_equal,
    either_bit,
    equals_in_case,
    not_above,
    of_mutant,
    sum_is,
)

_LARGEST_RANGE = 8  # bits of a register whose limit is a candidate
_LARGEST_POINTER = 4
_MAX_FLAGS = 120
_MAX_FACTORS = 3
_MAX_TERMS = 300
_MAX_SUMS = 20


def unit_candidates(
    samples: Sequence[int], registers: Sequence[Slice], of: Sequence[Slice]
) -> list[Invariant]:
    """Claims about a unit alone, true in all samples.

    Parameters
    ----------
    samples
        States of the unit.
    registers
        All its registers.
    of
        The registers that the claims are about.
    """
    invariants = [*_bits(samples, of), *_numbers(samples, registers, of)]
    return [each for each in invariants if all(each.holds(state, state) for state in samples)]


def relation_candidates(
    different: Sequence[Slice],
    samples: Sequence[tuple[int, int]],
    registers: Sequence[Slice],
    known: Sequence[Invariant],
    by_case: bool,
) -> list[Invariant]:
    """Claims about a unit and a mutant of it, true in all samples.

    Parameters
    ----------
    different
        The registers that may differ in unit and mutant.
    samples
        States of unit and mutant at the same time.
    registers
        All registers.
    known
        Claims about the unit, which the mutant may satisfy as well.
    by_case
        Whether to add those of `case_invariants`; there are many.
    """
    if not different:
        return []
    mutants = [mutant for _, mutant in samples]
    invariants = [of_mutant(each) for each in known]
    invariants += [of_mutant(each) for each in unit_candidates(mutants, registers, different)]
    flags = [each for each in registers if each.width == 1][:_MAX_FLAGS]
    invariants += [
        equals_in_case(((flag, value),), Difference(register, register), 0)
        for register in different
        for flag in flags
        if "[" not in flag.name and len({flag.value(unit) for unit, _ in samples}) == 2
        for value in (0, 1)
    ]
    invariants = [each for each in invariants if all(each.holds(*states) for states in samples)]
    if not by_case:
        return invariants
    controls = [each for each in registers if not each.memory]
    singles = [[each] for each in different if not each.memory]
    for group in (different, *singles):
        invariants += invariants_by_case(list(_differences(group, registers)), controls, samples)
    return invariants


def _bits(samples: Sequence[int], registers: Sequence[Slice]) -> list[Invariant]:
    """Bits that are constant or equal the next higher one, and flags that imply others."""
    always, sometimes = samples[0], samples[0]
    for state in samples:
        always, sometimes = always & state, sometimes | state
    invariants: list[Invariant] = []
    flags = []
    for each in registers:
        for position in range(each.low, each.high + 1):
            if always >> position & 1 or not sometimes >> position & 1:
                invariants.append(bit_is(position, always >> position & 1))
            elif position < each.high:
                invariants.append(bits_equal(position, position + 1))
        if each.width == 1 and not (always | ~sometimes) >> each.low & 1:
            flags.append(each.low)
    invariants += [
        either_bit(first, one, second, other)
        for first, second in itertools.combinations(flags[:_MAX_FLAGS], 2)
        for one, other in itertools.product((0, 1), repeat=2)
    ]
    return invariants


def _numbers(
    samples: Sequence[int], registers: Sequence[Slice], of: Sequence[Slice]
) -> list[Invariant]:
    """Of small registers: limits, an order, constant sums, and a constant value by a flag."""
    small = [each for each in of if 1 < each.width <= _LARGEST_RANGE and "[" not in each.name]
    values = {each: [each.value(state) for state in samples] for each in small}
    invariants = [
        at_most(each, limit)
        for each in small
        for limit in range(max(values[each]), (1 << each.width) - 1)
    ]
    changing = [each for each in small if len(set(values[each])) > 1]
    invariants += [not_above(x, y) for x, y in itertools.permutations(changing, 2)]
    # A FIFO is empty while the register behind it is, and a counter rests without a beat.
    flags = [each for each in registers if each.width == 1][:_MAX_FLAGS]
    for flag in flags:
        high = np.array([flag.value(state) for state in samples], np.bool_)
        for value, chosen in ((0, ~high), (1, high)):
            if chosen.any() and not chosen.all():
                invariants += [
                    equals_in_case(((flag, value),), Difference(each, None), seen[0])
                    for each in small
                    for seen in [np.array(values[each])[chosen]]
                    if (seen == seen[0]).all()
                ]
    for x, y in itertools.product(changing, small):
        # The places of a FIFO: those reserved are those filled and those on their way to it.
        if "reserved" in x.name and "level" in y.name:
            difference = np.subtract(values[x], values[y])
            invariants += [
                sum_is(x, [(y,), *flags], 0)
                for flags in _flags_that_count(difference, samples, registers)
            ]
    pointers = [each for each in changing if each.width <= _LARGEST_POINTER]
    invariants += [
        sum_is(z, [(x,), (y,)], 1 + max(values[z]))
        for x, y, z in itertools.permutations(pointers, 3)
        if x.low < y.low
    ]
    return invariants


def _flags_that_count(
    difference: NDArray[np.int64],
    samples: Sequence[int],
    registers: Sequence[Slice],
) -> list[list[tuple[Slice, ...]]]:
    """Products of flags that add up to a number: at most four terms, each a product or a pipeline.

    Parameters
    ----------
    difference
        The number in each sample.
    samples
        States.
    registers
        Their bits are the flags.
    """
    flags = {
        register: {bit: np.array([bit.value(s) for s in samples], np.int8) for bit in bits}
        for register in registers
        if not register.memory and register.width <= _LARGEST_RANGE
        for bits in [register.bits()]
    }
    wanted = difference.astype(np.int8)
    terms: dict[bytes, list[tuple[Slice, ...]]] = {}
    found: list[list[tuple[Slice, ...]]] = []

    def add(column: NDArray[np.int8], term: list[tuple[Slice, ...]]) -> None:
        if column.any() and (column <= wanted).all():
            terms.setdefault(column.tobytes(), term)
            # Several may do in the samples, and only one of them always.
            if len(found) < _MAX_SUMS and (column == wanted).all():
                found.append(term)

    # The beats in a pipeline.
    for bits in flags.values():
        add(np.sum(list(bits.values()), axis=0, dtype=np.int8), [(bit,) for bit in bits])
    high = {
        bit: column
        for register, bits in flags.items()
        if register.width <= _LARGEST_POINTER
        for bit, column in bits.items()
        if column.any() and not column.all()
    }
    fewer = dict(itertools.islice(high.items(), _MAX_FLAGS))
    for count in range(1, _MAX_FACTORS + 1):
        for chosen in itertools.combinations(fewer, count):
            add(np.bitwise_and.reduce([fewer[bit] for bit in chosen]), [chosen])
    # The largest ones say most.
    most = sorted(terms, key=lambda column: -sum(column))[:_MAX_TERMS]
    columns = {column: terms[column] for column in most}
    # Sums of none, one and two terms; of these, two together make up to four.
    sums: dict[bytes, list[tuple[Slice, ...]]] = {np.zeros_like(wanted).tobytes(): []}
    sums |= columns
    for (one, first), (two, second) in itertools.combinations(columns.items(), 2):
        both = np.frombuffer(one, np.int8) + np.frombuffer(two, np.int8)
        if (both <= wanted).all():
            sums.setdefault(both.tobytes(), [*first, *second])
    for key, some in sums.items():
        rest = (wanted - np.frombuffer(key, np.int8)).tobytes()
        if rest in sums and len(found) < 2 * _MAX_SUMS:
            found.append([*some, *sums[rest]])
    return found


def _differences(different: Sequence[Slice], registers: Sequence[Slice]) -> Iterator[Difference]:
    """Of registers, between any words of the same memory, and small registers themselves."""
    for each in different:
        yield Difference(each, each)
        if each.memory:
            yield from (
                Difference(*words)
                for other in registers
                if other.memory == each.memory and other != each
                for words in ((each, other), (other, each))
            )
        elif each.width <= _LARGEST_POINTER:
            yield Difference(each, None)
            yield Difference(None, each)
