"""Proves that a mutant behaves as its unit does, for all inputs and all time, by induction.

Use it for a mutant that no check finds: one that is proven equivalent is no fault. Most are proven
by `correspondence`, in seconds; the others need more invariants than that signals are equal. Unit
and mutant start in the same state and get the same inputs. Candidate invariants that hold in that
state (registers of both that are equal, and those of `candidates`) are dropped until the rest is
inductive: after a cycle before which all of them held, all of them hold. If no state that satisfies
the rest has different outputs, no reachable state has, and the mutant is equivalent. What a stream
offers is compared while `valid` is high, and nothing is compared during a reset.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from functools import cached_property

from tests.mutation.candidates import relation_candidates, unit_candidates
from tests.mutation.correspondence import signals_correspond
from tests.mutation.invariants import Invariant, Slice
from tests.mutation.mutation import Netlist
from tests.mutation.smt_model import SmtModel, any_of

_RUNS = 40
_RUN_CYCLES = 60
_REFUTING_CYCLES = 12


class Prover:
    """Proves mutants of one unit equivalent.

    Parameters
    ----------
    unit
        The module.
    netlist, commands
        The module with its mutants (`tests.mutation.mutated_network.MutatedNetwork`).
    seconds
        For each mutant, and for each question to the solver; a proof that takes longer is given up.

    Raises
    ------
    MissingToolError
        Yosys or the solver is not installed.
    """

    def __init__(
        self, unit: str, netlist: Netlist, commands: Sequence[str], seconds: float = 300.0
    ) -> None:
        self._module = (unit, netlist, commands)
        self._seconds = seconds

    def equivalent(self, number: int) -> bool:
        """Whether a mutant is proven equivalent; if not, it may be equivalent all the same.

        Raises
        ------
        UnansweredError
            A question takes too long.
        """
        # Most proofs with invariants need no cases, and there are many.
        return signals_correspond(*self._module, number) or any(
            self._proven_with_invariants(number, by_case) for by_case in (False, True)
        )

    @cached_property
    def _model(self) -> SmtModel:
        return SmtModel(*self._module, self._seconds)

    @cached_property
    def _initial(self) -> int:
        return self._model.initial_state()

    @cached_property
    def _samples(self) -> list[int]:
        return self._sample(0)

    def _proven_with_invariants(self, number: int, by_case: bool) -> bool:
        """Whether candidates prove it, with or without those by case."""
        end = time.monotonic() + self._seconds
        registers = self._model.registers
        samples = list(zip(self._samples, self._sample(number), strict=True))

        def candidates(different: Sequence[Slice]) -> list[Invariant]:
            return relation_candidates(different, samples, registers, self._known, by_case)

        equal = {r for r in registers if all(r.value(u) == r.value(m) for u, m in samples)}
        invariants = candidates([r for r in registers if r not in equal])
        while True:
            if time.monotonic() > end:
                return False
            states = self._counterexample(number, equal, invariants)
            if states is None:
                break
            unit, mutant = states
            different = [r for r in registers if r in equal and r.value(unit) != r.value(mutant)]
            equal.difference_update(different)
            invariants += candidates(different)
            invariants = [each for each in invariants if each.holds(unit, mutant)]
            # A simulation refutes others sooner than the solver does.
            invariants = self._surviving(unit, mutant, number, invariants)
        question = self._states(number, equal, invariants)
        question += self._model.outputs_differ("a0", "b0")
        return self._model.ask(question, []) is None

    def _surviving(
        self, unit: int, mutant: int, number: int, invariants: Sequence[Invariant]
    ) -> list[Invariant]:
        """The invariants that hold in some cycles after two states, with random inputs."""
        runs = (
            self._model.run(state, which, random.Random(unit), _REFUTING_CYCLES)
            for state, which in ((unit, 0), (mutant, number))
        )
        both = list(zip(*runs, strict=True))
        return [each for each in invariants if all(each.holds(*states) for states in both)]

    def _counterexample(
        self, number: int, equal: set[Slice], invariants: Sequence[Invariant]
    ) -> tuple[int, int] | None:
        """States that break an invariant, after a cycle before which all held; None if inductive.

        Parameters
        ----------
        number
            The mutant.
        equal
            Registers that are claimed to be equal in both.
        invariants
            The other claims.
        """
        model = self._model
        broken = [f"(not (= {r.term('a1')} {r.term('b1')}))" for r in equal]
        broken += [f"(not {each.term('a1', 'b1')})" for each in invariants]
        if not broken:
            return None
        question = [
            *self._states(number, equal, invariants),
            *model.state("a1", 0),
            *model.state("b1", number, "a1"),
            model.step("a0", "a1"),
            model.step("b0", "b1"),
            *(f"(assert {each.term('a1', 'a1')})" for each in self._known),
            any_of(broken),
        ]
        found = model.ask(question, ["a1", "b1"])
        return None if found is None else (found[0], found[1])

    def _states(self, number: int, equal: set[Slice], invariants: Iterable[Invariant]) -> list[str]:
        """Any states `a0` of the unit and `b0` of the mutant that satisfy the invariants."""
        lines = self._model.state("a0", 0)
        # An equal register is the same term in both, which makes all that depends on it equal.
        lines += self._model.state("b0", number, "a0", equal)
        return lines + [f"(assert {i.term('a0', 'b0')})" for i in (*self._known, *invariants)]

    @cached_property
    def _known(self) -> list[Invariant]:
        """Invariants of the unit itself, proven by induction."""
        model = self._model
        invariants = unit_candidates(self._samples, model.registers, model.registers)
        while invariants:
            question = [
                *model.state("a0", 0),
                *model.state("a1", 0),
                model.step("a0", "a1"),
                *(f"(assert {each.term('a0', 'a0')})" for each in invariants),
                any_of([f"(not {each.term('a1', 'a1')})" for each in invariants]),
            ]
            found = model.ask(question, ["a1"])
            if found is None:
                break
            invariants = [each for each in invariants if each.holds(found[0], found[0])]
        return invariants

    def _sample(self, number: int) -> list[int]:
        """Reachable states of a mutant, the initial one first, with random inputs.

        Every mutant gets the same inputs. Each run has shares of its own in which valid and ready
        are high, so that buffers run full and empty.
        """
        generator = random.Random(self._model.unit)
        states = [self._initial]
        for _ in range(_RUNS):
            states += self._model.run(states[-1], number, generator, _RUN_CYCLES)
        return states
