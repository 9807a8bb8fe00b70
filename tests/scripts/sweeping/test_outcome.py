"""Designs, their costs, and every key of a report whose figures are all different."""

from __future__ import annotations

import csv
import io
import json
from itertools import permutations
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from systolith.scripts.sweeping.outcome import (
    SCHEMA,
    Design,
    Images,
    Score,
    SweepReport,
    SweptNetwork,
    SweptPlan,
    SweptPoint,
    SweptSynthesis,
    SynthesizedDesign,
    designs,
)
from systolith.scripts.sweeping.pareto import pareto_front

DESIGN = Design(
    rank=1,
    network="net",
    budget="few",
    accuracy=0.9,
    weight_bits_total=800,
    multipliers=6,
    interval_cycles=100,
    latency_cycles=300,
)
BETTER = {"accuracy": 0.95, "multipliers": 5, "interval_cycles": 90}
WORSE = {"accuracy": 0.85, "multipliers": 7, "interval_cycles": 110}


def changed(**figures: float) -> Design:
    kept = {name: getattr(DESIGN, name) for name in DESIGN.__struct_fields__}
    return Design(**{**kept, **figures})


def test_a_design_is_beaten_in_accuracy_multipliers_or_interval() -> None:
    """And not by weights or a latency, which decide nothing on this front."""
    for name, figure in BETTER.items():
        assert pareto_front([DESIGN.costs, changed(**{name: figure}).costs]) == [False, True]
    for one, other in permutations(BETTER, 2):
        mixed = changed(**{one: BETTER[one], other: WORSE[other]})
        assert pareto_front([DESIGN.costs, mixed.costs]) == [True, True]
    for latency in (1, 999):
        assert changed(latency_cycles=latency, weight_bits_total=latency).costs == DESIGN.costs
    slower = changed(interval_cycles=110, latency_cycles=1)
    assert pareto_front([DESIGN.costs, slower.costs]) == [True, False]


POINT = SweptPoint(
    rank=1,
    name="net-w7-a5",
    network="net",
    settings={"weight_bits": 7, "activation_bits": 5, "calibration": "mse"},
    quantized_sha256="aa",
    weight_bits_total=800,
    validation=Score(91, 0.91),
    test=Score(43, 0.86),
    on_front=True,
)
OTHERS = {**POINT.settings, "bias_correction": True, "layers": {"C3": {"weight_bits": 3}}}
REFUSED = SweptPoint(2, "net-bias", "net", OTHERS, "bb", 700, Score(81, 0.81), not_built="too wide")
PLANS = [SweptPlan("net", "few", 6, 100, 300), SweptPlan("other", "few", 9, 101, 302)]


def test_designs_are_points_that_can_be_built_under_their_own_plans() -> None:
    assert list(designs([POINT, REFUSED], PLANS)) == [
        Design(
            rank=1,
            network="net",
            budget="few",
            accuracy=0.91,
            weight_bits_total=800,
            multipliers=6,
            interval_cycles=100,
            latency_cycles=300,
        )
    ]


def report() -> SweepReport:
    return SweepReport(
        schema=SCHEMA,
        calibration={"name": "some", "sha256": "cc", "images": 10},
        data=Images("digits", "validation", "dd", 100),
        test=Images("digits", "test", "ee", 50),
        networks=[SweptNetwork("net", "Net", "ff", 200, Score(97, 0.97), Score(44, 0.88))],
        plans=PLANS,
        points=[POINT, REFUSED],
        weight_front=[1],
        hardware_front=list(designs([POINT], PLANS)),
        version="1.2",
    )


