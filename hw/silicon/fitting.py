"""The fastest plan that fits a device, by estimates; `plan --target` calls it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from systolith.golden.fixed.integers import FixedNetwork
from systolith.hw.errors import PlanError
from systolith.hw.folding import Plan
from systolith.hw.planning.budget import Aim, Goal, make_plan
from systolith.hw.planning.sizes import GivenSize
from systolith.hw.silicon.estimation import Estimate, estimate, structures
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

    Raises
    ------
    PlanError
        No plan fits; the message says what there is too little of.
    ValueError
        There are no coefficients for the device.
    """

    def fitting(multipliers: int) -> FittingPlan:
        announce(f"at most {multipliers:,} multipliers")
        goal = Goal(max_multipliers=multipliers, minimize=minimize)
        plan = make_plan(fixed, goal, given, result)
        return FittingPlan(plan, goal, estimate(structures(fixed, plan, result), device))

    most = device.capacity.multipliers
    best, tried = None, fitting(most)
    if not misfit(tried.estimate.occupied, device.capacity):
        return tried
    low, high = 0, most
    for _ in range(_TRIALS - 1):
        middle = (low + high) // 2
        if middle in (low, high):
            break
        try:
            trial = fitting(middle)
        except PlanError:
            low = middle
            continue
        tried = trial
        if misfit(trial.estimate.occupied, device.capacity):
            high = middle
        else:
            best, low = trial, middle
    if best is None:
        lacks = "; ".join(misfit(tried.estimate.occupied, device.capacity))
        raise PlanError(
            f"network {fixed.name!r}: no plan was found that fits {device.part}: with at most "
            f"{tried.goal.max_multipliers} multipliers it would take about {lacks}"
        )
    return best
