from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from systolith.scripts.sweeping.pareto import distinct_front, pareto_front

COSTS = st.integers(1, 4).flatmap(
    lambda size: st.lists(st.tuples(*[st.integers(0, 4)] * size), max_size=30)
)


def beats(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


@given(COSTS)
def test_the_front_is_what_nothing_beats(costs: list[tuple[int, ...]]) -> None:
    expected = [not any(beats(other, own) for other in costs) for own in costs]
    assert pareto_front(costs) == expected


@given(COSTS)
def test_everything_else_is_beaten_by_the_front(costs: list[tuple[int, ...]]) -> None:
    front = pareto_front(costs)
    front_costs = [own for own, is_on in zip(costs, front, strict=True) if is_on]
    for own, is_on in zip(costs, front, strict=True):
        assert is_on or any(beats(other, own) for other in front_costs)


@given(COSTS)
def test_equal_costs_are_on_the_distinct_front_once(costs: list[tuple[int, ...]]) -> None:
    front = [own for own, is_on in zip(costs, pareto_front(costs), strict=True) if is_on]
    assert distinct_front(costs) == [costs.index(own) for own in dict.fromkeys(front)]
