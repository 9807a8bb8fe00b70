from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from systolith import golden, sim
from systolith.hw.build_cache import cache_folder
from systolith.scripts.commands.simulate import print_report, simulate
from systolith.scripts.main import main
from systolith.sim import SimulationReport
from systolith.sim.record.scoreboard import LayerResult
from systolith.sim.simulate import COCOTB_CYCLES, COCOTB_IMAGES
from systolith.sim.simulators.installed import SIMULATORS
from tests.scripts import tiny

_ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def hardware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hardware") / "rtl"
    tiny.generate(folder)
    return folder


@pytest.fixture
def arguments(hardware: Path, tmp_path: Path) -> list[str]:
    tiny.save_images(tmp_path / "images.npz", 12)
    return ["simulate", str(hardware), "--data", str(tmp_path / "images.npz")]


def test_every_layer_is_compared(
    arguments: list[str], hardware: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--images", "all"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    rows = [line.split() for line in out.splitlines()]
    # 3 x 3 windows of two channels, and three scores, of 12 images.
    assert ["conv", "216", "0"] in rows
    assert ["dense", "36", "0"] in rows
    assert ["bit-exact", "yes,", "in", "every", "layer"] in rows
    assert json.loads((hardware / "simulation.json").read_text())["bit_exact"] is True


def test_json_is_what_is_written(
    arguments: list[str], hardware: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--images", "9", "--stalls", "4", "--json"]) == 0
    out = capsys.readouterr().out
    assert out == (hardware / "simulation.json").read_text()
    report = json.loads(out)
    assert next(iter(report)) == "schema"
    assert (report["images"], report["stalls"]) == (9, 4)


REPORT = SimulationReport(
    network="net",
    quantized_sha256="aa",
    plan_sha256="bb",
    verilog_sha256="cc",
    as_generated=True,
    dataset={},
    simulator="icarus",
    engines={"cocotb": 1000},
    layer=None,
    stalls=None,
    fault=None,
    images=1000,
    result="class",
    classes=(),
    correct=750,
    interval_cycles=3136,
    latency_cycles=7067,
    layers=(LayerResult("C1", 40_000, 0, None), LayerResult("F6", 30_000, 1200, None)),
    layer_timings={},
    deviations=(),
    waves_image=None,
    violations=(),
)


def test_each_figure_is_printed_with_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(REPORT)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "net on icarus, images: 1,000" in lines
    assert {
        *("C1 40,000 0", "F6 30,000 1,200"),
        "accuracy 750 of 1,000 right (75.00%)",
        "interval 3,136 cycles from one result to the next",
        "latency 7,067 cycles from first pixel to result",
        "as predicted yes, to the cycle",
    } <= set(lines)
    assert not any(line.startswith(("bit-exact", "Verilog", "waveform")) for line in lines)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"layers": REPORT.layers[:1]}, "bit-exact yes, in every layer"),
        ({"layers": REPORT.layers[:1], "layer": "C1"}, "bit-exact yes"),
        ({"layer": "C1"}, "C1 of net on icarus, images: 1,000"),
        ({"layer": "C1"}, "interval 3,136 cycles from one frame to the next"),
        ({"layer": "C1"}, "latency 7,067 cycles from first beat in to first beat out"),
        ({"as_generated": False}, "Verilog not the one that generate wrote"),
        ({"deviations": ("late",)}, "as predicted no"),
        ({"fault": "C1: bit 3"}, "fault C1: bit 3"),
        ({"waves_image": 7}, "waveform image 7, from its first pixel to its result"),
    ],
)
def test_what_differs_from_report_to_report_is_printed(
    changes: dict[str, Any], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_report(replace(REPORT, **changes))
    assert line in [" ".join(each.split()) for each in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"layers": REPORT.layers[:1]}, ""),
        ({"layers": REPORT.layers[:1], "violations": ("C1: stuck",)}, "systolith: C1: stuck\n"),
        ({"layers": REPORT.layers[:1], "deviations": ("late",)}, "systolith: late\n"),
        (
            {"layers": (), "violations": ("C1: stuck", "F6: stuck"), "deviations": ("late",)},
            "systolith: C1: stuck (and 2 more)\n",
        ),
    ],
)
def test_anything_wrong_ends_with_1(
    changes: dict[str, Any],
    said: str,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sim, "simulate", lambda *_, **__: replace(REPORT, **changes))
    assert main(arguments) == bool(said)
    assert capsys.readouterr().err == said


