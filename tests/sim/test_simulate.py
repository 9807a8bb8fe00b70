from __future__ import annotations

import hashlib
import importlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray

from systolith import golden, hw
from systolith.golden.files.datasets import Dataset
from systolith.golden.fixed.execution import FixedModel, classes
from systolith.hw.child_processes import started
from systolith.hw.errors import MissingToolError
from systolith.hw.verilog import artifacts
from systolith.sim import SimulationReport, simulate
from systolith.sim.bench.network_bench import simulate_cocotb
from systolith.sim.bulk import engine
from systolith.sim.errors import SimulationError
from systolith.sim.record.checks import Check
from systolith.sim.record.taps import (
    CYCLES_FIELD,
    FRAME_CYCLES,
    RESULT_FIELD,
    Batch,
    RuleBroken,
    TappedNetwork,
    tapped_network,
)
from systolith.sim.report import FILE_NAME, JUNIT_NAME, LOG_NAME
from systolith.sim.simulate import choose_engines
from systolith.sim.simulators.installed import Simulator
from tests.sim import small_hardware
from tests.sim.required import either_simulator, need

LAYERS = ("pool", "conv__x", "dense")
SIZES = (3 * 2 * 2, 2 * 1 * 3, 4)
PIXELS = 7 * 5 * 2
DATA = small_hardware.dataset(12)
MODULE = importlib.import_module("systolith.sim.simulate")


@pytest.fixture(scope="module")
def hardware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hardware") / "small"
    hw.generate(small_hardware.quantized(), folder, small_hardware.PLAN)
    return folder


@pytest.fixture
def folder(hardware: Path) -> Path:
    """The hardware, without what earlier tests found out about it."""
    (hardware / FILE_NAME).unlink(missing_ok=True)
    return hardware


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


# The three ways to simulate, by the options of `simulate`.
BULK: dict[str, Any] = {"engine": "bulk"}
COCOTB: dict[str, Any] = {"engine": "cocotb"}
ICARUS: dict[str, Any] = {"simulator": "icarus"}


def run(folder: Path, count: int = 12, **options: Any) -> SimulationReport:
    """Simulate, by the engine `bulk` if no other is chosen."""
    if not {"engine", "simulator"} & {*options}:
        options |= BULK
    if options.get("simulator") == "icarus":
        need("icarus")
    return simulate(folder, count, DATA, **options)


@pytest.mark.parametrize("way", [BULK, ICARUS])
def test_verilog_with_an_endless_loop_is_ended(
    hardware: Path, tmp_path: Path, way: dict[str, Any]
) -> None:
    folder = tmp_path / "looping"
    shutil.copytree(hardware, folder)
    (verilog,) = folder.glob("*.v")
    last = "assign m_axis_tlast = "
    looping = f"reg [1:0] spin = 1; initial while (spin) spin = spin ^ 2; {last}spin[0]; //"
    verilog.write_text(verilog.read_text().replace(last, looping))
    with pytest.raises(SimulationError, match="without completing a clock cycle") as error:
        run(folder, 2, **way)
    # What it printed is there, and one test case says why there is no result.
    assert str(error.value).endswith(f" (the whole output: {folder / LOG_NAME})")
    (case,) = ElementTree.parse(folder / JUNIT_NAME).iter("error")
    assert "without completing a clock cycle" in case.get("message", "")


@pytest.mark.parametrize(
    ("way", "count", "stalls"),
    [(BULK, 12, None), (BULK, 12, 3), (COCOTB, 12, None), (COCOTB, 3, 3), (ICARUS, 3, 3)],
)
def test_bit_exact(folder: Path, way: dict[str, Any], count: int, stalls: int | None) -> None:
    report = run(folder, count, stalls=stalls, **way)
    assert report.engines == {way.get("engine", "cocotb"): count}
    assert report.as_predicted is (None if way is ICARUS else True)
    network, data = small_hardware.quantized(), DATA.take(count)
    assert report.bit_exact and report.failures == ()
    assert [(layer.name, layer.values) for layer in report.layers] == [
        (name, size * count) for name, size in zip(LAYERS, SIZES, strict=True)
    ]
    assert report.classes == tuple(classes(network.fixed, data.images).tolist())
    assert report.correct == small_hardware.right(network, data)
    assert report.accuracy == report.correct / count


