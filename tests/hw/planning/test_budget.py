# amaranth: UnusedElaboratable=no
"""Plans of shipped networks reach known figures; no other plan of a small network is better."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from systolith.golden import load_network, quantize, validation_digits
from systolith.golden.fixed.integers import FixedNetwork
from systolith.golden.network import shipped
from systolith.golden.network.graph import (
    Activation,
    Convolution,
    Dense,
    Input,
    Layer,
    MaxPooling,
    Network,
    Subsampling,
)
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.hw.accelerator import Accelerator
from systolith.hw.errors import PlanError, UnitError
from systolith.hw.folding import Folding, Order, Plan
from systolith.hw.planning.budget import DEFAULT_PRESET, PRESETS, Goal, _search, _start, make_plan
from systolith.hw.planning.estimate import PlanReport, report_plan
from systolith.hw.planning.prediction import min_interval, predict
from systolith.hw.planning.sizes import GivenSize
from systolith.hw.streams.cycles import (
    NEVER,
    StreamCycles,
    always_ready,
    offering,
    run_until_taken,
)
from systolith.hw.units.registry import build_unit
from tests.hw.planning.test_buffers import DENSE
from tests.hw.small_networks import EVERY_KIND, quantized

TINY = Network(
    "tiny",
    (
        Input(name="input", height=5, width=5, scale=0.01),
        Convolution(name="C", inputs=("input",), kernel=(2, 2), out_channels=2),
        Subsampling(name="S", inputs=("C",), activation=Activation("tanh")),
        Dense(name="F", inputs=("S",), units=2),
    ),
)


def test_a_plan_under_way_has_the_cycles_of_the_first_image_alone() -> None:
    """Two values a beat: 16 windows are 16 beats, which pass the unit as its model says."""
    fixed = quantized(TINY).fixed
    start = _start(_search(fixed, {}, "class"))
    assert start.output_cycles.tolist() == list(range(1, 26))
    layer, folding = fixed["C"], Folding(4, 2, 2, depth=1)
    found = start.extended(layer, folding, 8)
    i, o = StreamCycles(), StreamCycles()
    offering(i, start.output_cycles, NEVER)
    build_unit(layer, folding, 1).cycles(i, o)
    always_ready(o)
    run_until_taken(o, 16)
    assert found.output_cycles.tolist() == o.taken[:16].tolist()
    assert (found.plan, found.multipliers, found.lanes) == ({"C": folding}, 8, 2)
    assert start.extended(layer, folding, 8) is found
    assert found.extended(fixed["S"], Folding(lanes=2), 5).multipliers == 13


@cache
def of_shipped(name: str) -> QuantizedNetwork:
    return quantize(load_network(name), validation_digits().images[:20])


@cache
def planned(name: str, goal: Goal) -> tuple[Plan, PlanReport]:
    network = of_shipped(name)
    plan = make_plan(network.fixed, goal)
    return plan, report_plan(network, plan)


def test_without_a_goal_there_are_at_most_122_multipliers() -> None:
    assert PRESETS[DEFAULT_PRESET] == Goal(max_multipliers=122)


@pytest.mark.parametrize("name", shipped.names())
@pytest.mark.parametrize(
    ("preset", "most_multipliers", "most_cycles"),
    [
        ("small", (28, 28), (15_300, 17_000)),
        ("medium", (122, 122), (3_200, 3_900)),
        ("large", (490, 545), (820, 820)),
    ],
)
def test_presets(
    name: str,
    preset: str,
    most_multipliers: tuple[int, int],
    most_cycles: tuple[int, int],
) -> None:
    relu = name == "lenet5-relu"
    _, report = planned(name, PRESETS[preset])
    assert report.multipliers <= most_multipliers[relu]
    assert report.predicted.interval_cycles <= most_cycles[relu]
    if preset == "large":
        assert report.predicted.latency_cycles <= (2_250 if relu else 2_300)


def test_multipliers_are_seldom_idle() -> None:
    macs = {"lenet5": 326_520, "lenet5-relu": 416_520}
    for name, goal, least in (
        ("lenet5-relu", Goal(max_multipliers=106), 0.95),
        ("lenet5-relu", PRESETS["medium"], 0.90),
        ("lenet5", PRESETS["medium"], 0.88),
    ):
        _, report = planned(name, goal)
        possible = report.multipliers * report.predicted.interval_cycles
        assert report.mac_efficiency == macs[name] / possible >= least


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", ["lenet5", "lenet5-relu"])
def test_any_smaller_buffer_stalls_the_slowest_unit(name: str, preset: str) -> None:
    plan, report = planned(name, PRESETS[preset])
    interval = report.predicted.interval_cycles
    fixed = of_shipped(name).fixed
    assert interval == min_interval(fixed, plan)
    smaller = list(one_less(fixed, plan))
    assert smaller
    for key, less in smaller:
        assert predict(Accelerator(fixed, less)).interval_cycles > interval, key


def one_less(fixed: FixedNetwork, plan: Plan) -> Iterator[tuple[tuple[str, str], Plan]]:
    """Plans in which one buffer is smaller."""
    for layer in fixed.layers:
        folding = plan[layer.name]
        rows, columns, lanes, order = folding.rows, folding.columns, folding.lanes, folding.order
        if folding.depth > 1:
            less = Folding(rows, columns, lanes, folding.depth - 1, order, folding.lines)
            yield (layer.name, "depth"), {**plan, layer.name: less}
        reach = layer.layer.windows.reach if isinstance(layer.layer, Convolution) else (0, 0)
        if folding.lines is not None and folding.lines > reach[0]:
            less = Folding(rows, columns, lanes, folding.depth, order, folding.lines - 1)
            yield (layer.name, "lines"), {**plan, layer.name: less}


def plans_of(fixed: FixedNetwork) -> Iterator[tuple[int, int, Plan]]:
    """Every plan that hardware supports, with its multipliers and the slowest unit's cycles."""
    sizes: list[list[Folding]] = []
    for layer in fixed.layers:
        most = layer.input_shape.size if isinstance(layer.layer, Dense) else 4
        arrays = [(1, 1)]
        if not isinstance(layer.layer, Subsampling):
            arrays = list(product(range(1, most + 1), range(1, layer.output_shape.channels + 1)))
        sizes.append([Folding(r, c, lanes) for r, c in arrays for lanes in (1, 2)])
    for foldings in product(*sizes):
        plan = dict(zip((layer.name for layer in fixed.layers), foldings, strict=True))
        try:
            multipliers = Accelerator(fixed, plan).multipliers
        except UnitError:
            continue
        yield multipliers, min_interval(fixed, plan), plan


