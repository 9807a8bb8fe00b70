from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from systolith import golden, hw
from systolith.golden.files.datasets import images_sha256
from systolith.golden.files.seeded_choice import chosen_numbers
from systolith.golden.network.graph import Dense, Network
from systolith.hw.errors import PlanError
from systolith.scripts.commands.sweep import reachable_presets
from systolith.scripts.main import main
from systolith.scripts.sweeping.runner import Sweep
from tests.scripts import tiny
from tests.scripts.dask_cluster import dask_cluster

_ROOT = Path(__file__).parents[3]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a trained network and images for it."""
    monkeypatch.chdir(tmp_path)
    tiny.quantized().parent.save("tiny.npz")
    tiny.save_images(tmp_path / "data.npz", 60)
    tiny.save_images(tmp_path / "test.npz", 30, seed=3)
    return tmp_path


def words(*more: str) -> list[str]:
    return [
        *("sweep", "tiny.npz", "--data", "data.npz", "--test-data", "test.npz", "--out", "out"),
        *("--weight-bits", "8,4", "--activation-bits", "8,6", "--max-multipliers", "2,6"),
        *("--jobs", "1", *more),
    ]


def contents(folder: Path) -> dict[str, bytes]:
    files = {path for path in folder.rglob("*") if path.is_file()}
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_tables_and_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words()) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for text in (
        *("4 points: 2 of weight_bits x 2 of activation_bits", "30 others, data.npz (custom)"),
        *("30 images, test.npz", "8/6", "out/pareto.svg", "out/sweep.html", "out/front"),
    ):
        assert text in " ".join(out.split())
    report = json.loads((here / "out" / "sweep.json").read_text())
    assert report["schema"] == "systolith.sweep/2"
    named = "data.npz (custom, chosen of 60 with seed 1)"
    calibration = {key: report["calibration"][key] for key in ("name", "images")}
    assert calibration == {"name": named, "images": 30}
    assert [network["network"] for network in report["networks"]] == ["tiny.npz"]
    assert {plan["budget"] for plan in report["plans"]} == {"2 multipliers", "6 multipliers"}
    assert sorted(
        (point["settings"]["weight_bits"], point["settings"]["activation_bits"])
        for point in report["points"]
    ) == [(4, 6), (4, 8), (8, 6), (8, 8)]
    data, numbers = golden.load_dataset("data.npz"), chosen_numbers(60, 30)
    for point in report["points"]:
        settings = golden.Settings.from_mapping(point["settings"])
        quantized = golden.quantize(
            golden.load_network("tiny.npz"), data.images[numbers], settings, named
        )
        assert quantized.sha256 == point["quantized_sha256"]
        front = here / "out" / "front" / f"{point['name']}.npz"
        assert front.exists() == point["on_front"]
        assert not front.exists() or golden.QuantizedNetwork.load(front).sha256 == quantized.sha256
    rows = list(csv.DictReader((here / "out" / "sweep.csv").read_text().splitlines()))
    assert [(int(row["rank"]), row["budget"]) for row in rows] == [
        (point["rank"], plan["budget"]) for point in report["points"] for plan in report["plans"]
    ]
    for row in rows:
        point = report["points"][int(row["rank"]) - 1]
        assert float(row["accuracy"]) == point["validation"]["accuracy"]
        assert (row["test_accuracy"] != "") == point["on_front"]
        assert (row["weight_front"] == "True") == (point["rank"] in report["weight_front"])


def test_the_next_sweep_replaces_the_networks_of_the_fronts(here: Path) -> None:
    assert main(words()) == 0
    before = {path.name for path in (here / "out" / "front").iterdir()}
    (here / "out" / "front" / "notes.txt").write_text("mine")
    assert main(words("--weight-bits", "3", "--vary", "bias_correction=true")) == 0
    after = {path.name for path in (here / "out" / "front").iterdir()}
    assert after & before == set() and "notes.txt" in after
    assert any(name.endswith("-bias.npz") for name in after)
    assert main(["compare", "tiny.npz", "out", "--data", "test.npz"]) == 0


def test_json_and_the_same_bytes_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words("--json")) == 0
    assert capsys.readouterr().out == (here / "out" / "sweep.json").read_text()
    before = contents(here / "out")
    assert main(words("--out", "other", "--jobs", "2")) == 0
    assert contents(here / "other") == before


def test_a_dask_cluster_gives_the_same(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with dask_cluster(1) as cluster:
        without_jobs = words()[:-2]
        assert main([*without_jobs, "--dask", cluster.scheduler_address]) == 0
    assert capsys.readouterr().err == ""
    assert main(words("--out", "local")) == 0
    assert contents(here / "local") == contents(here / "out")


def test_some_images_are_enough(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words("--images", "7", "--calibration", "mse,minmax", "--json")) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["data"]["images"] == 7
    assert len(report["points"]) == 8
    # Half of the images choose the formats, and only others rank.
    everything = golden.load_dataset("data.npz")
    others = np.delete(np.arange(60), chosen_numbers(60, 30))
    ranked = everything.part(others[chosen_numbers(30, 7)])
    assert report["data"]["sha256"] == ranked.sha256
    calibrating = everything.images[chosen_numbers(60, 30)]
    assert report["calibration"]["sha256"] == images_sha256(calibrating)


@pytest.fixture
def asked(here: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The `Sweep` that the command asks for, and the number of processes or a cluster's address.

    The sweep ends with an error, once it is known.
    """
    found: list[Any] = []

    def seen(request: Sweep, *_: object) -> None:
        found.insert(0, request)
        raise ValueError("seen enough")

    def workers(which: object) -> AbstractContextManager[None]:
        found.append(which)
        return nullcontext()

    monkeypatch.setattr("systolith.scripts.sweeping.runner.sweep", seen)
    monkeypatch.setattr("systolith.scripts.sweeping.workers.local_workers", workers)
    monkeypatch.setattr("systolith.scripts.sweeping.workers.dask_workers", workers)
    monkeypatch.setattr("systolith.scripts.sweeping.workers.processors", lambda: 5)
    monkeypatch.setattr("systolith.hw.silicon.tools.find_tool", lambda name: None)
    tiny.quantized(3).parent.save("second.npz")
    return found