def test_cycles_are_those_of_an_engine_that_never_pauses(folder: Path) -> None:
    need("icarus")
    reports = [run(folder), run(folder, stalls=1), run(folder, 5, simulator="icarus")]
    reports += [run(folder, 1), run(folder, 1, engine="cocotb")]
    assert len({(report.interval_cycles, report.latency_cycles) for report in reports}) == 1
    for report in reports:
        assert list(report.layer_timings) == list(LAYERS)
        assert report.layer_timings == reports[0].layer_timings
    interval, latency = reports[0].interval_cycles, reports[0].latency_cycles
    assert interval is not None and latency is not None
    predicted = hw.load_manifest(folder).predicted
    assert (interval, latency) == (predicted.interval_cycles, predicted.latency_cycles)
    assert interval != latency
    # A value of a pixel a cycle goes in, and whether there were too many shows at the last.
    assert interval >= PIXELS and latency >= PIXELS
    stalled = run(folder, 2, simulator="icarus", stalls=1)
    assert (stalled.interval_cycles, stalled.latency_cycles) == (None, None)
    (layer, *_) = json.loads(stalled.to_json())["layers"]
    assert (layer["interval_cycles"], layer["latency_cycles"]) == (None, None)


def test_the_file(folder: Path) -> None:
    report = run(folder, stalls=9)
    content = (folder / FILE_NAME).read_bytes()
    assert content == report.to_json()
    found = json.loads(content)
    assert list(found) == [
        "schema",
        "network",
        "quantized_sha256",
        "plan_sha256",
        "verilog_sha256",
        "as_generated",
        "dataset",
        "simulator",
        "engine",
        "engine_images",
        "layer",
        "stalls",
        "images",
        "bit_exact",
        "result",
        "correct",
        "accuracy",
        "interval_cycles",
        "latency_cycles",
        "as_predicted",
        "deviations",
        "layers",
        "violations",
    ]
    assert found["schema"] == "systolith.simulation/1"
    for name, file in (
        ("quantized", "small-one.npz"),
        ("plan", "plan.toml"),
        ("verilog", "small-one.v"),
    ):
        sha256 = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        assert found[f"{name}_sha256"] == sha256
    assert (found["as_generated"], found["as_predicted"], found["deviations"]) == (True, True, [])
    assert found["dataset"]["sha256"] == DATA.sha256
    assert (found["stalls"], found["images"], found["bit_exact"]) == (9, 12, True)
    assert found["layers"][1] == {
        "name": "conv__x",
        "values": 72,
        "mismatches": 0,
        "first_mismatch": None,
        "interval_cycles": report.interval_cycles,
        "latency_cycles": report.layer_timings["conv__x"].latency_cycles,
    }
    run(folder, stalls=9)
    assert (folder / FILE_NAME).read_bytes() == content


def test_the_file_of_a_few_images_describes_their_whole_data_set(folder: Path) -> None:
    simulate(folder, 3, replace(DATA, saturated_values=np.arange(12)), engine="bulk")
    found = json.loads((folder / FILE_NAME).read_bytes())
    assert found["images"] == 3
    assert found["dataset"] == {
        "name": DATA.name,
        "split": DATA.split,
        "sha256": DATA.sha256,
        "images": 12,
        "saturated": 66,
    }


