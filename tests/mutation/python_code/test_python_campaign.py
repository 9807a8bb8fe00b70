"""Mutants of Python modules, the tests that are chosen for them, and what is said of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.mutation.python_code import mutant_session, python_campaign
from tests.mutation.python_code.mutant_session import (
    FOUND,
    SURVIVED,
    UNTESTED,
    Coverage,
    Session,
    Verdict,
    chosen_tests,
    copied,
    first_failure,
    judged,
)
from tests.mutation.python_code.python_campaign import Outcome, share_found
from tests.mutation.python_code.source_mutants import (
    Mutant,
    annotated_places,
    changed,
    mutants,
    planted,
    sample,
)

SOURCE = """def twice(x: int | None = 1) -> int | None:
    return x * 2


LIMIT = 3
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A module that is imported through a link, and two test files."""
    root = tmp_path / "root"
    for folder in ("golden", "hw", "sim", "scripts", "tests", "pack"):
        (root / folder).mkdir(parents=True)
    (root / "golden" / "doubling.py").write_text(SOURCE)
    (root / "pack" / "golden").symlink_to("../golden")
    (root / "pack" / "__init__.py").write_text("")
    (root / "tests" / "test_doubling.py").write_text(
        "from pack.golden.doubling import twice\n\n\ndef test_twice():\n    assert twice(3) == 6\n"
    )
    (root / "tests" / "test_slow.py").write_text(
        "from pack.golden.doubling import twice\n\n\n"
        "def test_ends():\n    while twice(1) != 2:\n        pass\n"
    )
    return copied(root, tmp_path / "copy")


def mutant(before: str, after: str) -> Mutant:
    (made,) = changed("golden/doubling.py", "some", SOURCE, SOURCE.replace(before, after))
    return made


TIMES, LIMIT = mutant("x * 2", "x + 2"), mutant("LIMIT = 3", "LIMIT = 4")


def test_a_mutant_names_the_first_line_that_differs() -> None:
    assert (TIMES.line, TIMES.before, TIMES.after) == (2, "return x * 2", "return x + 2")
    assert (LIMIT.line, LIMIT.key) == (5, "golden/doubling.py: LIMIT = 3 -> LIMIT = 4")
    assert changed("golden/doubling.py", "some", SOURCE, SOURCE) == []


def test_annotations_are_known_by_their_places() -> None:
    assert sorted(annotated_places(SOURCE)) == [((1, 13), (1, 23)), ((1, 32), (1, 42))]
    assert annotated_places("x: int = 1\ny = 2") == [((1, 3), (1, 6))]


def test_a_mutant_in_a_copy_is_seen_through_the_link_and_taken_out(tree: Path) -> None:
    tests = ["tests/test_doubling.py"]
    found = judged(tree, TIMES, tests, 60)
    assert (found.outcome, found.found_by) == (FOUND, "tests/test_doubling.py::test_twice")
    assert (tree / "golden" / "doubling.py").read_text() == SOURCE
    missed = judged(tree, LIMIT, tests, 60)
    assert (missed.outcome, missed.found_by, missed.line) == (SURVIVED, "", 5)
    assert judged(tree, LIMIT, [], 60).outcome == UNTESTED


def test_a_mutant_whose_tests_do_not_end_is_found(tree: Path) -> None:
    found = judged(tree, TIMES, ["tests/test_slow.py"], 1)
    assert (found.outcome, found.found_by) == (FOUND, "its tests did not end")
    assert (tree / "golden" / "doubling.py").read_text() == SOURCE


def test_a_planted_fault_must_be_there_once(tree: Path) -> None:
    fault = {"group": "some", "fault": "a sum", "file": "golden/doubling.py"}
    (made,) = planted(tree, [{**fault, "before": "* 2", "after": "+ 2"}])
    assert (made.line, made.kind, made.text) == (2, "some: a sum", TIMES.text)
    for before in ("* 3", "int"):
        with pytest.raises(ValueError, match=r"golden/doubling\.py: has \d+ times instead of once"):
            planted(tree, [{**fault, "before": before, "after": ""}])


def test_a_sample_takes_the_areas_in_turn_and_is_the_same_for_a_seed() -> None:
    numbered = [replace(LIMIT, line=line) for line in range(20)]
    by_area = {"a": numbered[:4], "b": numbered[4:]}
    drawn = sample(by_area, 1)
    assert drawn == sample(by_area, 1) != sample(by_area, 2)
    assert sorted(each.line for each in drawn) == list(range(20))
    assert [each.line < 4 for each in drawn[:8]] == [True, False] * 4


def test_the_tests_that_execute_the_line_are_chosen_its_own_first_then_the_fastest() -> None:
    here = {"golden/doubling.py": frozenset({1, 2})}
    coverage = {
        "tests/test_a.py": Coverage(30, here),
        "tests/test_b.py": Coverage(20, here),
        "tests/test_doubling.py": Coverage(25, here),
        "tests/test_c.py": Coverage(1, {"golden/doubling.py": frozenset({1})}),
        "tests/test_d.py": Coverage(1, {"golden/other.py": frozenset({2})}),
    }
    assert chosen_tests(TIMES, coverage) == ["tests/test_doubling.py", "tests/test_b.py"]
    assert chosen_tests(LIMIT, coverage) == []
    slow = {"tests/test_a.py": Coverage(300, here)}
    assert chosen_tests(TIMES, slow) == ["tests/test_a.py"]


def test_the_first_failure_is_what_pytest_printed_first() -> None:
    output = "..F\nFAILED tests/test_a.py::test_x[1-2] - assert 1\nERROR tests/test_b.py\n"
    assert first_failure(output) == "tests/test_a.py::test_x[1-2]"
    assert first_failure("ERROR tests/test_b.py - ImportError") == "tests/test_b.py"
    assert first_failure("3 passed") == ""


def test_a_session_continues_where_it_stopped(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def recorded(_: Path, each: Mutant, *__: object) -> Verdict:
        seen.append(each.after)
        return verdict(each, FOUND)

    monkeypatch.setattr(mutant_session, "judged", recorded)
    monkeypatch.setattr(mutant_session, "TESTS", ())
    assert Session(tmp_path / "session", tree).judge([TIMES], 1, 1) == [verdict(TIMES, FOUND)]
    again = Session(tmp_path / "session", tree)
    assert [each.after for each in again.judge([TIMES, LIMIT], 1, 2)] == [TIMES.after, LIMIT.after]
    assert seen == [TIMES.after, LIMIT.after]
    # Without time only what is known is returned.
    other = mutant("LIMIT = 3", "LIMIT = 5")
    assert len(again.judge([TIMES, other, LIMIT], 0, 1)) == 2
    assert not list((tmp_path / "session").glob("tree-*"))


def verdict(each: Mutant, outcome: str) -> Verdict:
    by = "tests/test_x.py::test_y" if outcome == FOUND else ""
    return Verdict(each.module, each.line, each.kind, each.before, each.after, outcome, by)


def outcome(missed: Mutant, reasons: dict[str, str]) -> Outcome:
    found = [verdict(replace(TIMES, line=n), FOUND) for n in range(8)]
    return Outcome(
        seed=7,
        totals={"golden": 1000, "hw": 3},
        planted=[verdict(replace(TIMES, kind="some: a sum"), FOUND)],
        random=[*found, verdict(missed, SURVIVED)],
        reasons=reasons,
    )


def test_equivalent_mutants_do_not_count() -> None:
    verdicts = [verdict(TIMES, FOUND), verdict(LIMIT, SURVIVED)]
    assert share_found(verdicts) == 0.5
    assert share_found(verdicts, [LIMIT.key]) == 1
    assert share_found([]) == 1
    # Of eight found and one missed, more than a tenth is missed.
    assert not outcome(LIMIT, {}).passed
    assert not outcome(LIMIT, {LIMIT.key: "harmless: nobody reads it"}).passed
    assert outcome(LIMIT, {LIMIT.key: "equivalent: nobody reads it"}).passed
    unfound = replace(outcome(LIMIT, {LIMIT.key: "equivalent"}), planted=[verdict(TIMES, SURVIVED)])
    assert not unfound.passed


def test_the_page_and_the_file_name_what_was_missed_and_why() -> None:
    made = outcome(LIMIT, {LIMIT.key: "harmless: a | in words"})
    page = made.to_markdown()
    assert "of the 1,003 mutants that Cosmic Ray makes of the code, 9 were judged" in page
    assert "seed 7" in page
    assert "| golden | 1,000 | 9 | 0 | 1 | 88.9% |" in page
    assert "| hw | 3 | 0 | 0 | 0 |  |" in page
    assert "doubling.py:5 | LIMIT = 3 | LIMIT = 4 | harmless: a \\| in words |" in page
    assert "| some: a sum | golden/doubling.py | tests/test\\_x.py::test\\_y |" in page
    found = made.to_mapping()
    assert found["areas"]["golden"] == {
        "mutants": 1000,
        "judged": 9,
        "equivalent": 0,
        "found": 0.8889,
    }
    assert found["mutants"][-1]["reason"] == "harmless: a | in words"
    assert found["planted"][0]["found_by"] == "tests/test_x.py::test_y"


def test_reasons_say_whether_a_survivor_counts() -> None:
    reasons = json.loads(python_campaign.REASONS_FILE.read_text())
    assert all(each.split(":")[0] in ("equivalent", "harmless") for each in reasons.values())


def test_cosmic_ray_makes_mutants_of_everything_but_declarations(tmp_path: Path) -> None:
    pytest.importorskip("cosmic_ray")
    (tmp_path / "golden").mkdir()
    source = SOURCE + "pairs = zip([1], [2], strict=True)\n"
    (tmp_path / "golden" / "doubling.py").write_text(source)
    made = {(each.line, each.kind) for each in mutants(tmp_path, "golden/doubling.py")}
    assert made == {
        (1, "NumberReplacer"),
        (2, "NumberReplacer"),
        (2, "ReplaceBinaryOperator_Mul_Add"),
        (5, "NumberReplacer"),
        (6, "NumberReplacer"),
    }
