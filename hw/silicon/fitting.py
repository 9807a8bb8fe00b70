"""The fastest plan that fits a device, by estimates; `plan --target` calls it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from systolith.golden.files.json_files import MAX_COUNT
from systolith.golden.fixed.integers import FixedNetwork
from systolith.hw.errors import MisfitError, PlanError
from systolith.hw.folding import Plan
from systolith.hw.planning.budget import Aim, Goal, make_plan
from systolith.hw.planning.sizes import GivenSize
from systolith.hw.silicon.estimation import Estimate, estimate, require_estimates, structures
from systolith.hw.silicon.targets import Device, misfit
from systolith.hw.streams.result_layout import ResultKind

_TRIALS = 8
"""The most plans that are estimated: each takes seconds."""


@dataclass(frozen=True)
class FittingPlan:
    """A plan that fits a device by its estimate, and the goal that it was made for."""

    plan: Plan
    goal: Goal
    estimate: Estimate


def fastest_fitting_plan(
    fixed: FixedNetwork,
    device: Device,
    minimize: Aim = "interval",
    given: Mapping[str, GivenSize] | None = None,
    announce: Callable[[str], None] = lambda step: None,
    result: ResultKind | None = None,
    most: int | None = None,
) -> FittingPlan:
    """The plan with the most multipliers, up to those of the device, that fits it.

    If all multipliers of the device do not fit with their logic, a search by halves finds how many
    do.

    Parameters
    ----------
    fixed, device
        The network and the device.
    minimize, given
        As for `planning.budget.Goal` and `make_plan`.
    announce
        Called with what is tried.
    result
        What the accelerator puts out; as for `make_plan`.
    most
        The most multipliers, if there may be fewer than those of the device.

    Raises
    ------
    MisfitError
        No plan fits; the message says what there is too little of.
    ValueError
        There are no coefficients for the device.
    """
    require_estimates(device)
    whole = f"{fixed.name} does not fit {device.part}"

    def fitting(multipliers: int) -> FittingPlan:
        announce(f"at most {multipliers:,} multipliers")
        goal = Goal(max_multipliers=multipliers, minimize=minimize)
        plan = make_plan(fixed, goal, given, result)
        return FittingPlan(plan, goal, estimate(structures(fixed, plan, result), device))

    high = device.most_multipliers if most is None else most
    try:
        tried = fitting(high)
    except PlanError as error:
        # Without that limit, the plan fails for another reason.
        make_plan(fixed, Goal(max_multipliers=MAX_COUNT), given, result)
        raise MisfitError(f"{whole}: {error}") from None
    if not misfit(tried.estimate.occupied, device.capacity):
        return tried
    low, best = 0, None
    for _ in range(_TRIALS - 1):
        middle = (low + high) // 2
        if middle in (low, high):
            break
        try:
            trial = fitting(middle)
        except PlanError:
            low = middle
            continue
        if misfit(trial.estimate.occupied, device.capacity):
            high, tried = middle, trial
        else:
            low, best = middle, trial
    if best is None:
        lacks = "; ".join(misfit(tried.estimate.occupied, device.capacity))
        raise MisfitError(
            f"{whole} with any --max-multipliers, by the estimates: with "
            f"{tried.goal.max_multipliers} it would take about {lacks}"
        )
    return best


def fitting_budget(
    fixed: FixedNetwork,
    device: Device,
    multipliers: int,
    announce: Callable[[str], None] = lambda step: None,
    result: ResultKind | None = None,
) -> str:
    """Which budget would fit a device where a plan does not, in words for an error.

    Parameters
    ----------
    fixed, device
        The network and the device.
    multipliers
        Those of the plan that does not fit: a budget that fits has fewer.
    announce, result
        As for `fastest_fitting_plan`.
    """
    try:
        most = min(multipliers - 1, device.most_multipliers)
        found = fastest_fitting_plan(
            fixed, device, announce=announce, result=result, most=max(most, 1)
        )
    except MisfitError:
        return "no smaller --max-multipliers fits, by the estimates"
    except ValueError as error:
        return f"which --max-multipliers fits is not known: {error}"
    return f"--max-multipliers {found.goal.max_multipliers} fits, by the estimate"
