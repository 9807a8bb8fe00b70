"""Yosys synthesizes a tiny accelerator once, for all tests of this module."""

from __future__ import annotations

import gzip
import inspect
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from systolith import hw
from systolith.hw.accelerator import Port, axis_ports
from systolith.hw.errors import MisfitError
from systolith.hw.silicon import multiplier_registers, synthesis
from systolith.hw.silicon.flow import synthesize_folder
from systolith.hw.silicon.synthesis import TOP_PART, synthesize
from systolith.hw.silicon.synthesis_report import (
    COUNT_HEADINGS,
    SynthesisReport,
    counts,
    signal_name,
)
from systolith.hw.silicon.targets import DEVICES, KINDS, LONE_FLIP_FLOP
from systolith.hw.silicon.tools import Tool, ToolError
from systolith.hw.verilog import artifacts
from tests.hw.silicon.fake_tools import netlist_json
from tests.scripts import tiny

PORTS = axis_ports(8, 64)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYSTOLITH_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hardware") / "rtl"
    tiny.generate(folder)
    return folder


@pytest.fixture(scope="module")
def report(cache: Path, folder: Path) -> SynthesisReport:
    return synthesize_folder(folder, "ecp5-25k")


def test_the_cells_of_the_parts_are_all_cells(report: SynthesisReport) -> None:
    assert [each.name for each in report.layers] == ["conv", "dense"]
    assert [each.name for each in report.parts] == ["frame checker", "classifier", "top"]
    total = [sum(column) for column in zip(*map(counts, report.all_parts), strict=True)]
    assert total == [
        *(report.luts, report.carries, report.flip_flops, report.multipliers),
        *(report.memories.block, report.memories.distributed),
    ]
    assert report.luts == report.cells["LUT4"]
    assert report.flip_flops == report.cells["TRELLIS_FF"] == report.occupied.flip_flops
    assert report.occupied.luts == (
        report.cells["LUT4"] + 2 * report.cells["CCU2C"] + 6 * report.cells["TRELLIS_DPR16X4"]
    )
    assert len(COUNT_HEADINGS) == len(KINDS)


def test_all_scores_in_place_of_a_class_have_a_part_of_their_own(
    cache: Path, tmp_path: Path
) -> None:
    hw.generate(tiny.quantized(), tmp_path / "rtl", result="scores")
    report = synthesize_folder(tmp_path / "rtl", "ecp5-25k")
    assert [each.name for each in report.parts] == ["frame checker", "score stream", "top"]
    assert sum(each.flip_flops for each in report.all_parts) == report.flip_flops


def test_every_planned_multiplier_is_one(report: SynthesisReport, folder: Path) -> None:
    planned = artifacts.load(folder).manifest
    assert report.multipliers == report.planned_multipliers == planned.multipliers
    for layer, entry in zip(planned.layers, report.layers, strict=True):
        assert entry.multipliers == entry.planned_multipliers == layer.multipliers


def test_it_is_bound_to_the_verilog(report: SynthesisReport, folder: Path) -> None:
    built = artifacts.load(folder)
    assert report.verilog_sha256 == built.verilog_sha256
    assert report.as_generated and report.grade is None and report.misfit == ()
    assert (report.clock_mhz, report.seeds, report.placed_parts) == (None, (), [])
    content = json.loads(report.to_json())
    assert content["schema"] == "systolith.synthesis/1"
    assert content["occupied"]["luts"] == report.occupied.luts


def test_the_second_time_costs_nothing(
    report: SynthesisReport, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthesis, "run_tool", None)
    assert synthesize_folder(folder, "ecp5-25k") == report
    # The same Verilog on another device of the family is the same netlist.
    assert synthesize_folder(folder, "ecp5-85k").luts == report.luts


def test_weights_that_the_device_cannot_store_are_refused_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(DEVICES["ecp5-25k"]), "memory_bits", 1)
    with pytest.raises(MisfitError, match=r"tiny does not fit LFE5U-25F.* with any plan"):
        synthesize_folder(folder, "ecp5-25k")


