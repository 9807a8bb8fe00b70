# amaranth: UnusedElaboratable=no
"""Random networks through the whole path: quantize, export, generate, simulate, every value equal.

A failure is seen again with `pytest tests/test_random_networks.py --network-seed SEED
--network-count 1`, SEED being the number in the test's name.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from systolith import golden, hw, sim
from systolith.golden.fixed import execution
from systolith.golden.network.graph import (
    Activation,
    Layer,
    MaxPooling,
    Pooling,
    RadialBasis,
    Subsampling,
)
from systolith.hw.accelerator import RESULT, SOURCE, Accelerator
from systolith.hw.planning.prediction import predict, timeline
from systolith.hw.verilog.artifacts import load
from systolith.sim.record.taps import tapped_network
from systolith.sim.timing import MEASURED_IMAGES, measure_network
from tests.golden.float_onnx import FloatOnnx, assert_floats_equal
from tests.golden.onnx.test_export import assert_equal
from tests.golden.random_networks import random_images
from tests.hw.planning.test_prediction import becomes_steady
from tests.random_cases import RandomCase, random_case
from tests.sim.required import need

NETWORKS, MANY_NETWORKS = 15, 150
EXPORTS, MANY_EXPORTS = 15, 300
IMAGES = 24


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    many = metafunc.definition.get_closest_marker("long") is not None
    first = metafunc.config.getoption("network_seed")
    for name, counts in (
        ("hardware_seed", (NETWORKS, MANY_NETWORKS)),
        ("export_seed", (EXPORTS, MANY_EXPORTS)),
    ):
        if name in metafunc.fixturenames:
            count = metafunc.config.getoption("network_count") or counts[many]
            metafunc.parametrize(name, range(first, first + count))


def check_hardware(seed: int, folder: Path) -> None:
    """Hold a network's hardware against its model, without stalls and with, and its cycles."""
    need("verilator")
    case = random_case(seed, IMAGES)
    hw.generate(case.quantized, folder, case.plan, result=hw.RESULT_KINDS[seed % 2])
    for stalls in (None, seed):
        report = sim.simulate(folder, images=None, dataset=case.data, stalls=stalls, engine="bulk")
        assert not report.failures, "; ".join(report.failures)
        assert report.as_predicted
        assert report.images == IMAGES
        assert report.result == "scores" or report.classes == tuple(case.data.known_labels.tolist())
    check_cycles(case, folder)


def check_cycles(case: RandomCase, folder: Path) -> None:
    """Hold every frame of every layer's stream against the cycle model."""
    built = load(folder)
    network = tapped_network(case.quantized.fixed, built.manifest, built.verilog)
    measured = measure_network(network, case.data.images)
    accelerator = Accelerator(case.quantized.fixed, case.plan, result=built.manifest.result.kind)
    passing = timeline(accelerator, 0)
    passing.run(IMAGES)
    for name, stream in {SOURCE: measured.source, **measured.taps, RESULT: measured.result}.items():
        offered, taken = passing.offered(name), passing.taken(name)
        assert offered[:, 0].tolist() == stream.offered.tolist(), name
        assert taken[:, 0].tolist() == stream.first.tolist(), name
        assert taken[:, -1].tolist() == stream.last.tolist(), name

    prediction = predict(accelerator)
    intervals = np.diff(measured.result.last)
    assert intervals[MEASURED_IMAGES - 2] == prediction.interval_cycles
    if becomes_steady(prediction):
        assert set(intervals[MEASURED_IMAGES:].tolist()) == {prediction.interval_cycles}
    assert prediction.latency_cycles == measured.whole.latency_cycles
    assert {name: layer.latency_cycles for name, layer in prediction.layers.items()} == {
        name: timing.latency_cycles for name, timing in measured.layers.items()
    }
    # A layer before the slowest keeps its own interval until the buffers between them are full.
    for name, timing in measured.layers.items():
        expected = np.diff(passing.taken(name)[:, -1])[IMAGES - 2]
        assert timing.interval_cycles == expected, name


def test_hardware(hardware_seed: int, tmp_path: Path) -> None:
    check_hardware(hardware_seed, tmp_path / "hardware")


@pytest.mark.long
def test_hardware_of_many_networks(hardware_seed: int, tmp_path: Path) -> None:
    check_hardware(hardware_seed, tmp_path / "hardware")


def check_onnx(seed: int, folder: Path) -> None:
    """Hold floats, exported integers and an imported network against ONNX Runtime by layers."""
    case = random_case(seed)
    images = random_images(np.random.default_rng(seed), case.quantized.fixed.network, 6)
    assert_floats_equal(case.quantized.parent, images)
    assert_equal(case.quantized, images)
    check_import(random_importable(seed), folder / "random.onnx")


def check_import(trained: golden.TrainedNetwork, path: Path) -> None:
    """Hold what an import makes of a network's floats against the network, in integers."""
    source = trained.network.input
    images = random_images(np.random.default_rng(0), trained.network, 6)
    path.write_bytes(FloatOnnx(trained).content())
    preprocessing = golden.Preprocessing(scale=(source.scale,), mean=(-source.offset,))
    imported = golden.import_onnx(path, preprocessing, trained.network.output.name)
    assert all(each.is_rounding for each in golden.compare_with_runtime(imported))
    expected, found = (
        execution.run(golden.quantize(each, images).fixed, images).outputs.values()
        for each in (trained, imported.trained)
    )
    for values, equal in zip(found, expected, strict=True):
        np.testing.assert_array_equal(values, equal)


def random_importable(seed: int) -> golden.TrainedNetwork:
    """A random network of which an import makes the same layers.

    It has no layer that ONNX has no operator for, or that does nothing. Its border has the value
    zero, and its activations have neither amplitude nor slope, and parameters of float32.
    """
    rng = np.random.default_rng(seed)
    while True:
        trained = random_case(int(rng.integers(1 << 30))).quantized.parent
        network = trained.network
        first = network.layers[1]
        if (network.input.border and isinstance(first, MaxPooling)) or any(
            isinstance(layer, RadialBasis | Subsampling)
            or (isinstance(layer, Pooling) and layer.window == (1, 1))
            or layer.activation.kind in ("sqrt", "exp")
            for layer in network.layers
        ):
            continue
        zero = round(-network.input.offset / network.input.scale)
        layers = [replace(network.input, background=zero), *map(_unscaled, network.layers[1:])]
        return golden.TrainedNetwork(replace(network, layers=tuple(layers)), trained.arrays)


def _unscaled(layer: Layer) -> Layer:
    activation = layer.activation
    parameters = tuple(float(np.float32(each)) for each in activation.parameters)
    return replace(layer, activation=Activation(activation.kind, parameters=parameters))


def test_onnx(export_seed: int, tmp_path: Path) -> None:
    check_onnx(export_seed, tmp_path)


@pytest.mark.long
def test_onnx_of_many_networks(export_seed: int, tmp_path: Path) -> None:
    check_onnx(export_seed, tmp_path)