DEFAULTS: dict[str, Any] = {
    "simulator": "verilator",
    "engine": None,
    "keep_log": False,
    "layer": None,
    "stalls": None,
    "waves": False,
    "inject_fault": None,
}


@pytest.mark.parametrize(
    ("options", "images", "changes"),
    [
        ("", 12, {}),
        ("--images 5", 5, {}),
        ("--images all", None, {}),
        ("--simulator icarus", 12, {"simulator": "icarus"}),
        ("--engine bulk", 12, {"engine": "bulk"}),
        ("--keep-log", 12, {"keep_log": True}),
        ("--layer conv", 12, {"layer": "conv"}),
        ("--stalls 0", 12, {"stalls": 0}),
        ("--stalls 7", 12, {"stalls": 7}),
        ("--waves", 12, {"waves": True}),
        ("--inject-fault dense", 12, {"inject_fault": "dense"}),
    ],
)
def test_every_option_reaches_the_simulation(
    options: str,
    images: int | None,
    changes: dict[str, Any],
    hardware: Path,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Any] = []

    def simulated(*args: Any, **given: Any) -> SimulationReport:
        seen.extend((args, given))
        return replace(REPORT, layers=REPORT.layers[:1])

    monkeypatch.setattr(sim, "simulate", simulated)
    assert main([*arguments, *options.split()]) == 0
    (folder, count, dataset), given = seen
    assert (folder, count) == (hardware, images)
    assert dataset.sha256 == golden.load_dataset(tmp_path / "images.npz").sha256
    given.pop("announce"), given.pop("progress")
    assert given == {**DEFAULTS, **changes}


