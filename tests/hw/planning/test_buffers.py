# amaranth: UnusedElaboratable=no
"""The search for the smallest buffers, among lags that are known for every size."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from systolith.golden.network.graph import Convolution, Dense, Input, MaxPooling, Network
from systolith.hw.accelerator import Accelerator
from systolith.hw.folding import Folding, Plan
from systolith.hw.planning.budget import Goal, make_plan
from systolith.hw.planning.buffers import _Buffer, _Buffers, _Transfers, with_smallest_buffers
from systolith.hw.planning.prediction import min_interval, predict
from systolith.hw.planning.sizes import GivenSize
from systolith.hw.streams.result_layout import ResultKind
from tests.hw.small_networks import EVERY_KIND, EVERY_KIND_PLAN, quantized


class Known(_Buffers):
    """One FIFO, whose lag is known for each depth from 1 on."""

    def __init__(self, lags: Sequence[int]) -> None:
        self.plan = {"A": Folding(depth=len(lags))}
        self.lags = lags
        self.tried: list[int] = []

    def _try(self, sizes: Sequence[tuple[_Buffer, int]]) -> int:
        ((_, depth),) = sizes
        self.tried.append(depth)
        if not self.lags[depth - 1]:
            self.plan = {"A": replace(self.plan["A"], depth=depth)}
        return self.lags[depth - 1]


@pytest.mark.parametrize(
    ("lags", "most_trials"),
    [
        ([0, 0, 0, 0], 1),
        ([5, 0], 1),
        # On a line through the first two lags, the third trial is the answer, and the fourth and
        # last shows that one less does not suffice.
        ([*range(190, 0, -2), *[0] * 30], 5),
        # Lags that stay the same, and grow, say nothing about where they end.
        ([7, 7, 7, 7, 7, 7, 0, 0], 4),
        ([3, 7, 7, 9, 9, 2, 0, 0], 4),
        ([*[7] * 50, *range(20, 0, -1), *[0] * 58], 9),
        ([9, 8, 7, 6, 5, 4, 3, 3, 3, 2, 2, 1, 0], 8),
    ],
)
def test_a_fifo_gets_the_smallest_depth_that_suffices_after_few_trials(
    lags: list[int], most_trials: int
) -> None:
    known = Known(lags)
    known._reduce_depth(_Buffer("A", "depth", range(1, len(lags) + 1)))
    assert known.plan["A"].depth == 1 + sum(lag > 0 for lag in lags)
    assert len(known.tried) <= most_trials
    assert len(set(known.tried)) == len(known.tried)


def test_a_buffer_is_as_large_as_what_was_in_use_before_it_is_reduced() -> None:
    fixed = quantized(EVERY_KIND).fixed
    buffers = _Buffers(fixed, EVERY_KIND_PLAN, "class")
    before = {name: each.depth for name, each in buffers.plan.items()}
    assert buffers.lag() == 0
    first = {name: each.depth for name, each in buffers.plan.items()}
    assert all(first[name] <= before[name] for name in first)
    assert sum(first.values()) < 0.5 * sum(before.values())
    # They are in use again.
    assert buffers.lag() == 0
    assert {name: each.depth for name, each in buffers.plan.items()} == first


DENSE = Network(
    "dense",
    (
        Input(name="input", height=8, width=8, scale=0.01),
        Convolution(name="C", inputs=("input",), kernel=(3, 3), out_channels=4),
        Dense(name="F", inputs=("C",), units=8),
        Dense(name="scores", inputs=("F",), units=3),
    ),
)
"""While images are sent faster than needed, up to 57 values wait between its first two units."""


@pytest.mark.parametrize(
    ("network", "multipliers"), [(EVERY_KIND, 8), (EVERY_KIND, 30), (DENSE, 4), (DENSE, 22)]
)
def test_no_buffer_of_a_small_network_could_be_smaller(network: Network, multipliers: int) -> None:
    """Every smaller size is tried on a whole accelerator, which then misses the interval."""
    fixed = quantized(network).fixed
    plan = make_plan(fixed, Goal(max_multipliers=multipliers))
    interval = min_interval(fixed, plan)
    assert predict(Accelerator(fixed, plan)).interval_cycles == interval
    for name, folding in plan.items():
        smaller = [replace(folding, depth=folding.depth - 1)] if folding.depth > 1 else []
        layer = fixed[name].layer
        if isinstance(layer, Convolution) and (folding.lines or 0) > layer.windows.reach[0]:
            smaller.append(replace(folding, lines=(folding.lines or 0) - 1))
        for less in smaller:
            accelerator = Accelerator(fixed, {**plan, name: less})
            assert predict(accelerator).interval_cycles > interval
    # Here no FIFO needs a second entry.
    assert {folding.depth for folding in plan.values()} == {1}


COLUMNS = Network(
    "columns",
    (
        Input(name="input", height=8, width=4, scale=0.01),
        Convolution(name="C", inputs=("input",), kernel=(1, 1), out_channels=4),
        MaxPooling(name="M", inputs=("C",), window=(4, 1)),
    ),
)
"""Four beats of four values leave pooling one after the other, and a score every cycle."""


@pytest.mark.parametrize(("result", "depth"), [("class", 1), ("scores", 2)])
def test_buffers_suffice_for_what_takes_the_result(result: ResultKind, depth: int) -> None:
    fixed = quantized(COLUMNS).fixed
    given = {"C": GivenSize(1, 4, 4), "M": GivenSize(lanes=4)}
    plan = make_plan(fixed, Goal(max_multipliers=4), given, result)
    assert plan["M"].depth == depth

    def interval(plan: Plan) -> int:
        return predict(Accelerator(fixed, plan, result=result)).interval_cycles

    assert interval(plan) == 8 * 4
    if depth > 1:
        assert interval({**plan, "M": replace(plan["M"], depth=depth - 1)}) > 8 * 4


def test_buffers_are_the_smallest_where_the_scores_are_the_slowest() -> None:
    """A score a cycle: 4 x 4 places of 5 maps, and only 36 pixels."""
    network = Network(
        "map",
        (
            Input(name="input", height=6, width=6, scale=0.01),
            Convolution(name="C", inputs=("input",), kernel=(3, 3), out_channels=5),
        ),
    )
    fixed = quantized(network).fixed
    plan = make_plan(fixed, Goal(max_multipliers=45), {"C": GivenSize(9, 5, 5)}, "scores")
    assert (min_interval(fixed, plan, 80), min_interval(fixed, plan)) == (80, 36)
    # A window needs three rows, so that there are no fewer; without the search, all are there.
    assert (plan["C"].lines, plan["C"].depth) == (3, 1)
    assert predict(Accelerator(fixed, plan, result="scores")).interval_cycles == 80


def test_a_plan_whose_units_stall_each_other_in_any_case_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_Buffers, "lag", lambda self, first=0: 5)
    fixed = quantized(EVERY_KIND).fixed
    assert with_smallest_buffers(fixed, EVERY_KIND_PLAN, "class") == EVERY_KIND_PLAN


def test_lines_are_reduced_first_as_they_are_the_larger_buffers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reduced: list[set[str]] = []

    def reduce(self: _Buffers, buffers: list[_Buffer]) -> None:
        reduced.append({each.key for each in buffers})

    monkeypatch.setattr(_Buffers, "reduce_usual", lambda self: True)
    monkeypatch.setattr(_Buffers, "reduce_all", reduce)
    with_smallest_buffers(quantized(EVERY_KIND).fixed, EVERY_KIND_PLAN, "class")
    assert reduced == [{"lines"}, {"depth"}]


@pytest.mark.parametrize("more", [0, 1, 2])
def test_every_buffer_that_is_larger_than_the_smallest_is_reduced(more: int) -> None:
    """A FIFO has one entry at least, and a convolution the rows of its window."""
    buffers = _Buffers(quantized(EVERY_KIND).fixed, EVERY_KIND_PLAN, "class")
    rows = {"C1": 3, "C3": 2}
    for name in EVERY_KIND_PLAN:
        stored = {"lines": rows[name] + more} if name in rows else {}
        buffers._resize(name, depth=1 + more, **stored)
    lines = [_Buffer(name, "lines", range(least, least + more + 1)) for name, least in rows.items()]
    depths = [_Buffer(name, "depth", range(1, 2 + more)) for name in EVERY_KIND_PLAN]
    assert list(buffers.lines()) == (lines if more else [])
    assert list(buffers.depths()) == (depths if more else [])


def test_all_buffers_but_those_before_a_whole_input_are_the_smallest_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fixed = quantized(EVERY_KIND).fixed
    buffers = _Buffers(fixed, EVERY_KIND_PLAN, "class")
    tried = 0
    original = buffers._try

    def counted(sizes: Sequence[tuple[_Buffer, int]]) -> int:
        nonlocal tried
        tried += 1
        return original(sizes)

    monkeypatch.setattr(buffers, "_try", counted)
    assert buffers.reduce_usual()
    assert tried == 1
    assert list(buffers.lines()) == []
    before = {
        before for before, after in pairwise(fixed.layers) if after.layer.type_name == "dense"
    }
    assert {each.layer for each in buffers.depths()} <= {layer.name for layer in before}


class Several(_Buffers):
    """FIFOs of which each needs a known depth; the lag is what all of them lack."""

    def __init__(self, needed: dict[str, int]) -> None:
        self.plan = {name: Folding(depth=20) for name in needed}
        self.needed = needed
        self.trials = 0

    def _try(self, sizes: Sequence[tuple[_Buffer, int]]) -> int:
        self.trials += 1
        tried = {buffer.layer: size for buffer, size in sizes}
        lag = sum(max(0, self.needed[name] - size) for name, size in tried.items())
        if not lag:
            self.plan |= {name: replace(self.plan[name], depth=n) for name, n in tried.items()}
        return lag


@pytest.mark.parametrize(
    ("deep", "most_trials"), [({}, 1), ({"F3": 7}, 12), ({"F0": 2, "F8": 20}, 20)]
)
def test_many_fifos_are_reduced_at_once_but_for_those_that_need_their_depth(
    deep: dict[str, int], most_trials: int
) -> None:
    needed = {f"F{number}": 1 for number in range(9)} | deep
    several = Several(needed)
    several.reduce_all([_Buffer(name, "depth", range(1, 21)) for name in needed])
    assert {name: each.depth for name, each in several.plan.items()} == needed
    assert several.trials <= most_trials


def test_the_transfers_of_later_trials_are_those_of_a_whole_one() -> None:
    """A trial simulates the units from a changed one on; the beats of all of them are known."""
    buffers = _Buffers(quantized(EVERY_KIND).fixed, EVERY_KIND_PLAN, "class")
    for first in (0, 0, 3, 6, 1):
        assert buffers.lag(first) == 0
    found = list(buffers._transfers)
    assert len(found) == 1 + len(EVERY_KIND_PLAN)
    assert buffers.lag() == 0
    for mine, whole in zip(found, buffers._transfers, strict=True):
        beats = min(len(mine.taken), len(whole.taken))
        assert mine.taken[:beats] == whole.taken[:beats]
        assert mine.available[:beats] == whole.available[:beats]


def test_transfers_are_the_same_if_the_last_image_repeats() -> None:
    before = _Transfers(array("q"), array("q", [0, 3, 10, 14]))
    for same in ([0, 3], [0, 3, 10, 14], [0, 3, 10, 14, 20, 24], [0, 3, 10, 14, 20, 24, 30]):
        assert before.same_taken(array("q", same), interval=10, beats=2)
    for other in ([0, 4], [0, 3, 10, 15], [0, 3, 10, 14, 20, 23], [0, 3, 10, 14, 20, 24, 31]):
        assert not before.same_taken(array("q", other), interval=10, beats=2)
