from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from systolith.scripts.pages.pareto_picture import draw_pareto
from systolith.scripts.pages.pareto_picture import panels as page_panels
from systolith.scripts.sweeping.outcome import (
    Images,
    Score,
    SweepReport,
    SweptNetwork,
    SweptPlan,
    SweptPoint,
    SweptSynthesis,
    SynthesizedDesign,
)
from systolith.scripts.sweeping.outcome import designs as all_designs
from tests.scripts.pages.chart_data import Layer, drawn, panels, saved

Marks = tuple[set[tuple[int, int]], set[tuple[int, int]]]
"""Ranks and multipliers of the points on the front, and of the others."""

_TEXT = "{http://www.w3.org/2000/svg}text"


def report(names: tuple[str, ...], correct: tuple[int, ...]) -> SweepReport:
    plans = [SweptPlan(name, f"{n}", n, 9000 // n, 9999) for name in names for n in (3, 9)]
    points = [
        SweptPoint(
            rank=rank,
            name=f"point-{rank}",
            network=names[rank % len(names)],
            settings={"weight_bits": 9 - rank, "activation_bits": rank, "calibration": "mse"},
            quantized_sha256="",
            weight_bits_total=1000 - 100 * rank,
            validation=Score(right, right / 1000),
        )
        for rank, right in enumerate(correct, 1)
    ]
    images, test = Images("digits", "validation", "", 1000), Images("digits", "test", "", 50)
    score = Score(1, 0.001)
    return SweepReport(
        schema="",
        calibration={"name": "digits", "sha256": "", "images": 10},
        data=images,
        test=test,
        networks=[SweptNetwork(name, name, "", 900, score, score) for name in names],
        plans=plans,
        points=points,
        weight_front=[point.rank for point in points][:2],
        hardware_front=list(all_designs(points, plans))[:4],
        version="",
    )


def texts(picture: bytes) -> list[str]:
    return ["".join(each.itertext()) for each in ElementTree.fromstring(picture).iter(_TEXT)]


@pytest.mark.parametrize("names", [("one",), ("one", "two"), tuple("abcdefghi")])
def test_panels_and_labels(names: tuple[str, ...]) -> None:
    picture = draw_pareto(report(names, (990, 985, 900)))
    assert picture == draw_pareto(report(names, (990, 985, 900)))
    shown = texts(picture)
    for text in ("accuracy", "weights (KiB)", "multipliers", "cycles from one image to the next"):
        assert text in shown
    # The two points on the fronts: by their weights, and under two budgets by both costs.
    assert shown.count("8/1") == shown.count("7/2") == 1 + 2 + 2
    assert "6/3" not in shown
    assert b"@media (prefers-color-scheme: dark)" in picture


def test_each_panel_draws_errors_against_its_own_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three points of two networks under two budgets; those of a panel's line are the best so far.

    The front of weights is the second point; that of hardware has the first point under 3
    multipliers and the second under 9.
    """
    given = report(("one", "two"), (990, 985, 900))
    every = list(given.designs())
    front = [each for each in every if (each.rank, each.multipliers) in {(1, 3), (2, 9)}]
    specs = saved(monkeypatch)
    draw_pareto(msgspec.structs.replace(given, weight_front=[2], hardware_front=front))
    one, two = ("#2b83c4", "circle"), ("#d9601a", "square")
    # Rank: network, bits of weights, fraction of errors. 9,000 cycles are shared by multipliers.
    points = {1: (two, 900, 0.01), 2: (one, 800, 0.015), 3: (two, 700, 0.1)}
    (spec,) = specs
    weights, multipliers, cycles = panels(spec)
    designs = ({(1, 3), (2, 9)}, {(1, 9), (2, 3), (3, 3), (3, 9)})
    by_panel: list[tuple[list[Layer], Marks, Callable[[int, int], float]]] = [
        (weights, ({(2, 3)}, {(1, 3), (3, 3)}), lambda bits, n: round(bits / 8192, 4)),
        (multipliers, designs, lambda bits, n: n),
        (cycles, designs, lambda bits, n: 9000 // n),
    ]
    for panel, (on_front, not_on_front), costs in by_panel:
        line, others, filled = panel[:3]
        for layer, chosen in ((filled, on_front), (others, not_on_front)):
            expected = sorted(
                (costs(points[rank][1], n), round(points[rank][2], 6), *points[rank][0])
                for rank, n in chosen
            )
            assert expected == sorted(
                (each["x"], round(each["y"], 6), each["color"], each["shape"])
                for each in layer.marks
            )
        # Fewer errors are higher.
        scale = spec["hconcat"][0]["layer"][0]["encoding"]["y"]["scale"]
        assert (scale["type"], scale["reverse"]) == ("log", True)
        costs_of = [part["layer"][0]["encoding"]["x"]["scale"] for part in spec["hconcat"]]
        assert [each.get("type") for each in costs_of] == [None, "log", "log"]
        # Of each network the fewest errors at no higher cost.
        for each in line.marks:
            affordable = [
                errors
                for (colour, _), bits, errors in points.values()
                for n in (3, 9)
                if colour == each["color"] and costs(bits, n) <= each["x"]
            ]
            assert each["y"] == pytest.approx(min(affordable))
        assert {each["color"] for each in line.marks} == {one[0], two[0]}
    labels = [each for layer in weights[3:] for each in layer.marks]
    assert [(each["x"], each["text"]) for each in labels] == [(0.0977, "7/2")]


@pytest.mark.parametrize("correct", [(990, 985, 900), (985, 990, 900), (900, 990, 985)])
def test_of_points_at_one_cost_the_line_has_the_best(
    correct: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a budget all points of a network have the same multipliers, and the same cycles."""
    specs = saved(monkeypatch)
    draw_pareto(report(("one",), correct))
    for panel, costs in zip(panels(specs[0])[1:], ((3, 9), (1000, 3000)), strict=True):
        found = {(each["x"], round(each["y"], 6)) for each in panel[0].marks}
        assert found == {(cost, 0.01) for cost in costs}


def test_the_line_goes_on_to_the_highest_cost() -> None:
    """The lightest point is the best, and the heaviest one ends the line."""
    line, others, filled = drawn(
        page_panels(report(("one",), (900, 985, 990)))["weights"].to_dict()
    )
    ends = [round(bits / 8192, 4) for bits in (700, 900)]
    assert [(each["x"], round(each["y"], 6)) for each in line.marks] == [(x, 0.01) for x in ends]
    assert len(others.marks) + len(filled.marks) == 3


@pytest.mark.parametrize("measure", ["accuracy", "agreement"])
def test_titles_axes_and_legends_say_what_is_drawn(measure: Any) -> None:
    given = report(("one", "two"), (990, 985, 900))
    images = msgspec.structs.replace(given.data, measure=measure)
    points = [
        msgspec.structs.replace(each, validation=Score(None, None, each.validation.rate))
        if measure == "agreement"
        else each
        for each in given.points
    ]
    figures = page_panels(msgspec.structs.replace(given, data=images, points=points))
    titles = ("weights (KiB)", "multipliers", "cycles from one image to the next")
    assert list(figures) == ["weights", "multipliers", "cycles"]
    for (name, figure), title in zip(figures.items(), titles, strict=True):
        spec = figure.to_dict()
        assert spec["description"] == f"{measure.capitalize()} against {name}"
        for layer in spec["layer"]:
            x, y = layer["encoding"]["x"], layer["encoding"]["y"]
            assert (x["title"], y["title"]) == (title, measure)
            assert x["scale"].get("zero") == (False if name == "weights" else None)
            # Errors are drawn, and what is right is written beside them.
            assert y["axis"]["labelExpr"] == "format(1 - datum.value, '.4~f')"
        # A line, points that are on no front, and those that are; no labels.
        assert [each["mark"]["type"] for each in spec["layer"]] == ["line", "point", "point"]
        assert [each["mark"].get("filled") for each in spec["layer"]] == [None, False, True]
        marks = [each for each in spec["layer"] if "shape" in each["encoding"]]
        for layer in marks:
            assert layer["encoding"]["color"]["legend"]["orient"] == "top"
            assert [
                layer["encoding"][channel]["scale"]["domain"] for channel in ("color", "shape")
            ] == [["one", "two"]] * 2
        # What is shown of a point that is touched is found by its rank.
        rows = [row for layer in marks for row in spec["datasets"][layer["data"]["name"]]]
        assert {row["rank"] for row in rows} == {1, 2, 3}
        assert {row[measure] for row in rows} == {0.99, 0.985, 0.9}
    alone = page_panels(report(("one",), (990,)))["weights"].to_dict()
    shapes = [each["encoding"]["shape"] for each in alone["layer"] if "shape" in each["encoding"]]
    assert [each["legend"] for each in shapes] == [None, None]


def test_a_point_of_the_front_of_hardware_is_not_filled_among_the_weights() -> None:
    given = report(("one",), (990, 985, 900))
    points = [msgspec.structs.replace(each, on_front=True) for each in given.points]
    spec = page_panels(msgspec.structs.replace(given, points=points, weight_front=[3]))
    _, others, filled = drawn(spec["weights"].to_dict())
    assert [each["x"] for each in filled.marks] == [round(700 / 8192, 4)]
    assert [each["x"] for each in others.marks] == [round(900 / 8192, 4), round(800 / 8192, 4)]


def test_points_of_one_cost_and_other_errors_have_labels_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    specs = saved(monkeypatch)
    draw_pareto(report(("one",), (990, 985, 900)))
    _, multipliers, cycles = panels(specs[0])
    for panel, costs in ((multipliers, (3, 9)), (cycles, (3000, 1000))):
        assert {(each["x"], round(each["y"], 6), each["text"]) for each in panel[3].marks} == {
            *((cost, 0.01, "8/1") for cost in costs),
            *((cost, 0.015, "7/2") for cost in costs),
        }


def test_a_design_s_luts_are_drawn_against_its_errors() -> None:
    """One without errors is half an image from none, like everywhere."""
    given = report(("one",), (1000, 985))
    synthesized = [
        SynthesizedDesign(2, "one", "3", 0.985, 3000, 1234, 5, 3, 1, 2, fits=False),
        SynthesizedDesign(1, "one", "9", 1.0, 1000, 4321, 5, 9, 1, 2, fits=True),
        SynthesizedDesign(2, "one", "9", 0.985, 1000, 2345, 5, 9, 1, 2, fits=True),
    ]
    synthesis = SweptSynthesis("ecp5-25k", "0.70", synthesized, [0, 1])
    spec = page_panels(msgspec.structs.replace(given, synthesis=synthesis))["luts"].to_dict()
    _, others, filled = drawn(spec)
    found = [[(each["x"], round(each["y"], 6)) for each in part.marks] for part in (filled, others)]
    assert found == [[(1234, 0.015), (4321, 0.0005)], [(2345, 0.015)]]
    rows = {row["luts"]: row for name in spec["datasets"] for row in spec["datasets"][name]}
    known = {name: row for name, row in rows.items() if "rank" in row}
    assert {name: (row["rank"], row["point"], row["budget"]) for name, row in known.items()} == {
        1234: (2, "point-2", "3"),
        4321: (1, "point-1", "9"),
        2345: (2, "point-2", "9"),
    }


def test_labels_of_every_other_network_are_on_the_other_side(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = report(("one", "two", "three"), (990, 985, 900))
    specs = saved(monkeypatch)
    draw_pareto(given)
    marks = [layer["mark"] for layer in specs[0]["hconcat"][0]["layer"]]
    sides = [(mark["align"], mark["baseline"]) for mark in marks if mark["type"] == "text"]
    assert sides == [("left", "top"), ("right", "bottom"), ("left", "top")]


def test_points_in_one_place_share_a_label() -> None:
    given = report(("one",), (990, 990))
    first, second = given.points
    second = msgspec.structs.replace(second, weight_bits_total=first.weight_bits_total)
    points = [first, second]
    front = list(all_designs(points, given.plans))
    same = msgspec.structs.replace(given, points=points, hardware_front=front)
    assert "8/1, 7/2" in texts(draw_pareto(same))


def test_control_characters_of_a_name_are_shown_as_escapes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In SVG they are not allowed, and end the renderer with the whole process."""
    specs = saved(monkeypatch)
    draw_pareto(report(("a\x1bb",), (990,)))
    shown = json.dumps(specs, ensure_ascii=False)
    assert "\\u001b" not in shown and "a\\\\x1bb" in shown


def test_no_errors_are_half_an_error_on_a_logarithmic_axis(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    specs = saved(monkeypatch)
    draw_pareto(report(("one",), (1000, 0)))
    (spec,) = specs
    _, others, filled = panels(spec)[0][:3]
    drawn = [each["y"] for layer in (filled, others) for each in layer.marks]
    assert sorted(drawn) == [pytest.approx(0.5 / 1000), 1]


def test_no_errors_and_no_designs_can_be_drawn() -> None:
    assert "8/1" in texts(draw_pareto(report(("one",), (1000, 0))))
    assert "weights (KiB)" in texts(draw_pareto(report(("one",), ())))


def test_luts_are_a_panel_of_their_own_where_they_are_known() -> None:
    given = report(("one",), (990, 985))
    synthesized = [
        SynthesizedDesign(1, "one", "3", 0.99, 3000, 4321, 5, 3, 1, 2, fits=True),
        SynthesizedDesign(2, "one", "3", 0.985, 3000, 1234, 5, 3, 1, 2, fits=False),
    ]
    synthesis = SweptSynthesis("ecp5-25k", "0.70", synthesized, [0, 1])
    with_luts = msgspec.structs.replace(given, synthesis=synthesis)
    assert "luts" not in page_panels(given)
    drawn = page_panels(with_luts)["luts"].to_json(validate=False)
    assert '"luts": 4321' in drawn and '"luts": 1234' in drawn
    assert "LUTs" in texts(draw_pareto(with_luts))
    table = with_luts.synthesis_table()
    assert [(row[0], row[5], row[-1]) for row in table.rows] == [
        ("2", "1,234", "no"),
        ("1", "4,321", "yes"),
    ]
    assert "## Accuracy against LUTs on ecp5-25k" in with_luts.to_markdown()
    assert "Accuracy against LUTs" not in given.to_markdown()
