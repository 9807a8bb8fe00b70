"""Accuracy reports: figures recomputed another way, and the JSON there and back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from systolith.golden.errors import FileFormatError
from systolith.golden.files.datasets import Dataset
from systolith.golden.fixed import execution
from systolith.golden.network import float_model
from systolith.golden.network.graph import (
    Activation,
    Convolution,
    Dense,
    Input,
    MaxPooling,
    Network,
)
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.quantization.calibration import quantize
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.golden.quantization.settings import LayerSettings, Settings
from systolith.golden.reports.accuracy import SCHEMA, AccuracyReport, FormatEntry, HardwareEntry
from systolith.golden.reports.evaluation import evaluate
from tests.golden.random_networks import random_arrays


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (450, 6, 6, 1), dtype=np.uint8)
    return Dataset("noise", "test", images, rng.integers(0, 4, 450))


@pytest.fixture(scope="module")
def trained() -> TrainedNetwork:
    tanh = Activation("tanh", 1.7159, 2 / 3)
    network = Network(
        "small",
        (
            Input(name="input", height=6, width=6, scale=0.005, offset=-0.1, border=1),
            MaxPooling(name="M", inputs=("input",), window=(1, 2)),
            Convolution(name="C", inputs=("M",), kernel=(3, 3), out_channels=3, activation=tanh),
            Dense(name="F", inputs=("C",), units=4),
        ),
    )
    rng = np.random.default_rng(1)
    arrays = {
        layer.name: random_arrays(rng, layer, source)
        for layer, source, _ in network.computing_layers()
    }
    return TrainedNetwork(network, arrays)


@pytest.fixture(scope="module")
def quantized(trained: TrainedNetwork, dataset: Dataset) -> QuantizedNetwork:
    settings = Settings(LayerSettings(4, 4), {"F": {"weight_bits": 3}})
    return quantize(trained, dataset.images[:50], settings)


@pytest.fixture(scope="module")
def report(quantized: QuantizedNetwork, dataset: Dataset) -> AccuracyReport:
    return evaluate(quantized, dataset)


def test_counts(
    report: AccuracyReport, trained: TrainedNetwork, quantized: QuantizedNetwork, dataset: Dataset
) -> None:
    given = execution.classes(quantized.fixed, dataset.images).tolist()
    real = float_model.classes(trained, dataset.images).tolist()
    labels = dataset.labels.tolist()
    assert list(report.predictions) == given
    assert list(report.labels) == labels
    assert report.correct == sum(a == b for a, b in zip(given, labels, strict=True))
    assert report.accuracy == report.correct / 450
    assert report.agreement_with_float == sum(
        a == b for a, b in zip(given, real, strict=True)
    ) / len(real)
    assert report.agreement_with_float < 1
    for label in range(4):
        for found in range(4):
            pairs = zip(labels, given, strict=True)
            assert report.confusion[label][found] == sum(p == (label, found) for p in pairs)


def test_what_it_is_about(
    report: AccuracyReport, quantized: QuantizedNetwork, dataset: Dataset
) -> None:
    assert (report.network, report.kind, report.images) == ("small", "fixed", 450)
    assert report.network_sha256 == quantized.sha256
    assert report.dataset.sha256 == dataset.sha256
    assert (report.dataset.name, report.dataset.split) == ("noise", "test")
    assert report.quantization is not None
    assert report.quantization["weight_bits"] == 4
    assert report.quantization["layers"] == {"F": {"weight_bits": 3}}
    assert report.quantization["weight_bits_total"] == 4 * 27 + 3 * (6 * 2 * 3 * 4)


def test_layers(
    report: AccuracyReport, trained: TrainedNetwork, quantized: QuantizedNetwork, dataset: Dataset
) -> None:
    run = execution.run(quantized.fixed, dataset.images)
    real = float_model.run(trained, dataset.images)
    # What the values stand for, from the graph: the input's scale, the amplitude, nothing.
    standing = {"M": (0.005, -0.1), "C": (1.7159, 0.0), "F": (1.0, 0.0)}
    assert [layer.name for layer in report.layers] == ["M", "C", "F"]
    for layer in report.layers:
        gain, offset = standing[layer.name]
        fmt = quantized.fixed[layer.name].output_format
        held = gain * run.outputs[layer.name] * 2.0**-fmt.frac_bits + offset
        signal = float((real[layer.name].astype(float) ** 2).sum())
        noise = float(((real[layer.name] - held) ** 2).sum())
        assert layer.sqnr_db == pytest.approx(10 * math.log10(signal / noise), abs=0.01)
        assert layer.values == run.outputs[layer.name].size
        assert layer.saturated == run.saturated[layer.name].sum()
        by_channel = run.outputs[layer.name].reshape(-1, layer.channels).T
        low, high = int(by_channel.min()), int(by_channel.max())
        assert layer.range_use == (high - low) / (2**fmt.bits - 1)
        assert list(layer.dead_channels) == [
            channel for channel, values in enumerate(by_channel) if len(set(values.tolist())) == 1
        ]
        assert list(layer.clipped_channels) == [
            channel
            for channel, count in enumerate(run.saturated[layer.name])
            if count > 0.01 * by_channel.shape[1]
        ]
        assert layer.accumulator_bits == quantized.fixed[layer.name].accumulator_bits
    pooled, convolution, scores = report.layers
    assert pooled.sqnr_db is not None and pooled.sqnr_db > 100
    assert set(pooled.formats) == {"input", "output"}
    assert set(convolution.formats) == {"input", "weights", "index", "output"}
    assert convolution.formats["input"] == FormatEntry(8, (0,), False)
    assert convolution.formats["index"].bits == 6
    assert len(convolution.formats["weights"].frac_bits) in (1, 3)
    assert scores.formats["output"].bits == scores.accumulator_bits


def test_saturated_values_are_counted(trained: TrainedNetwork, dataset: Dataset) -> None:
    """Formats chosen on dark images do not hold what bright ones bring."""
    dark = quantize(trained, dataset.images[:20] // 16)
    convolution = evaluate(dark, dataset, 20).layers[1]
    assert convolution.saturated > 0
    assert convolution.saturated_share == convolution.saturated / convolution.values
    assert len(convolution.clipped_channels) > 0


def test_dead_channels_are_seen(trained: TrainedNetwork, dataset: Dataset) -> None:
    arrays = {name: dict(each) for name, each in trained.arrays.items()}
    arrays["C"]["weights"] = arrays["C"]["weights"] * np.array([1, 0, 1], np.float32)
    network = TrainedNetwork(trained.network, arrays)
    layers = evaluate(quantize(network, dataset.images[:50]), dataset, 60).layers
    assert [layer.dead_channels for layer in layers] == [(), (1,), ()]


def test_a_float_network(trained: TrainedNetwork, dataset: Dataset) -> None:
    report = evaluate(trained, dataset, 50)
    assert (report.kind, report.images, report.dataset.images) == ("float", 50, 450)
    assert report.predictions == tuple(float_model.classes(trained, dataset.images[:50]).tolist())
    assert report.agreement_with_float == 1
    assert report.quantization is None
    assert report.layers == ()
    assert report.network_sha256 == trained.sha256
    assert AccuracyReport.from_json(report.to_json()) == report


def test_progress_is_told(quantized: QuantizedNetwork, dataset: Dataset) -> None:
    told: list[tuple[int, int]] = []
    evaluate(quantized, dataset, 401, lambda done, total: told.append((done, total)))
    assert told == [(200, 401), (400, 401), (401, 401)]


def test_what_cannot_be_evaluated(trained: TrainedNetwork, dataset: Dataset) -> None:
    for images in (0, 451):
        with pytest.raises(ValueError, match=f"images: must be from 1 to 450, .* not {images}"):
            evaluate(trained, dataset, images)
    labels = np.where(np.arange(450) == 7, 4, 0)
    with pytest.raises(ValueError, match="label 4 is none of the 4 classes of network 'small'"):
        evaluate(trained, Dataset("noise", "test", dataset.images, labels))
    other = Dataset("wide", "test", np.zeros((2, 6, 7, 1), np.uint8), np.zeros(2, np.int64))
    with pytest.raises(ValueError, match="images of 6 x 6 x 1"):
        evaluate(trained, other)


def test_json(report: AccuracyReport) -> None:
    text = report.to_json()
    value = json.loads(text)
    assert next(iter(value)) == "schema"
    assert value["schema"] == SCHEMA
    keys = (
        "network network_sha256 kind dataset images correct accuracy agreement_with_float "
        "predictions confusion quantization layers version"
    )
    assert set(keys.split()) <= set(value)
    assert value["interval"][0] < value["accuracy"] < value["interval"][1]
    for layer in value["layers"]:
        keys = (
            "name formats sqnr_db channels saturated clipped_channels dead_channels range_use "
            "values accumulator_bits"
        )
        assert set(keys.split()) <= set(layer)
    assert value["layers"][0]["formats"]["input"] == {"bits": 8, "frac_bits": 0, "signed": False}
    assert AccuracyReport.from_json(text) == report
    assert AccuracyReport.from_json(text).to_json() == text


def test_what_hardware_there_is(report: AccuracyReport) -> None:
    for bit_exact in (True, False, None):
        made = replace(report, hardware=HardwareEntry(112, 3136, 7193, bit_exact))
        assert AccuracyReport.from_json(made.to_json()) == made


def test_keys_of_later_versions_are_no_trouble(report: AccuracyReport) -> None:
    value = json.loads(report.to_json())
    value["new"] = 1
    value["layers"][0]["new"] = 1
    assert AccuracyReport.from_json(json.dumps(value)) == report


def change(*path: Any, to: Any) -> Callable[[Any], None]:
    def apply(value: Any) -> None:
        for key in path[:-1]:
            value = value[key]
        value[path[-1]] = to

    return apply


def drop(key: str) -> Callable[[Any], None]:
    def apply(value: Any) -> None:
        del value[key]

    return apply


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (change("schema", to="systolith.simulation/1"), "schema must be 'systolith.accuracy/1'"),
        (drop("schema"), "schema must be 'systolith.accuracy/1', not None"),
        (drop("predictions"), "key 'predictions' is missing"),
        (change("images", to="450"), "key 'images' cannot be '450'"),
        (change("images", to=True), "key 'images' cannot be True"),
        (change("images", to=-1), "key 'images' cannot be -1"),
        (change("images", to=449), "a label and a prediction for each of 449 images"),
        (change("kind", to="int8"), "kind must be float or fixed, not 'int8'"),
        (change("dataset", to=[]), r"key 'dataset' cannot be \[\]"),
        (change("dataset", "name", to=3), "key 'dataset.name' cannot be 3"),
        (change("correct", to=3), "3 correct are not those of labels and predictions"),
        (change("accuracy", to=0.99), "accuracy 0.99 is not"),
        (change("agreement_with_float", to=1.5), "agreement_with_float 1.5 is not that of the"),
        (change("float_predictions", to=[1]), "needs a float prediction for each of 450 images"),
        (change("hardware", to={"multipliers": 1}), "key 'hardware.interval_cycles' is missing"),
        (change("trials", to=[]), r"key 'trials' cannot be \[\]"),
        (change("layers", 1, "dead_channels", to=[-1]), "'layers.1.dead_channels' cannot have -1"),
        (change("predictions", 0, to=-1), "key 'predictions' cannot have -1"),
        (change("predictions", 0, to=0.5), "key 'predictions' cannot have 0.5"),
        (change("confusion", 0, to=[1, 2]), "confusion must have a row and a column"),
        (change("confusion", 0, 0, to=450), "confusion is not that of labels and predictions"),
        (change("confusion", to=[3]), "confusion.: must be|cannot be 3"),
        (change("layers", 1, to=3), "layers.1: must be an object, not 3"),
        (change("layers", 1, "saturated", to=None), "key 'layers.1.saturated' cannot be None"),
        (change("layers", 1, "sqnr_db", to="x"), "key 'layers.1.sqnr_db' cannot be 'x'"),
        (
            change("layers", 1, "formats", "input", "bits", to=99),
            "layers.1.formats.input.frac_bits: format: bits must be",
        ),
        (change("layers", 1, "formats", "input", "frac_bits", to=[]), "frac_bits: is empty"),
    ],
)
def test_a_damaged_report_is_refused(
    report: AccuracyReport, tmp_path: Path, damage: Callable[[Any], None], message: str
) -> None:
    value = json.loads(report.to_json())
    damage(value)
    path = tmp_path / "r.json"
    path.write_text(json.dumps(value))
    with pytest.raises(FileFormatError, match=message) as caught:
        AccuracyReport.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"3", b'{"schema": NaN}', b"\xff\xfe", b"[" * 100_000, b"PK\3\4"]
)
def test_what_is_no_report_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r.json"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="not an accuracy report"):
        AccuracyReport.load(path)


def test_files(report: AccuracyReport, tmp_path: Path) -> None:
    report.save(tmp_path / "r.json")
    assert AccuracyReport.load(tmp_path / "r.json") == report
    with pytest.raises(FileFormatError, match="no such file"):
        AccuracyReport.load(tmp_path / "missing.json")