def test_grades_are_those_of_the_device(folder: Path) -> None:
    with pytest.raises(ValueError, match="--grade 9: target ecp5-25k has the speed grades 6, 7, 8"):
        synthesize_folder(folder, "ecp5-25k", "9")
    with pytest.raises(ValueError, match="--grade 6: target ice40-up5k has no speed grades"):
        synthesize_folder(folder, "ice40-up5k", "6")


MODULES = {
    "top": {"unit": "top_a", "other": "helper", "gate": "LUT4"},
    "top_a": {"x": "TRELLIS_FF", "inner": "helper"},
    "helper": {"y": "LUT4", "z": "LUT4"},
}


def recorded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes) -> None:
    """Let a Yosys without time write a netlist."""
    source = tmp_path / "recorded.json"
    source.write_bytes(content)
    # The netlist that was prepared, for families that have one, becomes the result.
    copy = (
        f"cp {source} netlist.json; "
        f"if [ -e prepared.json ]; then cp prepared.json netlist.json; "
        f"else cp {source} prepared.json; fi; echo '{len(content)}'"
    )
    monkeypatch.setenv("SYSTOLITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(multiplier_registers, "with_multiplier_registers", lambda netlist: 0)
    monkeypatch.setattr(
        synthesis, "find_tool", lambda _: Tool("yosys", ("sh", "-c", copy), f"{hash(content)}")
    )


def test_modules_inside_a_part_belong_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(monkeypatch, tmp_path, netlist_json(MODULES))
    made = synthesize("", "top", PORTS, {"top_a": "a"}, DEVICES["ecp5-25k"])
    assert made.cells["a"] == Counter({"TRELLIS_FF": 1, "LUT4": 2})
    assert made.cells[TOP_PART] == Counter({"LUT4": 3})


def test_a_netlist_is_made_again_if_anything_that_it_is_made_of_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: list[str] = []
    content = gzip.compress(netlist_json({"top": {}, "other": {}, "top_pins": {}}))

    def cached(key: str, artifact: str, build: object) -> Path:
        keys.append(key)
        (tmp_path / artifact).write_bytes(content)
        return tmp_path / artifact

    def made(
        verilog: str = "module top();",
        top: str = "top",
        target: str = "ecp5-25k",
        version: str = "1.0",
        ports: Sequence[Port] = PORTS,
    ) -> None:
        monkeypatch.setattr(synthesis, "find_tool", lambda name: Tool(name, (), version))
        synthesize(verilog, top, ports, {}, DEVICES[target])

    monkeypatch.setattr(synthesis, "cached", cached)
    made()
    made()
    # Devices of a family have the same cells.
    made(target="ecp5-85k")
    assert len(set(keys)) == 1
    made("module top(input a);")
    made(top="other")
    made(version="1.1")
    for target in ("ice40-up5k", "gowin-gw1n9", "gowin-gw2a18", "xc7a35t"):
        made(target=target)
    made(target="ice40-up5k", ports=axis_ports(16, 64))
    source = inspect.getsource(multiplier_registers)
    monkeypatch.setattr(inspect, "getsource", lambda module: f"{source}# another pass")
    made()
    assert len(set(keys)) == len(keys) - 2 == 10


@pytest.mark.parametrize(("pins", "needed"), [(80, True), (81, False), (82, False)])
def test_a_device_with_fewer_pins_than_ports_gets_the_harness(pins: int, needed: bool) -> None:
    """`aclk` and `aresetn`, 11 at `s_axis`, and 68 at `m_axis`."""
    device = DEVICES["ecp5-25k"]
    assert device.placer is not None
    few = replace(device, placer=replace(device.placer, pins=pins))
    assert synthesis._needs_harness(few, PORTS) is needed
    assert not synthesis._needs_harness(replace(device, placer=None), PORTS)
    placed = replace(device, placer=replace(device.placer, pins=pins, constraints="IO_LOC"))
    assert synthesis._needs_harness(placed, PORTS)


def test_multipliers_get_their_registers_before_synthesis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_gate(netlist: dict[str, dict[str, dict[str, dict[str, str]]]]) -> int:
        del netlist["modules"]["top"]["cells"]["gate"]
        return 1

    recorded(monkeypatch, tmp_path, netlist_json(MODULES))
    monkeypatch.setattr(multiplier_registers, "with_multiplier_registers", without_gate)
    made = synthesize("", "top", PORTS, {"top_a": "a"}, DEVICES["ecp5-25k"])
    assert made.cells[TOP_PART] == Counter({"LUT4": 2})
    assert b"gate" not in made.content


def test_a_flip_flop_takes_a_logic_cell_of_ice40_unless_a_lut_drives_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = {
        # 2 drives a flip-flop alone, 3 two of them; 4 is an input, 5 a flip-flop's output.
        "lut_a": ("SB_LUT4", {"O": [2]}),
        "lut_b": ("SB_LUT4", {"O": [3]}),
        "behind_lut": ("SB_DFFE", {"D": [2], "Q": [5]}),
        "shared": ("SB_DFF", {"D": [3], "Q": [6]}),
        "shared_too": ("SB_DFF", {"D": [3], "Q": [7]}),
        "behind_input": ("SB_DFFSR", {"D": [4], "Q": [8]}),
        "behind_flip_flop": ("SB_DFF", {"D": [5], "Q": [9]}),
        "of_a_constant": ("SB_DFF", {"D": ["0"], "Q": [10]}),
    }
    top = {
        "ports": {"i": {"direction": "input", "bits": [4]}},
        "cells": {name: {"type": kind, "connections": to} for name, (kind, to) in cells.items()},
    }
    recorded(monkeypatch, tmp_path, json.dumps({"modules": {"top_pins": top}}).encode())
    device = DEVICES["ice40-up5k"]
    made = synthesize("", "top", PORTS, {}, device).cells[TOP_PART]
    assert made[LONE_FLIP_FLOP] == 4
    assert device.family.occupied(made).luts == 2 + 4


def test_a_netlist_without_the_top_module_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(monkeypatch, tmp_path, netlist_json(MODULES))
    with pytest.raises(ToolError, match="no module 'other'"):
        synthesize("", "other", PORTS, {}, DEVICES["ecp5-25k"])


def test_the_harness_has_four_pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = []

    def run(tool: Tool, arguments: list[str], folder: Path, results: list[str]) -> None:
        scripts.append((folder / "pins.il").read_text())
        (folder / "netlist.json").write_bytes(netlist_json({"top_pins": {}, "top": {}}))

    monkeypatch.setenv("SYSTOLITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(synthesis, "run_tool", run)
    for target in ("ice40-up5k", "gowin-gw1n9", "gowin-gw2a18"):
        assert synthesize("", "top", PORTS, {}, DEVICES[target]).top == "top_pins"
        assert len(re.findall(r"^ *wire width 1 (input|output)", scripts[-1], re.MULTILINE)) == 4
        assert "connect \\m_axis_tdata" in scripts[-1]


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("unit_C3.core_step_TRELLIS_FF_Q_3", "unit_C3.core_step"),
        ("unit_F6.core_sums.1.22$RAMW_SLICE", "unit_F6.core_sums"),
        ("unit_C5.core_weights_0.0.21", "unit_C5.core_weights_0"),
        ("unit_C1.psum_TRELLIS_FF_Q_13_DI_CCU2C_S1$CCU2_COMB1", "unit_C1.psum"),
        ("unit_conv.window_SB_DFFE_Q", "unit_conv.window"),
        ("frame_checker.position_DFFRE_Q", "frame_checker.position"),
        ("taken_TRELLIS_FF_Q", "taken"),
    ],
)
def test_cells_have_the_names_of_their_signals(cell: str, name: str) -> None:
    assert signal_name(cell) == name
