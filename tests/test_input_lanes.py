"""Several channels of a pixel in a beat at the input, from the commands to RTL in every layer."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest

from systolith import golden, sim
from systolith.golden.fixed.execution import FixedModel
from systolith.golden.network.graph import (
    Activation,
    Convolution,
    Dense,
    Input,
    Layer,
    MaxPooling,
    Network,
)
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.qformat import PIXELS, QFormat
from systolith.hw.boards.serial_accelerator import identity_of
from systolith.hw.verilog import artifacts
from systolith.scripts.main import main
from systolith.sim.bench.network_bench import simulate_cocotb
from systolith.sim.bulk.endurance import endure
from systolith.sim.record.taps import RESULT_FIELD, tapped_network
from systolith.sim.simulators.installed import Simulator
from tests.golden.random_networks import random_arrays
from tests.hw.handover.bench_runs import failure, passed, run_bench
from tests.sim.required import need

PLACES = 8 * 6
CONVOLUTION = Convolution(
    name="first",
    inputs=("input",),
    kernel=(3, 2),
    out_channels=4,
    padding=(1, 0),
    activation=Activation("relu"),
)
POOLING = MaxPooling(name="first", inputs=("input",), window=(2, 2))


def commands(*lines: str) -> None:
    for line in lines:
        assert main(line.split()) == 0, line


def save(first: Layer, channels: int, fmt: QFormat = PIXELS) -> golden.Dataset:
    """A network in `q.npz` that starts with this layer, after 8 x 6 pixels, and images for it."""
    layers = (
        Input(name="input", height=8, width=6, channels=channels, background=9, format=fmt),
        first,
        Dense(name="scores", inputs=("first",), units=3),
    )
    network = Network("colours", layers)
    rng = np.random.default_rng(7)
    arrays = {
        layer.name: random_arrays(rng, layer, source)
        for layer, source, _ in network.computing_layers()
    }
    shape = (12, *network.input.image_shape)
    images = rng.integers(fmt.min_raw, fmt.max_raw, shape, fmt.raw_type, endpoint=True)
    golden.quantize(TrainedNetwork(network, arrays), images).save("q.npz")
    return golden.Dataset("noise", "custom", images, np.arange(len(images)) % 3)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of RGB images with 3 channels a beat, in `rtl`."""
    folder = tmp_path_factory.mktemp("colours")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        save(CONVOLUTION, 3)
        commands(f"generate q.npz --out rtl --target-cycles {PLACES} --fix input=1x1x3")
    return folder / "rtl"


@pytest.mark.parametrize(
    ("first", "channels", "text", "lanes", "bits", "simulator"),
    [
        (CONVOLUTION, 3, "u8.0", 3, 24, "verilator"),
        (CONVOLUTION, 3, "s12.4", 3, 48, "icarus"),
        (POOLING, 10, "u9.0", 5, 80, "verilator"),
    ],
)
def test_every_layer_is_exact_and_takes_the_cycles_predicted(
    first: Layer,
    channels: int,
    text: str,
    lanes: int,
    bits: int,
    simulator: Simulator,
) -> None:
    need(simulator)
    data = save(first, channels, QFormat.parse(text))
    beats = PLACES * channels // lanes
    commands(f"generate q.npz --out rtl --target-cycles {beats} --fix input=1x1x{lanes}")
    report = sim.simulate("rtl", None, data, simulator)
    assert report.failures == () and report.as_predicted
    assert report.interval_cycles == beats
    report = sim.simulate("rtl", 3, data, simulator, stalls=3)
    assert report.failures == ()
    verilog = Path("rtl/colours.v").read_text("utf-8")
    assert re.search(rf"^  input \[{bits - 1}:0\] s_axis_tdata,$", verilog, re.MULTILINE)
    # The bench sends random bits above those of each value.
    assert passed(run_bench(Path("rtl"), Path("tools").absolute(), "SEED=1"))


