# amaranth: UnusedElaboratable=no
from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from systolith.golden.errors import FileFormatError
from systolith.golden.network import shipped
from systolith.golden.network.graph import Dense, Input, Network
from systolith.hw.errors import PlanError
from systolith.hw.folding import Folding
from systolith.hw.planning.budget import Goal, make_plan
from systolith.hw.planning.estimate import report_plan
from systolith.hw.planning.plan_file import (
    load_plan,
    plan_from_file,
    plan_to_toml,
    smallest_plan,
)
from systolith.hw.planning.sizes import GivenSize
from tests.hw.small_networks import EVERY_KIND, EVERY_KIND_PLAN, quantized

LENET5 = shipped.network("lenet5")


def load(tmp_path: Path, text: str) -> object:
    path = tmp_path / "plan.toml"
    path.write_text(text, "utf-8")
    return load_plan(path, LENET5)


def test_missing_keys_have_the_defaults(tmp_path: Path) -> None:
    plan = load(
        tmp_path,
        "[layers.C1]\nrows = 5\ncolumns = 2\n[layers.F6]\nlanes = 2\ndepth = 9\n"
        '[layers.C5]\norder = "outputs"\n[layers.output]\norder = "inputs"\n'
        "[layers.C3]\nlines = 7\n",
    )
    assert plan == {
        **smallest_plan(LENET5),
        "C1": Folding(rows=5, columns=2),
        "C3": Folding(lines=7),
        "C5": Folding(order="outputs"),
        "F6": Folding(lanes=2, depth=9),
    }
    assert load(tmp_path, "") == smallest_plan(LENET5)


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(plan_to_toml(EVERY_KIND_PLAN), "utf-8")
    assert load_plan(path, EVERY_KIND) == EVERY_KIND_PLAN


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[layers.C9]\nrows = 2", "layers.C9: network 'lenet5' has no such layer: it has C1, S2,"),
        (
            "[layers.input]\nrows = 2",
            "input 'input': has no unit, so that rows must be 1 or left out",
        ),
        ("[layers.input]\nlines = 9", "input 'input': .* lines must be None or left out, not 9"),
        ("[layers.input]\nlanes = 2", "input 'input': its lanes must divide its 1 channel, not 2"),
        ("[layers.C1]\nrow = 2", "layers.C1.row is unknown: allowed are rows, columns, lanes"),
        ("[layers.C1]\nrows = 0", "layers.C1.rows must be a whole number from 1 to 4096, not 0"),
        ("[layers.C1]\nrows = 5000", "layers.C1.rows must be a whole number from 1 to 4096"),
        ("[layers.C1]\nlanes = true", "layers.C1.lanes must be a whole number .* not True"),
        ("[layers.C1]\nlanes = 1.5", "layers.C1.lanes must be a whole number .* not 1.5"),
        (
            "[layers.F6]\norder = 'both'",
            "layers.F6.order must be 'inputs' or 'outputs', not 'both'",
        ),
        ("[layers.C3]\nlines = 0", "layers.C3.lines must be a whole number from 1 to 4096, not 0"),
        ("[layers.C3]\nlines = true", "layers.C3.lines must be a whole number .* not True"),
        ("[layers.F6]\norder = 1", "layers.F6.order must be 'inputs' or 'outputs', not 1"),
        ("[layers.F6]\norder = ['inputs']", "layers.F6.order must be .* not .'inputs'."),
        ("layers.C1 = 3", "layers.C1 must be a table, not 3"),
        ("layers = 3", "layers must be a table, not 3"),
        ("[layer.C1]\nrows = 2", "layer is unknown: a plan has quantized_sha256, goal and layers"),
        ("quantized_sha256 = 'ab'", "quantized_sha256 must be 64 hex digits in lower case, not 'a"),
        ("quantized_sha256 = 3", "quantized_sha256 must be 64 hex digits in lower case, not 3"),
        ("goal = 3", "goal must be a table, not 3"),
        ("[goal]\npreset = 'small'", "goal.preset is unknown: allowed are max_multipliers, target"),
        ("[goal]", "goal: a plan has exactly one limit, max_multipliers or target_cycles"),
        ("[goal]\nmax_multipliers = 'all'", "goal: max_multipliers must be a whole number"),
        ("[goal]\ntarget_cycles = 9\nminimize = []", "goal: minimize must be 'interval' or"),
        ("[goal]\ntarget_cycles = 9", "has a goal and leaves sizes open, so that it is no plan"),
    ],
)
def test_a_wrong_key_is_refused_by_its_path(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PlanError, match=f"plan.toml: {message}"):
        load(tmp_path, text)


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    for content in (b"\xff\xfe", b"[layers.C1\n"):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"plan\.toml: not TOML: "):
            load_plan(path, LENET5)
    with pytest.raises(FileFormatError, match=r"missing\.toml"):
        load_plan(tmp_path / "missing.toml", LENET5)


GOAL = Goal(max_multipliers=30, minimize="latency")
SMALL = quantized(EVERY_KIND)


