from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from systolith import golden, hw
from systolith.golden import QuantizedNetwork
from systolith.golden.network.graph import Dense, Input, Network
from systolith.hw.planning.sizes import GivenSize
from systolith.hw.silicon import fitting, targets
from systolith.hw.silicon.targets import DEVICES, Capacity, Device
from systolith.scripts.commands.plan import _result_in_words
from systolith.scripts.main import main
from systolith.scripts.plan_options import given_sizes
from tests.scripts import tiny


@pytest.fixture
def quantized(tmp_path: Path) -> str:
    path = tmp_path / "q.npz"
    tiny.quantized().save(path)
    return str(path)


def test_table_and_words(quantized: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", quantized, "--max-multipliers", "3", "--mhz", "50"]) == 0
    shown = capsys.readouterr().out
    # 3 x 3 windows of 6 inputs, 2 outputs, on 2 multipliers; 18 inputs, 3 outputs on one.
    for text in ("54 cycles", "conv holds the others back", "next is dense", "925,926 images/s"):
        assert text in shown
    total = next(line.split() for line in shown.splitlines() if line.split()[:1] == ["total"])
    assert total[1] == "3" and total[3] == "54"


def test_json(quantized: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", quantized, "--target-cycles", "54", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["schema"] == "systolith.plan/1"
    assert (report["network"], report["multipliers"], report["macs"]) == ("tiny", 3, 162)
    assert report["quantized_sha256"] == QuantizedNetwork.load(quantized).sha256
    assert report["predicted"]["interval_cycles"] == 54
    assert report["mac_efficiency"] == 1.0
    layers = {layer["name"]: layer for layer in report["layers"]}
    assert {name: layer["cycles"] for name, layer in layers.items()} == {"conv": 54, "dense": 54}
    assert set(layers["conv"]["folding"]) == {
        *("rows", "columns", "lanes", "depth", "order", "lines")
    }


def test_the_file_builds_the_same_as_the_options(quantized: str, tmp_path: Path) -> None:
    budget = ["--max-multipliers", "4"]
    plan, first, second = tmp_path / "plan.toml", tmp_path / "a", tmp_path / "b"
    assert main(["plan", quantized, *budget, "--out", str(plan)]) == 0
    assert main(["generate", quantized, *budget, "--out", str(first)]) == 0
    assert main(["generate", quantized, "--plan", str(plan), "--out", str(second)]) == 0
    made = [
        {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        for out in (first, second)
    ]
    assert made[0] == made[1]
    assert (first / "plan.toml").read_text() == plan.read_text()


def test_the_manifest_has_what_was_planned(
    quantized: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rtl"
    assert main(["generate", quantized, "--preset", "small", "--out", str(out)]) == 0
    capsys.readouterr()
    assert main(["plan", quantized, "--preset", "small", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    manifest = json.loads((out / "manifest.json").read_text())
    for key in set(report) - {"schema", "layers"}:
        assert manifest[key] == report[key]
    for built, planned in zip(manifest["layers"], report["layers"], strict=True):
        assert planned.items() <= built.items()
        memories = built["memories"]
        assert sum(each["words"] * each["bits"] for each in memories) == built["memory_bits"] > 0
    assert sum(layer["memory_bits"] for layer in manifest["layers"]) < manifest["memory_bits"]
    assert main(["plan", quantized, "--preset", "small"]) == 0
    shown = capsys.readouterr().out.splitlines()
    bits = [manifest["layers"][0]["memory_bits"], manifest["memory_bits"]]
    for first, expected in zip(("conv", "total"), bits, strict=True):
        line = next(line.split() for line in shown if line.split()[:1] == [first])
        assert f"{expected:,}" in line


def test_fixed_layers_have_their_sizes(quantized: str, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    options = ["--max-multipliers", "9", "--fix", "conv=3x1", "--fix", "dense=2x3x1"]
    assert main(["plan", quantized, *options, "--out", str(plan)]) == 0
    found, goal = hw.plan_from_file(plan, QuantizedNetwork.load(quantized))
    assert goal == hw.Goal(max_multipliers=9)
    assert [(each.rows, each.columns) for each in found.values()] == [(3, 1), (2, 3)]
    assert found["dense"].lanes == 1
    out = tmp_path / "rtl"
    assert main(["generate", quantized, *options, "--out", str(out)]) == 0
    assert (out / "plan.toml").read_bytes() == plan.read_bytes()


def test_the_picture_shows_every_layer(quantized: str, tmp_path: Path) -> None:
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    for path in (first, second):
        assert main(["plan", quantized, "--preset", "small", "--timeline", str(path)]) == 0
    assert first.read_bytes() == second.read_bytes()
    picture = ElementTree.fromstring(first.read_text())
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    words = "\n".join(each.text or "" for each in picture.iter("{http://www.w3.org/2000/svg}text"))
    for text in ("tiny: two images", "conv, ", "dense, ", "clock cycle"):
        assert text in words


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-multipliers", "1"], "max_multipliers must be at least 2, "),
        (["--target-cycles", "19"], "target_cycles must be at least 20, "),
        (["--preset", "tiny"], "--preset: must be one of small, medium, large, not 'tiny'"),
        (["--preset", "small", "--target-cycles", "99"], "not both --preset and --target-cycles"),
        (["--plan", "missing.toml"], "missing.toml: no such file"),
        (["--plan", "missing.toml", "--minimize", "latency"], "no meaning with --plan"),
        (["--plan", "missing.toml", "--fix", "conv=1x1"], "--fix: has no meaning with --plan"),
        (["--fix", "conv=2"], "--fix: must be LAYER=ROWSxCOLUMNS or LAYER=ROWSxCOLUMNSxLANES, "),
        (["--fix", "conv=1x1", "--fix", "conv=2x1"], "--fix: gives conv twice"),
        (["--fix", "C9=1x1"], "network 'tiny' has no layer 'C9' to give a size"),
        (["--minimize", "area"], "--minimize: must be one of interval, latency, not 'area'"),
        (["--mhz", "0"], "--mhz: must be a number above 0 and at most 1,000,000, not '0'"),
        (["--mhz", "1e308"], "--mhz: must be a number above 0 and at most 1,000,000, not '1e308'"),
        (["--mhz", "inf"], "--mhz: must be a number above 0 and at most 1,000,000, not 'inf'"),
        (["--out", "plan.json"], "--out: must end with .toml, not 'plan.json'"),
        (["--timeline", "plan.png"], "--timeline: must end with .svg, not 'plan.png'"),
    ],
)
def test_bad_input_is_one_line(
    quantized: str, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", quantized, *options]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert message in shown.err


def test_a_folder_that_is_not_there(
    quantized: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "no" / "plan.toml"
    assert main(["plan", quantized, "--preset", "small", "--out", str(missing)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


SMALL, MEDIUM, LARGE = {"max_multipliers": 28}, {"max_multipliers": 122}, {"target_cycles": 820}


@pytest.mark.parametrize("command", ["plan", "generate"])
@pytest.mark.parametrize("minimize", [None, "interval", "latency"])
@pytest.mark.parametrize(
    ("options", "limit"),
    [
        # Without any option it is the preset of 122 multipliers.
        ("", MEDIUM),
        ("--preset small", SMALL),
        ("--preset medium", MEDIUM),
        ("--preset large", LARGE),
        ("--max-multipliers 5", {"max_multipliers": 5}),
        ("--target-cycles 54", {"target_cycles": 54}),
    ],
)
def test_the_goal_is_what_the_options_say(
    quantized: str,
    command: str,
    options: str,
    limit: dict[str, int],
    minimize: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    goals: list[hw.Goal] = []

    def make_plan(_: object, goal: hw.Goal, *__: object) -> hw.Plan:
        goals.append(goal)
        raise ValueError("seen enough")

    monkeypatch.setattr(hw, "make_plan", make_plan)
    words = options.split() + (["--minimize", minimize] if minimize else [])
    out = ["--out", str(tmp_path / "rtl")] if command == "generate" else []
    assert main([command, quantized, *words, *out]) == 2
    assert "seen enough" in capsys.readouterr().err
    assert goals == [hw.Goal(**limit, minimize="latency" if minimize == "latency" else "interval")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *combinations(
            ("--plan plan.toml", "--preset small", "--max-multipliers 9", "--target-cycles 99"), 2
        )
    ],
)
def test_a_plan_has_one_goal(
    one: str, other: str, quantized: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (one, other), (other, one):
        assert main(["plan", quantized, *" ".join(words).split()]) == 2
        names = f"{one.split()[0]} and {other.split()[0]}"
        assert capsys.readouterr().err.endswith(
            f"only one can be given, not both {names} (see systolith plan --help)\n"
        )


def test_a_plan_s_file_has_the_result_that_is_asked_for(
    quantized: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text("[layers.conv]\nrows = 2\n")
    for options, kind in (([], "class"), (["--result", "scores"], "scores")):
        assert main(["plan", quantized, "--plan", str(plan), "--json", *options]) == 0
        assert json.loads(capsys.readouterr().out)["result"]["kind"] == kind


@pytest.mark.parametrize(
    ("beats", "words"),
    [(1, "1 score, 9 bits"), (2, "2 scores, 9 bits each"), (1234, "1,234 scores")],
)
def test_the_number_of_scores_is_said(beats: int, words: str) -> None:
    report: Any = SimpleNamespace(result=SimpleNamespace(kind="scores", beats=beats, bits=9))
    assert _result_in_words(report).startswith(words)


def test_lanes_that_are_not_given_are_chosen() -> None:
    assert given_sizes(["conv=3x1", "dense=2x4x5"]) == {
        "conv": GivenSize(3, 1, None),
        "dense": GivenSize(2, 4, 5),
    }


@pytest.mark.parametrize(
    ("channels", "lanes", "words"),
    [(2, 2, "2 values a beat, s_axis_tdata 16 bits"), (2, 1, None), (3, 3, "3 values a beat")],
)
def test_several_values_in_a_beat_are_said(
    channels: int,
    lanes: int,
    words: str | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = Input(name="input", height=2, width=2, channels=channels)
    network = Network("wide", (first, Dense(name="y", inputs=("input",), units=2)))
    arrays = {"y": {"weights": np.ones((4 * channels, 2)), "bias": np.zeros(2)}}
    images = np.arange(8 * channels, dtype=np.uint8).reshape(2, 2, 2, channels)
    golden.quantize(golden.TrainedNetwork(network, arrays), images).save(tmp_path / "w.npz")
    assert main(["plan", str(tmp_path / "w.npz"), "--fix", f"input=1x1x{lanes}"]) == 0
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    found = [row for row in rows if row.startswith("input ") and "values" in row]
    assert (found == []) if words is None else found[0].startswith(f"input {words}")


@pytest.mark.parametrize(("target", "measured"), [("ecp5-25k", True), ("xc7a35t", False)])
def test_a_clock_is_measured_where_the_device_can_be_placed(
    target: str,
    measured: bool,
    quantized: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The shares are of what the device has."""
    occupied = Capacity(1234, 0, 7, 0, 3)
    monkeypatch.setattr("systolith.hw.silicon.estimation.structures", lambda *_: None)
    monkeypatch.setattr(
        "systolith.hw.silicon.estimation.estimate", lambda *_: SimpleNamespace(occupied=occupied)
    )
    command = ["plan", quantized, "--max-multipliers", "9", "--target", target]
    assert main(command) == 0
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    has = DEVICES[target].capacity
    assert f"LUTs 1,234 {has.luts:,} {1234 / has.luts:.1%}" in rows
    assert f"multipliers 7 {has.multipliers:,} {7 / has.multipliers:.1%}" in rows
    said = "synth --place measures it, " if measured else ""
    assert f"clock not estimated: {said}--mhz F assumes it" in rows
    assert "fits yes, by the estimate" in rows
    assert (
        main(["plan", quantized, "--max-multipliers", "9", "--target", target, "--mhz", "9"]) == 0
    )
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert not any(row.startswith("clock ") for row in rows)
    (speed,) = (row for row in rows if row.startswith("speed "))
    (interval,) = (row.split()[1] for row in rows if row.startswith("interval "))
    assert speed == f"speed {9e6 / int(interval):,.0f} images/s at 9 MHz"


def test_prints_what_leaves_the_accelerator(
    quantized: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", quantized]) == 0
    assert "the class and its score, 64 bits (--result scores: all" in capsys.readouterr().out
    assert main(["plan", quantized, "--result", "scores"]) == 0
    assert "3 scores, 32 bits each" in capsys.readouterr().out


def test_every_key_of_the_json(
    quantized: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No two figures are equal: the convolution needs more cycles than the dense layer."""
    plan = tmp_path / "plan.toml"
    plan.write_text("[layers.conv]\nrows = 2\ndepth = 5\n[layers.dense]\ncolumns = 3\n")
    assert main(["plan", quantized, "--plan", str(plan), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    conv, dense = (layer.pop("latency_cycles") for layer in found["layers"])
    latency = found["predicted"].pop("latency_cycles")
    # The test of the manifest holds those of another network against its Verilog.
    memory = [layer.pop("memory_bits") for layer in found["layers"]]
    assert found.pop("memory_bits") > sum(memory) > 0
    folding = {"rows": 1, "columns": 1, "lanes": 1, "depth": 4, "order": "inputs", "lines": None}
    assert found == {
        "schema": "systolith.plan/1",
        "network": "tiny",
        "quantized_sha256": QuantizedNetwork.load(quantized).sha256,
        "multipliers": 5,
        # 9 windows of 6 elements for 2 outputs, and 18 inputs for 3.
        "macs": 108 + 54,
        "mac_efficiency": (108 + 54) / (5 * 54),
        "predicted": {"interval_cycles": 54},
        "input": {"lanes": 1, "bits": 8, "signed": False},
        "result": {
            "kind": "class",
            "bits": 64,
            "beats": 1,
            "fields": [
                {"name": "class", "low": 0, "bits": 8, "signed": False},
                {"name": "score", "low": 32, "bits": 32, "signed": True},
            ],
        },
        "layers": [
            {
                "name": "conv",
                "unit": "convolution",
                "folding": folding | {"rows": 2, "depth": 5},
                "multipliers": 2,
                "cycles": 9 * 3 * 2,
            },
            {
                "name": "dense",
                "unit": "dense",
                "folding": folding | {"columns": 3},
                "multipliers": 3,
                "cycles": 18,
            },
        ],
    }
    # The first window is complete with the second pixel of the third row, and the last one is
    # finished 54 cycles of work later. The simulations of `tests/sim` hold the exact figures.
    assert 2 * 4 + 2 <= conv < 54 <= latency - conv
    assert 54 - 6 <= dense < latency


def test_each_figure_of_the_table_stands_in_its_column(
    quantized: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text("[layers.conv]\nrows = 2\ndepth = 5\nlines = 4\n[layers.dense]\ncolumns = 3\n")
    assert main(["plan", quantized, "--plan", str(plan), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    latency = report["predicted"]["latency_cycles"]
    conv, dense = (f"{layer['memory_bits']:,}" for layer in report["layers"])
    assert main(["plan", quantized, "--plan", str(plan)]) == 0
    table, _, more = capsys.readouterr().out.partition(" layer  windows")
    windows, words = more.splitlines()[2:4], more.splitlines()[4:]
    assert [*map(str.split, windows)] == ["conv 3 x 2".split(), []]
    lines = [line.split() for line in (*table.splitlines(), *words)]
    rows = {words[0]: words[1:] for words in lines if words}
    assert rows["layer"] == [
        *("unit", "rows", "columns", "lanes", "order", "depth", "lines"),
        *("multipliers", "memory", "bits", "cycles", "load"),
    ]
    assert rows["conv"] == [*f"convolution 2 1 1 inputs 5 4 2 {conv} 54 100.0%".split()]
    # It has no line buffer; 18 of 54 cycles.
    assert rows["dense"] == [*f"dense 1 3 1 inputs 4 3 {dense} 18 33.3%".split()]
    assert rows["total"] == ["5", f"{report['memory_bits']:,}", "54"]
    assert rows["interval"][:2] == ["54", "cycles"]
    assert rows["latency"][:2] == [str(latency), "cycles"]
    assert next(each[:3] for each in lines if "MAC" in each) == ["MAC", "efficiency", "0.600"]
    assert " ".join(rows["bottleneck"]) == (
        "conv holds the others back: 54 cycles an image; next is dense with 18 (66.7% idle)"
    )


def test_every_preset_has_a_name_on_the_command_line() -> None:
    from systolith.scripts.plan_options import PRESETS

    assert set(PRESETS) == set(hw.PRESETS)


def test_the_fastest_plan_that_fits_a_device(
    quantized: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "plan.toml"
    assert main(["plan", quantized, "--target", "ecp5-25k", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "estimate for LFE5U-25F-CABGA381" in shown
    assert "yes, by the estimate" in shown
    (interval,) = re.findall(r"interval +(\d+) cycles", shown)
    assert f"{1e6 / int(interval):,.1f} images/s for each MHz of the clock" in shown
    assert "max_multipliers = 28" in out.read_text()
    assert main(["plan", quantized, "--max-multipliers", "28", "--json"]) == 0
    without = json.loads(capsys.readouterr().out)
    assert main(["plan", quantized, "--target", "ecp5-25k", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    occupied = document.pop("estimate")["occupied"]
    assert document.pop("target") == "ecp5-25k"
    assert document == without
    assert occupied["multipliers"] == without["multipliers"]
    # Of this network on this device Yosys makes 1,208 LUTs and 1,032 flip-flops.
    assert occupied["luts"] > 500 and occupied["flip_flops"] > 500


def test_what_fits_a_device_is_planned_by_the_other_options_too(
    quantized: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[object, ...]] = []

    def fastest(_: object, device: Device, *options: Any) -> None:
        minimize, given, _, result = options
        seen.append((device.name, minimize, given, result))
        raise ValueError("seen enough")

    monkeypatch.setattr(fitting, "fastest_fitting_plan", fastest)
    command = ["plan", quantized, "--target", "ecp5-25k"]
    more = ["--minimize", "latency", "--fix", "conv=3x1", "--result", "scores"]
    for words in ([], more):
        assert main([*command, *words]) == 2
        assert "seen enough" in capsys.readouterr().err
    assert seen == [
        ("ecp5-25k", "interval", {}, None),
        ("ecp5-25k", "latency", {"conv": GivenSize(3, 1)}, "scores"),
    ]


def test_what_is_estimated_puts_out_the_result_that_is_asked_for(
    quantized: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[object, ...]] = []

    def structures(_: object, plan: hw.Plan, result: object = None) -> None:
        seen.append((plan["conv"].rows, plan["conv"].columns, result))
        raise ValueError("seen enough")

    monkeypatch.setattr("systolith.hw.silicon.estimation.structures", structures)
    command = ["plan", quantized, "--target", "ecp5-25k", "--max-multipliers", "9"]
    assert main([*command, "--fix", "conv=3x1", "--result", "scores"]) == 2
    assert "seen enough" in capsys.readouterr().err
    assert seen == [(3, 1, "scores")]


@pytest.mark.parametrize("goal", [("--max-multipliers", "2"), ("--target-cycles", "99")])
def test_a_goal_is_kept_where_a_device_is_named(
    goal: tuple[str, str], quantized: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plan is that of the goal, and not the fastest one that fits the device."""
    predicted = []
    for words in ([], ["--target", "ecp5-25k"]):
        assert main(["plan", quantized, *goal, *words, "--json"]) == 0
        predicted.append(json.loads(capsys.readouterr().out)["predicted"])
    assert predicted[0] == predicted[1]
    assert main(["plan", quantized, "--target", "ecp5-25k", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["predicted"] != predicted[0]


def test_a_plan_with_a_goal_may_not_fit(
    quantized: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = replace(DEVICES["ecp5-25k"], capacity=replace(DEVICES["ecp5-25k"].capacity, luts=100))
    monkeypatch.setattr(targets, "DEVICES", {"ecp5-25k": small})
    command = ["plan", quantized, "--target", "ecp5-25k"]
    assert main([*command, "--preset", "small"]) == 1
    shown = capsys.readouterr()
    assert re.search(r"fits +no, by the estimate", shown.out)
    needed = r"with this plan, by the estimate: [\d,]+ LUTs of 100 \([\d,]+ too many\); no smaller"
    assert re.search(needed, shown.err) and shown.err.count("\n") == 1
    assert main(command) == 1
    assert "tiny does not fit LFE5U-25F-CABGA381 with any --max-mul" in capsys.readouterr().err
    nothing = replace(small, capacity=Capacity(0, 0, 9, 0, 0))
    monkeypatch.setattr(targets, "DEVICES", {"ecp5-25k": nothing})
    assert main(command) == 1
    assert "tiny does not fit LFE5U-25F-CABGA381 with any plan" in capsys.readouterr().err


def test_devices_without_estimates_are_refused(
    quantized: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", quantized, "--target", "ice40-up5k"]) == 2
    error = capsys.readouterr().err
    assert "target ice40-up5k: there are no estimates for its family, only for ecp5, gowin" in error