@pytest.mark.parametrize(
    ("layer", "way", "stalls"),
    [
        *itertools.product(LAYERS, [BULK], [None, 5]),
        *itertools.product(LAYERS, [COCOTB], [5]),
        ("conv__x", ICARUS, 5),
    ],
)
def test_one_layer_alone(folder: Path, layer: str, way: dict[str, Any], stalls: int | None) -> None:
    count = 12 if way is BULK else 2
    report = run(folder, count, layer=layer, stalls=stalls, **way)
    assert report.bit_exact and report.failures == ()
    (result,) = report.layers
    assert (result.name, result.values) == (layer, count * SIZES[LAYERS.index(layer)])
    assert (report.layer, report.classes, report.correct) == (layer, (), None)
    # The unit alone takes the cycles that its plan says, source and sink always ready.
    if way is not ICARUS:
        entry = artifacts.load(folder).manifest.layers[LAYERS.index(layer)]
        assert (report.as_predicted, report.interval_cycles) == (True, entry.cycles)
    assert not (folder / FILE_NAME).exists()


@pytest.mark.parametrize("way", [BULK, COCOTB])
def test_a_layer_alone_does_not_suffer_from_those_before_it(
    folder: Path, way: dict[str, Any]
) -> None:
    wrong = run(folder, 4, layer="conv__x", inject_fault="conv__x", **way)
    assert wrong.layers[0].mismatches > 0 and wrong.failures[0].startswith("conv__x: ")
    right = run(folder, 4, layer="dense", inject_fault="conv__x", **way)
    assert right.bit_exact


@pytest.mark.parametrize(
    ("keys", "layer", "name"),
    [
        (("predicted", "interval_cycles"), None, "interval_cycles"),
        (("predicted", "latency_cycles"), None, "latency_cycles"),
        (("layers", 1, "latency_cycles"), None, "conv__x: latency_cycles"),
        (("layers", 1, "cycles"), "conv__x", "conv__x: interval_cycles"),
    ],
)
def test_cycles_that_were_not_predicted_are_a_failure(
    folder: Path, tmp_path: Path, keys: tuple[Any, ...], layer: str | None, name: str
) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    manifest = json.loads((copy / "manifest.json").read_bytes())
    part = manifest
    for key in keys[:-1]:
        part = part[key]
    measured = part[keys[-1]]
    part[keys[-1]] = measured + 1
    (copy / "manifest.json").write_text(json.dumps(manifest))
    report = run(copy, layer=layer)
    assert report.bit_exact and report.as_predicted is False
    assert report.failures == (f"{name}: measured {measured}, predicted {measured + 1}",)
    # A failure like any other: what the simulator printed is there.
    assert report.kept == (copy / LOG_NAME, copy / JUNIT_NAME)


@pytest.mark.parametrize(
    ("engine", "count", "by"), [("bulk", 12, "bulk"), ("cocotb", 3, "cocotb"), ("both", 12, "bulk")]
)
def test_a_rule_broken_while_cycles_are_measured_is_a_violation(
    folder: Path, monkeypatch: pytest.MonkeyPatch, engine: str, count: int, by: str
) -> None:
    """Ten images are measured without pauses, by the last engine; fewer come again."""

    def broken(network: object, images: NDArray[np.uint8], *given: object, **options: Any) -> None:
        assert (given, options) == ((), {"engine": by})
        np.testing.assert_array_equal(images, DATA.images[np.arange(10) % count])
        raise RuleBroken("dense: valid was dropped")

    # The package's function has the module's name.
    monkeypatch.setattr(sys.modules[simulate.__module__], "measure_network", broken)
    report = run(folder, count, stalls=1, engine=engine)
    assert report.failures == ("without pauses: dense: valid was dropped",)
    assert (report.bit_exact, report.as_predicted) == (False, None)
    assert json.loads((folder / FILE_NAME).read_text())["bit_exact"] is False


