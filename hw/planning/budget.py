"""The planner: the fewest cycles within a budget of multipliers, or the reverse."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf
from types import MappingProxyType
from typing import Literal, get_args

from systolith.golden.fixed.integers import FixedLayer, FixedNetwork
from systolith.golden.network.graph import Pooling
from systolith.hw.errors import PlanError
from systolith.hw.folding import Folding, Plan, input_lanes
from systolith.hw.planning.buffers import with_smallest_buffers
from systolith.hw.planning.search import Limits, Search
from systolith.hw.planning.sizes import GivenSize, unit_options
from systolith.hw.streams.cycles import NEVER, StreamCycles, always_ready, offering, run_until_taken
from systolith.hw.streams.result_layout import ResultKind, default_result, result_layout
from systolith.hw.units.dense import WholeInputUnit
from systolith.hw.units.registry import build_unit, unit_type

Aim = Literal["interval", "latency"]
"""The cycles that a plan minimizes."""

_BEAM_WIDTH = 3
"""The number of partial plans that the search for a small latency keeps."""


@dataclass(frozen=True)
class Goal:
    """The goal of a plan: exactly one limit, and what to minimize within it.

    Parameters
    ----------
    max_multipliers
        The most multipliers; the plan has the shortest initiation interval with them.
    target_cycles
        The longest initiation interval, in cycles; the plan has the fewest multipliers for it.
    minimize
        "interval"; or "latency": within the same multipliers, the fewest cycles from the first
        pixel of an image to its result, whatever the initiation interval.

    Raises
    ------
    PlanError
        No limit, both limits, a limit below 1, or an unknown `minimize`.
    """

    max_multipliers: int | None = None
    target_cycles: int | None = None
    minimize: Aim = "interval"

    def __post_init__(self) -> None:
        limits = {"max_multipliers": self.max_multipliers, "target_cycles": self.target_cycles}
        given = {name: limit for name, limit in limits.items() if limit is not None}
        if len(given) != 1:
            raise PlanError(
                f"a plan has exactly one limit, {' or '.join(limits)}, not {given or 'none'}"
            )
        for name, limit in given.items():
            if type(limit) is not int or limit < 1:
                raise PlanError(f"{name} must be a whole number of at least 1, not {limit!r}")
        if self.minimize not in get_args(Aim):
            allowed = " or ".join(map(repr, get_args(Aim)))
            raise PlanError(f"minimize must be {allowed}, not {self.minimize!r}")


PRESETS: Mapping[str, Goal] = MappingProxyType(
    {
        "small": Goal(max_multipliers=28),
        "medium": Goal(max_multipliers=122),
        "large": Goal(target_cycles=820),
    }
)
"""Goals with names: the multipliers of an ECP5-25F; those of the LeNet-5 accelerator of HoJun Jeong
(FPGA-based Efficient LeNet-5 Accelerator); an image every 820 cycles."""

DEFAULT_PRESET = "medium"
"""The preset that applies where no goal is given."""


def make_plan(
    fixed: FixedNetwork,
    goal: Goal,
    given: Mapping[str, GivenSize] | None = None,
    result: ResultKind | None = None,
) -> Plan:
    """Make the best plan for a goal.

    Of equally good plans, it is one with the fewest multipliers, then with the smallest latency
    that the search finds, with ideal buffers. Its buffers are the smallest that suffice
    (`hw.planning.buffers`).

    Parameters
    ----------
    fixed
        The network.
    goal
        The limit, which counts the layers whose sizes are given as well.
    given
        The sizes that single layers must have, by name; all others are chosen. The input has one
        value in a beat, unless its lanes are given.
    result
        What the accelerator puts out; by default what suits the network (`streams.result_layout`).

    Raises
    ------
    PlanError
        The goal cannot be reached; the message has the smallest value that can. Or sizes are given
        for a layer that the network does not have, or such that do not fit each other.
    UnitError
        A layer or a given size that hardware does not support.
    """
    kind = result or default_result(fixed.network)
    search = _search(fixed, given or {}, kind)
    limits = _limits(search, goal)
    if goal.minimize == "latency":
        budget = goal.max_multipliers or int(_multipliers(search, limits))
        limits = _limits_for_latency(search, limits, budget)
    return with_smallest_buffers(fixed, _fastest(search, limits).plan, kind)


def check_goal(fixed: FixedNetwork, goal: Goal) -> None:
    """Refuse a goal that cannot be reached, before time is spent on a plan for it.

    Errors are those of `make_plan`.
    """
    _limits(_search(fixed, {}, default_result(fixed.network)), goal)


def _search(fixed: FixedNetwork, given: Mapping[str, GivenSize], kind: ResultKind) -> Search:
    _check_given(fixed, given)
    return Search(fixed, given, result_layout(fixed.layers[-1], kind).beats)


def _check_given(fixed: FixedNetwork, given: Mapping[str, GivenSize]) -> None:
    """Refuse layers that there are not, and sizes that a unit cannot have after any input."""
    source = fixed.network.input
    names = [layer.name for layer in fixed.layers]
    for name, size in given.items():
        if name == source.name:
            input_lanes(source, {name: Folding(size.rows or 1, size.columns or 1, size.lanes or 1)})
            continue
        if name not in names:
            raise PlanError(
                f"network {fixed.name!r} has no layer {name!r} to give a size: "
                f"it has {', '.join([source.name, *names])}"
            )
        layer = fixed[name]
        channels = layer.input_shape.channels
        options = unit_options(layer, channels, size)
        lanes = size.lanes or 1
        columns = 1 if isinstance(layer.layer, Pooling) else lanes
        folding = Folding(size.rows or 1, size.columns or columns, lanes)
        if len(options.cycles):
            rows, columns, lanes = (int(sizes[0]) for sizes in options.size[:3])
            folding = Folding(rows, columns, lanes)
        build_unit(layer, folding, channels)


def _multipliers(search: Search, limits: Limits) -> float:
    """The fewest multipliers with which all units keep their limits."""
    return search.min_multipliers(limits)[0][search.input_lanes]


def _limits(search: Search, goal: Goal) -> Limits:
    """The smallest limit, the same for all units, that the goal allows."""
    layers = len(search.fixed.layers)

    def needed(cycles: int) -> float:
        return _multipliers(search, [cycles] * layers)

    name = f"network {search.fixed.name!r}"
    preset = _preset(goal)
    within = f" with the sizes given for {', '.join(search.given)}" if search.given else ""
    if needed(search.cycles[-1]) == inf:
        raise PlanError(f"{name}: no plan exists{within}: their lanes do not fit each other")
    if goal.target_cycles is not None:
        if needed(goal.target_cycles) == inf or goal.target_cycles < search.cycles[0]:
            shortest = next(cycles for cycles in search.cycles if needed(cycles) < inf)
            hint = _lanes_hint(search, shortest)
            if preset is not None:
                raise PlanError(
                    f"{name}: preset {preset!r}, an image every {goal.target_cycles} cycles, "
                    f"cannot be reached: the shortest possible{within} is {shortest}; give "
                    f"--target-cycles {shortest}, or another preset{hint}"
                )
            raise PlanError(
                f"{name}: target_cycles must be at least {shortest}, the shortest possible"
                f"{within}, not {goal.target_cycles}{hint}"
            )
        return [goal.target_cycles] * layers
    budget = goal.max_multipliers
    assert budget is not None
    fits = bisect_left(search.cycles, True, key=lambda cycles: needed(cycles) <= budget)
    if fits == len(search.cycles):
        fewest = f"{needed(search.cycles[-1]):.0f}"
        if preset is not None:
            raise PlanError(
                f"{name}: preset {preset!r}, at most {budget} multipliers, is not enough: the "
                f"fewest for its units{within} are {fewest}; give --max-multipliers {fewest} to "
                "plan or generate"
            )
        raise PlanError(
            f"{name}: max_multipliers must be at least {fewest}, "
            f"the fewest for its units{within}, not {budget}"
        )
    return [search.cycles[fits]] * layers


def _lanes_hint(search: Search, shortest: int) -> str:
    """How to get below the shortest interval, where it is that of the input alone."""
    source = search.fixed.network.input
    if shortest > search.input_beats or search.input_lanes == source.channels:
        return ""
    return (
        f"; it is the beats of an image, fewer with more channels in each: --fix "
        f"{source.name}=1x1x{source.channels}"
    )


def _preset(goal: Goal) -> str | None:
    """The name of the preset that a goal is, whatever it minimizes; None for a goal of its own."""
    for name, each in PRESETS.items():
        if replace(goal, minimize=each.minimize) == each:
            return name
    return None


@dataclass(frozen=True, eq=False)
class _Prefix:
    """The plan of a network's first layers, and the cycles in which the first image leaves them."""

    plan: dict[str, Folding]
    multipliers: int
    lanes: int
    output_cycles: array[int]
    extensions: dict[Folding, _Prefix] = field(default_factory=dict)

    @property
    def rank(self) -> tuple[int, int, int]:
        """Lower is better: the cycles of the last output beat and of the mean one; lanes."""
        mean = sum(self.output_cycles) // len(self.output_cycles)
        return self.output_cycles[-1], mean, sum(folding.lanes for folding in self.plan.values())

    def extended(self, layer: FixedLayer, folding: Folding, multipliers: int) -> _Prefix:
        """Append a layer to the plan; simulates its unit for the first image, once."""
        if folding in self.extensions:
            return self.extensions[folding]
        i, o = StreamCycles(), StreamCycles()
        offering(i, self.output_cycles, NEVER)
        always_ready(o)
        build_unit(layer, folding, self.lanes).cycles(i, o)
        beats = layer.output_shape.size // folding.lanes
        run_until_taken(o, beats)
        found = _Prefix(
            {**self.plan, layer.name: folding},
            self.multipliers + multipliers,
            folding.lanes,
            o.taken[:beats],
        )
        self.extensions[folding] = found
        return found