def test_labels_are_in_the_column_that_is_named(
    hardware: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here in the first one; the others are the twenty pixels of three images."""
    rows = [[2 - n, *range(20 * n, 20 * n + 20)] for n in range(3)]
    lines = ["kind," + ",".join(f"p{n}" for n in range(20))]
    lines += [",".join(map(str, row)) for row in rows]
    (tmp_path / "f.csv").write_text("\n".join(lines) + "\n")
    seen: list[Any] = []

    def found(*args: Any, **_: Any) -> SimulationReport:
        seen.extend(args[1:])
        return replace(REPORT, layers=REPORT.layers[:1])

    monkeypatch.setattr(sim, "simulate", found)
    data = ["--data", str(tmp_path / "f.csv"), "--label-column", "kind"]
    assert main(["simulate", str(hardware), *data]) == 0
    count, dataset = seen
    assert (count, dataset.known_labels.tolist()) == (3, [2, 1, 0])
    assert dataset.images.ravel().tolist() == list(range(60))


@pytest.mark.parametrize(("there", "simulated"), [(None, 100), (99, 99), (100, 100), (101, 100)])
def test_a_hundred_images_are_simulated_or_all_if_there_are_fewer(
    there: int | None,
    simulated: int,
    hardware: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a file the digits that ship are taken, of which there are enough."""
    seen: list[Any] = []

    def found(*args: Any, **_: Any) -> SimulationReport:
        seen.extend(args[1:])
        return replace(REPORT, layers=REPORT.layers[:1])

    monkeypatch.setattr(sim, "simulate", found)
    words = ["simulate", str(hardware)]
    if there is not None:
        tiny.save_images(tmp_path / "many.npz", there)
        words += ["--data", str(tmp_path / "many.npz")]
    assert main(words) == 0
    count, dataset = seen
    assert count == simulated
    assert (None if dataset is None else len(dataset)) == there


def test_long_steps_are_announced(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps: list[str] = []

    class Recorder:
        def __call__(self, done: int, total: int) -> None:
            steps.append(f"{done} of {total}")

        def announce(self, step: str) -> None:
            steps.append(step)

    @contextmanager
    def progress(_: str) -> Iterator[Recorder]:
        yield Recorder()

    monkeypatch.setattr("systolith.scripts.commands.simulate.progress", progress)
    assert main([*arguments, "--images", "1", "--inject-fault", "conv", "--waves"]) == 1
    assert steps == [
        *("generating hardware with a fault", "compiling for bulk", "simulating by bulk"),
        *("1 of 1", "measuring cycles", "compiling for the waveform"),
    ]


def test_fewer_images_than_the_default_are_enough(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 12


def test_the_engine_is_chosen_and_named(
    arguments: list[str], hardware: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    assert ["engine", "cocotb"] in [line.split() for line in capsys.readouterr().out.splitlines()]
    assert main([*arguments, "--engine", "bulk", "--keep-log"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["engine", "bulk"] in rows
    assert ["log", str(hardware / "simulation.log")] in rows
    assert ["test", "cases", str(hardware / "results.xml")] in rows
    assert main([*arguments, "--engine", "bulk", "--simulator", "icarus"]) == 2
    assert capsys.readouterr().err == (
        "systolith: --engine bulk: it needs verilator, icarus has only cocotb\n"
    )
    assert main(["simulate", "--help"]) == 0
    out = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert f"up to {COCOTB_IMAGES} images of together {COCOTB_CYCLES:,} cycles" in out


def test_one_layer_alone(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--images", "9", "--layer", "dense", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [layer["name"] for layer in report["layers"]] == ["dense"]
    assert (report["layer"], report["accuracy"]) == ("dense", None)


def test_waves_are_written(
    arguments: list[str], hardware: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--images", "9", "--waves"]) == 0
    shown = capsys.readouterr().out
    assert "image 0, from its first pixel to its result" in shown
    waves = hardware / "waves"
    assert f"\ngtkwave {waves}.fst {waves}.gtkw\n" in shown
    assert f"\nsurfer {waves}.fst --command-file {waves}.sucl\n" in shown
    assert {"waves.fst", "waves.gtkw", "waves.sucl"} <= {file.name for file in hardware.iterdir()}
    icarus = ["--images", "9", "--simulator", "icarus"]
    assert main([*arguments, *icarus, "--waves"]) == 2
    assert capsys.readouterr().err == (
        "systolith: --waves: verilator writes them, icarus does not\n"
    )


def test_a_fault_ends_with_1_and_names_the_first_wrong_value(
    arguments: list[str], hardware: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (hardware / "simulation.json").unlink(missing_ok=True)
    assert main([*arguments, "--images", "all", "--inject-fault", "conv"]) == 1
    out, err = capsys.readouterr()
    assert err.count("\n") == 1
    for word in ("conv: ", "image ", "row ", "column ", "channel ", "expected ", "found "):
        assert word in err
    assert "bit-exact" not in out
    assert not (hardware / "simulation.json").exists()


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--layer", "C9"], "layer 'C9'"),
        (["--inject-fault", "C9"], "'C9'"),
        (["--images", "13"], "from 1 to 12"),
        (["--images", "some"], "or all, not 'some'"),
    ],
)
def test_bad_input(
    arguments: list[str],
    options: list[str],
    names: str,
    hardware: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = sorted(hardware.iterdir())
    assert main([*arguments, "--images", "all", *options]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert names in err
    assert sorted(hardware.iterdir()) == before


@pytest.mark.parametrize("simulator", ["verilator", "icarus"])
def test_no_simulator_on_the_machine(
    simulator: str,
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([*arguments, "--images", "all", "--simulator", simulator]) == 3
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "install it with" in err


def test_other_verilog_is_simulated_and_named(
    arguments: list[str], hardware: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(hardware, tmp_path / "copy")
    verilog = copy / "tiny.v"
    weight = re.compile(r"(weights\w*\[0\] = )(\d+)'h([0-9a-f]+);")

    def inverted(match: re.Match[str]) -> str:
        return f"{match[1]}~{match[2]}'h{match[3]};"

    verilog.write_text(weight.sub(inverted, verilog.read_text(), count=1))
    assert main(["simulate", str(copy), *arguments[2:]]) == 1
    out, err = capsys.readouterr()
    assert "not the one that generate wrote" in out
    assert "systolith: conv: " in err and " values differ" in err
    report = json.loads((copy / "simulation.json").read_bytes())
    assert (report["as_generated"], report["bit_exact"]) == (False, False)


def test_cycles_that_were_not_predicted_end_with_1(
    arguments: list[str], hardware: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(hardware, tmp_path / "copy")
    manifest = json.loads((copy / "manifest.json").read_bytes())
    manifest["predicted"]["latency_cycles"] += 1
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert main(["simulate", str(copy), *arguments[2:]]) == 1
    err = capsys.readouterr().err
    assert "systolith: latency_cycles: measured " in err


@pytest.mark.parametrize("simulator", ["verilator", "icarus"])
def test_a_program_in_the_verilog_is_not_run(
    simulator: str,
    arguments: list[str],
    hardware: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    copy, seen = shutil.copytree(hardware, tmp_path / "copy"), tmp_path / "seen"
    verilog = copy / "tiny.v"
    before, end, after = verilog.read_text().rpartition("endmodule\n")
    program = f"""initial $system("touch {seen}");\n"""
    verilog.write_text(before + program + end + after)
    line = before.count("\n") + 1
    assert main(["simulate", str(copy), *arguments[2:], "--simulator", simulator]) == 2
    assert f"tiny.v: line {line}: has the system task $system, which" in capsys.readouterr().err
    assert not seen.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_while_it_builds_it_leaves_nothing(
    number: signal.Signals, arguments: list[str], hardware: Path, tmp_path: Path
) -> None:
    cache, temporary = tmp_path / "cache", tmp_path / "temporary"
    temporary.mkdir()
    _interrupt(
        [*arguments, "--images", "all"],
        number,
        hardware,
        {"SYSTOLITH_CACHE": str(cache), "TMPDIR": str(temporary)},
        when=lambda _: bool(_processes("cwd", cache)),
    )
    assert _processes("cwd", tmp_path) == {}
    assert [path.name for path in cache.iterdir()] == [".lock"]
    assert list(temporary.iterdir()) == []


def test_interrupted_while_it_runs_it_leaves_nothing(
    arguments: list[str], hardware: Path, tmp_path: Path
) -> None:
    assert main([*arguments, "--images", "all"]) == 0
    many, temporary = tmp_path / "many.npz", tmp_path / "temporary"
    tiny.save_images(many, 200_000)
    temporary.mkdir()
    seen: dict[int, Path] = {}

    def runs(parent: int) -> bool:
        programs = _processes("exe", cache_folder())
        seen.update({pid: exe for pid, exe in programs.items() if _parent(pid) == parent})
        return bool(seen)

    _interrupt(
        ["simulate", str(hardware), "--data", str(many), "--images", "all"],
        signal.SIGINT,
        hardware,
        {"TMPDIR": str(temporary)},
        when=runs,
    )
    assert seen.items().isdisjoint(_processes("exe", cache_folder()).items())
    assert list(temporary.iterdir()) == []


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _interrupt(
    arguments: list[str],
    number: signal.Signals,
    hardware: Path,
    environment: dict[str, str],
    when: Callable[[int], bool],
) -> None:
    """Send a signal to a command as soon as `when`, given its process, says so; it must end with
    130, say nothing, and leave the hardware's folder as it was."""
    (hardware / "simulation.json").unlink(missing_ok=True)
    before = contents(hardware)
    with subprocess.Popen(
        [sys.executable, "-m", "systolith.scripts.entry", *arguments],
        cwd=_ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            deadline = time.monotonic() + 120
            while not when(process.pid):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            process.send_signal(number)
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (130, b"", b"")
    assert contents(hardware) == before


def _processes(link: str, folder: Path) -> dict[int, Path]:
    """The processes whose current folder (`cwd`) or program (`exe`) is in a folder."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                target = (entry / link).readlink()
            except OSError:
                continue
            if target.is_relative_to(folder):
                found[int(entry.name)] = target
    return found


def _parent(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[1])


def test_the_simulator_is_passed_on_and_all_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="simulator 'nosim': allowed are verilator, icarus"):
        simulate(tmp_path, simulator="nosim")
    assert main(["simulate", "--help"]) == 0
    assert "|".join(SIMULATORS) in capsys.readouterr().out
