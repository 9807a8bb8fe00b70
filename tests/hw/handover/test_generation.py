# amaranth: UnusedElaboratable=no
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from systolith import golden, hw
from systolith.golden.network.graph import Dense, Input, Layer, MaxPooling, Network, Shape
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.hw.folding import Folding
from systolith.hw.handover import generation
from systolith.hw.handover.vectors import Vectors
from systolith.hw.planning.estimate import PredictedEntry
from systolith.hw.planning.plan_file import smallest_plan
from systolith.hw.streams.input_layout import InputLayout, StreamEntry
from systolith.hw.streams.result_layout import ResultField, ResultLayout
from systolith.hw.verilog.artifacts import FolderError, load
from systolith.hw.verilog.manifest import load_manifest
from systolith.sim.simulators import installed
from systolith.sim.simulators.installed import Simulator
from tests.hw.handover.bench_runs import (
    either_simulator,
    failure,
    flip_weight,
    passed,
    run_bench,
)
from tests.hw.small_networks import EVERY_KIND, EVERY_KIND_PLAN, ONE_LAYER, quantized
from tests.sim.required import need
from tests.yowasp import run_full_yosys

FAKE = Path(__file__).with_name("fake_one_layer.v")
BENCH = {"Makefile", "images.hex", "results.hex"}
SHARED = {
    "core": "accelerator.core",
    "f": "accelerator.f",
    "sdc": "clock.sdc",
    "xdc": "clock.sdc",
    "ys": "yosys.ys",
    "tcl": "vivado.tcl",
    "vh": "instance.vh",
}
"""The templates of the files beside the Verilog."""


@pytest.fixture(scope="module")
def one_layer() -> QuantizedNetwork:
    return quantized(ONE_LAYER)


@pytest.fixture(scope="module")
def folder(one_layer: QuantizedNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("handover") / "one"
    hw.generate(one_layer, folder, {"scores": Folding(rows=2, columns=2, lanes=2)})
    return folder


@pytest.fixture(scope="module")
def every_kind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("a b") / "every"
    hw.generate(quantized(EVERY_KIND), folder, EVERY_KIND_PLAN, "top_9")
    return folder


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(folder, tmp_path / "copy")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("path")


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for each in folder.rglob("*")
        if each.is_file()
    }


def test_the_folder_has_everything(folder: Path) -> None:
    manifest = load_manifest(folder)
    assert set(files(folder)) == {*manifest.sha256(), "manifest.json"}
    own = {f"one-layer.{suffix}" for suffix in SHARED} | {"datasheet.md"}
    bench = BENCH | {"01_scores.hex", "one-layer_tb.v", "one-layer_tb.f"}
    assert manifest.handover is not None
    assert set(manifest.handover.sha256) == own | {f"tb/{name}" for name in bench}
    assert manifest.handover.images == "10 images of random pixels"
    assert (folder / "tb" / "one-layer_tb.v").read_bytes().isascii()


