"""Results of every kind, from network to bit-exact RTL: many classes, wide scores, all scores."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from systolith import golden, hw, sim
from systolith.golden.errors import FileFormatError
from systolith.golden.network.graph import Dense, Input, Network
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.quantization.settings import LayerSettings, Settings
from systolith.hw.errors import PlanError
from systolith.hw.verilog import artifacts
from systolith.scripts.main import main
from systolith.sim import bench
from systolith.sim.bulk.endurance import endure
from tests import score_benches
from tests.golden.onnx.small_models import model, node, normal
from tests.hw.handover.bench_runs import failure, passed, run_bench
from tests.sim.required import need

IMAGES = np.random.default_rng(3).integers(0, 256, (24, 3, 4, 1), np.uint8)
# Labels of no meaning.
DATA = golden.Dataset("noise", "custom", IMAGES, np.zeros(len(IMAGES), np.int64))


def quantized(units: int, bits: int) -> golden.QuantizedNetwork:
    """Two dense layers with random weights."""
    layers = (
        Input(name="input", height=3, width=4, scale=1 / 255),
        Dense(name="hidden", inputs=("input",), units=10),
        Dense(name="output", inputs=("hidden",), units=units),
    )
    # Late classes win more often.
    late = np.linspace(0, 1, units, dtype=np.float32) ** 8
    arrays = {
        "hidden": {"weights": normal(12, 10), "bias": normal(10)},
        "output": {"weights": normal(10, units, seed=2) * late, "bias": normal(units) * late},
    }
    trained = TrainedNetwork(Network("ends", layers), arrays)
    return golden.quantize(trained, IMAGES, Settings(LayerSettings(bits, bits)))


@pytest.mark.parametrize(
    ("units", "bits", "positions"),
    [
        (300, 8, {"class": (0, 16), "score": (32, 32)}),
        (1000, 16, {"class": (0, 16), "score": (64, 64)}),
    ],
)
def test_many_classes_and_wide_scores(
    units: int, bits: int, positions: dict[str, tuple[int, int]], tmp_path: Path
) -> None:
    need("icarus")
    network, folder = quantized(units, bits), tmp_path / "rtl"
    plan = hw.make_plan(network.fixed, hw.Goal(max_multipliers=60))
    manifest = hw.generate(network, folder, plan, dataset=DATA)
    assert {each.name: (each.low, each.bits) for each in manifest.result.fields} == positions
    report = sim.simulate(folder, 12, DATA, simulator="icarus")
    assert (report.bit_exact, report.as_predicted) == (True, True), report.failures
    # Classes of more than 8 bits are among them.
    assert max(report.classes) > 255
    assert passed(run_bench(folder, tmp_path / "path", "SEED=2"))
    if bits == 16:
        need("verilator")
        bulk = sim.simulate(folder, 24, DATA, engine="bulk", stalls=1)
        assert bulk.bit_exact and bulk.classes[:12] == report.classes, bulk.failures


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody's network with three outputs, and its hardware, which puts out all of them."""
    need("verilator")
    here = tmp_path_factory.mktemp("regression")
    nodes = [
        node("Flatten", "x", "f"),
        node("Gemm", "f w b", "h"),
        node("Relu", "h", "r"),
        node("Gemm", "r v c", "y"),
    ]
    constants = {"w": normal(12, 6), "b": normal(6), "v": normal(6, 3), "c": normal(3)}
    (here / "net.onnx").write_bytes(model(nodes, constants, ("N", 1, 3, 4)))
    np.savez(here / "data.npz", images=IMAGES, labels=DATA.known_labels)
    for command in (
        "import {0}/net.onnx --out {0}/net.npz --scale 1/255",
        "quantize {0}/net.npz --data {0}/data.npz --out {0}/q.npz",
        "generate {0}/q.npz --out {0}/rtl --result scores --max-multipliers 20",
    ):
        assert main(command.format(here).split()) == 0
    return here


