"""What the figures of a comparison draw, read back and held against its reports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from systolith.golden.reports.comparison import Row
from systolith.scripts.pages import comparison_figures
from tests.scripts.comparing.comparisons import COMPARISON, FIRST
from tests.scripts.pages.chart_data import drawn

GREY, GREEN, ORANGE, RED = "#6b7785", "#2e8b57", "#d9731a", "#e0455a"


def test_a_worse_report_is_red_and_a_better_one_green() -> None:
    bars, points = drawn(comparison_figures.accuracy(COMPARISON).to_dict())
    assert points.marks == [
        {"y": "one", "x": pytest.approx(0.1), "color": GREY},
        {"y": "two", "x": pytest.approx(0.2), "color": RED},
        {"y": "three", "x": pytest.approx(0.2), "color": GREEN},
        {"y": "four", "x": pytest.approx(0.2), "color": ORANGE},
    ]
    # The fractions of errors at the ends of the intervals of accuracy.
    eight = (1 - 0.49016, 1 - 0.94332)
    assert [(each["x"], each["x2"]) for each in bars.marks] == [
        pytest.approx(each, abs=1e-4) for each in ((1 - 0.59585, 1 - 0.98213), eight, eight, eight)
    ]


def test_no_errors_are_half_an_error_on_a_logarithmic_axis() -> None:
    perfect = replace(FIRST, correct=10, confusion=((5, 0), (0, 5)))
    comparison = replace(COMPARISON, rows=(Row("all", "a.json", perfect, None),))
    bars, points = drawn(comparison_figures.accuracy(comparison).to_dict())
    (bar,), (point,) = bars.marks, points.marks
    assert point["x"] == bar["x2"] == pytest.approx(0.5 / 10)
    # Wilson's interval of 10 of 10 ends at 1 / (1 + 1.96**2 / 10).
    assert bar["x"] == pytest.approx(1 - 0.72247, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("sqnr", {("two", "C1"): 31.25, ("three", "C1"): 31.25}),
        (
            "saturation",
            {
                ("two", "C1"): 25.0,
                ("three", "C1"): 25.0,
                ("two", "F6"): 0.357,
                ("four", "F6"): 0.357,
            },
        ),
        (
            "range",
            {("two", "C1"): 75, ("three", "C1"): 75, ("two", "F6"): 50, ("four", "F6"): 50},
        ),
    ],
)
def test_each_layer_of_each_report_has_its_own_figure(
    name: str, figures: dict[tuple[str, str], float]
) -> None:
    squares, texts = drawn(comparison_figures.by_layer(COMPARISON)[name].to_dict())
    assert {(each["y"], each["x"]): each["color"] for each in squares.marks} == figures
    shown = {(each["y"], each["x"]): each["text"] for each in texts.marks}
    words = {31.25: "31", 25.0: "25", 0.357: "0.4", 75: "75", 50: "50"}
    assert shown == {place: words[figure] for place, figure in figures.items()}


def test_the_share_of_wrong_images_is_that_of_each_label() -> None:
    squares, _ = drawn(comparison_figures.wrong_by_class(COMPARISON).to_dict())
    second = {"0": 40, "1": 0}
    assert {(each["y"], each["x"]): each["color"] for each in squares.marks} == {
        **{("one", label): wrong for label, wrong in (("0", 0), ("1", 20))},
        **{(name, each): n for name in ("two", "three", "four") for each, n in second.items()},
    }


def test_a_confusion_has_the_images_more_or_fewer_than_in_the_first() -> None:
    spec = comparison_figures.confusion_difference(COMPARISON).to_dict()
    (chosen,) = spec["params"]
    assert chosen["value"] == "two"
    assert chosen["bind"]["options"] == ["two", "three", "four"]
    (rows,) = spec["datasets"].values()
    # Label and class: of the label 0 two more get a 1, and of the label 1 one fewer gets a 0.
    changes = {("0", "0"): -2, ("0", "1"): 2, ("1", "0"): -1, ("1", "1"): 1}
    for label in ("two", "three", "four"):
        own = [row for row in rows if row["report"] == label]
        assert {(row["label"], row["class"]): row["images"] for row in own} == changes
    for layer in spec["layer"]:
        encoding = layer["encoding"]
        assert (encoding["y"]["field"], encoding["x"]["field"]) == ("label", "class")