def test_every_key_of_the_json() -> None:
    settings = {"weight_bits": 7, "activation_bits": 5, "calibration": "mse"}
    text = report().to_json().decode()
    # Indented by two, and a whole line.
    assert text == json.dumps(json.loads(text), indent=2) + "\n"
    assert json.loads(text) == {
        "schema": "systolith.sweep/2",
        "calibration": {"name": "some", "sha256": "cc", "images": 10},
        "data": {
            "name": "digits",
            "split": "validation",
            "sha256": "dd",
            "images": 100,
            "measure": "accuracy",
        },
        "test": {
            "name": "digits",
            "split": "test",
            "sha256": "ee",
            "images": 50,
            "measure": "accuracy",
        },
        "networks": [
            {
                "network": "net",
                "name": "Net",
                "sha256": "ff",
                "weights": 200,
                "validation": {"correct": 97, "accuracy": 0.97, "agreement": None},
                "test": {"correct": 44, "accuracy": 0.88, "agreement": None},
            }
        ],
        "plans": [
            {
                "network": "net",
                "budget": "few",
                "multipliers": 6,
                "interval_cycles": 100,
                "latency_cycles": 300,
            },
            {
                "network": "other",
                "budget": "few",
                "multipliers": 9,
                "interval_cycles": 101,
                "latency_cycles": 302,
            },
        ],
        "points": [
            {
                "rank": 1,
                "name": "net-w7-a5",
                "network": "net",
                "settings": settings,
                "quantized_sha256": "aa",
                "weight_bits_total": 800,
                "validation": {"correct": 91, "accuracy": 0.91, "agreement": None},
                "not_built": None,
                "on_front": True,
                "test": {"correct": 43, "accuracy": 0.86, "agreement": None},
            },
            {
                "rank": 2,
                "name": "net-bias",
                "network": "net",
                "settings": OTHERS,
                "quantized_sha256": "bb",
                "weight_bits_total": 700,
                "validation": {"correct": 81, "accuracy": 0.81, "agreement": None},
                "not_built": "too wide",
                "on_front": False,
                "test": None,
            },
        ],
        "weight_front": [1],
        "hardware_front": [
            {
                "rank": 1,
                "network": "net",
                "budget": "few",
                "accuracy": 0.91,
                "weight_bits_total": 800,
                "multipliers": 6,
                "interval_cycles": 100,
                "latency_cycles": 300,
                "agreement": None,
            }
        ],
        "version": "1.2",
        "synthesis": None,
    }


def test_tables_have_each_figure_under_its_heading() -> None:
    lines = report().to_markdown().splitlines()

    def under(first: str) -> list[dict[str, str]]:
        """The rows of the table whose first heading this is, by heading and its place."""
        place = next(n for n, line in enumerate(lines) if line.startswith(f"| {first} |"))
        heads, _, *rows = (
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in lines[place : lines.index("", place) if "" in lines[place:] else None]
        )
        names = [f"{head} {heads[:n].count(head) or ''}".strip() for n, head in enumerate(heads)]
        return [dict(zip(names, row, strict=True)) for row in rows]

    assert under("rank")[0] == {
        "rank": "1",
        "network": "net",
        "weights/maps": "7/5",
        "calibration": "mse",
        "bias\\_correction": "",
        "layers.C3.weight\\_bits": "",
        "weights (KiB)": "0.10",
        "smaller than float": "8.00x",
        "accuracy": "0.9100",
        "float": "0.9700",
        "front": "yes",
        "test accuracy": "0.8600",
        "float 1": "0.8800",
    }
    assert under("network")[0] == {
        "network": "net",
        "budget": "few",
        "multipliers": "6",
        "interval": "100",
        "latency": "300",
    }
    text = "\n".join(lines)
    assert "10 images of some, points are ranked by the accuracy on 100 others, digits" in text
    assert "scored on 50 images, digits (test)" in text
    assert "| 1 | net | net-w7-a5 | few | 0.9100 | 6 | 100 | 300 |" in text
    assert "| 2 | net | 7/5 | mse | true | 3 | 0.09 | 9.14x | 0.8100 | 0.9700 |  |  |  |" in text
    assert "- point 2: too wide" in text