def test_a_regression_network_puts_out_all_scores(
    regression: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = regression / "rtl"
    command = f"simulate {folder} --data {regression}/data.npz --engine bulk"
    assert main(command.split()) == 0
    assert "accuracy" not in capsys.readouterr().out
    report = json.loads((folder / "simulation.json").read_text("utf-8"))
    assert (report["bit_exact"], report["as_predicted"], report["images"]) == (True, True, 24)
    assert (report["result"], report["accuracy"], report["correct"]) == ("scores", None, None)
    sheet = (folder / "datasheet.md").read_text("utf-8")
    assert "3 beats an image" in sheet and "| 31 to 0 | a score, two's complement" in sheet
    assert "| `m_axis_tdata` | 32 | output |" in sheet
    assert "Up to 2 scores wait at `m_axis`" in sheet
    assert "// m_axis_tdata: 3 scores an image" in (folder / "net.v").read_text("utf-8")
    need("icarus")
    same = sim.simulate(folder, 10, DATA, simulator="icarus")
    assert (same.bit_exact, same.as_predicted) == (True, True), same.failures
    assert passed(run_bench(folder, tmp_path / "path"))
    assert passed(run_bench(folder, tmp_path / "path", "SEED=5"))


def test_pauses_resets_and_wrong_lengths_change_no_score(regression: Path) -> None:
    endurance = endure(regression / "rtl", DATA, cycles=20_000, seed=4)
    assert endurance.failures == ()
    assert endurance.counts.resets > 9 and endurance.counts.wrong_frames > 9


def test_the_kit_receives_scores_and_flags(regression: Path) -> None:
    need("icarus")
    assert score_benches.__file__ is not None
    bench.run(regression / "rtl", score_benches.__file__, simulator="icarus")


def test_a_wrong_score_is_seen_by_the_test_bench(regression: Path, tmp_path: Path) -> None:
    need("icarus")
    vectors = regression / "rtl" / "tb" / "results.hex"
    right = vectors.read_text("utf-8")
    lines = right.splitlines()
    lines[4] = f"{int(lines[4], 16) ^ 1:0{len(lines[4])}x}"
    try:
        vectors.write_text("\n".join(lines), "utf-8")
        found = failure(run_bench(regression / "rtl", tmp_path / "path"))
    finally:
        vectors.write_text(right, "utf-8")
    assert re.match(r"the result of image 1, beat 1: score -?\d+ \(\w+\) expected,", found)


def test_pictures_get_scores_and_no_class(
    regression: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = pytest.importorskip("PIL.Image")
    picture = regression / "0.png"
    image.fromarray(IMAGES[0, ..., 0]).save(picture)
    assert main(["predict", str(regression / "rtl"), str(picture), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (one,) = found["pictures"]
    assert (found["result"], one["class"], one["hardware_class"]) == ("scores", None, None)
    assert len(one["scores"]) == 3
    assert main(["predict", str(regression / "rtl"), str(picture)]) == 0
    shown = capsys.readouterr().out
    assert "class" not in shown and "wins" not in shown and "score 2" in shown


def test_a_folder_with_the_layout_of_another_network_is_refused(
    regression: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "rtl"
    folder.mkdir()
    for file in (regression / "rtl").iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest["result"]["beats"] = 4
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(FileFormatError, match=r"manifest\.json: its result is not one of net\.npz"):
        artifacts.load(folder)


def test_a_single_score_is_not_plural(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quantized(1, 8).save(tmp_path / "q.npz")
    assert main(["generate", str(tmp_path / "q.npz"), "--out", str(tmp_path / "rtl")]) == 0
    assert "1 score, " in capsys.readouterr().out
    assert "m_axis_tdata: 1 score an image" in (tmp_path / "rtl" / "ends.v").read_text("utf-8")


def test_an_interval_is_no_shorter_than_its_scores() -> None:
    fixed = quantized(100, 8).fixed
    assert hw.make_plan(fixed, hw.Goal(target_cycles=50))
    with pytest.raises(PlanError, match="target_cycles must be at least 100, the shortest possib"):
        hw.make_plan(fixed, hw.Goal(target_cycles=50), result="scores")