def test_no_plan_is_better() -> None:
    network = quantized(TINY)
    fixed = network.fixed
    every = {(multipliers, cycles) for multipliers, cycles, _ in plans_of(fixed)}
    fewest = min(multipliers for multipliers, _ in every)
    for budget in range(fewest, 20):
        best = min((cycles, m) for m, cycles in every if m <= budget)
        plan = make_plan(fixed, Goal(max_multipliers=budget))
        report = report_plan(network, plan)
        assert (report.predicted.interval_cycles, report.multipliers) == best
    for target in {cycles for _, cycles in every}:
        plan = make_plan(fixed, Goal(target_cycles=target))
        report = report_plan(network, plan)
        assert report.multipliers == min(m for m, cycles in every if cycles <= target)
        assert report.predicted.interval_cycles <= target


@pytest.mark.parametrize(
    ("preset", "option"),
    [("large", "--target-cycles {}, or another preset"), ("small", "--max-multipliers {} to plan")],
)
def test_a_preset_out_of_reach_is_named_with_the_remedy(
    preset: str, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed = quantized(EVERY_KIND).fixed
    goal, least = Goal(max_multipliers=4), 6
    if preset == "large":
        goal, least = Goal(target_cycles=10), EVERY_KIND.input.image_shape.size
    monkeypatch.setattr("systolith.hw.planning.budget.PRESETS", {preset: goal})
    for each in (goal, replace(goal, minimize="latency")):
        with pytest.raises(PlanError) as refused:
            make_plan(fixed, each)
        message = str(refused.value)
        assert message.startswith(f"network 'every-kind': preset '{preset}', ")
        assert option.format(least) in message
        assert "_" not in message


def test_a_goal_out_of_reach_is_refused_with_the_smallest_possible() -> None:
    fixed = quantized(EVERY_KIND).fixed
    least_multipliers = 6
    with pytest.raises(PlanError, match=r"'every-kind': max_multipliers must be at least 6, .* 5$"):
        make_plan(fixed, Goal(max_multipliers=least_multipliers - 1))
    plan = make_plan(fixed, Goal(max_multipliers=least_multipliers))
    assert Accelerator(fixed, plan).multipliers == least_multipliers
    with pytest.raises(PlanError, match=r"target_cycles must be at least (\d+), ") as refused:
        make_plan(fixed, Goal(target_cycles=1))
    least = int(str(refused.value).split("at least ")[1].split(",")[0])
    assert least == EVERY_KIND.input.image_shape.size
    plan = make_plan(fixed, Goal(target_cycles=least))
    assert predict(Accelerator(fixed, plan)).interval_cycles == least


COLOUR = Network(
    "colour",
    (
        Input(name="pixels", height=6, width=6, channels=3, scale=0.01),
        Convolution(name="C", inputs=("pixels",), kernel=(2, 2), out_channels=2),
        Dense(name="F", inputs=("C",), units=2),
    ),
)


@pytest.mark.parametrize(
    ("given", "shortest", "hint"),
    [
        (
            {},
            6 * 6 * 3,
            "; it is the beats of an image, fewer with more channels in each: --fix pixels=1x1x3",
        ),
        ({"pixels": GivenSize(lanes=3)}, 6 * 6, ""),
        # The input is not what is slow: 25 windows of 12 elements for one output after the other.
        ({"C": GivenSize(1, 1)}, 25 * 12 * 2, ""),
        ({"pixels": GivenSize(lanes=3), "C": GivenSize(2, 2)}, 25 * 6, ""),
    ],
)
def test_more_channels_in_a_beat_are_the_remedy_only_where_the_input_is_slow(
    given: dict[str, GivenSize], shortest: int, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    within = f" with the sizes given for {', '.join(given)}" if given else ""
    fixed = quantized(COLOUR).fixed
    with pytest.raises(PlanError) as refused:
        make_plan(fixed, Goal(target_cycles=shortest - 1), given)
    assert str(refused.value) == (
        f"network 'colour': target_cycles must be at least {shortest}, the shortest possible"
        f"{within}, not {shortest - 1}{hint}"
    )
    plan = make_plan(fixed, Goal(target_cycles=shortest), given)
    assert predict(Accelerator(fixed, plan)).interval_cycles == shortest
    # The rows of a window, and one more where the convolution is the slowest, however many channels
    # come in a beat.
    assert plan["C"].lines == (3 if shortest == 25 * 12 * 2 else 2)
    monkeypatch.setattr(
        "systolith.hw.planning.budget.PRESETS", {"quick": Goal(target_cycles=shortest - 1)}
    )
    with pytest.raises(PlanError) as refused:
        make_plan(fixed, Goal(target_cycles=shortest - 1, minimize="latency"), given)
    assert str(refused.value) == (
        f"network 'colour': preset 'quick', an image every {shortest - 1} cycles, cannot be "
        f"reached: the shortest possible{within} is {shortest}; give --target-cycles {shortest}, "
        f"or another preset{hint}"
    )


@pytest.mark.parametrize(
    ("given", "fewest"), [({}, 2), ({"C": GivenSize(4, 2), "F": GivenSize(3, 1)}, 11)]
)
def test_the_fewest_multipliers_are_counted_with_the_sizes_that_are_given(
    given: dict[str, GivenSize], fewest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    within = f" with the sizes given for {', '.join(given)}" if given else ""
    fixed = quantized(COLOUR).fixed
    with pytest.raises(PlanError) as refused:
        make_plan(fixed, Goal(max_multipliers=fewest - 1), given)
    assert str(refused.value) == (
        f"network 'colour': max_multipliers must be at least {fewest}, the fewest for its units"
        f"{within}, not {fewest - 1}"
    )
    assert Accelerator(fixed, make_plan(fixed, Goal(fewest), given)).multipliers == fewest
    monkeypatch.setattr("systolith.hw.planning.budget.PRESETS", {"tiny": Goal(fewest - 1)})
    with pytest.raises(PlanError) as refused:
        make_plan(fixed, Goal(fewest - 1), given)
    assert str(refused.value) == (
        f"network 'colour': preset 'tiny', at most {fewest - 1} multipliers, is not enough: the "
        f"fewest for its units{within} are {fewest}; give --max-multipliers {fewest} to plan or "
        "generate"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "not none"),
        ({"max_multipliers": 1, "target_cycles": 2}, "not {'max_multipliers': 1, "),
        ({"max_multipliers": 0}, "max_multipliers must be a whole number of at least 1, not 0"),
        ({"target_cycles": 2.5}, "target_cycles must be a whole number of at least 1, not 2.5"),
        ({"target_cycles": 1, "minimize": "area"}, "minimize must be .*, not 'area'"),
    ],
)
def test_a_wrong_goal_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        Goal(**arguments)  # type: ignore[arg-type]


def test_smaller_latency_within_the_same_multipliers() -> None:
    goal = Goal(max_multipliers=28)
    _, plain = planned("lenet5-relu", goal)
    network = of_shipped("lenet5-relu")
    plan = make_plan(network.fixed, Goal(max_multipliers=28, minimize="latency"))
    report = report_plan(network, plan)
    assert report.multipliers <= 28
    assert report.predicted.latency_cycles < 0.9 * plain.predicted.latency_cycles


def test_multipliers_that_the_interval_does_not_need_shorten_the_latency() -> None:
    fixed = quantized(TINY).fixed

    def made(goal: Goal) -> tuple[int, int, int]:
        accelerator = Accelerator(fixed, make_plan(fixed, goal))
        cycles = predict(accelerator)
        return accelerator.multipliers, cycles.interval_cycles, cycles.latency_cycles

    # A pixel a cycle is the limit, which ten multipliers reach.
    fewest, interval, latency = made(Goal(14))
    assert (fewest, interval) == (10, 25)
    more, same, shorter = made(Goal(14, minimize="latency"))
    assert fewest < more <= 14 and same == interval and shorter < latency
    # With a longest interval there are no more multipliers than it needs.
    assert made(Goal(target_cycles=25, minimize="latency")) == (fewest, interval, latency)


@pytest.mark.parametrize("multipliers", [8, 18])
def test_no_other_lanes_and_orders_of_the_same_arrays_are_faster(multipliers: int) -> None:
    """The cycle of the result counts, not that of most beats."""
    fixed = quantized(DENSE).fixed
    plan = make_plan(fixed, Goal(multipliers))
    found = predict(Accelerator(fixed, plan))
    latencies = set()
    for lanes in product((1, 2, 4), (1, 2, 4, 8), (1, 3)):
        for orders in product(get_args(Order), repeat=2):
            other = {
                layer: replace(folding, lanes=n, order=order, depth=64, lines=None)
                for (layer, folding), n, order in zip(
                    plan.items(), lanes, ("inputs", *orders), strict=True
                )
            }
            try:
                cycles = predict(Accelerator(fixed, other))
            except UnitError:
                continue
            if cycles.interval_cycles == found.interval_cycles:
                latencies.add(cycles.latency_cycles)
    assert len(latencies) > 1
    assert found.latency_cycles == min(latencies)


@pytest.mark.parametrize(
    ("name", "preset", "latency"),
    [
        # With the fewest lanes only, and with all choices of lanes: each leads to one of them.
        ("lenet5", "medium", 7_121),
        ("lenet5", "large", 2_139),
        ("lenet5-relu", "medium", 8_837),
    ],
)
def test_the_latency_is_the_better_one_of_both_choices_of_lanes(
    name: str, preset: str, latency: int
) -> None:
    _, report = planned(name, PRESETS[preset])
    assert report.predicted.latency_cycles <= latency


def test_the_same_network_gets_the_same_plan() -> None:
    fixed = quantized(EVERY_KIND).fixed
    goal = Goal(max_multipliers=30)
    assert make_plan(fixed, goal) == make_plan(fixed, goal)


@pytest.mark.long
@pytest.mark.parametrize("preset", ["small", "medium"])
def test_a_large_map_is_planned_in_ten_seconds_and_500_megabytes(
    preset: str, tmp_path: Path
) -> None:
    layers: list[Layer] = [Input(name="input", height=96, width=96, channels=3)]
    for number, maps in enumerate((16, 32, 32)):
        layers += [
            Convolution(
                name=f"C{number}",
                inputs=(layers[-1].name,),
                kernel=(3, 3),
                padding=(1, 1),
                out_channels=maps,
                activation=Activation("relu"),
            ),
            MaxPooling(name=f"S{number}", inputs=(f"C{number}",), window=(2, 2)),
        ]
    layers += [
        Dense(name="F", inputs=("S2",), units=64, activation=Activation("relu")),
        Dense(name="scores", inputs=("F",), units=10),
    ]
    path = tmp_path / "large.npz"
    quantized(Network("large", tuple(layers))).save(path)
    command = [sys.executable, "-m", "systolith.scripts.main", "plan", str(path)]
    process = subprocess.Popen([*command, "--preset", preset], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert used.ru_utime + used.ru_stime < 10
    assert used.ru_maxrss < 500 * 1024


def test_max_pooling_needs_no_multiplier() -> None:
    pooled = Network("pooled", (*TINY.layers[:2], MaxPooling(name="P", inputs=("C",)), Dense(
        name="F", inputs=("P",), units=3)))  # fmt: skip
    report = report_plan(network := quantized(pooled), make_plan(network.fixed, Goal(2)))
    assert [layer.multipliers for layer in report.layers] == [1, 0, 1]


def test_layers_with_given_sizes_have_them_and_no_plan_is_better() -> None:
    network = quantized(TINY)
    # 3 rows are no reasonable size for 4 elements: no plan has them unless they are given.
    given = {"C": GivenSize(rows=3, columns=2), "F": GivenSize(lanes=1)}
    every = {
        (multipliers, cycles)
        for multipliers, cycles, plan in plans_of(network.fixed)
        if (plan["C"].rows, plan["C"].columns, plan["F"].lanes) == (3, 2, 1)
    }
    fewest = min(multipliers for multipliers, _ in every)
    for budget in range(fewest, fewest + 8):
        plan = make_plan(network.fixed, Goal(max_multipliers=budget), given)
        report = report_plan(network, plan)
        best = min((cycles, m) for m, cycles in every if m <= budget)
        assert (report.predicted.interval_cycles, report.multipliers) == best
        assert (plan["C"].rows, plan["C"].columns, plan["F"].lanes) == (3, 2, 1)
        few = {("C", "depth"), ("C", "lines"), ("S", "depth")}
        assert {key for key, _ in one_less(network.fixed, plan)} <= few


def test_a_plan_has_the_input_only_if_its_lanes_are_given() -> None:
    fixed = quantized(TINY).fixed
    assert list(make_plan(fixed, Goal(20))) == ["C", "S", "F"]
    plan = make_plan(fixed, Goal(20), {"input": GivenSize(lanes=1)})
    assert list(plan) == ["input", "C", "S", "F"]
    assert plan["input"] == Folding(lanes=1)


def test_the_lanes_of_one_layer_decide_those_of_the_layer_before_it() -> None:
    plan = make_plan(quantized(TINY).fixed, Goal(20), {"S": GivenSize(lanes=2)})
    assert (plan["C"].lanes, plan["S"].lanes) == (2, 2)


def test_lanes_that_no_size_of_the_layer_before_has_are_refused_with_those_it_could_have() -> None:
    four = Convolution(name="C", inputs=("input",), kernel=(2, 2), out_channels=4)
    layers = TINY.layers
    fixed = quantized(replace(TINY, layers=(layers[0], four, *layers[2:]))).fixed
    given = {"C": GivenSize(columns=2), "S": GivenSize(lanes=4)}
    with pytest.raises(PlanError) as refused:
        make_plan(fixed, Goal(20), given)
    assert str(refused.value) == (
        "layer 'S': 4 lanes do not fit the other sizes that are given: its input has 1 or 2"
    )


@pytest.mark.parametrize(
    ("goal", "given", "message"),
    [
        (
            Goal(20),
            {"X": GivenSize(1)},
            "network 'tiny' has no layer 'X' to give a size: it has input, C, S, F",
        ),
        # Each of several is checked.
        (
            Goal(20),
            {"input": GivenSize(lanes=1), "C": GivenSize(1, 1), "X": GivenSize(1)},
            "network 'tiny' has no layer 'X'",
        ),
        (Goal(20), {"input": GivenSize(lanes=2)}, "input 'input': its lanes must divide its 1"),
        (Goal(20), {"C": GivenSize(5, 1)}, "convolution 'C': rows must be from 1 to 4"),
        (Goal(20), {"C": GivenSize(1, 1, 3)}, "convolution 'C': lanes must divide 1"),
        (Goal(20), {"F": GivenSize(lanes=3)}, "dense 'F': columns must be from 1 to 2"),
        (Goal(20), {"S": GivenSize(2, 1)}, "subsampling 'S': rows and columns must be 1"),
        (Goal(20), {"S": GivenSize(lanes=4)}, "subsampling 'S': lanes must divide the 2 lanes"),
        (
            Goal(20),
            {"C": GivenSize(lanes=1), "S": GivenSize(lanes=2)},
            "layer 'S': 2 lanes do not fit the other sizes that are given: its input has 1",
        ),
        (
            Goal(5),
            {"C": GivenSize(4, 2)},
            "max_multipliers must be at least 10, the fewest for its units with the sizes given",
        ),
        (
            Goal(target_cycles=30),
            {"C": GivenSize(1, 1)},
            "target_cycles must be at least 128, the shortest possible with the sizes given for C",
        ),
    ],
)
def test_given_sizes_that_cannot_be_are_refused(
    goal: Goal, given: dict[str, GivenSize], message: str
) -> None:
    with pytest.raises((PlanError, UnitError), match=message):
        make_plan(quantized(TINY).fixed, goal, given)