def test_csv_has_a_row_for_each_design_and_each_point_that_is_not_built() -> None:
    rows = list(csv.DictReader(io.StringIO(report().to_csv())))
    assert rows == [
        {
            "rank": "1",
            "name": "net-w7-a5",
            "network": "net",
            "weight_bits": "7",
            "activation_bits": "5",
            "calibration": "mse",
            "weight_bits_total": "800",
            "accuracy": "0.91",
            "float_accuracy": "0.97",
            "test_accuracy": "0.86",
            "float_test_accuracy": "0.88",
            "budget": "few",
            "multipliers": "6",
            "interval_cycles": "100",
            "latency_cycles": "300",
            "weight_front": "True",
            "hardware_front": "True",
            "best_at_widths": "True",
            "quantized_sha256": "aa",
            "bias_correction": "",
            "layers.C3.weight_bits": "",
        },
        {
            "rank": "2",
            "name": "net-bias",
            "network": "net",
            "weight_bits": "7",
            "activation_bits": "5",
            "calibration": "mse",
            "weight_bits_total": "700",
            "accuracy": "0.81",
            "float_accuracy": "0.97",
            "test_accuracy": "",
            "float_test_accuracy": "0.88",
            "budget": "",
            "multipliers": "",
            "interval_cycles": "",
            "latency_cycles": "",
            "weight_front": "False",
            "hardware_front": "False",
            "best_at_widths": "False",
            "quantized_sha256": "bb",
            "bias_correction": "True",
            "layers.C3.weight_bits": "3",
        },
    ]


def test_of_two_networks_each_has_its_own_points_and_sizes() -> None:
    """Two of each have the same widths; one of the second network is on the front of hardware."""
    other = SweptNetwork("other", "Other", "hh", 100, Score(93, 0.93), Score(42, 0.84))
    points = [
        POINT,
        msgspec.structs.replace(POINT, rank=2, network="other", name="o1", weight_bits_total=160),
        msgspec.structs.replace(POINT, rank=3, name="n2", weight_bits_total=640, on_front=False),
        msgspec.structs.replace(REFUSED, rank=4),
        msgspec.structs.replace(REFUSED, rank=5, network="other", name="o2", weight_bits_total=128),
    ]
    first = report()
    swept = msgspec.structs.replace(
        first,
        networks=[*first.networks, other],
        points=points,
        hardware_front=list(designs([points[1]], PLANS)),
    )
    assert swept.best_at_widths == [1, 2]
    # 32 bits for each of 200 weights, or of 100.
    assert [swept.ratio(point) for point in points] == [
        *("8.00x", "20.00x", "10.00x", "9.14x", "25.00x")
    ]
    assert swept.not_built == {"too wide": [4, 5]}
    text = swept.to_markdown()
    assert "- points 4, 5: too wide" in text
    best = text.partition("## The best settings at each pair of widths\n")[2]
    assert [row.split(" | ")[0] for row in best.partition("## ")[0].splitlines()[5:7]] == [
        *("| 1", "| 2"),
    ]
    rows = swept.points_table().rows
    by_heading = [dict(zip(swept.points_table().headings, row, strict=True)) for row in rows]
    assert [row["front"] for row in by_heading] == ["yes", "yes", "", "", ""]
    assert [row["rank"] for row in by_heading] == ["1", "2", "3", "4", "5"]
    assert [row[0] for row in swept.points_table([3, 5]).rows] == ["3", "5"]
    assert swept.points_table([]).rows == []
    # Words come first: four columns, and one for each setting that varies.
    tables = (swept.points_table(), swept.hardware_table(), swept.plans_table())
    assert [table.left for table in tables] == [6, 4, 2]
    for table in tables:
        _, aligned, *_ = table.to_markdown().splitlines()
        right = [each.endswith(":") for each in aligned.strip("| ").split(" | ")]
        assert right == [place >= table.left for place in range(len(table.headings))]
    # Each stands beside the network in floats that it was made of.
    assert [row[9] for row in rows] == ["0.9700", "0.9300", "0.9700", "0.9700", "0.9300"]
    (marked,) = (
        row
        for row in csv.DictReader(io.StringIO(swept.to_csv()))
        if row["hardware_front"] == "True"
    )
    assert (marked["name"], marked["float_accuracy"], marked["multipliers"]) == ("o1", "0.93", "9")


