"""Reports in files: what contradicts itself is refused, and other targets stay in the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from systolith.golden.errors import FileFormatError
from systolith.hw.silicon.synthesis_report import (
    FILE_NAME,
    load_report,
    require_report_of,
    save_report,
)
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
    ["network", "quantized_sha256", "as_generated", "planned_multipliers", "interval_cycles"],
)
def test_a_report_of_another_accelerator_is_refused(field: str, folder: Path) -> None:
    built, report = artifacts.load(folder), made_report(folder)
    path = folder / FILE_NAME
    require_report_of(report, built, path)
    other = msgspec.structs.replace(report, **{field: 7})
    with pytest.raises(FileFormatError, match=rf"\$\.{field}: is 7, and in the manifest"):
        require_report_of(other, built, path)
    swapped = msgspec.structs.replace(report, layers=report.layers[::-1])
    with pytest.raises(FileFormatError, match=r"\$\.layers: are not those of the manifest"):
        require_report_of(swapped, built, path)
