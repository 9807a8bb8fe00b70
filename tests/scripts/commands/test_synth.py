from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from systolith.hw.silicon import flow, placement
from systolith.hw.silicon.synthesis import TOP_PART, Netlist
from systolith.hw.silicon.synthesis_report import load_report
from systolith.hw.silicon.targets import Device
from systolith.hw.silicon.tools import Tool
from systolith.scripts.main import Status, main
from tests.hw.silicon.fake_tools import placer
from tests.leftover_processes import wait_until_gone
from tests.scripts import tiny

CELLS = {
    "unit_conv": Counter({"LUT4": 7, "MULT18X18D": 6}),
    "unit_dense": Counter({"LUT4": 5, "TRELLIS_FF": 3}),
    "frame_checker": Counter(),
    "classifier": Counter(),
    TOP_PART: Counter({"LUT4": 1}),
}


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hardware") / "rtl"
    tiny.generate(folder)
    return folder


@pytest.fixture
def folder(generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Hardware, and tools that take no time; seeds 1 to 3 can be placed."""
    tool = Tool("yosys", (), "0.70")

    def synthesize(
        verilog: str, top: str, ports: object, modules: object, device: Device
    ) -> Netlist:
        return Netlist(device, tool, top, b"{}", CELLS)

    nextpnr = placer({1: 90.0, 2: 100.0, 3: 95.0}, tmp_path / "log")
    monkeypatch.setenv("SYSTOLITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(flow, "synthesize", synthesize)
    for module in (flow, placement):
        monkeypatch.setattr(module, "find_tool", lambda name: tool if name == "yosys" else nextpnr)
    # The recorded delays are those of two parts with these names.
    monkeypatch.setattr(placement, "part_of", lambda cell, _: "unit_dense")
    (generated / "synthesis.json").unlink(missing_ok=True)
    return generated


def test_cells_by_layer(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["synth", str(folder), "--target", "ecp5-25k"]) == Status.DONE
    shown = capsys.readouterr().out
    assert re.search(r"conv +7 +0 +0 +6 +0 +0", shown)
    assert re.search(r"total +13 +0 +3 +6 +0 +0", shown)
    assert re.search(r"multipliers +6 +28 +21\.4%", shown)
    assert "9 planned, 6 cells: others" in shown
    assert max(map(len, shown.splitlines())) <= 80
    report = json.loads((folder / "synthesis.json").read_text())
    assert (report["target"], report["clock_mhz"]) == ("ecp5-25k", None)


def test_the_clock_is_the_median_of_the_seeds(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    command = ["synth", str(folder), "--target", "ecp5-25k", "--place", "--seeds", "3"]
    assert main([*command, "--grade", "7", "--out", str(page)]) == Status.DONE
    shown = " ".join(capsys.readouterr().out.split())
    assert (
        "clock 95.0 MHz after routing (median of 3 seeds, best 100.0 MHz, speed grade 7)" in shown
    )
    assert "dense 1.57 ns, 52% in wires: unit_b.s to unit_b.q" in shown
    report = json.loads((folder / "synthesis.json").read_text())
    interval, latency = report["interval_cycles"], report["latency_cycles"]
    assert report["images_per_second"] == pytest.approx(95e6 / interval)
    assert report["latency_us"] == pytest.approx(latency / 95)
    assert [each["clock_mhz"] for each in report["seeds"]] == [90.0, 100.0, 95.0]
    text = page.read_text()
    assert "95.0 MHz" in text and "unit_b.s" in text and 'id="floor"' in text
    assert main([*command, "--seeds", "2", "--json"]) == Status.DONE
    assert json.loads(capsys.readouterr().out)["clock_mhz"] == 90.0


def test_what_does_not_fit_is_reported_and_not_placed(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(CELLS, "unit_conv", Counter({"MULT18X18D": 30}))
    command = ["synth", str(folder), "--target", "ecp5-25k", "--place"]
    assert main(command) == Status.CHECK_FAILED
    error = capsys.readouterr().err
    assert (
        "tiny does not fit LFE5U-25F-CABGA381: 30 multipliers of 28 (2 too many); --max-multi"
        in error
    )
    assert re.search(r"--max-multipliers 8 fits, by the estimate\n$", error)
    assert not (tmp_path / "log").exists()
    assert json.loads((folder / "synthesis.json").read_text())["seeds"] == []


def test_what_the_placer_finds_no_room_for_does_not_fit(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    full = "Info: \t TRELLIS_COMB: 25000/24288 102%\nERROR: no BELs remaining"
    nextpnr = placer({}, tmp_path / "log", full)
    monkeypatch.setattr(placement, "find_tool", lambda name: nextpnr)
    asked: list[tuple[object, ...]] = []

    def fitting_budget(_: object, device: Device, *about: Any) -> str:
        multipliers, _, result = about
        asked.append((device.name, multipliers, result))
        return "no budget fits"

    monkeypatch.setattr(flow, "fitting_budget", fitting_budget)
    command = ["synth", str(folder), "--target", "ecp5-25k", "--place"]
    assert main(command) == Status.CHECK_FAILED
    message = "25,000 TRELLIS_COMB of 24,288 (712 too many); no budget fits\n"
    assert capsys.readouterr().err.endswith(message)
    assert load_report(folder).misfit == (message.partition(";")[0],)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert asked == [("ecp5-25k", manifest["multipliers"], "class")]


def test_one_seed_and_no_grade_are_said_as_such(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last results of other targets stay, and every file that is asked for is written."""
    command = ["synth", str(folder), "--target", "ecp5-25k", "--place"]
    files = [tmp_path / "a.json", tmp_path / "b.html"]
    assert main([*command, "--out", str(files[0]), "--out", str(files[1])]) == Status.DONE
    shown = " ".join(capsys.readouterr().out.split())
    assert "clock 90.0 MHz after routing (seed 1, speed grade 6)" in shown
    found = json.loads(files[0].read_text())
    assert found == json.loads((folder / "synthesis.json").read_text())
    assert "90.0 MHz" in files[1].read_text()
    speed, latency = found["images_per_second"], found["latency_us"]
    assert f"speed {speed:,.0f} images/s latency {latency:,.1f} us from first pixel" in shown
    assert main([*command, "--seeds", "2"]) == Status.DONE
    shown = " ".join(capsys.readouterr().out.split())
    assert "(median of 2 seeds, best 100.0 MHz, speed grade 6)" in shown


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--target", "xc7z020", "--place"], Status.BAD_INPUT, "for synthesis alone"),
        (["--target", "ecp5"], Status.BAD_INPUT, "--target: must be one of ecp5-25k"),
        (["--target", "ecp5-25k", "--seeds", "2"], Status.BAD_INPUT, "--seeds: needs --place"),
        (["--target", "ecp5-25k", "--grade", "8"], Status.BAD_INPUT, "--grade: needs --place"),
        (
            ["--target", "ecp5-25k", "--place", "--seeds", "4"],
            Status.MACHINE_LACKS,
            "seed 4: nextpnr-ecp5 1.0 ended with status 1: ERROR: Routing failed",
        ),
    ],
)
def test_refusals(
    options: list[str],
    status: Status,
    message: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["synth", str(folder), *options]) == status
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (folder / "synthesis.json").exists()


