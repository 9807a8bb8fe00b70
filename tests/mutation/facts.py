"""What may hold of the states of a unit and of its mutant, as formulas and as checks of values."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_WIDE = 16
_WORD = re.compile(r"(\S+)\[\d+\]$")


@dataclass(frozen=True)
class Slice:
    """Bits of a state that belong together: a register, or an input."""

    high: int
    low: int
    name: str
    register: bool

    @property
    def width(self) -> int:
        """How many bits."""
        return self.high - self.low + 1

    @property
    def memory(self) -> str:
        """The memory of which it is a word; empty if it is none."""
        word = _WORD.match(self.name)
        return word[1] if word else ""

    def bits(self) -> list[Slice]:
        """Each of its bits."""
        return [Slice(at, at, self.name, self.register) for at in range(self.low, self.high + 1)]

    def of(self, state: str) -> str:
        """As a term."""
        return f"((_ extract {self.high} {self.low}) {state})"

    def value(self, state: int) -> int:
        """As a number."""
        return state >> self.low & ((1 << self.width) - 1)


Case = tuple[tuple[Slice, int], ...]
"""Registers of the unit, and their values."""


@dataclass(frozen=True)
class Fact:
    """What may hold of the states of a unit and of its mutant.

    Parameters
    ----------
    term
        The formula of two names of states.
    holds
        Whether it does.
    """

    term: Callable[[str, str], str]
    holds: Callable[[int, int], bool]


@dataclass(frozen=True)
class Difference:
    """A number that two states have: a register of the unit, one of the mutant, or their XOR.

    Parameters
    ----------
    unit, mutant
        The registers; one of them may be None.
    """

    unit: Slice | None
    mutant: Slice | None

    @property
    def width(self) -> int:
        """How many bits."""
        register = self.unit or self.mutant
        assert register is not None
        return register.width

    def of(self, unit: str, mutant: str) -> str:
        """As a term."""
        sides = ((self.unit, unit), (self.mutant, mutant))
        terms = [register.of(state) for register, state in sides if register is not None]
        return terms[0] if len(terms) == 1 else f"(bvxor {' '.join(terms)})"

    def value(self, unit: int, mutant: int) -> int:
        """As a number."""
        first = self.unit.value(unit) if self.unit else 0
        return first ^ (self.mutant.value(mutant) if self.mutant else 0)


def in_case(case: Case, what: Difference, value: int) -> Fact:
    """That a difference has a value while registers of the unit have theirs."""

    def term(unit: str, mutant: str) -> str:
        others = [f"(not (= {c.of(unit)} (_ bv{v} {c.width})))" for c, v in case]
        return f"(or {' '.join(others)} (= {what.of(unit, mutant)} (_ bv{value} {what.width})))"

    def holds(unit: int, mutant: int) -> bool:
        return any(c.value(unit) != v for c, v in case) or what.value(unit, mutant) == value

    return Fact(term, holds)


def never(case: Case) -> Fact:
    """That registers of the unit do not all have their values."""

    def term(unit: str, _: str) -> str:
        others = [f"(not (= {c.of(unit)} (_ bv{v} {c.width})))" for c, v in case]
        return f"(or {' '.join(others)})"

    return Fact(term, lambda unit, _: any(c.value(unit) != v for c, v in case))


def of_mutant(fact: Fact) -> Fact:
    """The same, of the mutant alone."""
    return Fact(
        lambda _, mutant: fact.term(mutant, mutant), lambda _, mutant: fact.holds(mutant, mutant)
    )


def bit(position: int, value: int, state: str) -> str:
    """The formula that a bit has a value."""
    return f"(= ((_ extract {position} {position}) {state}) #b{value})"


def bit_is(position: int, value: int) -> Fact:
    """That a bit has a value."""
    return Fact(
        lambda unit, _: bit(position, value, unit), lambda unit, _: unit >> position & 1 == value
    )


def bits_equal(first: int, second: int) -> Fact:
    """That two bits are equal."""
    return Fact(
        lambda unit, _: (
            f"(= ((_ extract {first} {first}) {unit}) ((_ extract {second} {second}) {unit}))"
        ),
        lambda unit, _: unit >> first & 1 == unit >> second & 1,
    )


def not_above(less: Slice, more: Slice) -> Fact:
    """That a register is at most another."""
    return Fact(
        lambda unit, _: f"(bvule {_wide(less, unit)} {_wide(more, unit)})",
        lambda unit, _: less.value(unit) <= more.value(unit),
    )


def sum_is(total: Slice, parts: Sequence[tuple[Slice, ...]], wrap: int) -> Fact:
    """That registers, or flags that are all up, add up to a register, or to so much more."""

    def term(unit: str, _: str) -> str:
        terms = []
        for part in parts:
            bits = [each.of(unit) for each in part]
            value = bits[0] if len(bits) == 1 else f"(bvand {' '.join(bits)})"
            terms.append(f"((_ zero_extend {_WIDE - part[0].width}) {value})")
        added = f"(bvadd {' '.join(terms)})" if len(terms) > 1 else terms[0]
        whole = _wide(total, unit)
        return f"(or (= {added} {whole}) (= {added} (bvadd {whole} (_ bv{wrap} {_WIDE}))))"

    def holds(unit: int, _: int) -> bool:
        added = sum(min(each.value(unit) for each in part) for part in parts)
        return added - total.value(unit) in (0, wrap)

    return Fact(term, holds)


def at_most(register: Slice, most: int) -> Fact:
    """The limit of a register."""
    return Fact(
        lambda unit, _: f"(bvule {register.of(unit)} (_ bv{most} {register.width}))",
        lambda unit, _: register.value(unit) <= most,
    )


def either(first: int, one: int, second: int, other: int) -> Fact:
    """That one of two bits has the value that is given for it."""
    return Fact(
        lambda unit, _: f"(or {bit(first, one, unit)} {bit(second, other, unit)})",
        lambda unit, _: unit >> first & 1 == one or unit >> second & 1 == other,
    )


def _wide(register: Slice, state: str) -> str:
    return f"((_ zero_extend {_WIDE - register.width}) {register.of(state)})"