def _fastest(search: Search, limits: Limits) -> _Prefix:
    """Of the plans with the fewest multipliers for some limits, one with a small latency.

    It is the better of two beam searches: with fewer choices, other partial plans stay in the beam.
    """
    start = _start(search)
    found = [_beam_search(search, start, limits, _BEAM_WIDTH, fewest) for fewest in (False, True)]
    return min(found, key=lambda prefix: prefix.rank)


def _start(search: Search) -> _Prefix:
    """The plan of no layer: it only takes the pixels."""
    name, lanes = search.fixed.network.input.name, search.input_lanes
    plan = {name: Folding(lanes=lanes)} if name in search.given else {}
    return _Prefix(plan, 0, lanes, array("q", range(1, search.input_beats + 1)))


def _beam_search(
    search: Search, start: _Prefix, limits: Limits, beam_width: int, fewest_lanes: bool = False
) -> _Prefix:
    """A plan for `_fastest`, layer by layer; it keeps the `beam_width` best partial plans."""
    fewest = search.min_multipliers(limits)
    budget = fewest[0][search.input_lanes]
    prefixes = [start]
    for position, layer in enumerate(search.fixed.layers):
        whole_input = issubclass(unit_type(layer), WholeInputUnit)
        best: dict[int, _Prefix] = {}
        for prefix in prefixes:
            remaining = int(budget) - prefix.multipliers
            for folding, multipliers in search.foldings(
                position,
                prefix.lanes,
                limits[position],
                fewest[position + 1],
                remaining,
                fewest_lanes,
            ):
                orders = [folding, replace(folding, order="outputs")] if whole_input else [folding]
                for ordered in orders:
                    found = prefix.extended(layer, ordered, multipliers)
                    if found.lanes not in best or found.rank < best[found.lanes].rank:
                        best[found.lanes] = found
        prefixes = sorted(best.values(), key=lambda prefix: prefix.rank)[:beam_width]
    return prefixes[0]


def _limits_for_latency(search: Search, limits: Limits, budget: int) -> Limits:
    """Limits within a budget of multipliers that give a smaller latency.

    It is a local search: one layer at a time gets half or twice its share of the cycles, and the
    limits are scaled to the budget again.
    """
    shares = [1.0] * len(limits)
    start = _start(search)
    best = _beam_search(search, start, limits, beam_width=1).output_cycles[-1]
    improved = True
    while improved:
        improved = False
        for position in range(len(shares)):
            for factor in (0.5, 2.0):
                tried = [*shares]
                tried[position] *= factor
                fitting = _fit(search, tried, budget)
                latency = _beam_search(search, start, fitting, beam_width=1).output_cycles[-1]
                if latency < best:
                    best, shares, limits, improved = latency, tried, fitting, True
    return limits


def _fit(search: Search, shares: list[float], budget: int) -> Limits:
    """The smallest limits in proportion to `shares` that a budget allows."""

    def limits(scale: int) -> Limits:
        return [int(scale * share) for share in shares]

    most = int(search.cycles[-1] / min(shares)) + 1
    scale = bisect_left(
        range(most), True, key=lambda scale: _multipliers(search, limits(scale)) <= budget
    )
    return limits(scale)
