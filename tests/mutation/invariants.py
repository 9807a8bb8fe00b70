"""Invariants of a unit and its mutant: as SMT terms for the solver, as checks of sampled states.

`candidates` and `case_invariants` propose them, `equivalence` proves which of them hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_SUM_BITS = 16
_WORD = re.compile(r"(\S+)\[\d+\]$")


@dataclass(frozen=True)
class Slice:
    """Bits `high` to `low` of a state that form a register or an input.

    Parameters
    ----------
    high, low
        The positions of the highest and the lowest bit.
    name
        The wire's name; a word of a memory is `memory[number]`.
    register
        Whether it is a register; otherwise an input.
    """

    high: int
    low: int
    name: str
    register: bool

    @property
    def width(self) -> int:
        """The number of bits."""
        return self.high - self.low + 1

    @property
    def memory(self) -> str:
        """The name of the memory if this is a word of one, else the empty string."""
        word = _WORD.match(self.name)
        return word[1] if word else ""

    def bits(self) -> list[Slice]:
        """Each bit as a slice of its own."""
        return [Slice(at, at, self.name, self.register) for at in range(self.low, self.high + 1)]

    def term(self, state: str) -> str:
        """Its value in the state of that name, as an SMT term."""
        return f"((_ extract {self.high} {self.low}) {state})"

    def value(self, state: int) -> int:
        """Its value in a state, as a number."""
        return state >> self.low & ((1 << self.width) - 1)


Case = tuple[tuple[Slice, int], ...]
"""Registers of the unit, each with a value: the states in which all have their values."""


@dataclass(frozen=True)
class Invariant:
    """A claim about the states of a unit and of its mutant, which may or may not hold.

    Parameters
    ----------
    term
        The SMT term of the claim, from the names of the two states.
    holds
        Whether the claim is true of two states.
    """

    term: Callable[[str, str], str]
    holds: Callable[[int, int], bool]


@dataclass(frozen=True)
class Difference:
    """A register of the unit, one of the mutant, or the XOR of two such registers.

    Parameters
    ----------
    unit, mutant
        The registers; one of them may be None.
    """

    unit: Slice | None
    mutant: Slice | None

    @property
    def width(self) -> int:
        """The number of bits."""
        register = self.unit or self.mutant
        assert register is not None
        return register.width

    def term(self, unit: str, mutant: str) -> str:
        """Its value in the states of these names, as an SMT term."""
        sides = ((self.unit, unit), (self.mutant, mutant))
        terms = [register.term(state) for register, state in sides if register is not None]
        return terms[0] if len(terms) == 1 else f"(bvxor {' '.join(terms)})"

    def value(self, unit: int, mutant: int) -> int:
        """Its value in two states, as a number."""
        first = self.unit.value(unit) if self.unit else 0
        return first ^ (self.mutant.value(mutant) if self.mutant else 0)


def equals_in_case(case: Case, difference: Difference, value: int) -> Invariant:
    """In a case, a difference has this value."""

    def term(unit: str, mutant: str) -> str:
        equal = f"(= {difference.term(unit, mutant)} (_ bv{value} {difference.width}))"
        return f"(or {' '.join(_others(case, unit))} {equal})"

    def holds(unit: int, mutant: int) -> bool:
        return not _is_in(case, unit) or difference.value(unit, mutant) == value

    return Invariant(term, holds)


def never(case: Case) -> Invariant:
    """The unit is never in this case."""
    return Invariant(
        lambda unit, _: f"(or {' '.join(_others(case, unit))})",
        lambda unit, _: not _is_in(case, unit),
    )


def _others(case: Case, unit: str) -> list[str]:
    """The terms that the registers do not have their values."""
    return [f"(not (= {c.term(unit)} (_ bv{value} {c.width})))" for c, value in case]


def _is_in(case: Case, unit: int) -> bool:
    return all(register.value(unit) == value for register, value in case)


def of_mutant(invariant: Invariant) -> Invariant:
    """The same claim about the mutant alone."""
    return Invariant(
        lambda _, mutant: invariant.term(mutant, mutant),
        lambda _, mutant: invariant.holds(mutant, mutant),
    )


def bit_is(position: int, value: int) -> Invariant:
    """A bit of the unit always has this value."""
    return Invariant(
        lambda unit, _: _bit_term(position, value, unit),
        lambda unit, _: unit >> position & 1 == value,
    )


def bits_equal(first: int, second: int) -> Invariant:
    """Two bits of the unit are equal."""
    return Invariant(
        lambda unit, _: (
            f"(= ((_ extract {first} {first}) {unit}) ((_ extract {second} {second}) {unit}))"
        ),
        lambda unit, _: unit >> first & 1 == unit >> second & 1,
    )


def either_bit(first: int, one: int, second: int, other: int) -> Invariant:
    """Bit `first` of the unit is `one`, or bit `second` is `other`."""
    return Invariant(
        lambda unit, _: f"(or {_bit_term(first, one, unit)} {_bit_term(second, other, unit)})",
        lambda unit, _: unit >> first & 1 == one or unit >> second & 1 == other,
    )


def at_most(register: Slice, limit: int) -> Invariant:
    """A register of the unit is at most `limit`."""
    return Invariant(
        lambda unit, _: f"(bvule {register.term(unit)} (_ bv{limit} {register.width}))",
        lambda unit, _: register.value(unit) <= limit,
    )


def not_above(less: Slice, more: Slice) -> Invariant:
    """A register of the unit is at most another."""
    return Invariant(
        lambda unit, _: f"(bvule {_extended(less, unit)} {_extended(more, unit)})",
        lambda unit, _: less.value(unit) <= more.value(unit),
    )


def sum_is(total: Slice, parts: Sequence[tuple[Slice, ...]], modulus: int) -> Invariant:
    """The parts add up to `total`, or to `total + modulus`.

    A part of one register counts as its value, a part of several flags as 1 if all are high.
    """

    def term(unit: str, _: str) -> str:
        terms = []
        for part in parts:
            bits = [each.term(unit) for each in part]
            value = bits[0] if len(bits) == 1 else f"(bvand {' '.join(bits)})"
            terms.append(f"((_ zero_extend {_SUM_BITS - part[0].width}) {value})")
        added = f"(bvadd {' '.join(terms)})" if len(terms) > 1 else terms[0]
        whole = _extended(total, unit)
        return f"(or (= {added} {whole}) (= {added} (bvadd {whole} (_ bv{modulus} {_SUM_BITS}))))"

    def holds(unit: int, _: int) -> bool:
        added = sum(min(each.value(unit) for each in part) for part in parts)
        return added - total.value(unit) in (0, modulus)

    return Invariant(term, holds)


def _bit_term(position: int, value: int, state: str) -> str:
    return f"(= ((_ extract {position} {position}) {state}) #b{value})"


def _extended(register: Slice, state: str) -> str:
    return f"((_ zero_extend {_SUM_BITS - register.width}) {register.term(state)})"
