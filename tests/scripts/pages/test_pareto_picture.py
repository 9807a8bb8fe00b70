from __future__ import annotations

from xml.etree import ElementTree

import msgspec
import pytest

from systolith.scripts.pages.pareto_picture import draw_pareto
from systolith.scripts.sweeping.outcome import (
    Images,
    Score,
    SweepReport,
    SweptNetwork,
    SweptPlan,
    SweptPoint,
)
from systolith.scripts.sweeping.outcome import designs as all_designs

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
    images = Images("digits", "validation", "", 1000)
    score = Score(1, 0.001)
    return SweepReport(
        schema="",
        calibration={"name": "digits", "sha256": "", "images": 10},
        data=images,
        test=images,
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


def test_points_in_one_place_share_a_label() -> None:
    given = report(("one",), (990, 990))
    first, second = given.points
    second = msgspec.structs.replace(second, weight_bits_total=first.weight_bits_total)
    points = [first, second]
    front = list(all_designs(points, given.plans))
    same = msgspec.structs.replace(given, points=points, hardware_front=front)
    assert "8/1, 7/2" in texts(draw_pareto(same))


def test_no_errors_and_no_designs_can_be_drawn() -> None:
    assert "8/1" in texts(draw_pareto(report(("one",), (1000, 0))))
    assert "weights (KiB)" in texts(draw_pareto(report(("one",), ())))
