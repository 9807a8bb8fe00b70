"""A unit with its mutants as a transition system, and questions about it to an SMT solver.

`equivalence` asks them; a state is a bit vector of all registers and inputs in one cycle.
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
from collections.abc import Iterable, Sequence
from pathlib import Path

from systolith.hw.errors import MissingToolError
from systolith.hw.installation import install_extra
from systolith.sim.errors import SimulationError
from tests.mutation.invariants import Slice
from tests.mutation.mutation import SELECT, Netlist, valid_of
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
_SHARES = (0.1, 0.5, 0.9)  # of the cycles in which an input of one bit is 1
_RESET_SHARE = 0.001


class UnansweredError(SimulationError):
    """The solver took too long."""


class SmtModel:
    """The transition system of a unit, in which an input chooses the mutant.

    Parameters
    ----------
    unit
        The module.
    netlist, commands
        It with its mutants (`tests.mutation.mutated_network.MutatedNetwork`).
    seconds
        The time for each question to the solver.

    Members
    -------
    registers
        The slices of a state that are registers.

    Raises
    ------
    MissingToolError
        Yosys or the solver is not installed.
    """

    def __init__(
        self, unit: str, netlist: Netlist, commands: Sequence[str], seconds: float
    ) -> None:
        self.unit = unit
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
            self._text = (folder / "design.smt2").read_text("utf-8")
        following = {int(number) for number in _NEXT.findall(self._text)}
        slices = [
            Slice(int(high), int(low), name, int(number) in following)
            for number, high, low, name in _SLICE.findall(self._text)
        ]
        # The lowest bit says whether the state is an initial one.
        self._slices = sorted([Slice(0, 0, "", False), *slices], key=lambda each: each.low)
        for before, after in itertools.pairwise(self._slices):
            if after.low != before.high + 1:
                raise SimulationError(
                    f"{unit}: no wire has bits {before.high + 1} to {after.low - 1} of the state"
                )
        self._select = next(each for each in self._slices if each.name.lstrip("\\") == SELECT)
        self.registers = [each for each in self._slices if each.register]
        self._size = 1 + max(each.high for each in self._slices)

    def state(
        self, name: str, number: int, inputs_of: str = "", equal: Iterable[Slice] = ()
    ) -> list[str]:
        """Lines that declare a state.

        Parameters
        ----------
        name
            Of the state.
        number
            The mutant that is chosen; 0: none.
        inputs_of
            A state whose inputs it shares; empty: its inputs are its own.
        equal
            Registers that it shares with that state.
        """
        shared = set(equal)
        lines, parts = [], []
        for each in self._slices:
            if each is self._select:
                parts.append(f"(_ bv{number} {each.width})")
            elif inputs_of and (not each.register or each in shared):
                parts.append(each.term(inputs_of))
            else:
                lines.append(f"(declare-const {name}_{each.low} (_ BitVec {each.width}))")
                parts.append(f"{name}_{each.low}")
        whole = parts[0] if len(parts) == 1 else f"(concat {' '.join(reversed(parts))})"
        return [*lines, f"(define-fun {name} () (_ BitVec {self._size}) {whole})"]

    def step(self, before: str, after: str) -> str:
        """The assertion that one state follows another."""
        return f"(assert (|{self.unit}_t| {before} {after}))"

    def outputs_differ(self, unit: str, mutant: str) -> list[str]:
        """The assertions that two states have different outputs, and no reset.

        The outputs of a stream other than its handshake are compared while `valid` is high.
        """

        def value(port: str, state: str) -> str:
            return f"(|{self.unit}_n {port}| {state})"

        different = []
        for port, direction in self._ports.items():
            if direction == "output":
                unlike = f"(not (= {value(port, unit)} {value(port, mutant)}))"
                valid = valid_of(port, self._ports)
                if valid:
                    unlike = f"(and {value(valid, unit)} {unlike})"
                different.append(unlike)
        return [f"(assert (not {value('rst', unit)}))", any_of(different)]

    def initial_state(self) -> int:
        """The state of the unit before the first cycle, its inputs 0."""
        lines = self.state("a0", 0)
        found = self.ask([*lines, f"(assert (|{self.unit}_i| a0))"], ["a0"])
        if found is None:
            raise SimulationError(f"{self.unit}: there is no initial state")
        return found[0]

    def run(self, state: int, number: int, generator: random.Random, cycles: int) -> list[int]:
        """A state with random inputs, and the states of a mutant that follow it."""
        names = [f"a{cycle}" for cycle in range(cycles)]
        inputs = [s for s in self._slices[1:] if not s.register and s is not self._select]
        shares = {each: generator.choice(_SHARES) for each in inputs}
        question = []
        for cycle, name in enumerate(names):
            question += self.state(name, number)
            question += [
                f"(assert (= {name}_{each.low} "
                f"(_ bv{_random_input(each, shares[each], generator)} {each.width})))"
                for each in inputs
            ]
            if cycle:
                question.append(self.step(names[cycle - 1], name))
        question += [
            f"(assert (= a0_{each.low} (_ bv{each.value(state)} {each.width})))"
            for each in self.registers
        ]
        return self.ask(question, names) or []

    def ask(self, question: Sequence[str], states: Sequence[str]) -> list[int] | None:
        """The values of `states` in a solution of all assertions; None if there is no solution.

        Raises
        ------
        UnansweredError
            The solver took too long.
        """
        lines = ["(set-option :produce-models true)", "(set-logic QF_BV)", self._text, *question]
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
                raise UnansweredError(f"{self.unit}: no answer in {self._seconds:g} s") from None
        answer = done.stdout.split(maxsplit=1)
        if not answer or answer[0] not in ("sat", "unsat"):
            raise SimulationError(f"yices-smt2: {done.stdout[:200]} {done.stderr[:200]}")
        if answer[0] == "unsat":
            return None
        return [int(bits, 2) for bits in _BITS.findall(done.stdout)]


def any_of(terms: Sequence[str]) -> str:
    """The assertion that at least one of the terms is true."""
    return f"(assert (or false {' '.join(terms)}))"


def _random_input(port: Slice, share: float, generator: random.Random) -> int:
    if port.name.endswith("rst"):
        return int(generator.random() < _RESET_SHARE)
    if port.width == 1:
        return int(generator.random() < share)
    return generator.getrandbits(port.width)


def _find_solver() -> str:
    """The solver of the extra `formal`, next to Python or on the path."""
    for folder in (str(Path(sys.executable).parent), None):
        found = shutil.which("yices-smt2", path=folder)
        if found is not None:
            return found
    raise MissingToolError("Yices", "the solver", install_extra("formal"))
