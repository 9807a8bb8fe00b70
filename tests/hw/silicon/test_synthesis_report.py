"""Reports in files: what contradicts itself is refused, and other targets stay in the file."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from systolith.golden.errors import FileFormatError
from systolith.hw.silicon.placement import Placement
from systolith.hw.silicon.slowest_paths import SlowestPath
from systolith.hw.silicon.synthesis import TOP_PART, Netlist
from systolith.hw.silicon.synthesis_report import (
    FILE_NAME,
    load_report,
    make_report,
    path_ends,
    require_report_of,
    save_report,
)
from systolith.hw.silicon.targets import DEVICES
from systolith.hw.silicon.tools import Tool
from systolith.hw.verilog import artifacts
from tests.hw.silicon.synthesized import made_report
from tests.scripts import tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hardware") / "rtl"
    tiny.generate(folder)
    return folder


def test_a_report_is_read_as_it_was_written(folder: Path) -> None:
    report = made_report(folder)
    (folder / FILE_NAME).unlink(missing_ok=True)
    save_report(folder, report)
    assert load_report(folder) == report
    assert "others" not in json.loads((folder / FILE_NAME).read_text())
    assert (report.clock_mhz, report.best_clock_mhz, report.occupied.luts) == (91.5, 93.0, 20)


CELLS = {
    "frame_checker": Counter(LUT4=1, TRELLIS_FF=21),
    "unit_conv": Counter(LUT4=2, CCU2C=12, MULT18X18D=3),
    "unit_dense": Counter(LUT4=3, DP16KD=4, TRELLIS_DPR16X4=5),
    "classifier": Counter(LUT4=4, PFUMX=9),
    TOP_PART: Counter(LUT4=5),
}
# LUTs of logic, carry cells, flip-flops, multipliers, block and distributed memories.
COUNTS = {
    "conv": (2, 12, 0, 3, 0, 0),
    "dense": (3, 0, 0, 0, 4, 5),
    "frame checker": (1, 0, 21, 0, 0, 0),
    "classifier": (4, 0, 0, 0, 0, 0),
    "top": (5, 0, 0, 0, 0, 0),
}


@pytest.mark.parametrize("generated", [True, False])
def test_every_figure_of_a_report(folder: Path, generated: bool) -> None:
    built = artifacts.load(folder)
    if not generated:
        built = replace(built, verilog=built.verilog + "// edited\n")
    netlist = Netlist(DEVICES["ecp5-25k"], Tool("yosys", (), "1.0"), "top", b"", CELLS)
    conv, dense = SlowestPath("a", "unit_conv.b", 900, 400), SlowestPath("c", "d", 1000, 30)
    placements = [
        Placement(5, 80.0, {}),
        Placement(3, 50.0, {"unit_conv": conv, "unit_dense": dense}),
        Placement(4, 40.0, {"unit_conv": dense}),
    ]
    versions = {"yosys": "1.0", "nextpnr-ecp5": "2.0"}
    report = make_report(built, netlist, "7", placements, versions)
    manifest = built.manifest
    predicted = manifest.predicted
    found = json.loads(report.to_json())
    parts = {each["name"]: each for each in (*found.pop("layers"), *found.pop("parts"))}
    assert found == {
        "schema": "systolith.synthesis/1",
        "network": "tiny",
        "quantized_sha256": manifest.quantized_sha256,
        "verilog_sha256": hashlib.sha256(built.verilog.encode()).hexdigest(),
        "as_generated": generated,
        "target": "ecp5-25k",
        "part": "LFE5U-25F-CABGA381",
        "grade": "7",
        "tools": versions,
        "cells": {
            "CCU2C": 12,
            "DP16KD": 4,
            "LUT4": 15,
            "MULT18X18D": 3,
            "PFUMX": 9,
            "TRELLIS_DPR16X4": 5,
            "TRELLIS_FF": 21,
        },
        "luts": 15,
        "carries": 12,
        "flip_flops": 21,
        "multipliers": 3,
        "planned_multipliers": manifest.multipliers,
        "memories": {"block": 4, "distributed": 5},
        # A carry cell has two LUTs and a distributed memory six.
        "occupied": occupied(15 + 2 * 12 + 6 * 5, 21, 3, 4, 5),
        "available": occupied(24_288, 24_288, 28, 56, 3_036),
        "seeds": [
            {"seed": 5, "clock_mhz": 80.0},
            {"seed": 3, "clock_mhz": 50.0},
            {"seed": 4, "clock_mhz": 40.0},
        ],
        "clock_mhz": 50.0,
        "best_clock_mhz": 80.0,
        "interval_cycles": predicted.interval_cycles if generated else None,
        "latency_cycles": predicted.latency_cycles if generated else None,
        "images_per_second": (
            pytest.approx(50e6 / predicted.interval_cycles) if generated else None
        ),
        "latency_us": pytest.approx(predicted.latency_cycles / 50) if generated else None,
    }
    planned = {layer.name: layer.multipliers for layer in manifest.layers}
    paths = {"conv": conv, "dense": dense}
    assert list(parts) == list(COUNTS)
    for name, (luts, carries, flip_flops, multipliers, blocks, distributed) in COUNTS.items():
        path = paths.get(name)
        assert parts[name] == {
            "name": name,
            "luts": luts,
            "carries": carries,
            "flip_flops": flip_flops,
            "multipliers": multipliers,
            "block_memories": blocks,
            "distributed_memories": distributed,
            "occupied": occupied(
                luts + 2 * carries + 6 * distributed, flip_flops, multipliers, blocks, distributed
            ),
            "planned_multipliers": planned.get(name, 0),
            "slowest_path": None if path is None else json.loads(msgspec.json.encode(path)),
        }
    assert report.use == (
        ("LUTs", 69, 24_288),
        ("flip-flops", 21, 24_288),
        ("multipliers", 3, 28),
        ("block memories", 4, 56),
        ("distributed memories", 5, 3_036),
    )
    assert [part.name for part, _ in report.placed_parts] == ["dense", "conv"]
    table = ElementTree.fromstring(report._repr_html_())
    assert table.findtext("caption") == "tiny on LFE5U-25F-CABGA381: 50.0 MHz"
    rows = [[cell.text for cell in row] for row in table.iter("tr")]
    assert rows[1:] == [[name, *map(str, figures)] for name, figures in COUNTS.items()]
    (folder / FILE_NAME).unlink(missing_ok=True)
    save_report(folder, report)
    assert load_report(folder) == report


def occupied(*figures: int) -> dict[str, int]:
    """What is occupied of a device or there."""
    names = "luts", "flip_flops", "multipliers", "block_memories", "distributed_memories"
    return dict(zip(names, figures, strict=True))


def test_a_design_that_was_not_placed_has_no_grade_and_no_clock(folder: Path) -> None:
    report = made_report(folder, clocks={})
    assert (report.grade, report.clock_mhz, report.best_clock_mhz) == (None, None, None)
    assert (report.images_per_second, report.latency_us, report.placed_parts) == (None, None, [])
    assert report.misfit == ()
    full = msgspec.structs.replace(report, no_room=("too little of it",))
    assert full.misfit == ("too little of it",)


def test_the_last_reports_for_all_targets_stay_in_the_file(folder: Path) -> None:
    (folder / FILE_NAME).unlink(missing_ok=True)
    targets = ["ecp5-25k", "ecp5-45k", "ecp5-85k", "ecp5-45k"]
    reports = [made_report(folder, target, {}) for target in targets]
    for each in reports:
        save_report(folder, each)
    assert load_report(folder) == msgspec.structs.replace(
        reports[3], others=(reports[2], reports[0])
    )


def test_a_path_is_named_by_the_signals_at_both_ends() -> None:
    path = SlowestPath("unit_conv.sum_SB_DFFE_Q", "unit_a.psum.1.2", 2, 1)
    assert path_ends(path) == ("unit_conv.sum", "unit_a.psum")


@pytest.mark.parametrize(
    ("clocks", "seed"),
    [({1: 90.0, 2: 70.0, 3: 80.0}, 3), ({4: 80.0, 9: 70.0}, 9), ({6: 1.5}, 6)],
)
def test_slowest_paths_are_those_of_the_seed_whose_clock_is_reported(
    clocks: dict[int, float], seed: int, folder: Path
) -> None:
    """The median; of two clocks, the lower one."""
    report = made_report(folder, clocks=clocks)
    ((part, path),) = report.placed_parts
    assert (report.clock_mhz, report.best_clock_mhz) == (clocks[seed], max(clocks.values()))
    assert (part.name, path.picoseconds) == ("conv", 899 + seed)


def test_reports_for_other_targets_stay_in_the_file(folder: Path) -> None:
    (folder / FILE_NAME).write_text("not a report")
    first, second = made_report(folder), made_report(folder, "ecp5-85k", {})
    for each in (first, second):
        save_report(folder, each)
    assert load_report(folder).target == "ecp5-85k"
    assert load_report(folder).others == (first,)
    save_report(folder, first)
    assert load_report(folder).others == (second,)
    content = json.loads((folder / FILE_NAME).read_text())
    content["others"][0]["luts"] += 1
    (folder / FILE_NAME).write_text(json.dumps(content))
    with pytest.raises(FileFormatError, match=r"\$\.others\[0\]\.luts: is 17, .* follows 16"):
        load_report(folder)
    content["others"][0] |= {"luts": 16, "verilog_sha256": "0"}
    (folder / FILE_NAME).write_text(json.dumps(content))
    with pytest.raises(FileFormatError, match=r"\$\.others\[0\]: is not of the same Verilog"):
        load_report(folder)
    content["others"] = [{**content, "others": []}]
    (folder / FILE_NAME).write_text(json.dumps(content))
    with pytest.raises(FileFormatError, match=r"\$\.others: has a target twice"):
        load_report(folder)


def test_a_report_of_other_verilog_is_replaced(folder: Path) -> None:
    """After the Verilog was edited, no report of what it was before is left."""
    (folder / FILE_NAME).unlink(missing_ok=True)
    save_report(folder, msgspec.structs.replace(made_report(folder), verilog_sha256="0" * 64))
    report = made_report(folder, "ecp5-85k", {})
    save_report(folder, report)
    assert load_report(folder) == report


def changed(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda report: report.update({key: value})


CONTRADICTIONS: list[tuple[str, Callable[[dict[str, Any]], None]]] = [
    ("schema", changed("schema", "systolith.synthesis/9")),
    ("luts", changed("luts", -1)),
    ("luts", changed("luts", 21)),
    ("flip_flops", changed("flip_flops", 9)),
    ("memories", changed("memories", {"block": 1, "distributed": 0})),
    ("cells", changed("cells", {"LUT9": 20})),
    ("target", changed("target", "ecp5")),
    ("part", changed("target", "ecp5-85k")),
    ("occupied", lambda report: report["occupied"].update(luts=4)),
    ("available", lambda report: report["available"].update(luts=10**6)),
    ("grade", changed("grade", None)),
    ("grade", changed("seeds", [])),
    ("seeds", lambda report: report["seeds"].append(report["seeds"][0])),
    ("seeds", lambda report: report["seeds"][0].update(clock_mhz=-1.0)),
    ("seeds", changed("no_room", ["everything"])),
    ("clock_mhz", lambda report: report["seeds"][0].update(clock_mhz=90.0)),
    ("clock_mhz", changed("clock_mhz", 500.0)),
    ("best_clock_mhz", changed("best_clock_mhz", 500.0)),
    ("interval_cycles", changed("interval_cycles", None)),
    ("latency_cycles", changed("latency_cycles", None)),
    ("images_per_second", changed("interval_cycles", 1)),
    ("latency_us", changed("latency_us", 0.1)),
    ("layers", lambda report: report["layers"][0].update(luts=3)),
    ("layers", lambda report: report["layers"][0].update(planned_multipliers=99)),
    ("layers", lambda report: report["layers"][0]["occupied"].update(luts=3)),
    ("layers", lambda report: report["layers"][0].update(name="top")),
    ("layers", lambda report: report["layers"][0]["slowest_path"].update(picoseconds=1)),
]


@pytest.mark.parametrize(("field", "change"), CONTRADICTIONS)
def test_a_report_that_contradicts_itself_is_refused_with_the_field(
    field: str, change: Callable[[dict[str, Any]], None], folder: Path, tmp_path: Path
) -> None:
    content = json.loads(made_report(folder).to_json())
    change(content)
    (tmp_path / FILE_NAME).write_text(json.dumps(content))
    with pytest.raises(FileFormatError, match=rf"{FILE_NAME}: \$\.{field}: ") as caught:
        load_report(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "field",
    [
        *("network", "quantized_sha256", "as_generated", "planned_multipliers"),
        *("interval_cycles", "latency_cycles"),
    ],
)
def test_a_report_of_another_accelerator_is_refused(field: str, folder: Path) -> None:
    built, report = artifacts.load(folder), made_report(folder)
    path = folder / FILE_NAME
    require_report_of(report, built, path)
    other = msgspec.structs.replace(report, **{field: 7})
    with pytest.raises(FileFormatError, match=rf"\$\.{field}: is 7, and in the manifest"):
        require_report_of(other, built, path)
    first, *others = report.layers
    renamed = msgspec.structs.replace(first, name="other")
    for layers in (report.layers[::-1], (renamed, *others), report.layers[:1]):
        changed = msgspec.structs.replace(report, layers=tuple(layers))
        with pytest.raises(FileFormatError, match=r"\$\.layers: are not those of the manifest"):
            require_report_of(changed, built, path)