def test_frames_of_a_wrong_length_are_flagged_and_the_next_is_right(colours: Path) -> None:
    """Too short by a beat, too long by one, and `tlast` on the first beat."""
    need("icarus")
    built = artifacts.load(colours)
    fixed = built.quantized.fixed
    network = tapped_network(fixed, built.manifest, built.verilog)
    assert network.source_beats == PLACES
    images = np.random.default_rng(3).integers(0, 256, (5, 8, 6, 3), np.uint8)
    lengths = [PLACES - 1, None, PLACES + 1, 1, None]
    batches = simulate_cocotb(network, images, 2, "icarus", lengths)
    found = np.concatenate([batch.records for batch in batches])
    for image, beats in ((0, PLACES - 1), (3, 1)):
        images[image].reshape(PLACES, 3)[beats:] = 9
    np.testing.assert_array_equal(found["input"], images)
    expected = FixedModel(fixed).run(images).outputs
    for name in ("first", "scores"):
        np.testing.assert_array_equal(found[name], expected[name])
    assert found[RESULT_FIELD]["user"][:, 0].tolist() == [1, 0, 1, 1, 0]


def test_pauses_resets_and_wrong_frames_leave_no_trace(colours: Path) -> None:
    need("verilator")
    images = np.random.default_rng(4).integers(0, 256, (20, 8, 6, 3), np.uint8)
    data = golden.Dataset("noise", "custom", images, np.zeros(20, np.int64))
    found = endure(colours, data, cycles=100_000)
    assert found.failures == ()
    assert found.counts.wrong_frames > 100


def test_the_bench_sees_channels_in_the_wrong_lanes(colours: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(colours, tmp_path / "rtl")
    verilog = copy / "colours.v"
    text = verilog.read_text("utf-8")
    swapped, count = re.subn(
        r"(\.i_data\()s_axis_tdata\)", r"\1{s_axis_tdata[7:0], s_axis_tdata[23:8]})", text
    )
    assert count == 1
    verilog.write_text(swapped, "utf-8")
    message = failure(run_bench(copy, tmp_path / "tools"))
    assert message.startswith("input: image 0, row 0, column 0, channel 0: ")


def test_the_plan_has_the_lanes_of_the_input(
    colours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(colours.parent / "q.npz", "q.npz")
    goal = f"--target-cycles {PLACES}"
    commands(f"plan q.npz {goal} --fix input=1x1x3 --out plan.toml")
    assert "3 values a beat, s_axis_tdata 24 bits" in capsys.readouterr().out
    written = Path("plan.toml").read_bytes()
    assert tomllib.loads(written.decode())["layers"]["input"]["lanes"] == 3
    Path("short.toml").write_text(f"goal.target_cycles = {PLACES}\nlayers.input.lanes = 3\n")
    commands(
        "plan q.npz --plan short.toml --out again.toml", "generate q.npz --out r --plan plan.toml"
    )
    assert Path("again.toml").read_bytes() == written
    assert Path("r/colours.v").read_bytes() == (colours / "colours.v").read_bytes()
    assert artifacts.load("r").manifest.input == artifacts.load(colours).manifest.input
    data_sheet = Path("r/datasheet.md").read_text("utf-8")
    assert "| `s_axis_tdata` | 24 | input |  | 3 fields of 8 bits" in data_sheet
    assert "`tkeep`" in data_sheet and "8 bits each: 48 beats |" in data_sheet


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--fix input=1x1x2", "input 'input': its lanes must divide its 3 channels, not 2"),
        ("--fix input=2x1x3", "input 'input': has no unit, so that rows must be 1 or left out"),
        ("--target-cycles 60", "not 60; it is the beats of an image, fewer with more channels in"),
    ],
)
def test_what_cannot_be_is_refused(
    options: str, message: str, colours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", str(colours.parent / "q.npz"), *options.split()]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


def test_boards_send_one_channel_a_beat(colours: Path) -> None:
    with pytest.raises(ValueError, match="takes 3 channels in a beat, and boards one"):
        identity_of(artifacts.load(colours))
