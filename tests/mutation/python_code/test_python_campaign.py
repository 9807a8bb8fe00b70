"""Mutants of Python modules, the tests that are chosen for them, and what is said of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.mutation.python_code import line_recorder, mutant_session, python_campaign
from tests.mutation.python_code.line_recorder import OUTSIDE
from tests.mutation.python_code.mutant_session import (
    FOUND,
    SURVIVED,
    UNTESTED,
    MeasuredFile,
    Session,
    Verdict,
    chosen_tests,
    copied,
    first_failure,
    judged,
    measured,
)
from tests.mutation.python_code.python_campaign import Outcome, share_found
from tests.mutation.python_code.source_mutants import (
    Mutant,
    Place,
    PlantedFault,
    annotated,
    changed,
    looks,
    places,
    sample,
    statement,
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
    return changed("golden/doubling.py", SOURCE, SOURCE.replace(before, after))


TIMES, LIMIT = mutant("x * 2", "x + 2"), mutant("LIMIT = 3", "LIMIT = 4")


def test_a_mutant_names_the_first_line_that_differs() -> None:
    assert (TIMES.line, TIMES.before, TIMES.after) == (2, "return x * 2", "return x + 2")
    assert (LIMIT.line, LIMIT.before, LIMIT.after) == (5, "LIMIT = 3", "LIMIT = 4")


def test_annotations_are_known_by_their_places() -> None:
    assert sorted(annotated(SOURCE)) == [((1, 13), (1, 23)), ((1, 32), (1, 42))]
    assert annotated("x: int = 1\ny = 2") == [((1, 3), (1, 6))]
    assert annotated("if TYPE_CHECKING:\n    import x") == [((1, 0), (1, 16))]


def test_looks_are_the_numbers_that_say_how_large_or_opaque_something_is() -> None:
    source = (
        "_ROW_HEIGHT, _GAP = 2, 1\nheight, x = 3, 4\ny = f(opacity=1, most=2, **{'dx': 7, 'x': 0})"
    )
    assert looks(source) == [((1, 20), (1, 24)), ((3, 14), (3, 15)), ((3, 34), (3, 35))]


def test_a_mutant_in_a_copy_is_seen_through_the_link_and_taken_out(tree: Path) -> None:
    tests = [{"tests/test_doubling.py": 1.0}]
    found = judged(tree, TIMES, tests)
    assert found == (FOUND, "tests/test_doubling.py::test_twice")
    assert (tree / "golden" / "doubling.py").read_text() == SOURCE
    assert judged(tree, LIMIT, tests) == (SURVIVED, "")
    assert judged(tree, LIMIT, []) == (UNTESTED, "")


def test_a_mutant_whose_tests_do_not_end_is_found(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mutant_session, "_PATIENCE", 1)
    found = judged(tree, TIMES, [{"tests/test_slow.py": 0.0}])
    assert found == (FOUND, "its tests did not end")
    assert (tree / "golden" / "doubling.py").read_text() == SOURCE


def test_a_mutant_that_renames_tests_is_judged_by_their_files(tree: Path) -> None:
    tests = [{"tests/test_doubling.py::test_twice[4]": 1.0}]
    assert judged(tree, LIMIT, tests) == (SURVIVED, "")
    assert judged(tree, TIMES, tests) == (FOUND, "tests/test_doubling.py::test_twice")


def with_recorder(tree: Path) -> None:
    """Put the plugin into a tree, where its tests run."""
    plugin = tree / "tests" / "mutation" / "python_code" / "line_recorder.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(Path(line_recorder.__file__).read_text())


def test_what_each_test_executes_is_measured(tree: Path, tmp_path: Path) -> None:
    pytest.importorskip("coverage")
    test = tree / "tests" / "test_doubling.py"
    test.write_text(
        "import pytest\nfrom pack.golden.doubling import twice\n\n\n"
        "@pytest.fixture\ndef six():\n    return twice(3)\n\n\n"
        "def test_six(six):\n    assert six == 6\n\n\n"
        "def test_eight():\n    assert twice(4) == 8\n\n\n"
        "def test_fails():\n    assert twice(4) == 9\n"
    )
    with_recorder(tree)
    name = "tests/test_doubling.py"
    found = measured(tree, name, tmp_path / "lines" / "it.lines")
    assert found.seconds.keys() == {f"{name}::test_six", f"{name}::test_eight"}
    assert found.lines["golden/doubling.py"] == {
        1: {""},
        2: {OUTSIDE, f"{name}::test_eight", f"{name}::test_fails"},
        5: {""},
    }
    test.unlink()
    assert measured(tree, name, tmp_path / "lines" / "it.lines").lines == found.lines
    # As in this project: warnings are errors, and some tests only start other processes.
    (tree / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    name = "tests/test_outside.py"
    (tree / name).write_text("def test_nothing():\n    pass\n")
    outside = measured(tree, name, tmp_path / "lines" / "outside.lines")
    assert (set(outside.seconds), dict(outside.lines)) == ({f"{name}::test_nothing"}, {})
    # And the tests of some files are all left out.
    (tree / "tests" / "test_none.py").write_text("")
    none = measured(tree, "tests/test_none.py", tmp_path / "lines" / "none.lines")
    assert (dict(none.seconds), dict(none.lines)) == ({}, {})


def test_what_was_interrupted_is_measured_again(tree: Path, tmp_path: Path) -> None:
    pytest.importorskip("coverage")
    with_recorder(tree)
    name, data = "tests/test_doubling.py", tmp_path / "it.lines"
    text = (tree / name).read_text()
    (tree / name).write_text(f"{text}\n\ndef test_interrupted():\n    raise KeyboardInterrupt\n")
    with pytest.raises(FileNotFoundError):
        measured(tree, name, data)
    (tree / name).write_text(text)
    assert measured(tree, name, data).seconds.keys() == {f"{name}::test_twice"}


def test_a_planted_fault_must_be_there_once(tree: Path) -> None:
    made = PlantedFault("golden/doubling.py", "some: a sum", "* 2", "+ 2").mutant(tree)
    assert (made.line, made.before, made.after, made.text) == (2, "* 2", "+ 2", TIMES.text)
    for before in ("* 3", "int"):
        fault = PlantedFault("golden/doubling.py", "some: a sum", before, "")
        with pytest.raises(ValueError, match=r"golden/doubling\.py: has \d+ times instead of once"):
            fault.mutant(tree)


def test_a_sample_takes_the_areas_in_turn_and_is_the_same_for_a_seed() -> None:
    numbered = [Place("golden/doubling.py", "some", number) for number in range(20)]
    by_area = {"a": numbered[:4], "b": numbered[4:]}
    drawn = sample(by_area, 1)
    assert drawn == sample(by_area, 1) != sample(by_area, 2)
    assert sorted(each.occurrence for each in drawn) == list(range(20))
    assert [each.occurrence < 4 for each in drawn[:8]] == [True, False] * 4


def measured_file(
    name: str, overhead: float, seconds: dict[str, float], lines: dict[int, set[str]]
) -> MeasuredFile:
    """A test file that executes lines of the module."""
    of_module = {line: frozenset(names) for line, names in lines.items()}
    return MeasuredFile(name, overhead, seconds, {"golden/doubling.py": of_module})


def test_the_tests_that_execute_the_statement_come_first_from_the_nearest_file_on() -> None:
    files = [
        measured_file("tests/golden/test_b.py", 1, {"b": 4, "c": 2}, {2: {"", "b"}}),
        measured_file("tests/sim/test_a.py", 1, {"a": 1}, {2: {"a"}}),
        measured_file("tests/golden/test_slow.py", 1, {"d": 30}, {2: {"d"}}),
        measured_file(
            "tests/golden/test_doubling.py", 9, {"x": 5, "y": 4, "z": 3}, {2: {"x", "y"}}
        ),
        measured_file("tests/golden/test_others.py", 1, {"e": 1}, {1: {"e"}, 2: {""}}),
    ]
    # 18 s for the own file, 5 s for the next, none for the slow one; then what is left of these.
    own = {"y": 4, "x": 5, "z": 3}
    chosen = chosen_tests(TIMES, files)
    assert chosen == [own, {"b": 4, "a": 1, "c": 2}]
    assert [list(each) for each in chosen] == [["y", "x", "z"], ["b", "a", "c"]]
    # The first file is never too slow.
    assert chosen_tests(TIMES, [measured_file("tests/test_s.py", 90, {"s": 9}, {2: {"s"}})]) == [
        {"s": 9}
    ]


def test_what_a_fixture_executes_is_for_every_test_of_its_file() -> None:
    file = measured_file("tests/test_a.py", 1, {"a": 1, "b": 2}, {2: {OUTSIDE}})
    assert chosen_tests(TIMES, [file]) == [{"a": 1, "b": 2}]


def test_what_runs_on_import_is_for_the_tests_of_other_lines_of_its_module() -> None:
    only_imports = measured_file("tests/test_a.py", 1, {"a": 1}, {1: {""}, 5: {""}})
    calls = measured_file("tests/test_b.py", 1, {"b": 1, "c": 1}, {2: {"b"}, 5: {""}})
    assert chosen_tests(LIMIT, [calls]) == [{"b": 1, "c": 1}]
    assert chosen_tests(LIMIT, [only_imports]) == [{"a": 1}]
    assert chosen_tests(TIMES, []) == []


def test_the_lines_of_a_compound_statement_of_a_function_are_those_of_its_head() -> None:
    source = (
        "def f():\n    if (1 <\n      2):\n        x = (3,\n           4)\n\nclass A:\n    b = 2\n"
    )
    assert [statement(source, line) for line in (3, 5)] == [range(2, 4), range(4, 6)]
    # What runs on import.
    assert [statement(source, line) for line in (1, 6, 7, 8)] == [None] * 4


def test_the_first_failure_is_what_pytest_printed_first() -> None:
    output = "..F\nFAILED tests/test_a.py::test_x[1-2] - assert 1\nERROR tests/test_b.py\n"
    assert first_failure(output) == "tests/test_a.py::test_x[1-2]"
    assert first_failure("ERROR tests/test_b.py - ImportError") == "tests/test_b.py"
    assert first_failure("3 passed") == ""


def test_a_session_continues_where_it_stopped(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def recorded(_: Path, each: Mutant, *__: object) -> tuple[str, str]:
        seen.append(each.after)
        return FOUND, "some test"

    monkeypatch.setattr(mutant_session, "judged", recorded)
    monkeypatch.setattr(mutant_session, "TESTS", ())
    times, limit, five = (
        PlantedFault("golden/doubling.py", after, before, after)
        for before, after in (("x * 2", "x + 2"), ("LIMIT = 3", "LIMIT = 4"), ("= 3", "= 5"))
    )
    folder = tmp_path / "session"
    (found,) = Session(folder, tree).judge([times], 1, 1)
    assert (found.line, found.outcome, found.found_by) == (2, FOUND, "some test")
    again = Session(folder, tree)
    assert [each.after for each in again.judge([times, limit], 1, 2)] == ["x + 2", "LIMIT = 4"]
    assert seen == ["x + 2", "LIMIT = 4"]
    # Without time only what is known is returned.
    assert len(again.judge([times, five, limit], 0, 1)) == 2
    assert not list(folder.glob("*/tree-*"))
    # What other tests did not find is judged again.
    again.record(replace(found, kind="missed", outcome=SURVIVED))
    assert len(again.verdicts()) == 3
    monkeypatch.setattr(mutant_session, "TESTS", ("tests",))
    assert len(Session(folder, tree).verdicts()) == 2
    # What was said of other code does not count.
    (tree / "golden" / "doubling.py").write_text(SOURCE + "\n")
    assert Session(folder, tree).verdicts() == {}


def verdict(each: Mutant, outcome: str, kind: str = "some") -> Verdict:
    by = "tests/test_x.py::test_y" if outcome == FOUND else ""
    return Verdict(each.module, kind, 0, each.line, each.before, each.after, outcome, by)


KEY = "golden/doubling.py: LIMIT = 3 -> LIMIT = 4"


def outcome(missed: Mutant, reasons: dict[str, str]) -> Outcome:
    found = [verdict(replace(TIMES, line=n), FOUND) for n in range(8)]
    return Outcome(
        seed=7,
        only=[],
        totals={"golden": 1000, "hw": 3},
        planted=[verdict(TIMES, FOUND, "some: a sum")],
        random=[*found, verdict(missed, SURVIVED)],
        reasons=reasons,
    )


def test_equivalent_mutants_do_not_count() -> None:
    verdicts = [verdict(TIMES, FOUND), verdict(LIMIT, SURVIVED)]
    assert share_found(verdicts) == 0.5
    assert share_found(verdicts, [KEY]) == 1
    assert share_found([]) == 1
    # Of eight found and one missed, more than a tenth is missed.
    assert not outcome(LIMIT, {}).passed
    assert not outcome(LIMIT, {KEY: "harmless: nobody reads it"}).passed
    assert outcome(LIMIT, {KEY: "equivalent: nobody reads it"}).passed
    unfound = replace(outcome(LIMIT, {KEY: "equivalent"}), planted=[verdict(TIMES, SURVIVED)])
    assert not unfound.passed


def test_the_page_and_the_file_name_what_was_missed_and_why() -> None:
    made = outcome(LIMIT, {KEY: "harmless: a | in words"})
    page = made.to_markdown()
    assert "of the 1,003 mutants that Cosmic Ray makes of the code, 9 were judged" in page
    assert "seed 7" in page and "Only these modules" not in page
    some = replace(made, only=["golden/*.py", "hw/*.py"]).to_markdown()
    assert "Only these modules were mutated: golden/\\*.py, hw/\\*.py." in some
    assert "| golden | 1,000 | 9 | 0 | 1 | 88.9% | 56.5% to 98.0% |" in page
    assert "| hw | 3 | 0 | 0 | 0 |  |  |" in page
    assert "doubling.py:5 | LIMIT = 3 | LIMIT = 4 | harmless: a \\| in words |" in page
    assert "| some: a sum | golden/doubling.py | tests/test\\_x.py::test\\_y |" in page
    found = made.to_mapping()
    assert found["areas"]["golden"] == {
        "mutants": 1000,
        "judged": 9,
        "equivalent": 0,
        "found": 0.8889,
        "interval": [0.565, 0.9801],
    }
    assert found["mutants"][-1]["reason"] == "harmless: a | in words"
    assert found["planted"][0]["found_by"] == "tests/test_x.py::test_y"


def test_reasons_say_whether_a_survivor_counts() -> None:
    reasons = json.loads(python_campaign.REASONS_FILE.read_text())
    assert all(each.split(":")[0] in ("equivalent", "harmless") for each in reasons.values())


def test_cosmic_ray_makes_mutants_of_everything_but_declarations(tmp_path: Path) -> None:
    pytest.importorskip("cosmic_ray")
    (tmp_path / "golden").mkdir()
    (tmp_path / "scripts" / "pages").mkdir(parents=True)
    source = SOURCE + "pairs = zip([1], [2], strict=True)\n"
    (tmp_path / "golden" / "doubling.py").write_text(source)
    made = places(tmp_path, "golden/doubling.py")
    changes = [each.mutant(tmp_path) for each in made]
    assert sorted((change.line, each.kind) for each, change in zip(made, changes, strict=True)) == [
        *((line, "NumberReplacer") for line in (1, 1, 2, 2)),
        (2, "ReplaceBinaryOperator_Mul_Add"),
        *((line, "NumberReplacer") for line in (5, 5, 6, 6, 6, 6)),
    ]
    assert "return x + 2" in {change.after for change in changes}
    # How a picture looks is left alone.
    (tmp_path / "scripts" / "pages" / "picture.py").write_text("_WIDTH = 3\nIMAGES = 2\n")
    assert len(places(tmp_path, "scripts/pages/picture.py")) == 2