def test_the_file_of_a_plan_says_what_it_was_made_for(tmp_path: Path) -> None:
    plan = make_plan(SMALL.fixed, GOAL)
    report = report_plan(SMALL, plan)
    path = tmp_path / "plan.toml"
    path.write_text(plan_to_toml(plan, report, GOAL), "utf-8")
    text = path.read_text("utf-8")
    cycles, layer = report.predicted.interval_cycles, report.layers[0]
    for words in (
        f"# The plan of every-kind: {report.multipliers} multipliers, {cycles} cycles from one",
        f"[layers.C1]  # multipliers: {layer.multipliers}, cycles: {layer.cycles}\n",
        *(f"\n# {key}: " for key in ("rows", "columns", "lanes", "depth", "order", "lines")),
    ):
        assert words in text
    assert plan_from_file(path, SMALL) == (plan, GOAL)
    assert load_plan(path, EVERY_KIND, SMALL.sha256) == plan


def test_a_plan_of_another_quantized_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    text = plan_to_toml(EVERY_KIND_PLAN, report_plan(SMALL, EVERY_KIND_PLAN))
    path.write_text(text, "utf-8")
    other = quantized(EVERY_KIND, seed=1)
    message = (
        f"was made for the quantized network {SMALL.sha256[:8]}, not for every-kind "
        f"{other.sha256[:8]}: to use it all the same, remove the line quantized_sha256"
    )
    with pytest.raises(PlanError, match=message):
        plan_from_file(path, other)
    without = "\n".join(line for line in text.split("\n") if "quantized_sha256" not in line)
    path.write_text(without, "utf-8")
    assert plan_from_file(path, other) == (EVERY_KIND_PLAN, None)


