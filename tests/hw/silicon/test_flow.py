"""What a synthesis asks its tools for, and what becomes of their answers; no tool runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from systolith import hw
from systolith.hw.silicon import flow
from systolith.hw.silicon.placement import NoRoomError, Placement
from systolith.hw.silicon.synthesis import TOP_PART, Netlist
from systolith.hw.silicon.targets import Device
from systolith.hw.silicon.tools import Tool
from systolith.hw.verilog import artifacts
from tests.scripts import tiny

UNITS = ["unit_conv", "unit_dense"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hardware") / "rtl"
    tiny.generate(folder)
    return folder


class Tools:
    """In place of Yosys and nextpnr: notes what they are called with."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.modules: dict[str, str] = {}
        self.placed: list[tuple[str, list[int], list[str]]] = []
        self.luts = 5
        self.no_room = False

    def find_tool(self, name: str) -> Tool:
        self.found.append(name)
        return Tool(name, (), f"version of {name}")

    def synthesize(
        self, verilog: str, top: str, ports: object, modules: dict[str, str], device: Device
    ) -> Netlist:
        assert top == "tiny" and f"module {top}" in verilog
        self.modules = modules
        cells = {part: Counter(LUT4=self.luts) for part in (*modules.values(), TOP_PART)}
        return Netlist(device, Tool("yosys", (), "1"), top, b"", cells)

    def place(
        self, netlist: Netlist, grade: str, seeds: Sequence[int], parts: list[str], progress: Any
    ) -> list[Placement]:
        self.placed.append((grade, list(seeds), parts))
        progress(1, len(seeds))
        if self.no_room:
            raise NoRoomError(("3 of 2",))
        return [Placement(seed, 10.0 * seed, {}) for seed in seeds]


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Tools:
    made = Tools()
    for name in ("find_tool", "synthesize", "place"):
        monkeypatch.setattr(flow, name, getattr(made, name))
    return made


@pytest.mark.parametrize(
    ("target", "grade", "placed_with", "placer"),
    [
        ("ecp5-25k", None, "6", "nextpnr-ecp5"),
        ("ecp5-85k", "8", "8", "nextpnr-ecp5"),
        ("gowin-gw2a18", None, "", "nextpnr-gowin"),
    ],
)
def test_every_part_is_counted_apart_and_placed_with_the_slowest_grade_by_default(
    folder: Path, tools: Tools, target: str, grade: str | None, placed_with: str, placer: str
) -> None:
    steps: list[str] = []
    done: list[tuple[int, int]] = []
    report = flow.synthesize_folder(
        folder, target, grade, [3, 1, 2], lambda *each: done.append(each), steps.append
    )
    parts = ["frame_checker", "classifier", *UNITS]
    assert tools.modules == {f"tiny_{part}": part for part in parts}
    assert tools.placed == [(placed_with, [3, 1, 2], parts)]
    assert (steps, done) == (["Yosys", "nextpnr"], [(1, 3)])
    assert report.tools == {name: f"version of {name}" for name in ("yosys", placer)}
    assert report.grade == (placed_with or None)
    assert (report.clock_mhz, report.best_clock_mhz) == (20.0, 30.0)


def test_all_scores_leave_through_a_part_of_their_own(tools: Tools, tmp_path: Path) -> None:
    hw.generate(tiny.quantized(), tmp_path / "rtl", result="scores")
    report = flow.synthesize_folder(tmp_path / "rtl", "ecp5-25k", seeds=[1])
    parts = ["frame_checker", "score_stream", *UNITS]
    assert (list(tools.modules.values()), tools.placed) == (parts, [("6", [1], parts)])
    assert [part.name for part in report.parts] == ["frame checker", "score stream", "top"]


def test_without_seeds_nothing_is_placed_and_no_placer_is_needed(
    folder: Path, tools: Tools
) -> None:
    report = flow.synthesize_folder(folder, "xc7z020")
    assert (tools.placed, tools.found, report.tools) == (
        [],
        ["yosys"],
        {"yosys": "version of yosys"},
    )


def test_what_does_not_fit_by_its_cells_is_not_placed(folder: Path, tools: Tools) -> None:
    tools.luts = 5_000
    report = flow.synthesize_folder(folder, "ecp5-25k", seeds=[1])
    assert report.misfit == ("25,000 LUTs of 24,288 (712 too many)",)
    assert (tools.placed, report.seeds) == ([], ())


def test_what_the_placer_finds_no_room_for_is_in_the_report(folder: Path, tools: Tools) -> None:
    tools.no_room = True
    report = flow.synthesize_folder(folder, "ecp5-25k", seeds=[1])
    assert report.misfit == report.no_room == ("3 of 2",)
    assert report.seeds == ()


def test_only_weights_need_room_whatever_the_plan(
    folder: Path, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int, str]] = []
    monkeypatch.setattr(
        flow, "require_room", lambda net, bits, device: asked.append((net, bits, device.name))
    )
    flow.synthesize_folder(folder, "ecp5-45k")
    assert asked == [("tiny", tiny.quantized().weight_bits_total, "ecp5-45k")]


def test_a_manifest_is_held_against_the_plan_where_it_describes_the_verilog(
    folder: Path, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    def contradict(folder: object, built: object) -> None:
        raise ValueError("multipliers is 3")

    monkeypatch.setattr(flow, "figures", contradict)
    with pytest.raises(ValueError, match="multipliers is 3"):
        flow.synthesize_folder(folder, "ecp5-25k")
    edited = artifacts.load(folder)
    monkeypatch.setattr(type(edited), "as_generated", False)
    report = flow.synthesize_folder(folder, "ecp5-25k")
    assert (report.as_generated, report.interval_cycles) == (False, None)


def test_a_budget_is_sought_for_the_plan_and_the_result_of_the_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = artifacts.load(folder).manifest

    def fitting(fixed: Any, device: Device, *given: object) -> str:
        assert (fixed.name, device.name) == ("tiny", "ecp5-85k")
        assert given == (manifest.multipliers, print, manifest.result.kind)
        return "words"

    monkeypatch.setattr(flow, "fitting_budget", fitting)
    assert flow.budget_for_folder(folder, "ecp5-85k", print) == "words"
