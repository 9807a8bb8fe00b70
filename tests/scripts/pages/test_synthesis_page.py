"""What the figures of a synthesis draw, read back from their specifications."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from systolith.hw.silicon.slowest_paths import SlowestPath
from systolith.hw.silicon.synthesis_report import COUNT_HEADINGS
from systolith.hw.silicon.targets import Capacity
from systolith.scripts.pages import synthesis_page as page
from systolith.scripts.pages.synthesis_page import floor_use, slowest_paths
from tests.scripts.pages.chart_data import drawn, tooltips

CONV = SimpleNamespace(name="conv", occupied=Capacity(300, 20, 6, 1, 0))
DENSE = SimpleNamespace(name="dense", occupied=Capacity(100, 0, 2, 0, 5))
REPORT: Any = SimpleNamespace(
    part="LFE5U-25F",
    all_parts=(CONV, DENSE),
    available=Capacity(1000, 500, 12, 4, 0),
    placed_parts=[
        (DENSE, SlowestPath("a", "b", 5000, 3500)),
        (CONV, SlowestPath("c", "d", 4000, 400)),
    ],
)


def test_a_slowest_path_is_divided_into_cells_and_wires() -> None:
    """In picoseconds 5,000, of which 3,500 are in wires; and 4,000, of which 400 are."""
    spec = slowest_paths(REPORT).to_dict()
    # The slowest first, and room for a bar of each.
    assert spec["encoding"]["y"]["sort"] == ["dense", "conv"]
    assert spec["height"] == 34 * 2 + 90
    (bars,) = drawn(spec)
    cells, wires = "#7f9bb3", "#d9731a"
    assert bars.marks == [
        {"x": length, "y": name, "color": colour}
        for name, parts in (("dense", (1.5, 3.5)), ("conv", (3.6, 0.4)))
        for length, colour in zip(parts, (cells, wires), strict=True)
    ]
    assert tooltips(spec) == [
        {"layer": name, "in": where, "ns": length}
        for name, parts in (("dense", (1.5, 3.5)), ("conv", (3.6, 0.4)))
        for length, where in zip(parts, ("cells", "wires"), strict=True)
    ]


@pytest.mark.parametrize(
    ("target", "memories"),
    [("ecp5-25k", "distributed memories"), ("xc7a35t", "LUTs for distributed memories")],
)
def test_each_layer_has_its_share_of_what_the_device_has(target: str, memories: str) -> None:
    """Of what it has nothing of, a bar is full."""
    report: Any = SimpleNamespace(**vars(REPORT), target=target)
    spec = floor_use(report).to_dict()
    (bars,), shown = drawn(spec), tooltips(spec)
    assert [
        tuple(each[key] for key in ("layer", "resource", "used", "share")) for each in shown
    ] == [
        ("conv", "LUTs", 300, 0.3),
        ("conv", "flip-flops", 20, 0.04),
        ("conv", "multipliers", 6, 0.5),
        ("conv", "block memories", 1, 0.25),
        ("dense", "LUTs", 100, 0.1),
        ("dense", "multipliers", 2, 2 / 12),
        ("dense", memories, 5, 1),
    ]
    assert [(each["x"], each["y"], each["color"]) for each in bars.marks] == [
        (each["share"], each["resource"], each["layer"]) for each in shown
    ]


def test_the_tables_have_every_part_with_its_cells_and_its_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: dict[str, Any] = {}
    report: Any = SimpleNamespace(**vars(REPORT), target="ecp5-25k", clock_mhz=25.0)
    monkeypatch.setattr(page, "counts", lambda part: (part.name, "cells"))
    monkeypatch.setattr(page, "path_ends", lambda path: (path.source, path.target))
    monkeypatch.setattr(page, "render", lambda *_, **values: seen.update(values))
    page.synthesis_page(report)
    assert seen["rows"] == [(name, (name, "cells")) for name in ("conv", "dense")]
    paths = [(name, path.picoseconds, ends) for name, path, ends in seen["paths"]]
    assert paths == [("dense", 5000, ("a", "b")), ("conv", 4000, ("c", "d"))]
    assert seen["headings"] == COUNT_HEADINGS and seen["report"] is report


@pytest.mark.parametrize(("clock", "names"), [(None, ["floor"]), (25.0, ["floor", "paths"])])
def test_paths_are_drawn_where_the_design_was_placed(
    clock: float | None, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    report: Any = SimpleNamespace(**vars(REPORT), target="ecp5-25k", clock_mhz=clock)
    seen: list[str] = []
    monkeypatch.setattr(page, "counts", lambda part: ())
    monkeypatch.setattr(page, "path_ends", lambda path: "")
    monkeypatch.setattr(page, "render", lambda name, figures, **values: seen.extend(figures))
    page.synthesis_page(report)
    assert seen == names
