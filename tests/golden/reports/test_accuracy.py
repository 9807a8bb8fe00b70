"""Accuracy reports: figures recomputed another way, and the JSON there and back."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.stats import binomtest

from systolith.golden.errors import FileFormatError
from systolith.golden.files.datasets import Dataset, DatasetReference, images_sha256
from systolith.golden.files.seeded_choice import chosen_numbers
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
from systolith.golden.quantization.trials import Trial, Trials
from systolith.golden.reports.accuracy import AccuracyReport, HardwareEntry
from systolith.golden.reports.comparison import LAYER_HEADINGS
from systolith.golden.reports.evaluation import evaluate
from systolith.golden.reports.format_entry import FormatEntry
from systolith.golden.reports.statistics import paired_interval
from tests.golden.random_networks import random_arrays
from tests.golden.reports.hand_made import CLASSES, OUTPUTS, UNLABELLED


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
    labels = dataset.known_labels.tolist()
    assert list(report.predictions) == given
    assert list(report.reference) == labels
    assert report.correct == sum(a == b for a, b in zip(given, labels, strict=True))
    assert report.accuracy == report.rate == report.matching / 450
    agreeing = sum(a == b for a, b in zip(given, real, strict=True))
    assert report.agreement_with_float == agreeing / len(real)
    assert agreeing < len(real)
    for label in range(4):
        for found in range(4):
            pairs = zip(labels, given, strict=True)
            assert report.confusion[label][found] == sum(p == (label, found) for p in pairs)


def cells(html: str) -> list[list[list[str]]]:
    """The rows of every table of a notebook, the headings first."""
    return [
        [[each.text or "" for each in row] for row in ElementTree.fromstring(table).iter("tr")]
        for table in re.findall(r"<table>.*?</table>", html, re.DOTALL)
    ]


# Wilson's interval of 3 and of 2 of 4 images, by SciPy.
INTERVALS = [binomtest(n, 4).proportion_ci(method="wilson") for n in (3, 2)]
LAYERS = [
    ["layer", *LAYER_HEADINGS],
    ["C1", "u8.0", "s6.4..5", "s10.7", "s7.6", "21", "40.1", "51 %", "1,234", "3", "2"],
    ["F2", "s7.6", "s5.3", "", "s19.9", "19", "", "13 %", "0", "0", "1"],
]
SIZE = ["weights", "0.11 KiB, 5.69x smaller than 32-bit floats"]
ABOUT = [["network", "net, fixed"], ["images", "4 of digits (test)"]]


@pytest.mark.parametrize(
    ("report", "about", "layers"),
    [
        (
            CLASSES,
            [
                *ABOUT,
                ["accuracy", "0.7500"],
                ["95 % interval", "{:.4f} to {:.4f}".format(*INTERVALS[0])],
                ["agreement with float", "0.5000"],
                SIZE,
            ],
            [LAYERS],
        ),
        (
            UNLABELLED,
            [
                *ABOUT,
                ["agreement", "0.5000"],
                ["95 % interval", "{:.4f} to {:.4f}".format(*INTERVALS[1])],
                ["agreement with float", "0.5000"],
                SIZE,
            ],
            [LAYERS],
        ),
        (
            OUTPUTS,
            [
                *ABOUT,
                ["outputs in float", "-1 to 3"],
                # The root of the mean of 0.25 and 0.01, and 1.25, of a range of 4.
                ["RMS error", "0.3606 (9 % of the range)"],
                ["largest error", "1.25 (31 % of the range)"],
                ["SQNR of the outputs", "31.3 dB"],
                SIZE,
            ],
            [[*LAYERS[:2], [*LAYERS[2][:6], "31.3", *LAYERS[2][7:]]]],
        ),
        (
            replace(OUTPUTS, kind="float", quantization=None, layers=()),
            [
                ["network", "net, float"],
                ABOUT[1],
                ["outputs in float", "-1 to 3"],
                ["weights", "0.625 KiB, 32-bit floats"],
            ],
            [],
        ),
        (
            replace(CLASSES, layers=(), weights=None),
            [
                *ABOUT,
                ["accuracy", "0.7500"],
                ["95 % interval", "{:.4f} to {:.4f}".format(*INTERVALS[0])],
                ["agreement with float", "0.5000"],
                ["weights", "0.11 KiB"],
            ],
            [],
        ),
        (
            replace(UNLABELLED, layers=(), weights=0, quantization={"weight_bits_total": 0}),
            [
                *ABOUT,
                ["agreement", "0.5000"],
                ["95 % interval", "{:.4f} to {:.4f}".format(*INTERVALS[1])],
                ["agreement with float", "0.5000"],
                ["weights", "0 KiB"],
            ],
            [],
        ),
    ],
    ids=["classes", "without labels", "outputs", "outputs of floats", "no layers", "no weights"],
)
def test_a_notebook_shows_a_table_and_a_second_one_of_layers_if_there_are_any(
    report: AccuracyReport, about: list[list[str]], layers: list[list[list[str]]]
) -> None:
    first, *others = cells(report._repr_html_())
    assert list(zip(*first, strict=True)) == list(map(tuple, about))
    assert others == layers


def test_a_whole_document() -> None:
    """Every key has its own figure, in this order."""
    document = json.loads(CLASSES.to_json())
    low, high = INTERVALS[0]
    chance = binomtest(2, 5).pvalue
    trial = document["trials"]["trials"][0]
    assert trial.pop("difference_interval") == list(paired_interval(2, 3, 9))
    expected: dict[str, Any] = {
        "schema": "systolith.accuracy/1",
        "network": "net",
        "network_sha256": "0" * 64,
        "kind": "fixed",
        "dataset": {
            "name": "digits",
            "split": "test",
            "sha256": "a" * 64,
            "images": 2010,
            "saturated": 17,
        },
        "images": 4,
        "correct": 3,
        "accuracy": 0.75,
        "measure": "accuracy",
        "interval": pytest.approx([low, high]),
        "agreement_with_float": 0.5,
        "weights": 160,
        "quantization": {
            "weight_bits": 6,
            "layers": {"F2": {"weight_bits": 5}},
            "weight_bits_total": 900,
        },
        "calibrated_on": {
            "name": "train",
            "sha256": "b" * 64,
            "images": 50,
            "in_dataset": False,
        },
        "hardware": {
            "multipliers": 112,
            "interval_cycles": 3136,
            "latency_cycles": 7193,
            "bit_exact": True,
            "silicon": {"target": "ecp5-85k", "luts": 16774, "clock_mhz": 84.25, "grade": "6"},
        },
        "trials": {
            "dataset": "digits",
            "split": "validation",
            "images": 9,
            "correct": 5,
            "weight_bits_total": 900,
            "trials": [
                {
                    "layer": "C1",
                    "key": "weight_bits",
                    "bits": 7,
                    "correct": 4,
                    "gains": 2,
                    "losses": 3,
                    "weight_bits_total": 1000,
                    "change": 1,
                    "bits_saved": -100,
                    "difference": pytest.approx(-1 / 9),
                    "chance": pytest.approx(chance),
                    "chance_corrected": pytest.approx(chance),
                }
            ],
            "calibrated_on": {"name": "digits (validation)", "sha256": "c" * 64, "images": 30},
            "shipped": "lenet5",
            "measure": "accuracy",
        },
        "layers": [
            {
                "name": "C1",
                "formats": {
                    "input": {"bits": 8, "frac_bits": 0, "signed": False},
                    "weights": {"bits": 6, "frac_bits": [4, 5], "signed": True},
                    "index": {"bits": 10, "frac_bits": 7, "signed": True},
                    "output": {"bits": 7, "frac_bits": 6, "signed": True},
                },
                "sqnr_db": 40.126,
                "channels": 20,
                "saturated": 1234,
                "clipped_channels": [0, 4, 9],
                "dead_channels": [5, 6],
                "range_use": 0.514,
                "values": 56789,
                "accumulator_bits": 21,
                "padded_with": -0.003,
                "form": "3 x 3 / 2, pad 0 1 1 0, 4 groups",
            },
            {
                "name": "F2",
                "formats": {
                    "input": {"bits": 7, "frac_bits": 6, "signed": True},
                    "weights": {"bits": 5, "frac_bits": 3, "signed": True},
                    "output": {"bits": 19, "frac_bits": 9, "signed": True},
                },
                "sqnr_db": None,
                "channels": 3,
                "saturated": 0,
                "clipped_channels": [],
                "dead_channels": [1],
                "range_use": 0.127,
                "values": 12,
                "accumulator_bits": 19,
                "padded_with": 0.0,
                "form": "",
            },
        ],
        "outputs": None,
        "confusion": [[1, 0, 0], [0, 1, 1], [0, 0, 1]],
        "labels": [0, 1, 1, 2],
        "predictions": [0, 1, 2, 2],
        "float_predictions": [0, 2, 1, 2],
        "version": "1.2",
    }
    assert document == expected
    assert list(document) == list(expected)
    lines = CLASSES.to_json().splitlines()
    assert '  "labels": [0, 1, 1, 2],' in lines and '  "accuracy": 0.75,' in lines
    # A line for each layer, and for each row of a table.
    assert [line for line in lines if line.startswith("    [")] == [
        *("    [1, 0, 0],", "    [0, 1, 1],", "    [0, 0, 1]"),
    ]
    starts = [line[:19] for line in lines if line.startswith("    {")]
    assert starts == ['    {"name": "C1", ', '    {"name": "F2", ']


def test_documents_without_labels_and_without_classes() -> None:
    unlabelled = json.loads(UNLABELLED.to_json())
    keys = ("correct", "accuracy", "measure", "agreement_with_float", "labels", "outputs")
    assert [unlabelled[key] for key in keys] == [None, None, "agreement", 0.5, None, None]
    assert unlabelled["interval"] == pytest.approx(list(INTERVALS[1]))
    outputs = json.loads(OUTPUTS.to_json())
    assert [outputs[key] for key in keys[:5]] == [None, None, "error", None, None]
    assert (outputs["interval"], outputs["trials"]) == (None, None)
    assert outputs["outputs"] == [
        {"lowest": -1.0, "highest": 2.0, "rms_error": 0.5, "largest_error": 0.75},
        {"lowest": 3.0, "highest": 3.0, "rms_error": 0.1, "largest_error": 1.25},
    ]


@pytest.mark.parametrize("report", [CLASSES, UNLABELLED, OUTPUTS])
def test_reports_of_all_kinds_are_read_again(report: AccuracyReport) -> None:
    assert AccuracyReport.from_json(report.to_json()) == report


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
    assert convolution.formats["input"] == FormatEntry(8, 0, False)
    assert convolution.formats["index"].bits == 6
    fractions = [fmt.frac_bits for fmt in quantized.fixed["C"].weight_formats]
    same = len(set(fractions)) == 1
    assert convolution.formats["weights"].frac_bits == (fractions[0] if same else tuple(fractions))
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
    with pytest.raises(ValueError, match="has the label 4, network 'small' has the classes 0 to 3"):
        evaluate(trained, Dataset("noise", "test", dataset.images, labels))
    other = Dataset("wide", "test", np.zeros((2, 6, 7, 1), np.uint8), np.zeros(2, np.int64))
    with pytest.raises(ValueError, match="images of 6 x 7 x 1, network 'small' takes 6 x 6 x 1"):
        evaluate(trained, other)


def scaled(trained: TrainedNetwork, layer: str, factor: np.floating[Any]) -> TrainedNetwork:
    """The network with the weights of a layer multiplied."""
    arrays = {name: dict(each) for name, each in trained.arrays.items()}
    arrays[layer]["weights"] = arrays[layer]["weights"] * factor
    return TrainedNetwork(trained.network, arrays)


def test_float_scores_that_overflow_are_refused(trained: TrainedNetwork, dataset: Dataset) -> None:
    large = scaled(trained, "F", np.float32(3e38))
    with pytest.raises(ValueError, match="network 'small': its float scores are not finite"):
        evaluate(large, dataset, 20)


def test_float_values_that_overflow_are_refused_beside_fixed_ones(
    quantized: QuantizedNetwork, dataset: Dataset
) -> None:
    """Scores of 1e200 are finite, and their squares are not."""
    parent = scaled(quantized.parent, "F", np.float64(1e200))
    network = QuantizedNetwork(quantized.fixed, parent, quantized.settings)
    with pytest.raises(ValueError, match="float values of layer 'F' are not finite, or too large"):
        evaluate(network, dataset, 20)


def test_json_there_and_back(report: AccuracyReport) -> None:
    text = report.to_json()
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


TRIALS = Trials(
    *("noise", "validation", 9, 5, 300),
    (Trial("C", "weight_bits", 3, 6, 2, 1, 200, -1, 100),),
    DatasetReference("noise (validation)", "c" * 64, 30),
    "lenet5",
)


def test_trials_are_read(report: AccuracyReport) -> None:
    made = replace(report, trials=TRIALS)
    assert AccuracyReport.from_json(made.to_json()) == made


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": 0}, r"\$\.trials\.images: Expected `int` >= 1"),
        ({"images": 2**52}, r"\$\.trials\.images: Expected `int` <= 1000000"),
        ({"correct": 10}, "trials.correct: 10 of 9 images"),
        ({"correct": 6}, r"trials\.trials\[0\]: correct is 6, which does not follow"),
    ],
)
def test_trials_that_cannot_be_are_refused(
    report: AccuracyReport, changed: dict[str, int], message: str
) -> None:
    value = json.loads(replace(report, trials=TRIALS).to_json())
    value["trials"].update(changed)
    with pytest.raises(FileFormatError, match=message):
        AccuracyReport.from_json(json.dumps(value))


def test_trials_of_older_versions_are_read(report: AccuracyReport) -> None:
    value = json.loads(replace(report, trials=TRIALS).to_json())
    for key in ("calibrated_on", "shipped"):
        del value["trials"][key]
    (trial,) = value["trials"]["trials"]
    for key in ("change", "bits_saved", "difference", "difference_interval", "chance"):
        del trial[key]
    read = AccuracyReport.from_json(json.dumps(value)).trials
    assert read is not None
    assert read.trials[0].change is None
    assert (read.calibrated_on, read.shipped) == (None, None)


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
        (change("schema", to="systolith.other/1"), "schema: must be 'systolith.accuracy/1'"),
        (drop("schema"), "schema: is missing, must be 'systolith.accuracy/1'"),
        (change("schema", to="systolith.accuracy/2"), "which is another version"),
        (drop("predictions"), "Object missing required field `predictions`"),
        (change("images", to="450"), r"\$\.images: Expected `int`, got `str`"),
        (change("images", to=True), r"\$\.images: Expected `int`, got `bool`"),
        (change("images", to=0), r"\$\.images: Expected `int` >= 1"),
        (change("images", to=10**400), r"\$\.images: Expected `int` <= "),
        (change("images", to=449), "labels: must have 449 entries, one an image, not 450"),
        (change("kind", to="int8"), r"\$\.kind: Invalid enum value 'int8'"),
        (change("dataset", to=[]), r"\$\.dataset: Expected `object`, got `array`"),
        (change("dataset", "name", to=3), r"\$\.dataset\.name: Expected `str`, got `int`"),
        (change("correct", to=3), "correct: must be [0-9]+ by labels and predictions, not 3"),
        (change("accuracy", to=0.99), "accuracy: 0.99 is not"),
        (drop("accuracy"), "missing required field `accuracy`"),
        (change("agreement_with_float", to=1.5), "agreement_with_float: must be 0.* not 1.5"),
        (change("float_predictions", to=[1]), "float_predictions: must have 450 entries"),
        (change("hardware", to={"multipliers": 1}), r"\$\.hardware: .*`interval_cycles`"),
        (change("trials", to=[]), r"\$\.trials: Expected `object.*`, got `array`"),
        (change("layers", 1, "dead_channels", to=[-1]), r"layers\[1\]\.dead_channels\[0\]: "),
        (
            change("layers", 1, "values", to=0),
            r"\$\.layers\[1\]\.values: .*`int` >= 1",
        ),
        (change("predictions", 0, to=-1), r"\$\.predictions\[0\]: Expected `int` >= 0"),
        (change("predictions", 0, to=0.5), r"\$\.predictions\[0\]: .*got `float`"),
        (change("predictions", 0, to=2**60), r"predictions\[0\]: Expected `int` <= "),
        (change("confusion", 0, to=[1, 2]), "confusion: must have a row and a column"),
        (change("confusion", to=[[]] * 30_000), "confusion: must have a row and a column"),
        (change("confusion", 0, 0, to=450), "confusion: is not that of labels and predictions"),
        (change("confusion", to=[3]), r"\$\.confusion\[0\]: .*got `int`"),
        (change("layers", 1, to=3), r"\$\.layers\[1\]: Expected `object`, got `int`"),
        (change("layers", 1, "saturated", to=None), r"\[1\]\.saturated: .*got `null`"),
        (change("layers", 1, "sqnr_db", to="x"), r"\$\.layers\[1\]\.sqnr_db: .*got `str`"),
        (change("layers", 1, "formats", "input", "bits", to=99), r"\.bits: .*`int` <= 62"),
        (change("layers", 1, "formats", "input", "frac_bits", to=[]), r"frac_bits: .*length >= 1"),
        (change("layers", 1, "formats", "input", "frac_bits", to=[600]), r"\[0\]: .*`int` <= 512"),
        (change("quantization", "weight_bits_total", to=None), "weight_bits_total: .* not None"),
        (change("quantization", "weight_bits_total", to="9"), "weight_bits_total: .* not '9'"),
        (change("quantization", to={}), "quantization.weight_bits_total: must be"),
        (change("quantization", to=None), "quantization: must be an object for a fixed network"),
        (change("quantization", "layers", to={"F": {"a": []}}), r"\$\.quant.*: .*got `array`"),
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
    assert str(caught.value).startswith(f"{path}: $")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("constant", ["1e999", "-1e999", "NaN", "Infinity", "9" * 401])
def test_numbers_are_finite(report: AccuracyReport, constant: str) -> None:
    text = report.to_json()
    assert '"range_use": 1.0' in text
    with pytest.raises(FileFormatError, match=r"out of range|malformed"):
        AccuracyReport.from_json(text.replace('"range_use": 1.0', f'"range_use": {constant}', 1))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        *((each, "not JSON: ") for each in (b" ", b"{", b'{"schema": NaN}', b"\xff\xfe", b"PK")),
        *((each, "$: Expected `object`, got ") for each in (b"[]", b"3", b"[" * 100_000)),
    ],
)
def test_what_is_no_report_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "r.json"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=re.escape(f"{path}: {message}")):
        AccuracyReport.load(path)


def test_a_large_file_is_read(report: AccuracyReport, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(report.to_json() + " " * (1 << 24))
    assert AccuracyReport.load(path) == report


def test_files(report: AccuracyReport, tmp_path: Path) -> None:
    report.save(tmp_path / "r.json")
    assert AccuracyReport.load(tmp_path / "r.json") == report
    with pytest.raises(FileFormatError, match="no such file"):
        AccuracyReport.load(tmp_path / "missing.json")


def test_calibration_images_that_were_chosen_from_a_data_set_are_recognised(
    trained: TrainedNetwork, dataset: Dataset
) -> None:
    """Of the whole data set, however many of its images are evaluated."""
    chosen = dataset.images[chosen_numbers(len(dataset), 30)]
    made = quantize(trained, chosen)
    others = dataset.images[chosen_numbers(len(dataset) - 1, 30)]
    for network, data, expected in (
        (made, dataset, True),
        (made, dataset.take(449), False),
        (quantize(trained, others), dataset, False),
        (quantize(trained, chosen[::-1]), dataset, False),
    ):
        known = evaluate(network, data, 7).calibrated_on
        assert known is not None and known.in_dataset is expected


def test_calibration_images_are_recognised_where_a_data_set_begins_with_them(
    quantized: QuantizedNetwork, trained: TrainedNetwork, dataset: Dataset
) -> None:
    later = replace(dataset, images=dataset.images[50:], labels=dataset.known_labels[50:])
    others = replace(dataset, labels=(dataset.known_labels + 1) % 4)
    for data, images, expected in (
        (dataset, None, True),
        (dataset, 7, True),
        (others, 7, True),
        (dataset.take(50), None, True),
        (dataset.take(49), None, False),
        (later, None, False),
    ):
        found = evaluate(quantized, data, images)
        assert found.calibrated_on is not None
        assert found.calibrated_on.in_dataset is expected
        assert AccuracyReport.from_json(found.to_json()) == found
    known = quantized.calibrated_on
    assert known is not None and found.calibrated_on is not None
    assert (known.sha256, known.images) == (images_sha256(dataset.images[:50]), 50)
    assert (known.sha256, 50) == (found.calibrated_on.sha256, found.calibrated_on.images)
    assert evaluate(trained, dataset, 7).calibrated_on is None
    assert evaluate(replace(quantized, calibrated_on=None), dataset, 7).calibrated_on is None
