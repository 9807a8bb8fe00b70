"""Differences that are constant in each case, in states made here."""

from __future__ import annotations

import random

from tests.mutation.case_invariants import invariants_by_case
from tests.mutation.invariants import Difference, Slice

STEP = Slice(2, 0, "step", True)
WRITES = Slice(3, 3, "writes", True)
WORDS = [Slice(11, 4, "words[0]", True), Slice(19, 12, "words[1]", True)]
WRONG = 0x80
"""A bit that is wrong of the first word until it is written a second time."""


def states(seed: int) -> list[tuple[int, int]]:
    """A word that is wrong in step 2, or is about to be made wrong; `writes` only after step 0."""
    generator = random.Random(seed)
    made = []
    for _ in range(400):
        step = generator.randrange(6)
        writes = generator.randrange(2) if step else 0
        first, second = generator.randrange(256), generator.randrange(256)
        wrong = WRONG if (step == 2) ^ writes else 0
        state = step | writes << 3
        made.append((state | first << 4 | second << 12, state | (first ^ wrong) << 4))
    return made


def state(step: int, writes: int, word: int) -> int:
    return step | writes << 3 | word << 4


def test_a_difference_is_known_in_each_case() -> None:
    seen = states(1)
    found = invariants_by_case([Difference(WORDS[0], WORDS[0])], [STEP, WRITES], seen)
    assert all(each.holds(*both) for each in found for both in seen)

    def allowed(step: int, writes: int, wrong: int) -> bool:
        both = state(step, writes, 5), state(step, writes, 5 ^ wrong)
        return all(each.holds(*both) for each in found)

    assert allowed(2, 0, WRONG) and not allowed(2, 0, 0)
    assert allowed(2, 1, 0) and not allowed(2, 1, WRONG)
    assert allowed(3, 1, WRONG) and not allowed(3, 1, 1)


def test_what_was_not_seen_together_is_never() -> None:
    found = invariants_by_case([Difference(WORDS[0], WORDS[0])], [STEP, WRITES], states(2))
    together = state(0, 1, 7)
    assert any(not each.holds(together, together) for each in found)


def test_nothing_is_said_of_what_no_register_tells() -> None:
    found = invariants_by_case([Difference(WORDS[1], WORDS[1])], [STEP, WRITES], states(3))
    assert all(each.holds(state(3, 1, 0) | word << 12, 0) for each in found for word in range(256))


def test_words_of_a_memory_have_its_name() -> None:
    assert WORDS[1].memory == "words"
    assert not STEP.memory and not Slice(31, 0, "row [31:0]", True).memory
