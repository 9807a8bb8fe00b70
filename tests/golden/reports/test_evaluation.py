"""Every figure of a report on three batches of images, counted by hand or in plain integers."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib import metadata

import numpy as np
import pytest
from numpy.typing import NDArray

from systolith.golden.files.datasets import Dataset, images_sha256
from systolith.golden.network.graph import Activation, Dense, Input, MaxPooling, Network
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.quantization.calibration import quantize
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.golden.quantization.settings import LayerSettings, Settings
from systolith.golden.reports.accuracy import AccuracyReport
from systolith.golden.reports.evaluation import _OutputCounter, evaluate
from systolith.golden.reports.side_by_side import side_by_side

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