SMALL, MEDIUM, LARGE = {"max_multipliers": 28}, {"max_multipliers": 122}, {"target_cycles": 820}
FEW, MORE = ("2 multipliers", {"max_multipliers": 2}), ("6 multipliers", {"max_multipliers": 6})


@pytest.mark.parametrize(
    ("options", "budgets"),
    [
        ("--max-multipliers 6,2", [MORE, FEW]),
        ("--max-multipliers 1234", [("1,234 multipliers", {"max_multipliers": 1234})]),
        ("--preset large,small", [("large", LARGE), ("small", SMALL)]),
        ("--preset medium --max-multipliers 2", [("medium", MEDIUM), FEW]),
        ("", [("small", SMALL), ("medium", MEDIUM), ("large", LARGE)]),
    ],
)
def test_budgets_are_those_of_the_options(
    options: str, budgets: list[tuple[str, dict[str, Any]]], asked: list[Any]
) -> None:
    command = "sweep tiny.npz --data data.npz --test-data test.npz --out out"
    assert main([*command.split(), *options.split()]) == 2
    assert [*asked[0].budgets.items()] == [(name, hw.Goal(**goal)) for name, goal in budgets]


def test_every_option_reaches_the_sweep(
    asked: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """With other values than by default; no two of them are equal."""
    options = "--weight-bits 5,7 --activation-bits 9 --calibration minmax,mse --images 11"
    options += " --vary rounding=floor,half_even --vary layers.conv.weight_bits=3 --jobs 4"
    options += " --max-multipliers 7 --synth ecp5-45k --data data.npz --test-data test.npz"
    assert main(["sweep", "second.npz", "tiny.npz", "--out", "out", *options.split()]) == 2
    out, err = capsys.readouterr()
    assert err == "systolith: seen enough\n"
    points = "16 points: 2 networks x 2 of weight_bits x 2 of calibration x 2 of rounding"
    assert out == f"{points}\n"
    request, jobs = asked
    assert jobs == 4
    data, test = golden.load_dataset("data.npz"), golden.load_dataset("test.npz")
    numbers = chosen_numbers(60, 30)
    assert [*request.networks] == ["second.npz", "tiny.npz"]
    for name, trained in request.networks.items():
        assert trained.sha256 == golden.load_network(name).sha256
    assert [each.to_mapping() for each in request.settings] == [
        golden.Settings.from_mapping(
            {
                "weight_bits": weights,
                "activation_bits": 9,
                "calibration": calibration,
                "rounding": rounding,
                "layers": {"conv": {"weight_bits": 3}},
            }
        ).to_mapping()
        for weights in (5, 7)
        for calibration in ("minmax", "mse")
        for rounding in ("floor", "half_even")
    ]
    assert request.budgets == {"7 multipliers": hw.Goal(max_multipliers=7)}
    assert np.array_equal(request.calibration_images, data.images[numbers])
    assert request.calibration_name == "data.npz (custom, chosen of 60 with seed 1)"
    others = np.delete(np.arange(60), numbers)
    ranked = data.part(others[chosen_numbers(30, 11)])
    assert (request.validation.sha256, len(request.validation)) == (ranked.sha256, 11)
    assert (request.test.sha256, request.test.name) == (test.sha256, "test.npz")
    assert request.target == "ecp5-45k"


@pytest.mark.parametrize(
    ("options", "workers"), [("", 5), ("--jobs 3", 3), ("--dask tcp://x:1", "tcp://x:1")]
)
def test_jobs_run_on_this_machine_or_on_a_cluster(
    options: str, workers: object, asked: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    command = "sweep tiny.npz --data data.npz --test-data test.npz --out out --json"
    assert main([*command.split(), *options.split()]) == 2
    request, found = asked
    assert (found, request.target) == (workers, None)
    # The number of points is no part of a JSON document.
    assert capsys.readouterr().out == ""


def children(process: subprocess.Popen[Any]) -> set[str]:
    """The processes below a process, and their children."""
    found: set[str] = set()
    waiting = [str(process.pid)]
    while waiting:
        pid = waiting.pop()
        for task in Path("/proc", pid, "task").glob("*/children"):
            below = set(task.read_text().split())
            waiting += below - found
            found |= below
    return found


def running(pid: str) -> bool:
    try:
        state = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks at processes in /proc")
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGKILL, -9), (signal.SIGINT, 130)],
    ids=lambda value: str(value),
)
def test_ended_in_mid_run_it_continues_and_leaves_no_process(
    here: Path, number: signal.Signals, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    many = words("--weight-bits", ",".join(map(str, range(2, 16))), "--jobs", "2")
    command = [sys.executable, "-m", "systolith.scripts.main", *many]
    process = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    cache = here / "out" / "cache"
    with process:
        while not list(cache.glob("point-*.json")):
            assert process.poll() is None
            time.sleep(0.005)
        below = children(process)
        process.send_signal(number)
        assert process.wait(60) == status
        assert process.stderr is not None
        if number != signal.SIGKILL:
            assert process.stderr.read() == ""
    assert below
    deadline = time.monotonic() + 30
    while any(map(running, below)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(running, below))
    assert not (here / "out" / "sweep.json").exists()

    finished = {path: path.stat().st_mtime_ns for path in cache.glob("*.json")}
    assert main([*many, "--jobs", "1"]) == 0
    assert capsys.readouterr().err == ""
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert len(list(cache.glob("point-*.json"))) == 28


def test_a_damaged_result_is_reported(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words()) == 0
    before = contents(here / "out")
    victim = next((here / "out" / "cache").glob("point-*.json"))
    victim.write_bytes(b"{}")
    capsys.readouterr()
    assert main(words()) == 0
    name = victim.relative_to(here)
    assert capsys.readouterr().err == f"systolith: {name}: damaged, so it is computed again\n"
    assert contents(here / "out") == before


@pytest.mark.parametrize(
    ("more", "status", "names"),
    [
        ("--weight-bits 0", 2, "--weight-bits: must be a whole number from 2 to 16, not '0'"),
        ("--weight-bits 8,17", 2, "from 2 to 16, not '17'"),
        ("--activation-bits abc", 2, "--activation-bits: must be a whole number"),
        ("--weight-bits 8,", 2, "not ''"),
        ("--weight-bits=", 2, "not ''"),
        ("--activation-bits 8,6,8", 2, "--activation-bits: 8 is there twice"),
        ("--calibration median", 2, "calibration: must be one of mse, minmax"),
        ("--calibration mse,mse", 2, "mse is there twice"),
        ("--preset huge", 2, "small, medium, large, not 'huge'"),
        ("--max-multipliers 1", 2, "max_multipliers must be at least 2"),
        ("--max-multipliers 28 --preset small", 2, "is the same as 'small'"),
        ("--max-multipliers 0", 2, "at least 1, not '0'"),
        ("--images 0", 2, "at least 1, not '0'"),
        ("--images 31", 2, "from 1 to 30"),
        ("--jobs 0", 2, "from 1 to 256, not '0'"),
        ("--jobs 2147483648", 2, "from 1 to 256, not '2147483648'"),
        ("--jobs 2 --dask tcp://127.0.0.1:1", 2, "not both --dask and --jobs"),
        ("--data absent.npz", 2, "absent.npz: no such file"),
        ("--data one.npz", 2, "needs at least 2 images"),
        ("--test-data data.npz", 2, "--data: 60 of the images of data.npz (custom) are among"),
        ("--vary rounding=up", 2, "--vary rounding: must be one of"),
        ("--vary layers.C9.rounding=floor", 2, "layers.C9: network 'tiny' has no layer 'C9'"),
        ("--vary table_index_bits=5", 2, "table_index_bits: changes nothing in network 'tiny.npz'"),
        ("--vary percentile=99", 2, "percentile: changes nothing with the calibration 'mse'"),
        ("--test-data absent.npz", 2, "absent.npz: no such file"),
        ("tiny.npz", 2, "network 'tiny.npz' is there twice"),
        ("copy.npz", 2, "network 'copy.npz' is the same as 'tiny.npz'"),
        ("lenet5", 2, "network 'lenet5' takes"),
        ("lenet6", 2, "'lenet6' is neither a file nor one of"),
        ("data.npz", 2, "data.npz: "),
        ("--out tiny.npz", 2, "tiny.npz: cannot be written"),
        ("--out tiny.npz/deep", 2, "cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], more: str, status: int, names: str
) -> None:
    tiny.save_images(here / "one.npz", 1)
    (here / "copy.npz").write_bytes((here / "tiny.npz").read_bytes())
    before = contents(here)
    assert main(words(*more.split())) == status
    out, err = capsys.readouterr()
    # Plans are made after the points were counted.
    assert out == "" or names.startswith("max_multipliers")
    assert err.startswith("systolith: ") and err.count("\n") == 1, err
    assert names in err
    assert contents(here) == before


@pytest.mark.parametrize("order", [["two", "three"], ["three", "two"]])
def test_a_preset_is_reachable_if_every_network_reaches_it(
    order: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A layer takes a multiplier at least, and one network has three layers."""
    tiny.save_images(tmp_path / "data.npz", 20)
    two = tiny.quantized().parent
    more = Dense(name="more", inputs=("dense",), units=3)
    arrays = {"more": {"weights": np.ones((3, 3)), "bias": np.zeros(3)}}
    three = golden.TrainedNetwork(
        Network("three", (*two.network.layers, more)), {**two.arrays, **arrays}
    )
    goals = {name: hw.Goal(max_multipliers=n) for n, name in ((2, "small"), (3, "medium"))}
    monkeypatch.setattr(hw, "PRESETS", goals | {"large": hw.Goal(max_multipliers=9)})
    networks = {name: {"two": two, "three": three}[name] for name in order}
    images = golden.load_dataset(tmp_path / "data.npz")
    assert reachable_presets(networks, images) == ["medium", "large"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("systolith: warning: left out: ") and "at least 3" in line


def test_presets_that_a_network_cannot_reach_are_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tiny.save_images(tmp_path / "data.npz", 20)
    images = golden.load_dataset(tmp_path / "data.npz")
    networks = {"tiny": tiny.quantized().parent}
    presets = {"small": hw.Goal(max_multipliers=1), "medium": hw.Goal(max_multipliers=9)}
    monkeypatch.setattr(hw, "PRESETS", presets | {"large": hw.Goal(target_cycles=19)})
    assert reachable_presets(networks, images) == ["medium"]
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1:3] for line in lines] == 2 * [[" warning", " left out"]]
    monkeypatch.setattr(
        hw, "PRESETS", dict.fromkeys(("small", "medium", "large"), presets["small"])
    )
    with pytest.raises(PlanError, match="at least 2"):
        reachable_presets(networks, images)
    # Of several that cannot be reached, the largest says how far the networks are from it.
    names = ("small", "medium", "large")
    goals = {name: hw.Goal(target_cycles=n) for n, name in enumerate(names, 1)}
    monkeypatch.setattr(hw, "PRESETS", goals)
    with pytest.raises(PlanError, match="not 3"):
        reachable_presets(networks, images)
