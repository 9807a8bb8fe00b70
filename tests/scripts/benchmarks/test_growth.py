# amaranth: UnusedElaboratable=no
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from systolith.golden import QuantizedNetwork
from systolith.hw import load_plan
from systolith.hw.accelerator import Accelerator
from systolith.scripts.benchmarks import growth
from systolith.scripts.benchmarks.growth import Growth, array_case, layers_case


def test_the_exponent_is_that_of_what_is_beyond_the_smallest() -> None:
    sizes = (2, 3, 6, 12)
    for exponent in (0.5, 1.0, 2.0):
        seconds = tuple(7 + 3 * (size - 2) ** exponent for size in sizes)
        assert Growth("work", "things", sizes, seconds).exponent == pytest.approx(exponent)


def test_the_sizes_are_those_of_the_hardware() -> None:
    quantized, plan = array_case(4)
    assert Accelerator(quantized.fixed, plan).multipliers == 4 * 4 + 1
    quantized, plan = layers_case(3)
    accelerator = Accelerator(quantized.fixed, plan)
    assert len(accelerator.units) == 3
    assert accelerator.multipliers == 2 * 9 * 2 + 1


def test_a_page_and_a_file_have_every_size() -> None:
    """By least squares of the logarithms of what is more than that of the smallest."""
    np.polyfit(np.log([1, 2, 4]), np.log([1.004, 2, 8.26]), 1)[0]
    found = Growth("plan", "layers", (1, 2, 3, 5), (1.0, 2.004, 3.0, 9.26))
    assert found.to_mapping() == {
        "work": "plan",
        "unit": "layers",
        "exponent": pytest.approx(
            np.polyfit(np.log([1, 2, 4]), np.log([1.004, 2, 8.26]), 1)[0], abs=1e-3
        ),
        "points": [
            *({"size": 1, "cpu_seconds": 1.0}, {"size": 2, "cpu_seconds": 2.0}),
            *({"size": 3, "cpu_seconds": 3.0}, {"size": 5, "cpu_seconds": 9.26}),
        ],
    }
    lines = found.to_markdown().splitlines()
    assert lines[0] == "## `plan` and layers"
    assert lines[4:8] == ["| 1 | 1.0 |", "| 2 | 2.0 |", "| 3 | 3.0 |", "| 5 | 9.3 |"]
    assert lines[-1] == f"Exponent: **{found.exponent:.2f}**."


def test_work_that_takes_no_longer_grows_by_a_hundredth_of_a_second() -> None:
    assert Growth("plan", "layers", (1, 2, 3), (5.0, 4.0, 5.001)).exponent == pytest.approx(0)


def test_each_size_takes_the_least_of_its_rounds() -> None:
    taken = iter((5.0, 8.0, 9.0, 6.0, 7.0, 11.0))
    case: Any = object()
    found = growth.measure(
        "plan", "layers", [(2, case), (4, case), (9, case)], lambda _: next(taken), 2
    )
    assert found == Growth("plan", "layers", (2, 4, 9), (5.0, 7.0, 9.0))


def test_plans_are_asked_for_the_multipliers_of_the_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """And hardware is generated with its plan."""
    seen: list[tuple[str, ...]] = []

    def seconds(*arguments: str) -> float:
        seen.append(arguments)
        if arguments[0] == "generate":
            quantized = QuantizedNetwork.load(arguments[1])
            assert load_plan(Path(arguments[-1]), quantized.fixed.network) == case[1]
        return 1.5

    case = layers_case(4)
    monkeypatch.setattr(growth, "command_seconds", seconds)
    assert growth.plan_seconds(case) == growth.generate_seconds(case) == 1.5
    # Three convolutions of 9 x 2, and a multiplier for the scores.
    (plan, _, *options), (generate, _, out, _, file, _) = seen
    assert (plan, *options) == ("plan", "--max-multipliers", "55")
    assert (generate, out, file) == ("generate", "--out", "--plan")


def test_both_commands_are_measured_on_arrays_and_on_chains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(growth, "measure", lambda *given: given)
    monkeypatch.setattr(growth, "array_case", lambda side: f"array {side}")
    monkeypatch.setattr(growth, "layers_case", lambda layers: f"chain {layers}")
    arrays = [(5, "array 2"), (10, "array 3")]
    chains = [(4, "chain 4"), (6, "chain 6")]
    found: Any = growth.bench((2, 3), (4, 6), 7)
    assert found == [
        ("generate", "multipliers", arrays, growth.generate_seconds, 7),
        ("generate", "layers", chains, growth.generate_seconds, 7),
        ("plan", "multipliers", arrays, growth.plan_seconds, 7),
        ("plan", "layers", chains, growth.plan_seconds, 7),
    ]


def test_the_command_really_runs() -> None:
    assert growth.generate_seconds(layers_case(2)) > 0.5
    assert growth.plan_seconds(layers_case(2)) > 0.2


@pytest.mark.parametrize(("power", "status"), [(1, 0), (2, 1)])
def test_the_whole(
    power: int,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    taken = iter(
        5.0 + round_number + size**power
        for sizes in ((2, 5, 17), (2, 3, 4)) * 2
        for round_number in (1, 0)
        for size in sizes
    )
    monkeypatch.setattr(growth, "SIDES", (1, 2, 4))
    monkeypatch.setattr(growth, "LAYERS", (2, 3, 4))
    monkeypatch.setattr(growth, "generate_seconds", lambda case: next(taken))
    monkeypatch.setattr(growth, "plan_seconds", lambda case: next(taken))
    paths = [tmp_path / "g.json", tmp_path / "g.md"]
    options = ["--rounds", "2", "--out", str(paths[0]), "--out", str(paths[1])]
    assert growth.main(options) == status
    value = json.loads(paths[0].read_text())
    assert [each["unit"] for each in value["growths"]] == ["multipliers", "layers"] * 2
    assert value["growths"][0]["points"][1] == {"size": 5, "cpu_seconds": 5.0 + 5**power}
    assert paths[1].read_text() == capsys.readouterr().out


@pytest.mark.parametrize("options", [["--out", "g.txt"], ["--rounds", "0"]])
def test_bad_options(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        growth.main(options)
    assert caught.value.code == 2
    assert options[0] in capsys.readouterr().err
