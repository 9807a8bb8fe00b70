# amaranth: UnusedElaboratable=no
"""The fastest plan that fits a device, by estimates; `plan --target` calls it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from systolith.golden.files.json_files import MAX_COUNT
from systolith.golden.fixed.integers import FixedNetwork
from systolith.hw.accelerator import Accelerator
from systolith.hw.errors import MisfitError, PlanError
from systolith.hw.folding import Plan
from systolith.hw.planning.budget import Aim, Goal, make_plan
from systolith.hw.planning.sizes import GivenSize
from systolith.hw.silicon.estimation import Estimate, estimate, require_estimates, structures
from systolith.hw.silicon.targets import Device, misfit
from systolith.hw.streams.result_layout import ResultKind

_BITS_ONE_BY_ONE = 300_000
"""After so many bits of registers and operators in the plans that were tried, the search goes on by
halves: 6,500 take about a second of processor time. `lenet5` has 10,000 to 20,000 in a plan."""

_HALVINGS = 7
"""The most plans that the search by halves tries."""


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
    """The fastest plan with at most the multipliers of a device that fits it, by its estimate.

    A smaller plan may need more memories, so plans are tried one by one from the fastest down. Each
    has fewer multipliers than the one before, and none is left out: a plan is the fastest for every
    budget down to its own multipliers. In a large network that would take minutes; after
    `_BITS_ONE_BY_ONE` the search goes on by halves. Among the plans that are left, it takes for
    granted that a smaller one fits where a larger one does, and may miss the fastest.

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

    # No plan fits with more than `high` multipliers; plans with `low` fit or do not exist.
    low, high = 0, device.most_multipliers if most is None else most
    best = too_large = None
    bits = halvings = 0
    while low < high and halvings < _HALVINGS:
        budget = high
        if bits >= _BITS_ONE_BY_ONE:
            budget = (low + high + 1) // 2
            halvings += 1
        announce(f"at most {budget:,} multipliers")
        goal = Goal(max_multipliers=budget, minimize=minimize)
        try:
            plan = make_plan(fixed, goal, given, result)
        except PlanError as error:
            if too_large is None:
                # Without that limit, the plan fails for another reason.
                make_plan(fixed, Goal(max_multipliers=MAX_COUNT), given, result)
                raise MisfitError(f"{whole}: {error}") from None
            low = budget
            continue
        parts = structures(fixed, plan, result)
        bits += sum(sum(part.bits.values()) for part in parts.values())
        tried = FittingPlan(plan, goal, estimate(parts, device))
        if misfit(tried.estimate.occupied, device):
            too_large, high = tried, _multipliers(fixed, plan, result) - 1
        else:
            best, low = tried, budget
    if best is not None:
        return best
    assert too_large is not None
    lacks = "; ".join(misfit(too_large.estimate.occupied, device))
    raise MisfitError(
        f"{whole} with any --max-multipliers, by the estimates: with "
        f"{too_large.goal.max_multipliers} it would take about {lacks}"
    )


def fitting_budget(
    fixed: FixedNetwork,
    device: Device,
    multipliers: int,
    announce: Callable[[str], None] = lambda step: None,
    result: ResultKind | None = None,
) -> str:
    """Which budget would fit a device where a plan does not, in words for an error.

    It is the largest one that `fastest_fitting_plan` finds.

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


def _multipliers(fixed: FixedNetwork, plan: Plan, result: ResultKind | None) -> int:
    return Accelerator(fixed, plan, result=result).multipliers