@pytest.mark.parametrize(
    ("options", "grade", "seeds"),
    [
        ("", None, []),
        ("--place", None, [1]),
        ("--place --seeds 1", None, [1]),
        ("--place --seeds 3 --grade 8", "8", [1, 2, 3]),
    ],
)
def test_every_option_reaches_the_tools(
    options: str,
    grade: str | None,
    seeds: list[int],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Any] = []

    def synthesize(*args: Any) -> None:
        seen.extend(args[:4])
        raise ValueError("seen enough")

    monkeypatch.setattr(flow, "synthesize_folder", synthesize)
    assert main(["synth", str(folder), "--target", "ice40-up5k", *options.split()]) == 2
    *given, numbers = seen
    assert given == [folder, "ice40-up5k", grade]
    assert list(numbers) == seeds


_FAKE_YOSYS = """#!{python}
import pathlib, sys
if "--version" in sys.argv:
    print("Yosys 99.0")
else:
    for name in ("prepared.json", "netlist.json"):
        pathlib.Path(name).write_text('{{"modules": {{"tiny": {{"cells": {{}}}}}}}}')
"""
_FAKE_NEXTPNR = """#!{python}
import os, pathlib, sys, time
if "--version" in sys.argv:
    print("nextpnr-ecp5 99.0")
else:
    (pathlib.Path({pids!r}) / str(os.getpid())).touch()
    time.sleep(60)
"""


def test_an_interrupt_leaves_no_placement(generated: Path, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    pids.mkdir()
    for name, text in (("yosys", _FAKE_YOSYS), ("nextpnr-ecp5", _FAKE_NEXTPNR)):
        program = tmp_path / name
        program.write_text(text.format(python=sys.executable, pids=str(pids)))
        program.chmod(0o755)
    command = [sys.executable, "-m", "systolith.scripts.main", "synth", str(generated)]
    cache = tmp_path / "cache"
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SYSTOLITH_CACHE": str(cache),
    }
    with subprocess.Popen(
        [*command, "--target", "ecp5-25k", "--place", "--seeds", "8"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        deadline = time.monotonic() + 60
        while not (started := list(pids.iterdir())) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert started
        run.send_signal(signal.SIGINT)
        assert run.wait(30) == Status.INTERRUPTED
    for each in pids.iterdir():
        assert wait_until_gone(int(each.name))
    assert len(list(pids.iterdir())) <= len(os.sched_getaffinity(0))
    assert not [each for each in cache.iterdir() if each.name.startswith("building-")]
    assert not (generated / "synthesis.json").exists()
