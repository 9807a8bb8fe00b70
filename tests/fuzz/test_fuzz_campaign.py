"""The fuzzer itself: its inputs, the comparison of engines, and what it reports."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from numpy.typing import NDArray

from systolith.golden.fixed import execution
from systolith.golden.fixed.execution import FixedModel, FixedRun
from systolith.scripts.main import app
from tests.fuzz import fuzz_campaign, integer_comparison
from tests.fuzz.fuzz_campaign import Examined
from tests.fuzz.hostile_changes import MUTATIONS, mutate_integers
from tests.fuzz.inputs import (
    TEMPLATES,
    Case,
    Files,
    Template,
    every_option,
    first_files,
    kind_of,
    make_case,
)
from tests.fuzz.verdicts import Failure
from tests.fuzz.watched_command import Limits, Outcome

_JSON = b'{"schema": "x/1", "layers": [{"name": "conv", "cycles": 3}], "accuracy": 0.5}'


@pytest.fixture(scope="module")
def files() -> Files:
    """Seed files, with small ones in the place of those that the program makes."""
    made = dict.fromkeys(("rtl/manifest.json", "float.json", "fixed.json", "swept/s.json"), _JSON)
    made |= {"plan.toml": b"[layers.conv]\nrows = 2\n"}
    made |= {"rtl/tiny.v": b"module tiny(input a);\n  wire b = 1;\nendmodule\n"}
    return {**first_files(), **made}


def test_an_input_is_made_from_seed_and_number(files: Files) -> None:
    some = [make_case(5, number, files, TEMPLATES) for number in range(40)]
    assert some == [make_case(5, number, files, TEMPLATES) for number in range(40)]
    assert some != [make_case(6, number, files, TEMPLATES) for number in range(40)]


def test_inputs_are_of_all_kinds_and_options(files: Files) -> None:
    pytest.importorskip("onnx")  # without it no input is a model
    cases = [make_case(1, number, files, TEMPLATES) for number in range(800)]
    kinds = {case.kind.partition(": ")[2] for case in cases}
    assert kinds >= {*MUTATIONS, "options", "swapped files", "no file", "file names"} - {"text"}
    used = {
        (case.commands[0][0], word.partition("=")[0])
        for case in cases
        for word in case.commands[0][1:]
    }
    assert {(command, option) for command, option, _ in every_option()} <= used
    commands = {template.commands[0][0] for template in TEMPLATES}
    assert commands >= set(getattr(typer.main.get_command(app), "commands", ()))
    assert sum(case.separate for case in cases) == 40


def test_every_mutation_alters_every_seed_file_of_its_kind(files: Files) -> None:
    rng = random.Random(0)
    for name, content in files.items():
        for mutate in MUTATIONS[kind_of(name)]:
            changed = [mutate(rng, content)[0] != content for _ in range(12)]
            assert sum(changed) >= 6, (name, mutate.__name__)


def test_other_integers_are_often_accepted(
    files: Files, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(1)
    statuses = []
    for _ in range(30):
        content, _ = mutate_integers(rng, files["e.npz"])
        (tmp_path / "q.npz").write_bytes(content)
        statuses.append(integer_comparison.compare_integers([str(tmp_path / "q.npz")]))
    assert set(statuses) <= {0, 2}, capfd.readouterr().err
    assert statuses.count(0) >= 8


@pytest.mark.parametrize("engine", ["BLAS", "ONNX Runtime"])
def test_other_integers_in_an_engine_are_found(
    engine: str, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "q.npz"
    path.write_bytes(files["q.npz"])
    assert integer_comparison.compare_integers([str(path)]) == 0

    class Wrong(FixedModel):
        def run(self, images: NDArray[np.integer[Any]]) -> FixedRun:
            found = execution.FixedModel.run(self, images)
            if self.wrong:
                found.outputs["conv"][3, 0, 0, 0] += 1
            return found

        def __init__(self, fixed: Any, engine: Any = None) -> None:
            super().__init__(fixed, engine)
            self.wrong = engine is None

    if engine == "BLAS":
        monkeypatch.setattr(integer_comparison, "FixedModel", Wrong)
    else:
        pytest.importorskip("onnxruntime")
        right = integer_comparison._onnx_runtime

        def wrong(*arguments: Any) -> Any:
            maps, scores = right(*arguments)
            return maps, scores + (np.arange(len(scores)) == 2)[:, None]

        monkeypatch.setattr(integer_comparison, "_onnx_runtime", wrong)
    assert integer_comparison.compare_integers([str(path)]) == 1


def test_a_command_line_that_fails_unaltered_is_wrong() -> None:
    template = Template(("plan q.npz",), 1)
    good, bad = (_examined(number, status) for number, status in enumerate((0, 2)))
    assert fuzz_campaign.wrong_templates([template], [good]) == []
    (line,) = fuzz_campaign.wrong_templates([template], [bad])
    assert line.startswith("plan q.npz: status 2")


def test_the_smallest_input_of_a_kind_is_reported() -> None:
    failure = Failure("traceback", "hw/plan.py:load: KeyError")
    examined = [
        _examined(4, 1, failure, content=b"xxxx"),
        _examined(7, 1, failure, content=b"x"),
        _examined(8, 0),
    ]
    text = fuzz_campaign.to_text(examined)
    assert "traceback: hw/plan.py:load: KeyError (2 inputs)" in text
    assert "again: python -m tests.fuzz.fuzz_campaign --seed 3 --only 7" in text
    assert "--only 4" not in text
    assert "1 kinds of failures in 3 inputs" in text
    assert text.splitlines()[1].split() == ["plan:", "toml", "1", "2", "2"]


@pytest.mark.parametrize(("failure", "status"), [(None, 0), (Failure("hang", "plan"), 1)])
def test_it_ends_with_1_if_a_verdict_fails(
    failure: Failure | None,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    failures = [failure] if failure else []

    def run(seed: int, numbers: Sequence[int], *_: Any) -> Iterator[Examined]:
        return (_examined(number, 0, *failures) for number in numbers)

    monkeypatch.setattr(fuzz_campaign, "campaign", lambda *given: list(run(*given)))
    monkeypatch.setattr(fuzz_campaign, "seed_files", lambda limits: {})
    monkeypatch.setenv("SYSTOLITH_CACHE", "")
    assert fuzz_campaign.run_campaign(["--seed", "3", "--count", "2"]) == status
    assert capsys.readouterr().out.startswith("seed 3: ")


def test_one_input_is_repeated(
    files: Files, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuses(_: Sequence[str]) -> int:
        raise KeyError("layers")

    monkeypatch.setattr(fuzz_campaign, "in_this_process", refuses)
    case = Case(3, 9, "plan: toml", (("plan", "q.npz"),), {"plan.toml": b"x"}, ("plan.toml: x",))
    assert fuzz_campaign.repeat(case, files, Limits()) == 1
    text = capsys.readouterr().out
    assert "failed: traceback: " in text
    (folder,) = (line.removeprefix("input: ") for line in text.splitlines() if "input: " in line)
    assert (Path(folder) / "plan.toml").read_bytes() == b"x"


def _examined(number: int, status: int, *failures: Failure, content: bytes = b"") -> Examined:
    case = Case(3, number, "plan: toml", (("plan", "q.npz"),), {"plan.toml": content})
    outcome = Outcome(("plan", "q.npz"), status, "", "", 0.1, 10**6, False)
    return Examined(case, (outcome,), failures)
