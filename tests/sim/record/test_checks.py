"""What `Check` calls wrong: records made by hand for a network whose scores are known by heart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from systolith.golden.fixed.accumulator import accumulator_range
from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.fixed.integers import FixedLayer, FixedNetwork
from systolith.golden.network.graph import Dense, Input, Network, Shape
from systolith.hw.streams.result_layout import ResultLayout, result_layout
from systolith.sim.record.checks import Check
from systolith.sim.record.packing import BeatFormat
from systolith.sim.record.scoreboard import Mismatch
from systolith.sim.record.taps import (
    RESULT_FIELD,
    Batch,
    NetworkStreams,
    Records,
    RuleBroken,
    Tap,
)

# Two pixels a and b have the scores a - b, b - a and -1.
IMAGES = np.array([[5, 2], [2, 9], [0, 0], [7, 7]], np.uint8).reshape(4, 1, 2, 1)
SCORES = [[3, -3, -1], [-7, 7, -1], [0, 0, -1], [0, 0, -1]]
# Of equal scores, the lowest class wins.
CLASSES = [0, 1, 0, 0]
DATA = [0x0000_0003_0000_0000, 0x0000_0007_0000_0001, 0, 0]


def network(bias: tuple[int, int, int] = (0, 0, -1)) -> FixedNetwork:
    layer = FixedLayer(
        layer=Dense(name="F", inputs=("input",), units=3),
        input_shape=Shape(1, 2, 1),
        output_shape=Shape(1, 1, 3),
        input_format=QFormat(8, 0, signed=False),
        output_format=QFormat(10, 0),
        weights=np.array([[1, -1, 0], [-1, 1, 0]], np.int64),
        bias=np.array(bias, np.int64),
        weight_formats=(QFormat(2, 0),) * 3,
    )
    layer = replace(layer, accumulator_range=accumulator_range(layer))
    graph = Network("known", (Input(name="input", height=1, width=2), layer.layer))
    return FixedNetwork(graph, (layer,))


LAYOUT = result_layout(network().layers[-1], "class")


def records() -> Records:
    """Those of hardware without a fault."""
    scores = Tap("F", BeatFormat(1, 10, True), Shape(1, 1, 3))
    streams = NetworkStreams(BeatFormat(1, 8, False), Shape(1, 2, 1), (scores,), LAYOUT, 100)
    made = np.zeros(len(IMAGES), streams.record_type)
    made["F"] = np.reshape(SCORES, (4, 1, 1, 3))
    made[RESULT_FIELD]["data"][:, 0] = beats(DATA, 8)
    made[RESULT_FIELD]["last"] = 1
    return made


def beats(tdata: Iterable[int], size: int) -> NDArray[np.uint8]:
    """The bytes of beats, `(beats, size)`."""
    joined = b"".join(each.to_bytes(size, "little") for each in tdata)
    return np.frombuffer(joined, np.uint8).reshape(-1, size)


def checked(
    made: Records, *batches: slice, broken: str = "", layout: ResultLayout | None = LAYOUT
) -> Check:
    """A check that took these batches, and then perhaps a broken rule."""

    def given() -> Iterator[Batch]:
        for part, each in enumerate(batches or (slice(0, 4),)):
            yield Batch(part, each.start, made[each])
        if broken:
            raise RuleBroken(broken)

    check = Check(network(), IMAGES, ["F"], layout)
    counts = list(check.take(given()))
    assert counts == [each.stop - each.start for each in batches or (slice(0, 4),)]
    return check


def all_scores() -> tuple[ResultLayout, Records]:
    """Records of the same hardware where all scores leave."""
    layout = result_layout(network().layers[-1], "scores")
    scores = Tap("F", BeatFormat(1, 10, True), Shape(1, 1, 3))
    streams = NetworkStreams(BeatFormat(1, 8, False), Shape(1, 2, 1), (scores,), layout, 100)
    made = np.zeros(len(IMAGES), streams.record_type)
    made["F"] = np.reshape(SCORES, (4, 1, 1, 3))
    made[RESULT_FIELD]["data"] = np.array(SCORES, "<i2").view(np.uint8).reshape(4, 3, 2)
    made[RESULT_FIELD]["last"][:, -1] = 1
    return layout, made


def test_winners_and_their_scores_are_right() -> None:
    check = checked(records())
    assert check.violations() == ()
    assert check.classes.tolist() == CLASSES
    assert check.came_out.all()
    (layer,) = check.layer_results()
    assert (layer.name, layer.values, layer.mismatches) == ("F", 12, 0)


def test_a_negative_winner_has_its_sign_in_the_upper_half() -> None:
    """All scores are negative: -4, -10 and -8."""
    fixed = network((-7, -7, -8))
    made = records()[:1]
    made["F"] = np.reshape([-4, -10, -8], (1, 1, 1, 3))
    made[RESULT_FIELD]["data"][0] = beats([0xFFFF_FFFC_0000_0000], 8)
    check = Check(fixed, IMAGES[:1], ["F"], LAYOUT)
    list(check.take([Batch(0, 0, made)]))
    assert (check.violations(), check.classes.tolist()) == ((), [0])


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("user", 1, "0000000700000001, 1, 1"),
        ("last", 0, "0000000700000001, 0, 0"),
        ("data", 0x7_0000_0000, "0000000700000000, 0, 1"),
        ("data", 0x6_0000_0001, "0000000600000001, 0, 1"),
        ("data", 0x7_0000_0101, "0000000700000101, 0, 1"),
    ],
    ids=["tuser", "tlast", "class", "score", "between class and score"],
)
def test_each_field_of_a_result_is_compared(field: str, value: int, found: str) -> None:
    made = records()
    made[RESULT_FIELD][field][1] = beats([value], 8) if field == "data" else value
    check = checked(made)
    assert check.violations() == (
        (
            "m_axis: 1 wrong results, the first of image 1: "
            f"expected tdata 0000000700000001, tuser 0, tlast 1, found {found}"
        ),
    )
    assert not check.layer_results()[0].mismatches


def test_the_first_wrong_result_is_named_in_whatever_order_batches_come() -> None:
    made = records()
    made[RESULT_FIELD]["user"][1:] = 1
    (said,) = checked(made, slice(2, 4), slice(0, 2)).violations()
    assert said.startswith("m_axis: 3 wrong results, the first of image 1: ")


def test_a_broken_rule_is_a_violation_after_what_came_before_it() -> None:
    check = checked(records(), slice(0, 4), broken="C1: valid was dropped")
    assert check.violations() == ("C1: valid was dropped",)
    check = checked(records(), slice(0, 3), broken="nothing moved")
    assert check.violations() == ("nothing moved", "1 of 4 images did not come out")
    assert check.classes.tolist() == [0, 1, 0, -1]


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_images_that_never_come_out_are_a_violation(missing: int) -> None:
    check = checked(records(), slice(0, 4 - missing))
    assert check.violations() == (f"{missing} of 4 images did not come out",)
    assert check.came_out.tolist() == [True] * (4 - missing) + [False] * missing


def test_a_layer_alone_has_no_results() -> None:
    made = records()
    made[RESULT_FIELD]["user"] = 1
    check = checked(made, layout=None)
    assert check.violations() == () and check.classes.tolist() == []


@pytest.mark.parametrize(
    ("field", "beat", "value", "said"),
    [
        (
            "data",
            1,
            [8, 0],
            "beat 1: expected tdata 0007, tuser 0, tlast 0, found 0008, 0, 0",
        ),
        ("user", 0, 1, "beat 0: expected tdata fff9, tuser 0, tlast 0, found fff9, 1, 0"),
        ("last", 2, 0, "beat 2: expected tdata ffff, tuser 0, tlast 1, found ffff, 0, 0"),
    ],
)
def test_every_beat_of_a_stream_of_scores_is_compared(
    field: str, beat: int, value: Any, said: str
) -> None:
    layout, made = all_scores()
    check = checked(made, layout=layout)
    assert check.violations() == () and check.classes.tolist() == []
    made[RESULT_FIELD][field][1, beat] = value
    (line,) = checked(made, layout=layout).violations()
    assert line == f"m_axis: 1 wrong results, the first of image 1: {said}"


def test_each_wrong_result_has_the_place_of_its_own_first_wrong_beat() -> None:
    layout, made = all_scores()
    made[RESULT_FIELD]["user"][3, 0] = 1
    made[RESULT_FIELD]["data"][2, 1:] = 1
    (line,) = checked(made, layout=layout).violations()
    assert line == (
        "m_axis: 2 wrong results, the first of image 2: beat 1: expected tdata 0000, tuser 0, "
        "tlast 0, found 0101, 0, 0"
    )


def test_images_that_come_out_after_others_are_counted_where_they_are() -> None:
    check = checked(records(), slice(2, 3), slice(0, 1))
    assert check.came_out.tolist() == [True, False, True, False]
    assert check.classes.tolist() == [0, -1, 0, -1]
    assert check.violations() == ("2 of 4 images did not come out",)


@pytest.mark.parametrize("batches", [(slice(0, 4),), (slice(2, 4), slice(0, 2))])
def test_values_are_those_of_their_own_image(batches: tuple[slice, ...]) -> None:
    made: NDArray[Any] = records()
    made["F"][3, 0, 0, 2] = 5
    made["F"][2, 0, 0, 1] = 8
    (layer,) = checked(made, *batches).layer_results()
    assert (layer.values, layer.mismatches) == (12, 2)
    assert layer.first_mismatch == Mismatch(2, 0, 0, 1, expected=0, found=8)
