"""Every figure of a report on three batches of images, counted by hand or in plain integers."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib import metadata
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from systolith.golden.files.datasets import Dataset, images_sha256
from systolith.golden.fixed import execution
from systolith.golden.network import float_model
from systolith.golden.network.graph import (
    Activation,
    AveragePooling,
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
from systolith.golden.reports.accuracy import AccuracyReport
from systolith.golden.reports.evaluation import _OutputCounter, evaluate
from systolith.golden.reports.side_by_side import side_by_side
from tests.golden.random_networks import random_arrays

COUNT = 450
"""Two batches of 200 images, and a part of one."""

OVER = (213, 5, 4)
"""The number of images in which each pixel is too bright for the formats."""


def images() -> NDArray[np.uint8]:
    """Pixels up to 63, and in some images of the first two batches 255; the last is always 9."""
    made = np.random.default_rng(0).integers(0, 64, (COUNT, 4), dtype=np.uint8)
    for pixel, count in enumerate(OVER):
        made[np.arange(count) + 190 * (pixel == 1), pixel] = 255
    made[:, 3] = 9
    return made.reshape(COUNT, 1, 4, 1)


@pytest.fixture(scope="module")
def quantized() -> QuantizedNetwork:
    """Each pixel is a unit of its own; formats are chosen on pixels up to 63."""
    network = Network(
        "four-pixels",
        (
            Input(name="input", height=1, width=4),
            Dense(name="H", inputs=("input",), units=4, activation=Activation("relu")),
            Dense(name="O", inputs=("H",), units=2),
        ),
    )
    last = np.array([[1, -1], [-1, 1], [0.5, -0.25], [0.25, 0.5]], np.float32)
    arrays = {
        "H": {"weights": np.eye(4, dtype=np.float32), "bias": np.zeros(4, np.float32)},
        "O": {"weights": last, "bias": np.zeros(2, np.float32)},
    }
    dark = np.minimum(images()[300:], 63)
    dark[0, 0, :3] = 63
    settings = Settings(LayerSettings(8, 5, "minmax"))
    return quantize(TrainedNetwork(network, arrays), dark, settings, "dark")


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset("pixels", "test", images(), np.arange(COUNT) % 3 % 2)


@pytest.fixture(scope="module")
def report(quantized: QuantizedNetwork, dataset: Dataset) -> AccuracyReport:
    return evaluate(quantized, dataset)


def held() -> NDArray[np.float64]:
    """The values of H: pixels in steps of 4, halves up, at most 124."""
    return np.asarray(np.minimum((images().reshape(COUNT, 4) + 2.0) // 4, 31) * 4)


def test_saturated_values_of_all_batches_are_counted(report: AccuracyReport) -> None:
    assert [layer.saturated for layer in report.layers] == [sum(OVER), 0]


def test_a_channel_is_clipped_by_its_own_share_of_saturated_values(
    report: AccuracyReport,
) -> None:
    """More than 1 % of the 450 values of a channel, not of the 1,800 of the layer."""
    assert report.layers[0].clipped_channels == (0, 1)
    assert report.layers[0].dead_channels == (3,)


def test_a_channel_with_exactly_the_limit_is_not_clipped(quantized: QuantizedNetwork) -> None:
    """4 of 400 values are 1 %; a channel with 5 is clipped."""
    labels = np.arange(400) % 3 % 2
    report = evaluate(quantized, Dataset("pixels", "test", images()[:400], labels))
    assert report.layers[0].saturated == sum(OVER)
    assert report.layers[0].clipped_channels == (0, 1)


def test_the_largest_error_of_an_output_is_that_of_all_batches() -> None:
    """Of two batches, the first has the larger error in one channel, the second in the other."""
    layers = (
        Input(name="input", height=1, width=2),
        Dense(name="O", inputs=("input",), units=2),
    )
    arrays = {"O": {"weights": np.eye(2, dtype=np.float32), "bias": np.zeros(2, np.float32)}}
    counter = _OutputCounter(TrainedNetwork(Network("two", layers), arrays))
    counter.add(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.5, 2.0], [3.0, 4.0]]))
    counter.add(np.array([[-5.0, 6.0]]), np.array([[-5.0, 6.25]]))
    one, other = counter.entries()
    assert (one.lowest, one.highest, one.largest_error) == (-5.0, 3.0, 0.5)
    assert (other.lowest, other.highest, other.largest_error) == (2.0, 6.0, 0.25)
    assert one.rms_error == pytest.approx((0.25 / 3) ** 0.5)


def test_every_figure_of_the_layers(report: AccuracyReport) -> None:
    pixels = images().reshape(COUNT, 4).astype(float)
    weights = np.array([[1, -1], [-1, 1], [0.5, -0.25], [0.25, 0.5]])
    for layer, real, fixed in (
        (report.layers[0], pixels, held()),
        (report.layers[1], pixels @ weights, held() @ weights),
    ):
        noise = float(((real - fixed) ** 2).sum())
        assert layer.sqnr_db == pytest.approx(
            10 * math.log10(float((real**2).sum()) / noise), abs=0.001
        )
        assert layer.channels == real.shape[1]
        assert layer.values == real.size
        assert layer.form == ""
    hidden, scores = report.layers
    assert (hidden.name, scores.name) == ("H", "O")
    assert (hidden.range_use, scores.clipped_channels, scores.dead_channels) == (1.0, (), ())
    low, high = (held() @ weights).min(), (held() @ weights).max()
    step = 2.0 ** -scores.formats["output"].frac_bits  # type: ignore[operator]
    levels = 2 ** scores.formats["output"].bits - 1
    assert scores.range_use == pytest.approx((high - low) / step / levels)
    # 31 times the positive weights of an output, in units of 2**-6.
    most = 31 * 64 * 1.75
    assert scores.accumulator_bits == math.ceil(math.log2(most)) + 1
    assert (str(hidden.formats["input"]), str(hidden.formats["output"])) == ("u8.0", "u5.-2")
    assert str(scores.formats["input"]) == "u5.-2"
    assert str(scores.formats["weights"]) == "s8.6"


def test_every_figure_of_the_whole(
    report: AccuracyReport, quantized: QuantizedNetwork, dataset: Dataset
) -> None:
    weights = np.array([[1, -1], [-1, 1], [0.5, -0.25], [0.25, 0.5]])
    real = (images().reshape(COUNT, 4) @ weights).argmax(axis=1).tolist()
    fixed = (held() @ weights).argmax(axis=1).tolist()
    labels = [(number % 3) % 2 for number in range(COUNT)]
    right = sum(a == b for a, b in zip(fixed, labels, strict=True))
    same = sum(a == b for a, b in zip(fixed, real, strict=True))
    assert same < COUNT
    pairs = list(zip(labels, fixed, strict=True))
    assert (report.network, report.network_sha256) == ("four-pixels", quantized.sha256)
    assert (report.kind, report.version) == ("fixed", metadata.version("systolith"))
    assert (report.images, report.correct, report.accuracy) == (COUNT, right, right / COUNT)
    assert report.agreement_with_float == same / COUNT
    assert (report.labels, report.predictions) == (tuple(labels), tuple(fixed))
    assert report.float_predictions == tuple(real)
    assert report.disagreements == tuple(n for n in range(COUNT) if real[n] != fixed[n])
    assert report.confusion == tuple(
        tuple(pairs.count((label, given)) for given in (0, 1)) for label in (0, 1)
    )
    assert report.confusion[0][1] != report.confusion[1][0]
    found = report.dataset
    assert (found.name, found.split, found.images) == ("pixels", "test", COUNT)
    assert found.sha256 == dataset.sha256
    known = report.calibrated_on
    assert known is not None and quantized.calibrated_on is not None
    dark = np.minimum(images()[300:], 63)
    dark[0, 0, :3] = 63
    assert (known.name, known.images, known.in_dataset) == ("dark", 150, False)
    assert known.sha256 == images_sha256(dark)
    assert report.quantization == {
        "weight_bits": 8,
        "activation_bits": 5,
        "calibration": "minmax",
        "granularity": "channel",
        "rounding": "half_up",
        "bias_correction": False,
        "layers": {},
        "weight_bits_total": 8 * (4 * 4 + 4 * 2),
    }
    assert (report.trials, report.hardware) == (None, None)


def test_a_report_of_some_images_describes_the_whole_data_set(
    quantized: QuantizedNetwork, dataset: Dataset
) -> None:
    marked = replace(dataset, saturated_values=np.arange(COUNT))
    report = evaluate(quantized, marked, 7)
    found = report.dataset
    assert report.images == 7
    assert (found.images, found.saturated) == (COUNT, COUNT * (COUNT - 1) // 2)
    assert found.sha256 == dataset.sha256


def odd_layers() -> TrainedNetwork:
    """Depthwise, strided, padded, grouped; of four classes two are tied, and one never wins."""
    rng = np.random.default_rng(7)
    relu, clip = Activation("relu"), Activation("clip", parameters=(-0.5, 1.5))
    network = Network(
        "odd",
        (
            # The raw value 20 stands for -0.0025, and no other is nearer to zero.
            Input(name="input", height=5, width=6, channels=4, scale=0.005, offset=-0.1025),
            Convolution(
                name="D",
                inputs=("input",),
                kernel=(3, 2),
                out_channels=4,
                groups=4,
                stride=(2, 1),
                padding=(1, 1),
                padding_end=(0, 1),
                activation=relu,
            ),
            AveragePooling(name="A", inputs=("D",), window=(2, 2), stride=(1, 2), padding=(1, 0)),
            Convolution(
                name="G", inputs=("A",), kernel=(1, 2), out_channels=6, groups=2, activation=clip
            ),
            Dense(name="F", inputs=("G",), units=4),
        ),
    )
    arrays = {
        layer.name: random_arrays(rng, layer, source)
        for layer, source, _ in network.computing_layers()
    }
    arrays["D"]["bias"] *= 0.1
    last = arrays["F"]
    last["weights"][:, 2] = last["weights"][:, 1]
    last["bias"][:] = 0, 0.25, 0.25, -100
    return TrainedNetwork(network, arrays)


def test_every_figure_of_odd_layers_with_settings_of_their_own() -> None:
    """Over three batches, of what the models make of all images at once."""
    trained = odd_layers()
    rng = np.random.default_rng(8)
    pixels = rng.integers(0, 256, (COUNT, 5, 6, 4), dtype=np.uint8)
    # The third class has no image, and no network gives it.
    labels = rng.integers(0, 2, COUNT)
    layers: dict[str, dict[str, Any]] = {
        "D": {"weight_bits": 5, "activation_bits": 3, "calibration": "minmax"},
        "A": {"rounding": "floor"},
        "G": {"activation_bits": 4, "bias_correction": True, "granularity": "tensor"},
        "F": {"weight_bits": 4},
    }
    quantized = quantize(trained, pixels[:50] // 4, Settings(LayerSettings(7, 6), layers))
    report = evaluate(quantized, Dataset("noise", "test", pixels, labels))
    run, real = execution.run(quantized.fixed, pixels), float_model.run(trained, pixels)
    for layer in report.layers:
        fixed, values = quantized.fixed[layer.name], run.outputs[layer.name]
        by_channel = values.reshape(-1, values.shape[-1]).T
        held = values * 2.0**-fixed.output_format.frac_bits
        signal = float((real[layer.name].astype(float) ** 2).sum())
        noise = float(((real[layer.name] - held) ** 2).sum())
        assert layer.sqnr_db == pytest.approx(10 * math.log10(signal / noise), abs=0.01)
        assert (layer.channels, layer.values) == (len(by_channel), values.size)
        left = run.saturated[layer.name]
        assert layer.saturated == left.sum()
        shares = left / by_channel.shape[1]
        assert layer.clipped_channels == tuple(np.flatnonzero(shares > 0.01))
        alive = {channel for channel, each in enumerate(by_channel) if len(set(each.tolist())) > 1}
        assert set(layer.dead_channels) == set(range(layer.channels)) - alive
        levels = 2**fixed.output_format.bits - 1
        assert layer.range_use == (int(values.max()) - int(values.min())) / levels
        assert layer.accumulator_bits == fixed.accumulator_bits
    assert report.layers[0].saturated > 0 and report.layers[0].clipped_channels
    assert [(each.name, each.form, round(each.padded_with, 6)) for each in report.layers] == [
        ("D", "3 x 2 / 2 x 1, pad 1 1 0 1, 4 groups", -0.0025),
        ("A", "2 x 2 / 1 x 2, pad 1 0 1 0", 0.0),
        ("G", "1 x 2, 2 groups", 0.0),
        ("F", "", 0.0),
    ]
    formats = [{kind: each.bits for kind, each in layer.formats.items()} for layer in report.layers]
    assert formats == [
        {"input": 8, "weights": 5, "output": 3},
        {"input": 3, "output": 3},
        {"input": 3, "weights": 7, "output": 4},
        {"input": 4, "weights": 4, "output": report.layers[3].accumulator_bits},
    ]
    scores = run.outputs["F"].reshape(COUNT, 4)
    assert (scores[:, 1] == scores[:, 2]).all()
    given = scores[:, :2].argmax(axis=1)
    assert report.predictions == tuple(given)
    assert report.float_predictions == tuple(real["F"].reshape(COUNT, 4)[:, :2].argmax(axis=1))
    pairs = list(zip(labels.tolist(), given.tolist(), strict=True))
    assert report.confusion == tuple(
        tuple(pairs.count((label, found)) for found in range(4)) for label in range(4)
    )
    assert report.confusion[0][1] != report.confusion[1][0]
    # Two links a channel of D would be eight times as many.
    counts = {"D": 4 * 6, "G": 6 * 2 * 2, "F": math.prod(trained.arrays["F"]["weights"].shape)}
    assert report.weights == sum(counts.values())
    assert report.weight_bits_total == 5 * counts["D"] + 7 * counts["G"] + 4 * counts["F"]
    assert AccuracyReport.from_json(report.to_json()) == report


def test_without_labels_classes_are_compared_with_those_of_the_float_network(
    quantized: QuantizedNetwork, dataset: Dataset, report: AccuracyReport
) -> None:
    """Each report is the one with labels but for what is of labels."""
    unlabelled = replace(dataset, labels=None)
    found = evaluate(quantized, unlabelled)
    pairs = list(zip(report.float_predictions, report.predictions, strict=True))
    by_float = tuple(tuple(pairs.count((row, column)) for column in (0, 1)) for row in (0, 1))
    assert by_float[0][1] != by_float[1][0]
    described = replace(report.dataset, sha256=unlabelled.sha256)
    assert found == replace(
        report, labels=None, correct=None, confusion=by_float, dataset=described
    )
    assert (found.measure, found.rate) == ("agreement", report.agreement_with_float)
    real = evaluate(quantized.parent, unlabelled)
    assert (real.kind, real.predictions) == ("float", report.float_predictions)
    assert (real.agreement_with_float, real.rate, real.confusion[0][1]) == (1.0, 1.0, 0)


def test_outputs_that_are_no_classes_are_compared_by_channel() -> None:
    """Over three batches; labels that mean no class are not used."""
    trained = odd_layers()
    maps = TrainedNetwork(Network("maps", trained.network.layers[:3]), {"D": trained.arrays["D"]})
    pixels = np.random.default_rng(9).integers(0, 256, (COUNT, 5, 6, 4), dtype=np.uint8)
    quantized = quantize(maps, pixels[:50], Settings(LayerSettings(4, 4)))
    dataset = Dataset("noise", "test", pixels, np.arange(COUNT))
    report = evaluate(quantized, dataset, 410)
    run, real = execution.run(quantized.fixed, pixels[:410]), float_model.run(maps, pixels[:410])
    step = quantized.fixed["A"].output_format.step
    values = real["A"].astype(float).reshape(-1, 4)
    errors = np.abs(run.outputs["A"].reshape(-1, 4) * step - values)
    assert report.outputs is not None and len(report.outputs) == 4
    for channel, each in enumerate(report.outputs):
        assert (each.lowest, each.highest) == (values[:, channel].min(), values[:, channel].max())
        assert each.largest_error == pytest.approx(errors[:, channel].max())
        assert each.rms_error == pytest.approx(np.sqrt((errors[:, channel] ** 2).mean()))
    assert (report.labels, report.correct, report.predictions, report.confusion) == (
        *(None, None, (), ()),
    )
    assert (report.agreement_with_float, report.float_predictions) == (None, ())
    assert AccuracyReport.from_json(report.to_json()) == report
    known = report.calibrated_on
    assert known is not None and (known.images, known.in_dataset) == (50, True)
    exact = evaluate(maps, dataset, 410)
    assert (exact.kind, exact.calibrated_on, exact.layers) == ("float", None, ())
    assert exact.outputs == tuple(
        replace(each, rms_error=0.0, largest_error=0.0) for each in report.outputs
    )
    with pytest.raises(ValueError, match="has the label 409, network 'maps' has the classes 0 to"):
        evaluate(maps, dataset, 410, by_class=True)
    # A classifier's scores, if they are not read as classes.
    scores = evaluate(trained, replace(dataset, labels=np.full(COUNT, 99)), by_class=False)
    assert scores.outputs is not None and len(scores.outputs) == 4


def test_outputs_that_are_pixels_stand_for_what_the_input_says() -> None:
    """A maximum of pixels is exact: what it stands for has their scale and their offset."""
    layers = (*odd_layers().network.layers[:1], MaxPooling(name="M", inputs=("input",)))
    pooled = TrainedNetwork(Network("pooled", layers), {})
    pixels = np.random.default_rng(9).integers(0, 256, (COUNT, 5, 6, 4), dtype=np.uint8)
    report = evaluate(quantize(pooled, pixels), Dataset("noise", "test", pixels, None))
    assert report.outputs is not None and report.images == COUNT
    for channel, each in enumerate(report.outputs):
        largest = pixels[:, :4, :, channel].reshape(COUNT, 2, 2, 3, 2).max(axis=(2, 4))
        ends = (largest.min() * 0.005 - 0.1025, largest.max() * 0.005 - 0.1025)
        assert (each.lowest, each.highest) == pytest.approx(ends, abs=1e-6)
        assert each.largest_error < 1e-6


def test_values_side_by_side_have_the_offset_of_the_input() -> None:
    """Of a layer that passes pixels on, whose values stand for 0.01 times a pixel, less 0.2."""
    network = Network(
        "pooled",
        (
            Input(name="input", height=1, width=4, scale=0.01, offset=-0.2),
            MaxPooling(name="M", inputs=("input",), window=(1, 2)),
            Dense(name="O", inputs=("M",), units=1),
        ),
    )
    arrays = {"O": {"weights": np.ones((2, 1), np.float32), "bias": np.zeros(1, np.float32)}}
    made = quantize(TrainedNetwork(network, arrays), images())
    pooled, _ = side_by_side(made, images())
    pixels = images().reshape(COUNT, 2, 2).max(axis=2)
    np.testing.assert_allclose(pooled.held.reshape(COUNT, 2), 0.01 * pixels - 0.2)
    np.testing.assert_allclose(pooled.real.reshape(COUNT, 2), 0.01 * pixels - 0.2, atol=1e-6)
    assert pooled.ends == pytest.approx((-0.2, 2.35))
    assert (pooled.step, pooled.offset) == pytest.approx((0.01, -0.2))