def test_sizes_that_a_goal_leaves_open_are_chosen(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(
        "goal.max_multipliers = 30\ngoal.minimize = 'latency'\n"
        "[layers.C1]\nrows = 4\n[layers.F6]\nrows = 2\ncolumns = 5\nlanes = 5\n",
        "utf-8",
    )
    given = {"C1": GivenSize(rows=4), "F6": GivenSize(2, 5, 5)}
    assert plan_from_file(path, SMALL) == (make_plan(SMALL.fixed, GOAL, given), GOAL)


def test_one_complete_layer_does_not_make_a_plan_complete(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    sizes = 'rows = 4\ncolumns = 1\nlanes = 1\ndepth = 2\norder = "inputs"\n'
    path.write_text(f"goal.max_multipliers = 30\n[layers.C1]\n{sizes}", "utf-8")
    with pytest.raises(PlanError, match="has a goal and leaves sizes open, so that it is no plan"):
        load_plan(path, EVERY_KIND)
    with pytest.raises(PlanError, match=r"layers\.C1\.depth must be left out where a goal leaves"):
        plan_from_file(path, SMALL)


def written(path: Path, keys: Collection[str], goal: str = "max_multipliers = 60") -> Path:
    """A file with a goal and these keys of every layer, and three lines for the first one."""
    text = f"[goal]\n{goal}\n"
    for name, folding in EVERY_KIND_PLAN.items():
        values = {key: value for key, value in asdict(folding).items() if key in keys}
        if name == "C1" and "lines" in keys:
            values["lines"] = 3
        pairs = [
            f"{key} = {json.dumps(each)}\n" for key, each in values.items() if each is not None
        ]
        text += "".join([f"[layers.{name}]\n", *pairs])
    path.write_text(text, "utf-8")
    return path


def test_with_all_sizes_the_planner_still_chooses_order_and_buffers(tmp_path: Path) -> None:
    path = written(tmp_path / "plan.toml", ("rows", "columns", "lanes"))
    given = {
        name: GivenSize(folding.rows, folding.columns, folding.lanes)
        for name, folding in EVERY_KIND_PLAN.items()
    }
    plan, goal = plan_from_file(path, SMALL)
    assert (plan, goal) == (make_plan(SMALL.fixed, Goal(60), given), Goal(60))
    # The smallest buffers are not those of a plan whose depths are left out.
    assert {folding.depth for folding in plan.values()} == {1}
    with pytest.raises(PlanError, match="has a goal and leaves sizes open, so that it is no plan"):
        load_plan(path, EVERY_KIND)


@pytest.mark.parametrize("missing", ["rows", "columns", "lanes", "depth", "order"])
def test_a_plan_for_a_goal_has_every_key_of_every_layer(tmp_path: Path, missing: str) -> None:
    """But `lines`, which a layer without windows does not have."""
    every = "rows", "columns", "lanes", "depth", "order", "lines"
    path = written(tmp_path / "plan.toml", every)
    stored = replace(EVERY_KIND_PLAN["C1"], lines=3)
    assert plan_from_file(path, SMALL) == ({**EVERY_KIND_PLAN, "C1": stored}, Goal(60))
    path = written(path, every[:-1], "target_cycles = 99\nminimize = 'latency'")
    goal = Goal(target_cycles=99, minimize="latency")
    assert plan_from_file(path, SMALL) == (EVERY_KIND_PLAN, goal)
    written(path, [key for key in every if key != missing])
    with pytest.raises(PlanError, match="has a goal and leaves sizes open, so that it is no plan"):
        load_plan(path, EVERY_KIND)
    with pytest.raises(PlanError, match=r"layers\.C1\.(depth|order) must be left out where a goal"):
        plan_from_file(path, SMALL)


def test_a_complete_plan_for_a_goal_may_be_for_another_quantized_network(tmp_path: Path) -> None:
    report = report_plan(SMALL, EVERY_KIND_PLAN)
    path = tmp_path / "plan.toml"
    path.write_text(plan_to_toml(EVERY_KIND_PLAN, report, GOAL), "utf-8")
    assert plan_from_file(path, SMALL) == (EVERY_KIND_PLAN, GOAL)
    with pytest.raises(PlanError, match="was made for the quantized network"):
        plan_from_file(path, quantized(EVERY_KIND, seed=1))
    # As similar as hashes can be.
    nearly = SMALL.sha256[:-1] + ("0" if SMALL.sha256[-1] != "0" else "1")
    with pytest.raises(PlanError, match=f"made for the quantized network {nearly[:8]}, not for"):
        load_plan(path, EVERY_KIND, nearly)
    path.write_text(f"quantized_sha256 = '{SMALL.sha256.upper()}'", "utf-8")
    with pytest.raises(PlanError, match="must be 64 hex digits in lower case"):
        load_plan(path, EVERY_KIND)


def test_the_text_of_a_plan_file() -> None:
    plan = {"C1": Folding(3, 2, 1, depth=5, order="outputs", lines=7), "F": Folding(lanes=4)}
    planned: Any = SimpleNamespace(
        network="net",
        multipliers=1200,
        predicted=SimpleNamespace(interval_cycles=3456, latency_cycles=99),
        quantized_sha256="ab",
        layers=(
            SimpleNamespace(name="C1", multipliers=6, cycles=340, latency_cycles=1),
            SimpleNamespace(name="F", multipliers=8, cycles=90, latency_cycles=2),
        ),
    )
    goal = '[goal]\nmax_multipliers = 7\nminimize = "latency"\n'
    c1 = 'rows = 3\ncolumns = 2\nlanes = 1\ndepth = 5\norder = "outputs"\nlines = 7\n'
    f = 'rows = 1\ncolumns = 1\nlanes = 4\ndepth = 4\norder = "inputs"\n'
    text = plan_to_toml(plan, planned, Goal(7, minimize="latency"))
    assert text.startswith(
        "# The plan of net: 1200 multipliers, 3456 cycles from one result to the next\n#\n# rows: "
    )
    assert text.endswith(
        '\nquantized_sha256 = "ab"\n\n'
        "# What the plan was made for. If a layer below is removed, it is chosen anew; order,\n"
        f"# depth and lines of the others must then be removed as well.\n{goal}\n"
        f"[layers.C1]  # multipliers: 6, cycles: 340\n{c1}\n"
        f"[layers.F]  # multipliers: 8, cycles: 90\n{f}"
    )
    assert plan_to_toml(plan) == f"[layers.C1]\n{c1}\n[layers.F]\n{f}"
    assert goal in plan_to_toml(plan, goal=Goal(7, minimize="latency"))


def test_the_input_of_a_file_has_lanes_alone(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text("[layers.input]\nlanes = 2\n[layers.C1]\nrows = 4096\n", "utf-8")
    plan = load_plan(path, EVERY_KIND)
    assert plan == {"input": Folding(lanes=2), **smallest_plan(EVERY_KIND), "C1": Folding(4096)}
    assert next(iter(plan)) == "input"
    path.write_text("[layers.C1]\nrows = 4097\n", "utf-8")
    with pytest.raises(PlanError, match="from 1 to 4096, not 4097"):
        load_plan(path, EVERY_KIND)


def test_the_result_that_comes_out_is_planned_for(tmp_path: Path) -> None:
    """200 scores, one a cycle, are slower than anything else."""
    network = quantized(
        Network(
            "scores",
            (
                Input(name="input", height=1, width=2),
                Dense(name="A", inputs=("input",), units=200),
            ),
        )
    )
    path = tmp_path / "plan.toml"
    path.write_text("goal.target_cycles = 100\n", "utf-8")
    assert plan_from_file(path, network)[1] == Goal(target_cycles=100)
    with pytest.raises(PlanError, match="target_cycles must be at least 200"):
        plan_from_file(path, network, "scores")


def test_what_follows_from_the_sizes_must_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text("goal.max_multipliers = 30\n[layers.C1]\nrows = 4\ndepth = 2\n", "utf-8")
    with pytest.raises(PlanError, match=r"plan\.toml: layers\.C1\.depth must be left out where"):
        plan_from_file(path, SMALL)
