"""Classes of images without labels, and what differs, from records that are made by hand."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from systolith.sim import classification
from systolith.sim.classification import Classification, classify
from systolith.sim.record.taps import RESULT_FIELD, Batch, Records, RuleBroken
from tests.sim.record.test_checks import CLASSES, IMAGES, LAYOUT, all_scores, network, records


def classified(
    monkeypatch: pytest.MonkeyPatch, made: Records, broken: str = "", layout: Any = LAYOUT
) -> Classification:
    closed: list[bool] = []

    def simulated(tapped: object, images: object, stalls: object) -> Iterator[Batch]:
        assert (tapped, stalls) == ("tapped", None)
        assert images is IMAGES
        try:
            yield Batch(0, 2, made[2:])
            yield Batch(1, 0, made[:2])
            if broken:
                raise RuleBroken(broken)
        finally:
            closed.append(True)

    def tapped(fixed: object, manifest: object, verilog: str) -> str:
        assert verilog == "the Verilog"
        return "tapped"

    monkeypatch.setattr(classification, "simulate_bulk", simulated)
    monkeypatch.setattr(classification, "tapped_network", tapped)
    built: Any = SimpleNamespace(
        quantized=SimpleNamespace(fixed=network()),
        manifest=SimpleNamespace(result=layout),
        verilog="the Verilog",
    )
    found = classify(built, IMAGES)
    assert closed == [True]
    return found


def test_classes_are_those_of_the_images_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    assert classified(monkeypatch, records()) == Classification(tuple(CLASSES), ())


def test_whatever_differs_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    made = records()
    made["F"][3, 0, 0, 1] = 9
    made[RESULT_FIELD]["data"][1, 0, 0] = 2
    found = classified(monkeypatch, made, broken="F: valid was dropped")
    assert found.classes == (0, 2, 0, 0)
    values, broken, results = found.failures
    assert values == (
        "F: 1 of 12 values differ, the first in image 3, row 0, column 0, channel 1: "
        "expected 0, found 9"
    )
    assert broken == "F: valid was dropped"
    assert results.startswith("m_axis: 1 wrong results, the first of image 1: ")


def test_where_scores_come_out_there_are_no_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    layout, made = all_scores()
    assert classified(monkeypatch, made, layout=layout) == Classification((), ())
    made[RESULT_FIELD]["last"][2, 1] = 1
    (failure,) = classified(monkeypatch, made, layout=layout).failures
    assert failure.startswith("m_axis: 1 wrong results, the first of image 2: beat 1: ")