@pytest.mark.parametrize(
    ("bits", "name"), [(7, "i1"), (8, "i2"), (15, "i2"), (16, "i4"), (31, "i4"), (32, "i8")]
)
def test_the_input_of_a_layer_alone_is_in_the_smallest_type_that_holds_every_value(
    bits: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A format of as many bits may be unsigned."""
    images = np.arange(250).reshape(250, 1, 1, 1)
    sizes: list[int] = []

    class Model:
        def __init__(self, fixed: object) -> None:
            pass

        def run(self, some: NDArray[np.int64]) -> Any:
            sizes.append(len(some))
            return SimpleNamespace(outputs={"C": some // 2, "D": some})

    monkeypatch.setattr(MODULE, "FixedModel", Model)
    layer = SimpleNamespace(output_format=SimpleNamespace(bits=bits))

    class Fixed(dict[str, Any]):
        network = SimpleNamespace(input=SimpleNamespace(name="input"))

    found = MODULE._values(Fixed(C=layer), "C", images)
    assert found.dtype == np.dtype(name)
    np.testing.assert_array_equal(found, images // 2)
    assert sizes == [100, 100, 50]
    assert MODULE._values(Fixed(C=layer), "input", images) is images


def test_progress(folder: Path) -> None:
    calls: list[tuple[int, int]] = []
    run(folder, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (12, 12)
    assert calls == sorted(calls)


def test_progress_counts_the_images_of_all_batches() -> None:
    calls: list[tuple[int, int]] = []
    MODULE._exhaust(iter([3, 4, 5]), 20, lambda done, total: calls.append((done, total)))
    assert calls == [(3, 20), (7, 20), (12, 20)]


def altered(
    layer: str, place: tuple[int, int, int, int], by: int
) -> Callable[[Check, NDArray[np.uint8]], dict[str, NDArray[np.int64]]]:
    """A reference that is wrong in one value, by its image among those of `DATA`."""
    original = Check.expected
    image = DATA.images[place[0]]

    def expected(self: Check, images: NDArray[np.uint8]) -> dict[str, NDArray[np.int64]]:
        values = original(self, images)
        for position in np.flatnonzero((images == image).all(axis=(1, 2, 3))):
            values[layer][(position, *place[1:])] += by
        return values

    return expected


@pytest.mark.parametrize(
    ("layer", "place"),
    [("pool", (11, 2, 1, 1)), ("conv__x", (4, 1, 0, 2)), ("dense", (0, 0, 0, 3))],
)
def test_an_altered_reference_is_seen(
    folder: Path, monkeypatch: pytest.MonkeyPatch, layer: str, place: tuple[int, int, int, int]
) -> None:
    monkeypatch.setattr(Check, "expected", altered(layer, place, by=-1))
    report = run(folder)
    assert not report.bit_exact
    wrong = [found for found in report.layers if found.mismatches]
    assert [(found.name, found.mismatches) for found in wrong] == [(layer, 1)]
    first = wrong[0].first_mismatch
    assert first is not None
    assert (first.image, first.row, first.column, first.channel) == place
    assert first.expected == first.found - 1
    image, row, column, channel = place
    assert report.failures[0].startswith(f"{layer}: 1 of ")
    assert report.failures[0].endswith(
        f"the first in image {image}, row {row}, column {column}, channel {channel}: "
        f"expected {first.expected}, found {first.found}"
    )
    assert json.loads((folder / FILE_NAME).read_text())["bit_exact"] is False


def test_a_wrong_winner_is_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    winner = run(folder).classes[2]
    monkeypatch.setattr(Check, "expected", altered("dense", (2, 0, 0, winner), by=-(1 << 20)))
    report = run(folder)
    assert [layer.mismatches for layer in report.layers] == [0, 0, 1]
    _, failure = report.failures
    assert failure.startswith("m_axis: 1 wrong results, the first of image 2: expected tdata ")


@pytest.mark.parametrize("layer", small_hardware.WEIGHTED)
def test_a_fault_in_the_hardware_is_seen(folder: Path, layer: str) -> None:
    report = run(folder, 4, inject_fault=layer)
    assert report.fault is not None and report.fault.startswith(f"{layer}: bit ")
    before = LAYERS.index(layer)
    assert [found.mismatches == 0 for found in report.layers[: before + 1]] == [True] * before + [
        False
    ]
    assert report.failures[0].startswith(f"{layer}: ")
    # What was simulated is not what is in the folder.
    assert not (folder / FILE_NAME).exists()


def test_both_engines_find_a_fault_in_the_same_place(folder: Path) -> None:
    by_bulk, by_cocotb = (run(folder, 4, inject_fault="dense", **way) for way in (BULK, COCOTB))
    assert by_bulk.failures == by_cocotb.failures
    assert by_cocotb.failures[0].startswith("dense: ")
    assert ", the first in image 0, row 0, column 0, channel " in by_cocotb.failures[0]
    # A test case for each layer, and what the simulator printed.
    assert by_cocotb.kept == (folder / LOG_NAME, folder / JUNIT_NAME)
    assert "image 3 came out in cycle " in (folder / LOG_NAME).read_text()
    cases = list(ElementTree.parse(folder / JUNIT_NAME).iter("testcase"))
    names = [case.get("name") for case in cases]
    assert names == [*LAYERS, "streams and results", "cycles as predicted"]
    failures = {case.get("name"): found.get("message") for case in cases for found in case}
    assert failures == {"dense": by_cocotb.failures[0]}


def test_the_log_is_there_if_it_is_asked_for_or_something_failed(folder: Path) -> None:
    files = folder / LOG_NAME, folder / JUNIT_NAME
    assert run(folder, keep_log=True).kept == files
    assert files[0].read_text().startswith("images 0 to 11: cycles ")
    assert not list(ElementTree.parse(files[1]).iter("failure"))
    # That of an earlier simulation would be mistaken for that of this one.
    assert run(folder).kept == ()
    assert not any(file.exists() for file in files)


def test_both_engines_one_after_the_other(folder: Path) -> None:
    report = run(folder, engine="both", keep_log=True)
    assert (report.engine, report.engines) == ("both", {"cocotb": 10, "bulk": 2})
    assert report.bit_exact and report.as_predicted
    log = report.kept[0].read_text()
    assert "image 9 came out in cycle " in log and "images 0 to 1: cycles " in log
    found = json.loads((folder / FILE_NAME).read_bytes())
    assert (found["engine"], found["engine_images"]) == ("both", {"cocotb": 10, "bulk": 2})


def test_the_second_engine_has_the_images_and_the_parts_after_the_first_one_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that cycles of both never get into one timeline."""
    given: dict[str, list[int]] = {}

    def batches(engine: str, *parts: Batch) -> Callable[..., Iterator[Batch]]:
        def simulated(_: object, images: NDArray[Any], *__: object, **___: object) -> Any:
            given[engine] = images.tolist()
            yield from parts

        return simulated

    records = np.zeros(2, np.void)
    cocotb = batches("cocotb", Batch(0, 0, records[:1]), Batch(0, 1, records[:1]))
    bulk = batches("bulk", Batch(1, 2, records), Batch(0, 0, records))
    monkeypatch.setattr(MODULE, "simulate_cocotb", cocotb)
    monkeypatch.setattr(MODULE, "simulate_bulk", bulk)
    run = SimpleNamespace(engines={"cocotb": 2, "bulk": 4}, stalls=None, simulator="verilator")
    steps: list[str] = []
    found = MODULE._batches(run, None, np.arange(6), [], steps.append)
    assert [(each.part, each.first) for each in found] == [(0, 0), (0, 1), (2, 4), (1, 2)]
    assert given == {"cocotb": [0, 1], "bulk": [2, 3, 4, 5]}
    assert steps == [
        *("compiling for cocotb", "simulating by cocotb"),
        *("compiling for bulk", "simulating by bulk"),
    ]


@pytest.mark.parametrize(
    ("engine", "images", "interval", "waves", "chosen"),
    [
        (None, 1, 3136, False, {"cocotb": 1}),
        (None, 32, 3136, False, {"cocotb": 32}),
        (None, 33, 1, False, {"bulk": 33}),
        (None, 20, 10_000, False, {"cocotb": 20}),
        (None, 20, 10_001, False, {"bulk": 20}),
        # Ten images are measured in any case.
        (None, 1, 20_001, False, {"bulk": 1}),
        (None, 1, 1, True, {"bulk": 1}),
        ("cocotb", 500, 3136, False, {"cocotb": 500}),
        ("bulk", 1, 1, True, {"bulk": 1}),
        ("both", 10, 3136, False, {"cocotb": 10}),
        ("both", 11, 3136, False, {"cocotb": 10, "bulk": 1}),
        ("both", 11, 100_000, False, {"cocotb": 2, "bulk": 9}),
        ("both", 11, 300_000, False, {"cocotb": 1, "bulk": 10}),
    ],
)
def test_the_engine_that_is_chosen(
    engine: Any, images: int, interval: int, waves: bool, chosen: dict[str, int]
) -> None:
    assert choose_engines(engine, "verilator", images, interval, waves) == chosen
    if engine in (None, "cocotb") and not waves:
        assert choose_engines(engine, "icarus", images, interval, waves) == {"cocotb": images}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": "C9"}, "layer 'C9': network 'small-one' has pool, conv__x, dense"),
        ({"inject_fault": "C9"}, "no layer 'C9'"),
        ({"inject_fault": "pool"}, "'pool' has no weights: .* are conv__x, dense"),
        ({"inject_fault": "input"}, "'input' has no weights: .* are conv__x, dense"),
        ({"simulator": "xsim"}, "simulator 'xsim': allowed are verilator, icarus"),
        ({"engine": "gdb"}, "engine 'gdb': allowed are cocotb, bulk"),
        ({"engine": "cocotb", "waves": True}, "the engine bulk writes them, cocotb does not"),
        (
            {"engine": "bulk", "simulator": "icarus"},
            "--engine bulk: it needs verilator, icarus has only cocotb",
        ),
        ({"count": 0}, "images: must be from 1 to 12"),
        ({"count": 13}, "images: must be from 1 to 12"),
    ],
)
def test_bad_input(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(folder, **options)
    assert not (folder / FILE_NAME).exists()


def test_images_of_another_shape_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="28 x 28 x 1, network 'small-one' takes 7 x 5 x 2"):
        simulate(folder, 1, golden.test_digits())


