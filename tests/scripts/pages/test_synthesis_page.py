"""What the figures of a synthesis draw: shares of a device, and paths in cells and wires."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from systolith.hw.silicon.targets import Capacity
from systolith.scripts.pages import synthesis_page as page
from tests.scripts.pages.chart_data import drawn


def report(**more: Any) -> Any:
    parts = [
        SimpleNamespace(name="C1", occupied=Capacity(200, 50, 3, 0, 0)),
        SimpleNamespace(name="top", occupied=Capacity(100, 0, 0, 1, 0)),
    ]
    available = Capacity(1000, 500, 12, 4, 0)
    return SimpleNamespace(
        all_parts=parts, available=available, part="some", target="ecp5-25k", **more
    )


def test_each_part_takes_its_share_of_what_the_device_has() -> None:
    (bars,) = drawn(page.floor_use(report()).to_dict())
    shares = {(each["y"], each["color"]): each["x"] for each in bars.marks}
    assert shares == {
        ("LUTs", "C1"): 0.2,
        ("flip-flops", "C1"): 0.1,
        ("multipliers", "C1"): 0.25,
        ("LUTs", "top"): 0.1,
        ("block memories", "top"): 0.25,
    }
    assert [each["order"] for each in bars.marks] == [0, 0, 0, 1, 1]


def test_a_path_is_drawn_in_nanoseconds_of_cells_and_of_wires() -> None:
    path = SimpleNamespace(picoseconds=5500, wire_picoseconds=2250)
    placed = report(placed_parts=[(SimpleNamespace(name="C1"), path)])
    (bars,) = drawn(page.slowest_paths(placed).to_dict())
    found = {each["color"]: each["x"] for each in bars.marks}
    assert found == {"#7f9bb3": pytest.approx(3.25), "#d9731a": pytest.approx(2.25)}


@pytest.mark.parametrize(("clock", "names"), [(None, ["floor"]), (25.0, ["floor", "paths"])])
def test_paths_are_drawn_where_the_design_was_placed(
    clock: float | None, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(page, "counts", lambda part: ())
    monkeypatch.setattr(page, "render", lambda name, figures, **values: seen.extend(figures))
    page.synthesis_page(report(clock_mhz=clock, placed_parts=[]))
    assert seen == names