def test_the_facts_that_all_templates_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two channels of 12 bits in a beat go in; names are long and differ in their case alone."""
    long = "L" * 70
    shapes = {"in": Shape(2, 3, 2), long: Shape(2, 3, 4), "l": Shape(1, 1, 6)}
    names = [*shapes]
    source = SimpleNamespace(name="in", image_shape=shapes["in"])
    layers = [SimpleNamespace(name=name, output_shape=shapes[name]) for name in names[1:]]
    result = ResultLayout("scores", 16, 6, (ResultField("score", 0, 16, True),))
    folder: Any = SimpleNamespace(
        quantized=SimpleNamespace(
            fixed=SimpleNamespace(network=SimpleNamespace(input=source), layers=layers)
        ),
        manifest=SimpleNamespace(
            top="my_top",
            network="net",
            quantized_sha256="abc",
            files=SimpleNamespace(verilog="file.v"),
            ports=("ports",),
            result=result,
            input=InputLayout(2, 12, False),
            predicted=PredictedEntry(70, 90),
            layers=[
                SimpleNamespace(name=long, stream=StreamEntry(4, 5, True), latency_cycles=1),
                SimpleNamespace(name="l", stream=StreamEntry(1, 9, False), latency_cycles=2),
            ],
        ),
    )
    values = {name: np.arange(shape.size).reshape(1, *shape) for name, shape in shapes.items()}
    beats = np.array([[[0x34, 0x12], [0xCD, 0xAB]]], np.uint8)
    images = values.pop("in")
    vectors = Vectors("the first 1 of 9 images", images, values, beats)
    rendered: dict[str, dict[str, Any]] = {}

    def render(template: str, facts: dict[str, Any]) -> bytes:
        rendered[template] = facts
        return template.encode()

    monkeypatch.setattr(generation, "render", render)
    monkeypatch.setattr(
        generation, "datasheet_facts", lambda built, report, mhz: {"sheet": (report, mhz)}
    )
    monkeypatch.setattr(metadata, "version", lambda name: "1.20.3rc1+local")
    found = generation._hand_over(folder, vectors, None, mhz=12.5)
    assert found.images == vectors.source
    own = {f"file.{suffix}": f"{name}" for suffix, name in SHARED.items()}
    own |= {"datasheet.md": "datasheet.md", "tb/file_tb.v": "bench.v", "tb/file_tb.f": "bench.f"}
    own |= {"tb/Makefile": "bench.mk"}
    texts = {name: content.decode() for name, content in found.files.items()}
    assert {name: texts.pop(name) for name in own} == own
    # Values of 12 bits, two in a beat: the first is the lowest.
    pairs = "".join(f"{high:03x}{low:03x}\n" for low, high in images.reshape(-1, 2).tolist())
    first = "".join(f"{value:03x}\n" for value in range(6))
    assert texts.pop("tb/images.hex") == f"// image 0\n{pairs}"
    assert texts.pop("tb/02_l.hex") == f"// image 0\n{first}"
    assert texts.pop("tb/results.hex") == "1234\nabcd\n"
    assert list(texts) == [f"tb/01_{'L' * 60}.hex"]
    (facts, *others) = rendered.values()
    assert all(each == facts for each in others)
    stream = {"width": 3, "signed": 0}
    assert facts == {
        "top": "my_top",
        "stem": "file",
        "network": "net",
        "sha256": "abc",
        "verilog": "file.v",
        "vlnv": "systolith:accelerators:my_top:1.20.3",
        "ports": ("ports",),
        "result": result,
        "input": folder.manifest.input,
        "images": 1,
        "source": vectors.source,
        "input_beats": 6,
        "interval": 70,
        "latency": 90,
        "streams": [
            stream
            | {
                "name": "in",
                "file": "images.hex",
                "channels": 2,
                "beats": 6,
                "lanes": 2,
                "bits": 12,
            },
            stream
            | {"name": long, "file": f"01_{'L' * 60}.hex", "channels": 4, "beats": 6, "lanes": 4}
            | {"bits": 5, "signed": 1},
            stream
            | {"name": "l", "file": "02_l.hex", "width": 1, "channels": 6, "beats": 6, "lanes": 1}
            | {"bits": 9},
        ],
        "vector_files": ["images.hex", f"01_{'L' * 60}.hex", "02_l.hex", "results.hex"],
        "mhz": "12.5",
        "period": "80.000",
        "sheet": (None, 12.5),
    }


def test_a_report_of_another_network_of_the_same_name_is_refused(
    one_layer: QuantizedNetwork, tmp_path: Path
) -> None:
    report: Any = SimpleNamespace(network="one-layer", network_sha256="0123456789" * 6)
    words = f"the report is of one-layer 01234567, not of one-layer {one_layer.sha256[:8]}"
    with pytest.raises(ValueError, match=words):
        hw.generate(one_layer, tmp_path / "out", report=report)
    assert not (tmp_path / "out").exists()


def test_generating_again_gives_the_same_bytes(copy: Path, one_layer: QuantizedNetwork) -> None:
    before = files(copy)
    (copy / "tb" / "build").mkdir()
    (copy / "tb" / "build" / "model").write_text("built")
    hw.generate(one_layer, copy, {"scores": Folding(rows=2, columns=2, lanes=2)})
    assert files(copy) == before | {"tb/build/model": b"built"}


def test_another_network_leaves_nothing_of_the_first(copy: Path, tmp_path: Path) -> None:
    layers = (ONE_LAYER.layers[0], replace(ONE_LAYER.layers[1], name="classes"))
    other = quantized(Network("other", layers))
    hw.generate(other, copy)
    hw.generate(other, tmp_path / "new")
    assert files(copy) == files(tmp_path / "new")


@pytest.mark.parametrize("name", ["datasheet.md", "tb/01_scores.hex", "tb/Makefile"])
def test_a_file_that_was_changed_is_not_replaced(
    copy: Path, one_layer: QuantizedNetwork, name: str
) -> None:
    (copy / name).write_text("mine")
    before = files(copy)
    with pytest.raises(FolderError, match=f"{name}: is not as generate wrote it: move it"):
        hw.generate(one_layer, copy)
    assert files(copy) == before


@pytest.mark.parametrize("name", ["tb", "tb/Makefile", "one-layer.core"])
def test_other_files_are_not_overwritten(
    tmp_path: Path, one_layer: QuantizedNetwork, name: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(FolderError, match=f"{name}: is there already and was not made by"):
        hw.generate(one_layer, tmp_path)
    assert files(tmp_path) == {name: b"mine"}


def test_an_error_while_files_are_replaced_leaves_the_old_ones(
    tmp_path: Path, one_layer: QuantizedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    original = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name == "results.hex" and self.parent.parent.name == "stage":
            raise OSError("full")
        return original(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="full"):
        hw.generate(one_layer, tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "notes.txt"]


def test_simulation_does_not_read_them(copy: Path) -> None:
    handed = load_manifest(copy).handover
    assert handed is not None
    for name in handed.sha256:
        (copy / name).unlink()
    assert load(copy).as_generated


def test_a_manifest_names_no_other_files(copy: Path) -> None:
    text = (copy / "manifest.json").read_text("utf-8")
    for name in ("../x.v", "tb/../x.v", "thesis.txt", "/x.v", "tb/tb/x.v"):
        (copy / "manifest.json").write_text(text.replace("tb/results.hex", name), "utf-8")
        with pytest.raises(golden.errors.FileFormatError, match=r"handover\.sha256"):
            load_manifest(copy)


def test_every_kind_of_layer_passes(every_kind: Path, path: Path) -> None:
    assert passed(run_bench(every_kind, path))
    for seed in range(3):
        assert passed(run_bench(every_kind, path, f"SEED={seed}", "IMAGES=6"))
    assert (every_kind / "tb" / "top_9_tb.v").exists()


@pytest.mark.parametrize("layer", ["C1", "C3", "F6", "output"])
def test_the_first_wrong_layer_is_named(
    every_kind: Path, path: Path, tmp_path: Path, layer: str
) -> None:
    copy = shutil.copytree(every_kind, tmp_path / "copy")
    flip_weight(copy / "top_9.v", layer)
    assert failure(run_bench(copy, path, "SEED=5")).startswith(f"{layer}: image ")


# What the bench says of each defect of the fake, with stalls where the defect needs them.
DEFECTS: Mapping[int, str] = {
    1: "input: image 3, row 0, column 0, channel 0: ",
    2: "s_axis_tready and m_axis_tvalid must be 0 in reset",
    4: "scores: image 3, beat 0: valid fell before the beat was taken",
    5: "no stream moved for ",
    6: "scores: image 3, beat 0: changed before the beat was taken",
    7: "scores: image 3, row 0, column 0, channel 3: ",
    8: "scores: image 3, beat 0: last is wrong",
    10: "s_axis_tready and m_axis_tvalid must be 0 in reset",
    11: "m_axis_tvalid does not rise while m_axis_tready is low",
    12: "the result of image 3: changed or withdrawn before it was taken",
    13: "the result of image 3: class ",
    14: "the result of image 3: class ",
    15: "the result of image 3: changed or withdrawn before it was taken",
    16: "the result of image 3: m_axis_tuser is not 0, but its length is right",
    17: "the result of image 3: m_axis_tlast is not 1",
    20: "scores: a beat follows the last image",
    21: "a result follows that of the last image",
    22: "scores: 19 beats, not 20",
}
UNKNOWN: Mapping[int, str] = {
    3: "scores: image 3, beat 0: valid or ready is neither 0 nor 1",
    9: "m_axis_tvalid is neither 0 nor 1",
}
WITH_STALLS = {1, 11, 12, 15}


@either_simulator
def test_the_bench_passes_and_finds_every_defect(
    copy: Path, path: Path, simulator: Simulator
) -> None:
    run = run_bench(copy, path, simulator=simulator)
    assert passed(run)
    predicted = load_manifest(copy).predicted
    latency, interval = predicted.latency_cycles, predicted.interval_cycles
    assert f"latency {latency} cycles ({latency} by the data sheet)\n" in run.stdout
    assert f"interval {interval} cycles ({interval} by the data sheet)\n" in run.stdout
    assert passed(run_bench(copy, path, "SEED=1", simulator=simulator))

    # Right values, and every way to break a rule.
    stream = load_manifest(copy).layers[0].stream
    fake = FAKE.read_text("utf-8").replace("BITS = 64", f"BITS = {stream.lanes * stream.bits}")
    (copy / "one-layer.v").write_text(fake, "utf-8")
    for seed in ("", "+seed=7"):
        assert passed(run_bench(copy, path, f"OPTIONS={seed}", simulator=simulator))
    # Verilator has no unknown values.
    for defect, message in {**DEFECTS, **(UNKNOWN if simulator == "icarus" else {})}.items():
        seed = "+seed=7" if defect in WITH_STALLS else ""
        run = run_bench(copy, path, f"OPTIONS=+defect={defect} {seed}", simulator=simulator)
        assert failure(run).startswith(message), (defect, run.stdout)
        if defect == 5:
            assert "\n  s_axis: 24 of 60 pixels\n  input: 24 of 60 beats\n" in run.stdout
            assert "\n  scores: 7 of 20 beats\n  m_axis: 3 of 10 results\n" in run.stdout


@pytest.mark.parametrize(
    ("name", "message"),
    # Other pixels go in, and give other scores.
    [("images.hex", "scores: "), ("01_scores.hex", "scores: "), ("results.hex", "the result of ")],
)
def test_a_wrong_or_short_file_is_found(copy: Path, path: Path, name: str, message: str) -> None:
    file = copy / "tb" / name
    lines = file.read_text().splitlines()
    changed = lines.copy()
    changed[-2] = f"{int(lines[-2], 16) ^ 1:0{len(lines[-2])}x}"
    for text in (changed, lines[:-1]):
        file.write_text("\n".join(text) + "\n")
        assert failure(run_bench(copy, path)).startswith(message)


@pytest.mark.parametrize("images", ["0", "11"])
def test_a_wrong_number_of_images_is_refused(folder: Path, path: Path, images: str) -> None:
    assert failure(run_bench(folder, path, f"IMAGES={images}")) == "+images must be from 1 to 10"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("IMAGES=abc", "+images must be from 1 to 10"),
        ("IMAGES=1x", "+images must be from 1 to 10"),
        ("SEED=abc", "+seed must be a whole number"),
    ],
)
def test_what_is_no_number_is_refused(folder: Path, path: Path, setting: str, message: str) -> None:
    """In Icarus it is undefined, and would stall for ever, or drive undefined images."""
    assert failure(run_bench(folder, path, setting)) == message


def test_builds_go_to_another_folder(copy: Path, path: Path, tmp_path: Path) -> None:
    shutil.rmtree(copy / "tb" / "build", ignore_errors=True)
    assert passed(run_bench(copy, path, "IMAGES=1", f"BUILD={tmp_path / 'built'}"))
    assert list((tmp_path / "built").iterdir())
    assert not (copy / "tb" / "build").exists()


def test_names_of_layers_are_of_any_kind(tmp_path: Path, path: Path) -> None:
    names = ["module", "x__y", "x_y", "X_y", "taken", "IMAGES", "_", "n" * 300, "output"]
    layers: list[Layer] = [Input(name="aclk", height=2, width=1, channels=2)]
    for name in names:
        layers.append(MaxPooling(name=name, inputs=(layers[-1].name,), window=(1, 1)))
    layers.append(Dense(name="begin", inputs=("output",), units=3))
    network = quantized(Network("9-lives", tuple(layers)))
    hw.generate(network, tmp_path / "out", smallest_plan(network.fixed.network))
    assert passed(run_bench(tmp_path / "out", path, "SEED=2"))
    flip_weight(tmp_path / "out" / "9-lives.v", "begin")
    assert failure(run_bench(tmp_path / "out", path)).startswith("begin: image 0")
    assert fusesoc(tmp_path / "out", tmp_path, "sim", "accelerator_9_lives").returncode == 1


def fusesoc(
    folder: Path, work: Path, target: str, name: str, *options: str
) -> subprocess.CompletedProcess[str]:
    home = {f"XDG_{kind}_HOME": str(work / kind) for kind in ("CACHE", "CONFIG", "DATA")}
    verilator = installed.find_verilator().root / "bin"
    command = [sys.executable, "-c", "from fusesoc.main import main; main()"]
    command += ["--cores-root", str(folder), "run", "--target", target, *options]
    return subprocess.run(
        [*command, f"systolith:accelerators:{name}"],
        cwd=work,
        env={**os.environ, **home, "PATH": f"{verilator}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_fusesoc_simulates_and_prepares_synthesis(every_kind: Path, tmp_path: Path) -> None:
    need("icarus")
    simulated = fusesoc(every_kind, tmp_path, "sim", "top_9")
    assert simulated.returncode == 0, simulated.stdout + simulated.stderr
    assert "\nPASS: 10 images, " in simulated.stdout
    assert fusesoc(every_kind, tmp_path, "synth", "top_9", "--setup").returncode == 0


def test_fusesoc_lints_without_a_warning(every_kind: Path, tmp_path: Path) -> None:
    linted = fusesoc(every_kind, tmp_path, "lint", "top_9")
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.gates
def test_yosys_runs_the_script(copy: Path) -> None:
    run_full_yosys((copy / "one-layer.ys").read_text("utf-8"), copy)


def test_vivado_gets_its_commands(folder: Path) -> None:
    """In place of Vivado, an interpreter of Tcl that prints them."""
    tclsh = shutil.which("tclsh")
    if tclsh is None:
        pytest.skip("tclsh is not installed")
    named = "read_verilog read_xdc synth_design report_utilization report_timing_summary"
    script = "".join(
        f"proc {name} {{args}} {{ puts [concat {name} $args] }}\n"
        for name in [*named.split(), "write_checkpoint"]
    )
    script += "source one-layer.tcl\n"
    for given, status in ((["xc7z020"], 0), ([], 2)):
        run = subprocess.run(
            [tclsh, "/dev/stdin", *given],
            cwd=folder,
            input=script,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == status, run.stderr
        if not status:
            read, *_ = lines = run.stdout.splitlines()
            assert read == "read_verilog one-layer.v"
            assert "synth_design -top one_layer -part xc7z020 -mode out_of_context" in lines
        else:
            assert "give the part" in run.stderr


def test_the_template_and_the_file_list_elaborate(folder: Path, tmp_path: Path) -> None:
    text = 'module t(input aclk, input aresetn);\n`include "one-layer.vh"\nendmodule\n'
    (tmp_path / "t.v").write_text(text)
    command = [installed.find_icarus().compiler, "-g2005", "-Wall", "-I", ".", "-s", "t"]
    run = subprocess.run(
        [*command, "-o", tmp_path / "t.vvp", "-c", "one-layer.f", tmp_path / "t.v"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "port" not in run.stderr


def test_constraints_have_the_period(one_layer: QuantizedNetwork, tmp_path: Path) -> None:
    hw.generate(one_layer, tmp_path / "out", mhz=250)
    for suffix in ("sdc", "xdc"):
        text = (tmp_path / "out" / f"one-layer.{suffix}").read_text("utf-8")
        assert text.splitlines()[-1] == "create_clock -name aclk -period 4.000 [get_ports aclk]"


def test_a_report_of_another_network_is_refused(
    one_layer: QuantizedNetwork, tmp_path: Path
) -> None:
    images = np.zeros((3, 2, 3, 1), np.uint8)
    dataset = golden.Dataset("zeros", "custom", images, np.zeros(3, np.int64))
    report = golden.evaluate(quantized(ONE_LAYER, seed=1), dataset)
    with pytest.raises(ValueError, match=r"report is of one-layer \w{8}, not of one-layer"):
        hw.generate(one_layer, tmp_path / "out", report=report)
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module", params=["lenet5", "lenet5-relu"])
def shipped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = golden.load_network(str(request.param))
    folder = tmp_path_factory.mktemp("handover") / network.name
    hw.generate(golden.quantize(network, golden.validation_digits().images), folder)
    return folder


def test_networks_that_ship_pass(shipped: Path, path: Path) -> None:
    assert passed(run_bench(shipped, path, "IMAGES=1"))
    flip_weight(shipped / f"{shipped.name}.v", "C3")
    assert failure(run_bench(shipped, path, "IMAGES=1")).startswith("C3: image 0, row ")


@pytest.mark.long
@either_simulator
def test_all_images_of_networks_that_ship_pass(
    shipped: Path, path: Path, tmp_path: Path, simulator: Simulator
) -> None:
    copy = shutil.copytree(shipped, tmp_path / "copy")
    assert passed(run_bench(copy, path, simulator=simulator))
    assert passed(run_bench(copy, path, "SEED=1", simulator=simulator))
    flip_weight(copy / f"{shipped.name}.v", "C3")
    found = failure(run_bench(copy, path, simulator=simulator))
    assert found.startswith("C3: image 0, row ")
