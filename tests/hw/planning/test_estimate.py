# amaranth: UnusedElaboratable=no
"""What a report of a plan says: its table, its JSON, and what limits the interval."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from systolith.golden.network.graph import Dense, Input, Network
from systolith.hw.errors import PlanError
from systolith.hw.folding import Folding
from systolith.hw.planning.budget import PRESETS, Goal, make_plan
from systolith.hw.planning.estimate import PlannedLayer, bottleneck, report_plan
from tests.hw.small_networks import EVERY_KIND, EVERY_KIND_PLAN, quantized


def layers(**cycles: int) -> list[PlannedLayer]:
    return [PlannedLayer(name, "dense", Folding(), 1, n, n, 0) for name, n in cycles.items()]


def test_presets_are_those_of_the_document() -> None:
    text = (Path(__file__).parents[3] / "docs" / "planning.md").read_text()
    small, medium, large = (PRESETS[name] for name in ("small", "medium", "large"))
    for line in (
        f"| `--preset small` | at most {small.max_multipliers} multipliers,",
        f"| `--preset medium` | at most {medium.max_multipliers}, as",
        f"| `--preset large` | an image every {large.target_cycles} cycles |",
    ):
        assert line in text


@pytest.mark.parametrize(
    ("interval", "cycles", "result_beats", "words"),
    [
        (100, {"A": 100}, 1, "A holds the others back: 100 cycles an image"),
        (
            100,
            {"A": 20, "B": 100, "C": 75},
            1,
            "B holds the others back: 100 cycles an image; next is C with 75 (25.0% idle)",
        ),
        (
            100,
            {"A": 60, "B": 99},
            1,
            (
                "no unit needs 100 cycles an image: units wait for each other or for pixels; the "
                "slowest is B with 99"
            ),
        ),
        (
            1000,
            {"A": 200},
            999,
            (
                "no unit needs 1,000 cycles an image: units wait for each other or for pixels; the "
                "slowest is A with 200"
            ),
        ),
        (
            1000,
            {"A": 999, "B": 9},
            1000,
            "the 1,000 scores, one a cycle, hold the layers back; the slowest is A with 999",
        ),
        (
            1000,
            {"A": 1000, "B": 500},
            1000,
            "A holds the others back: 1,000 cycles an image; next is B with 500 (50.0% idle)",
        ),
    ],
)
def test_what_limits_the_interval(
    interval: int, cycles: dict[str, int], result_beats: int, words: str
) -> None:
    assert bottleneck(interval, layers(**cycles), result_beats) == words


def test_the_table_of_a_notebook_has_a_row_for_each_layer_and_figures_on_the_right() -> None:
    network = quantized(EVERY_KIND)
    report = report_plan(network, EVERY_KIND_PLAN)
    table = ElementTree.fromstring(report._repr_html_())
    heads, *rows = [[cell.text for cell in row] for row in table.iter("tr")]
    assert heads[:4] == ["layer", "unit", "rows", "columns"]
    assert [row[0] for row in rows] == list(EVERY_KIND_PLAN)
    for row, folding in zip(rows, EVERY_KIND_PLAN.values(), strict=True):
        assert row[2:4] == [f"{folding.rows}", f"{folding.columns}"]
    aligned = [cell.attrib["style"].rpartition(" ")[2] for cell in next(table.iter("tr"))]
    assert aligned == ["left"] * 2 + ["right"] * 5
    caption = table.findtext("caption") or ""
    predicted = report.predicted
    for text in (f"every {predicted.interval_cycles:,} cycles", f"{predicted.latency_cycles:,} cy"):
        assert text in caption


def test_the_json_is_indented_by_two_and_ends_a_line() -> None:
    text = report_plan(quantized(EVERY_KIND), EVERY_KIND_PLAN).to_json().decode()
    assert text == json.dumps(json.loads(text), indent=2) + "\n"


def test_all_scores_of_a_large_result_limit_the_interval() -> None:
    network = Network(
        "scores",
        (
            Input(name="input", height=1, width=2),
            Dense(name="A", inputs=("input",), units=3),
            Dense(name="B", inputs=("A",), units=200),
        ),
    )
    fixed = quantized(network).fixed
    with pytest.raises(PlanError, match="target_cycles must be at least 200, the shortest"):
        make_plan(fixed, Goal(target_cycles=199), result="scores")
    plan = make_plan(fixed, Goal(target_cycles=200), result="scores")
    assert report_plan(quantized(network), plan, "scores").predicted.interval_cycles == 200