@pytest.mark.parametrize(("data", "test"), [("accuracy", "agreement"), ("agreement", "accuracy")])
def test_each_data_set_is_called_by_its_own_measure(data: Any, test: Any) -> None:
    first = report()
    right = {"accuracy": Score(91, 0.91), "agreement": Score(None, None, 0.91)}
    swept = msgspec.structs.replace(
        first,
        data=msgspec.structs.replace(first.data, measure=data),
        test=msgspec.structs.replace(first.test, measure=test),
        networks=[msgspec.structs.replace(first.networks[0], validation=right[data])],
        points=[msgspec.structs.replace(POINT, validation=right[data], test=right[test])],
    )
    words = {
        "accuracy": "accuracy",
        "agreement": "agreement with the float network (the images have no labels)",
    }
    assert swept.ranked_by == words[data]
    headings = swept.points_table().headings
    assert (data in headings, f"test {test}" in headings) == (True, True)
    assert (test in headings, f"test {data}" in headings) == (False, False)
    (row,) = csv.DictReader(io.StringIO(swept.to_csv()))
    assert {"float_" + data, "test_" + test, "float_test_" + test} <= row.keys()
    assert f"## {data.capitalize()} against weight bits" in swept.to_markdown()


def test_designs_of_the_front_of_luts_come_first_and_then_those_of_fewer_luts() -> None:
    designs = [
        SynthesizedDesign(1, "net", "few", 0.91, 100, luts, 12, 13, 14, 15, fits=True)
        for luts in (40, 30, 10, 20)
    ]
    synthesis = SweptSynthesis("ecp5-25k", "0.70", designs, [1, 0])
    table = msgspec.structs.replace(report(), synthesis=synthesis).synthesis_table()
    assert table.left == 4
    rows = [dict(zip(table.headings, row, strict=True)) for row in table.rows]
    assert [(row["LUTs"], row["front"]) for row in rows] == [
        *(("30", "yes"), ("40", "yes"), ("10", ""), ("20", "")),
    ]
    assert rows[0] == {
        "rank": "1",
        "network": "net",
        "point": "net-w7-a5",
        "budget": "few",
        "accuracy": "0.9100",
        "LUTs": "30",
        "flip-flops": "12",
        "multipliers": "13",
        "block memories": "14",
        "interval": "100",
        "front": "yes",
        "fits": "yes",
    }


def test_csv_marks_a_front_under_the_budget_that_is_on_it() -> None:
    """Of a point under two budgets one alone is on the front of hardware."""
    more = SweptPlan("net", "more", 12, 60, 200)
    swept = msgspec.structs.replace(report(), plans=[*PLANS, more])
    rows = list(csv.DictReader(io.StringIO(swept.to_csv())))
    assert [(row["budget"], row["weight_front"], row["hardware_front"]) for row in rows] == [
        ("few", "True", "True"),
        ("more", "True", "False"),
        ("", "False", "False"),
    ]


def test_a_notebook_shows_the_points() -> None:
    shown = report()._repr_html_()
    table = ElementTree.fromstring(shown)
    assert [len(row) for row in table.iter("tr")] == [13] * 3
    assert "0.9100" in shown and "<script" not in shown


def test_csv_has_what_each_design_takes_of_a_device() -> None:
    """Two points under two budgets: four rows with figures of their own, in the order of points."""
    more = SweptPlan("net", "more", 12, 60, 200)
    second = msgspec.structs.replace(POINT, rank=3, name="net-2", quantized_sha256="gg")
    designs = [
        SynthesizedDesign(
            *(rank, "net", budget, 0.91, 100),
            *(n + 1, n + 2, n + 3, n + 4, n + 5),
            fits=n != 20,
        )
        for n, (rank, budget) in zip(
            (40, 30, 20, 10), ((3, "more"), (3, "few"), (1, "more"), (1, "few")), strict=True
        )
    ]
    synthesis = SweptSynthesis("ecp5-25k", "0.70", designs, [0])
    swept = msgspec.structs.replace(
        report(), points=[POINT, REFUSED, second], plans=[*PLANS, more], synthesis=synthesis
    )
    columns = ["rank", "budget", "multipliers", "luts", "flip_flops", "device_multipliers"]
    columns += ("block_memories", "distributed_memories", "fits")
    rows = list(csv.DictReader(io.StringIO(swept.to_csv())))
    assert [" ".join(row[column] or "-" for column in columns) for row in rows] == [
        "1 few 6 11 12 13 14 15 True",
        "1 more 12 21 22 23 24 25 False",
        "2 - - - - - - - -",
        "3 few 6 31 32 33 34 35 True",
        "3 more 12 41 42 43 44 45 True",
    ]
    assert {row["target"] for row in rows} == {"ecp5-25k"}
