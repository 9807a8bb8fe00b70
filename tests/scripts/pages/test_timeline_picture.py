# amaranth: UnusedElaboratable=no
"""What the picture of a timeline draws, held against the work that units have by their shapes."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from systolith import hw
from systolith.hw.folding import Folding
from systolith.hw.planning.activity import Activity
from systolith.scripts.pages.timeline_picture import _spans, draw_timeline
from tests.scripts import tiny
from tests.scripts.pages.chart_data import drawn, saved

# 3 x 3 windows of 6 elements on 2 rows for 2 outputs on one column; 18 inputs, 3 outputs on one.
CYCLES = {"conv, 2 x": 9 * 3 * 2, "dense, 1 x": 18 * 3}


def test_each_unit_works_its_own_cycles_for_each_image(monkeypatch: pytest.MonkeyPatch) -> None:
    quantized = tiny.quantized()
    plan = {"conv": Folding(rows=2), "dense": Folding()}
    report = hw.report_plan(quantized, plan)
    specs = saved(monkeypatch)
    draw_timeline(quantized, plan, report)
    (spec,) = specs
    (rectangles,) = drawn(spec)
    worked: dict[tuple[str, str], float] = defaultdict(float)
    spans: dict[tuple[str, int], float] = defaultdict(float)
    starts: dict[tuple[str, str], list[int]] = defaultdict(list)
    for each in rectangles.marks:
        height, width = each["y2"] - each["y"], each["x2"] - each["x"]
        worked[each["row"], each["color"]] += height * width
        spans[each["row"], each["x"]] += height
        starts[each["row"], each["color"]].append(each["x"])
    assert {key: round(cycles, 6) for key, cycles in worked.items()} == {
        (name, image): cycles for name, cycles in CYCLES.items() for image in ("1", "2")
    }
    # Each row goes from nothing to the whole of a span.
    axis = spec["encoding"]["y"]
    assert (axis["scale"]["domain"], axis["axis"]["values"]) == ([0, 1], [0, 1])
    # No unit works for more than the whole of a span, and each begins with the first image.
    assert max(spans.values()) <= 1 + 1e-9
    for name in CYCLES:
        assert min(starts[name, "1"]) < min(starts[name, "2"])
    assert min(starts["conv, 2 x", "1"]) < min(starts["dense, 1 x", "1"])
    interval, latency = report.predicted.interval_cycles, report.predicted.latency_cycles
    assert spec["title"]["text"].startswith("tiny: two images, results in cycles ")
    first, second = spec["title"]["text"].rpartition("cycles ")[2].split(" and ")
    assert int(second) - int(first) == interval and int(first) >= latency
    start, end = spec["encoding"]["x"]["scale"]["domain"]
    assert start == 0 and end > int(second)
    subtitle = f"3 multipliers, then an image every {interval} cycles"
    assert spec["title"]["subtitle"].startswith(subtitle)


def test_the_work_for_two_images_in_one_span_is_stacked() -> None:
    """Spans of four cycles: in the first, three for an image and one for the next."""
    busy = {"conv": np.array([[3, 1, 0], [1, 2, 0]]), "dense": np.array([[0, 4, 1], [0, 0, 2]])}
    seen = Activity(span_cycles=4, busy=busy, results=())
    rectangles = _spans(seen, {"conv": "conv, 2 x", "dense": "dense, 1 x"})
    assert [tuple(each.values()) for each in rectangles] == [
        ("conv, 2 x", "1", 0, 4, 0.0, 0.75),
        ("conv, 2 x", "1", 4, 8, 0.0, 0.25),
        ("conv, 2 x", "2", 0, 4, 0.75, 1.0),
        ("conv, 2 x", "2", 4, 8, 0.25, 0.75),
        ("dense, 1 x", "1", 4, 8, 0.0, 1.0),
        ("dense, 1 x", "1", 8, 12, 0.0, 0.25),
        ("dense, 1 x", "2", 8, 12, 0.25, 0.75),
    ]
    keys = ["layer", "image", "start", "end", "low", "high"]
    assert [list(each) for each in rectangles] == [keys] * 7


def test_a_result_of_scores_is_in_the_cycle_of_its_last_score(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three scores, one a cycle: two cycles after the first, which is in that of the latency."""
    quantized = tiny.quantized()
    plan = {"conv": Folding(rows=2), "dense": Folding(columns=3, lanes=3)}
    report = hw.report_plan(quantized, plan, "scores")
    specs = saved(monkeypatch)
    draw_timeline(quantized, plan, report)
    (spec,) = specs
    first, _ = spec["title"]["text"].rpartition("cycles ")[2].split(" and ")
    assert int(first) == report.predicted.latency_cycles + 2
