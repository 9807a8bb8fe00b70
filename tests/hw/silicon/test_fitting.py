# amaranth: UnusedElaboratable=no
"""The fastest plan that fits a device, against all plans of a small network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from systolith.hw.accelerator import Accelerator
from systolith.hw.errors import MisfitError, PlanError
from systolith.hw.folding import Plan
from systolith.hw.planning.budget import Goal, make_plan
from systolith.hw.planning.prediction import predict
from systolith.hw.planning.sizes import GivenSize
from systolith.hw.silicon import fitting
from systolith.hw.silicon.estimation import Estimate, Structure
from systolith.hw.silicon.fitting import fastest_fitting_plan, fitting_budget
from systolith.hw.silicon.targets import DEVICES, Capacity
from tests.scripts import tiny

ECP5 = DEVICES["ecp5-25k"]


def fake_estimates(monkeypatch: pytest.MonkeyPatch, luts: Callable[[int], int]) -> None:
    """Let a plan take LUTs by its multipliers alone, and have as many bits."""

    def by_multipliers(parts: Mapping[str, Structure], device: object) -> Estimate:
        multipliers = parts["all"].bits["register"]
        return Estimate(0, Capacity(luts(multipliers), 0, multipliers, 0, 0))

    def one_structure(fixed: object, plan: Plan, result: object) -> dict[str, Structure]:
        multipliers = sum(folding.rows * folding.columns for folding in plan.values())
        return {"all": Structure({"register": multipliers}, (), ())}

    monkeypatch.setattr(fitting, "structures", one_structure)
    monkeypatch.setattr(fitting, "estimate", by_multipliers)


def test_all_multipliers_of_the_device_are_used_where_they_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake_estimates(monkeypatch, lambda multipliers: multipliers)
    network = tiny.quantized().fixed
    found = fastest_fitting_plan(network, ECP5)
    assert found.goal == Goal(max_multipliers=28)
    assert found.plan == make_plan(network, found.goal)


def test_fewer_are_used_where_their_logic_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_estimates(monkeypatch, lambda multipliers: 24_288 // 10 * multipliers)
    network = tiny.quantized().fixed
    found = fastest_fitting_plan(network, ECP5)
    best = make_plan(network, Goal(max_multipliers=10))
    assert found.plan == best
    fake_estimates(monkeypatch, lambda multipliers: 24_289 * multipliers)
    with pytest.raises(MisfitError, match=r"tiny does not fit LFE5U-25F.*with 2 .*LUTs of 24,288"):
        fastest_fitting_plan(network, ECP5)


@pytest.fixture(scope="module")
def plans_by_budget() -> dict[int, tuple[int, int, Plan]]:
    """The interval, the multipliers and the plan for every budget of a small network."""
    network = tiny.quantized().fixed
    found = {}
    for budget in range(2, 29):
        plan = make_plan(network, Goal(max_multipliers=budget))
        accelerator = Accelerator(network, plan)
        found[budget] = predict(accelerator).interval_cycles, accelerator.multipliers, plan
    return found


@pytest.mark.parametrize("too_large", [{9}, {9, 5}, {9, 6, 3}, {6, 5, 3}, {9, 6, 5, 3}])
def test_the_fastest_plan_is_found_where_a_smaller_one_does_not_fit(
    monkeypatch: pytest.MonkeyPatch,
    plans_by_budget: dict[int, tuple[int, int, Plan]],
    too_large: set[int],
) -> None:
    fake_estimates(monkeypatch, lambda multipliers: 24_289 * (multipliers in too_large))
    _, budget, best = min(
        (interval, -budget, plan)
        for budget, (interval, multipliers, plan) in plans_by_budget.items()
        if multipliers not in too_large
    )
    network = tiny.quantized().fixed
    assert fastest_fitting_plan(network, ECP5).plan == best
    if 9 in too_large:
        advice = f"--max-multipliers {-budget} fits, by the estimate"
        assert fitting_budget(network, ECP5, 9) == advice


def test_a_long_search_goes_on_by_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny.quantized().fixed
    monkeypatch.setattr(fitting, "_BITS_ONE_BY_ONE", 9)
    tried: list[str] = []
    # Budgets from 9 up have the same plan. Of 1 to 8, it tries 4, 6, 7 and 8.
    fake_estimates(monkeypatch, lambda multipliers: 24_289 * (multipliers == 9))
    assert fastest_fitting_plan(network, ECP5, announce=tried.append).goal.max_multipliers == 8
    assert [int(each.split()[2]) for each in tried] == [28, 4, 6, 7, 8]
    # That with 3 does not fit either: the search misses those with 5 and 6, which do.
    fake_estimates(monkeypatch, lambda multipliers: 24_289 * (multipliers in (3, 9)))
    assert fastest_fitting_plan(network, ECP5).goal.max_multipliers == 2


def test_the_budget_that_fits_is_smaller_than_that_of_a_plan_that_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = tiny.quantized().fixed
    fake_estimates(monkeypatch, lambda multipliers: 24_288 // 5 * multipliers)
    assert fitting_budget(network, ECP5, 28) == "--max-multipliers 5 fits, by the estimate"
    # A synthesis can be larger than its estimate.
    assert fitting_budget(network, ECP5, 4) == "--max-multipliers 3 fits, by the estimate"
    assert fitting_budget(network, ECP5, 1).startswith("no smaller --max-multipliers fits")
    unknown = fitting_budget(network, DEVICES["ice40-up5k"], 28)
    assert unknown.startswith("which --max-multipliers fits is not known: target ice40-up5k: there")


def test_a_smaller_budget_is_sought_for_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[object, object]] = []

    def fastest(*_: object, result: object, most: object, **__: object) -> None:
        seen.append((result, most))
        raise MisfitError("too large")

    monkeypatch.setattr(fitting, "fastest_fitting_plan", fastest)
    network = tiny.quantized().fixed
    found = fitting_budget(network, ECP5, 6, result="scores")
    assert found.startswith("no smaller --max-multipliers fits")
    assert seen == [("scores", 5)]


def test_a_device_with_too_few_multipliers_for_any_plan() -> None:
    network = tiny.quantized().fixed
    small = replace(ECP5, capacity=replace(ECP5.capacity, multipliers=1))
    with pytest.raises(MisfitError, match=r"does not fit LFE5U-25F.*must be at least 2"):
        fastest_fitting_plan(network, small)
    with pytest.raises(PlanError, match="no layer 'C9'"):
        fastest_fitting_plan(network, small, given={"C9": GivenSize(1, 1)})


def test_the_plan_has_the_goal_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_estimates(monkeypatch, lambda multipliers: multipliers)
    found = fastest_fitting_plan(tiny.quantized().fixed, ECP5, "latency")
    assert found.goal == Goal(max_multipliers=28, minimize="latency")


def test_sizes_aim_and_result_are_those_that_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In each plan that is tried, in its estimate and in its multipliers."""
    network = tiny.quantized().fixed
    given = {"conv": GivenSize(rows=2, columns=1)}
    fake_estimates(monkeypatch, lambda multipliers: 24_289 * (multipliers > 3))
    seen: list[object] = []

    def structures(fixed: object, plan: Plan, result: object) -> dict[str, Structure]:
        seen.append(result)
        multipliers = sum(folding.rows * folding.columns for folding in plan.values())
        return {"all": Structure({"register": multipliers}, (), ())}

    monkeypatch.setattr(fitting, "structures", structures)
    tried: list[str] = []
    found = fastest_fitting_plan(network, ECP5, "latency", given, tried.append, "scores", most=20)
    assert (found.plan["conv"].rows, found.plan["conv"].columns) == (2, 1)
    assert found.goal == Goal(max_multipliers=3, minimize="latency")
    assert found.plan == make_plan(network, found.goal, given, "scores")
    assert tried[0] == "at most 20 multipliers" and tried[-1] == "at most 3 multipliers"
    assert seen == ["scores"] * len(tried)
    fake_estimates(monkeypatch, lambda multipliers: 24_289)
    with pytest.raises(MisfitError) as refused:
        fastest_fitting_plan(network, ECP5, given=given, most=20)
    assert str(refused.value) == (
        "tiny does not fit LFE5U-25F-CABGA381 with any --max-multipliers, by the estimates: with "
        "20 it would take about 24,289 LUTs of 24,288 (1 too many)"
    )