def test_without_a_data_set_only_networks_of_digits_are_simulated(folder: Path) -> None:
    with pytest.raises(ValueError, match="give images of its own with --data FILE"):
        simulate(folder, 1)


def test_labels_that_are_no_class_are_refused(folder: Path) -> None:
    images = np.zeros((2, 7, 5, 2), np.uint8)
    data = Dataset("mine", "custom", images, np.array([0, 99]))
    with pytest.raises(ValueError, match="has the label 99, network 'small-one' has the classes"):
        simulate(folder, None, data)
    assert not (folder / FILE_NAME).exists()


def test_verilog_that_does_not_compile_is_an_error(
    folder: Path, temporary: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    verilog = copy / "small-one.v"
    verilog.write_text(verilog.read_text() + "module broken(;\nendmodule\n")
    with pytest.raises(SimulationError, match=r"verilator_bin ended with status 1: .*syntax error"):
        run(copy)
    assert not (copy / FILE_NAME).exists()
    # The message has the end of what the compiler printed, and the file all of it.
    assert "syntax error" in (copy / LOG_NAME).read_text()


def test_a_worker_that_dies_is_an_error(
    folder: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(folder)
    (folder / FILE_NAME).unlink()

    @contextmanager
    def dying(command: Any, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
        with started(["sleep", "60"], **options) as process:
            os.kill(process.pid, signal.SIGKILL)
            yield process

    monkeypatch.setattr(engine, "started", dying)
    with pytest.raises(SimulationError, match="images 0 to 11 was killed by signal 9"):
        run(folder)
    assert not (folder / FILE_NAME).exists()
    assert list(temporary.iterdir()) == []


@either_simulator
def test_an_interrupt_leaves_nothing(
    folder: Path, temporary: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    need(simulator)
    processes: list[subprocess.Popen[bytes]] = []
    original = subprocess.Popen

    def recorded(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        processes.append(original(*arguments, **options))
        return processes[-1]

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", recorded)
    with pytest.raises(KeyboardInterrupt):
        run(folder, simulator=simulator, progress=interrupt)
    assert processes and all(process.poll() is not None for process in processes)
    assert not (folder / FILE_NAME).exists()
    assert list(temporary.iterdir()) == []


def records(network: TappedNetwork, **options: Any) -> NDArray[np.void]:
    """What comes out under cocotb, image by image."""
    images = DATA.images[:4]
    batches = list(simulate_cocotb(network, images, options.pop("stalls", None), **options))
    return np.concatenate([batch.records for batch in batches])


@pytest.fixture(scope="module")
def network(hardware: Path) -> TappedNetwork:
    built = artifacts.load(hardware)
    return tapped_network(built.quantized.fixed, built.manifest, built.verilog)


@either_simulator
def test_the_bench_sees_what_the_bulk_engine_sees(
    network: TappedNetwork, simulator: Simulator
) -> None:
    need(simulator)
    (batch,) = engine.simulate_bulk(network, DATA.images[:4], None)
    found = records(network, simulator=simulator)
    for name in ("input", *LAYERS, RESULT_FIELD):
        np.testing.assert_array_equal(found[name], batch.records[name])
    np.testing.assert_array_equal(found["input"], DATA.images[:4])
    # The reset takes longer under cocotb.
    cycles, bulk_cycles = found[CYCLES_FIELD], batch.records[CYCLES_FIELD]
    later = cycles["first"][0, 0] - bulk_cycles["first"][0, 0]
    for name, _ in FRAME_CYCLES:
        np.testing.assert_array_equal(cycles[name], bulk_cycles[name] + later)


@pytest.mark.parametrize(
    ("simulator", "pixels"),
    [
        ("verilator", 1),
        ("verilator", PIXELS + 30),
        ("verilator", 3 * PIXELS - 1),
        ("icarus", PIXELS + 30),
    ],
)
def test_a_reset_in_mid_frame_leaves_it_as_new(
    network: TappedNetwork, simulator: Simulator, pixels: int
) -> None:
    need(simulator)
    plain = records(network, simulator=simulator)
    found = records(network, simulator=simulator, stalls=pixels, reset_after=pixels)
    for name in (*LAYERS, RESULT_FIELD):
        np.testing.assert_array_equal(found[name], plain[name])


@either_simulator
def test_frames_of_a_wrong_length_are_flagged_and_the_next_is_right(
    network: TappedNetwork, simulator: Simulator
) -> None:
    need(simulator)
    lengths = [PIXELS - 9, PIXELS + 5, None, 1]
    found = records(network, simulator=simulator, stalls=2, lengths=lengths)
    images = DATA.images[:4].copy()
    # What is missing is background.
    images.reshape(4, PIXELS)[0, PIXELS - 9 :] = 0
    images.reshape(4, PIXELS)[3, 1:] = 0
    expected = FixedModel(small_hardware.quantized().fixed).run(images).outputs
    for name in LAYERS:
        np.testing.assert_array_equal(found[name], expected[name])
    assert found[RESULT_FIELD]["user"][:, 0].tolist() == [1, 1, 0, 1]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, PermissionError),
        ({"layer": "dense"}, PermissionError),
        ({"inject_fault": "dense", "keep_log": True}, PermissionError),
        # Nothing would be written.
        ({"inject_fault": "dense"}, MissingToolError),
    ],
)
def test_a_folder_that_cannot_be_written_is_told_before_anything_runs(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    error: type[Exception],
) -> None:
    # Not by its mode: whoever may do everything may write.
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(error):
        run(folder, **options)


def test_a_fault_is_looked_for_among_the_images_that_go_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another image might be the only one that shows it."""

    def find(fixed: object, name: str, images: NDArray[np.uint8]) -> None:
        np.testing.assert_array_equal(images, DATA.images[:2])
        raise ValueError(f"{name} was looked for")

    monkeypatch.setattr(MODULE, "find_fault", find)
    with pytest.raises(ValueError, match="dense was looked for"):
        run(folder, 2, inject_fault="dense")
