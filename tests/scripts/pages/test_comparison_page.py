"""What the page of a comparison shows, as the template gets it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from systolith.golden.reports.comparison import layer_cells
from systolith.golden.reports.paired_difference import Difference
from systolith.scripts.pages import comparison_page as page
from tests.scripts.comparing.comparisons import C1, COMPARISON, F6, FIRST, SECOND

LAYERS = ["sqnr", "saturation", "range"]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the template gets; changed images are what they are computed from."""
    values: dict[str, Any] = {}

    def render(template: str, figures: dict[str, Any], **given: Any) -> str:
        values.update(given, figures=list(figures), template=template)
        return "text"

    monkeypatch.setattr(page, "render", render)
    monkeypatch.setattr(page, "changed_images", lambda *args: args)
    return values


def test_networks_images_and_figures_of_a_comparison_of_classifiers(shown: dict[str, Any]) -> None:
    networks: Any = [None, "second", "third", "fourth"]
    dataset: Any = "images"
    assert page.comparison_page(COMPARISON, networks, dataset) == "text"
    assert shown["changed"] == (COMPARISON, networks, dataset)
    assert shown["figures"] == ["accuracy", "classes", "confusion", *LAYERS]
    assert (shown["template"], shown["what"]) == ("comparison.html", "label")
    assert shown["kinds"] == ("gained", "lost", "still wrong")
    assert [
        (layer["name"], [(row["report"], row["cells"]) for row in layer["rows"]])
        for layer in shown["layers"]
    ] == [
        ("C1", [("two", layer_cells(C1)), ("three", layer_cells(C1))]),
        ("F6", [("two", layer_cells(F6)), ("four", layer_cells(F6))]),
    ]


@pytest.mark.parametrize(
    ("gains", "losses", "figures"),
    [
        (0, 0, ["accuracy", "classes"]),
        # As many gains as losses: the accuracy is the same, but not the images.
        (3, 3, ["accuracy", "classes", "confusion"]),
        (0, 1, ["accuracy", "classes", "confusion"]),
    ],
)
def test_confusions_are_compared_where_an_image_changed(
    gains: int, losses: int, figures: list[str], shown: dict[str, Any]
) -> None:
    difference = Difference((gains - losses) / 10, (-0.5, 0.5), gains, losses, 1.0, 1.0)
    first, second, *_ = COMPARISON.rows
    rows = (first, replace(second, difference=difference))
    page.comparison_page(replace(COMPARISON, rows=rows, layers=()))
    assert shown["figures"] == figures
    assert shown["layers"] == []


def test_without_labels_the_rows_are_classes_of_the_float_network(shown: dict[str, Any]) -> None:
    rows = tuple(
        replace(row, report=replace(report, labels=None, correct=None))
        for row, report in zip(COMPARISON.rows, (FIRST, SECOND, SECOND, SECOND), strict=True)
    )
    page.comparison_page(replace(COMPARISON, rows=rows))
    assert shown["what"] == "class of the float network"
    assert "accuracy" in shown["figures"]
