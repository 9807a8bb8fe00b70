"""What the page of a report shows of single images, as the template gets it."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from systolith import golden
from systolith.golden.fixed import execution
from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.network import float_model
from systolith.golden.reports.side_by_side import LayerValues
from systolith.scripts.pages import evaluation_page as page
from tests.scripts import tiny

COUNT = 40
DATA = golden.Dataset(
    "random",
    "custom",
    np.random.default_rng(9).integers(0, 256, (COUNT, 5, 4, 1), dtype=np.uint8),
    np.arange(COUNT) % 3,
)


@pytest.fixture(scope="module")
def quantized() -> golden.QuantizedNetwork:
    """Of so few bits that classes often differ from those in floats."""
    settings = golden.Settings.from_mapping({"weight_bits": 2, "activation_bits": 2})
    return golden.quantize(tiny.quantized().parent, DATA.images, settings)


@pytest.fixture(scope="module")
def report(quantized: golden.QuantizedNetwork) -> golden.AccuracyReport:
    return golden.evaluate(quantized, DATA)


@pytest.fixture
def shown(
    quantized: golden.QuantizedNetwork,
    report: golden.AccuracyReport,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Any]:
    """What the template gets."""
    values: dict[str, Any] = {}

    def render(_: str, figures: dict[str, Any], **given: Any) -> str:
        values.update(given, figures=figures)
        return ""

    monkeypatch.setattr(page, "render", render)
    page.evaluation_page(report, quantized, DATA)
    return values


def pixels(address: str) -> NDArray[np.uint8]:
    content = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(content)))


def test_images_that_differ_are_shown_with_the_scores_of_each_network(
    shown: dict[str, Any], quantized: golden.QuantizedNetwork
) -> None:
    parent, fixed = quantized.parent, quantized.fixed
    real = float_model.run(parent, DATA.images)["dense"].reshape(COUNT, 3)
    step = 2.0 ** -fixed["dense"].output_format.frac_bits
    held = execution.run(fixed, DATA.images).outputs["dense"].reshape(COUNT, 3) * step
    differ = np.flatnonzero(real.argmax(axis=1) != held.argmax(axis=1)).tolist()
    assert [each["image"] for each in shown["digits"]] == differ[:24] != []
    for each in shown["digits"]:
        image = each["image"]
        assert each["label"] == image % 3
        assert (pixels(each["picture"]) == 255 - DATA.images[image, :, :, 0]).all()
        by_float, by_fixed = each["rows"]
        assert (by_float["by"], by_fixed["by"]) == ("float", "fixed")
        assert by_float["class"] == real[image].argmax()
        assert by_fixed["class"] == held[image].argmax()
        assert by_float["scores"] == pytest.approx(real[image].tolist(), rel=1e-5)
        assert by_fixed["scores"] == held[image].tolist()


def test_maps_of_the_first_image_that_differs_are_shown(
    shown: dict[str, Any], report: golden.AccuracyReport, quantized: golden.QuantizedNetwork
) -> None:
    image = report.disagreements[0]
    walk = shown["walk"]
    assert (walk["image"], walk["label"]) == (image, image % 3)
    one = DATA.images[image : image + 1]
    conv, dense = walk["layers"]
    assert (conv["name"], conv["shape"]) == ("conv", "3 x 3 x 2")
    assert (dense["name"], dense["shape"]) == ("dense", "1 x 1 x 3")
    real = float_model.run(quantized.parent, one)["conv"]
    step = 2.0 ** -quantized.fixed["conv"].output_format.frac_bits
    held = execution.run(quantized.fixed, one).outputs["conv"] * step
    assert conv["difference"] == f"{np.abs(held - real).max():.3g}; a step is {step:.3g}"
    assert [each["what"] for each in conv["pictures"]] == ["float", "fixed", "fixed minus float"]


def test_the_hardware_s_maps_are_compared_with_the_fixed_ones(
    report: golden.AccuracyReport,
    quantized: golden.QuantizedNetwork,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Hardware that is wrong in two values of the convolution."""
    image = report.disagreements[0]
    outputs = execution.run(quantized.fixed, DATA.images[image : image + 1]).outputs
    values = {name: each.astype(np.int64) for name, each in outputs.items()}
    values["conv"][0, 0, 0] += 1
    seen: dict[str, Any] = {}
    monkeypatch.setattr("systolith.sim.bulk.values.simulated_values", lambda rtl, one: values)
    monkeypatch.setattr(page, "render", lambda _, figures, **given: seen.update(given))
    page.evaluation_page(report, quantized, DATA, Path("rtl"))
    said = [layer["pictures"][-1]["what"] for layer in seen["walk"]["layers"]]
    assert said == ["RTL: 16 of 18 equal to fixed", "RTL: 3 of 3 equal to fixed"]


def test_the_hardware_s_raw_values_have_the_offset_of_the_layer() -> None:
    held = np.array([0.25, 0.75, 1.25, 1.75]).reshape(1, 2, 2, 1)
    layer = LayerValues("M", held, held, QFormat(8, 0, signed=False), 0.5, -0.25)
    shown = page._walk_layer(layer, np.array([1, 2, 3, 5]).reshape(2, 2, 1))
    assert shown["pictures"][-1]["what"] == "RTL: 3 of 4 equal to fixed"


def test_histograms_are_of_the_images_that_the_report_is_about(
    quantized: golden.QuantizedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(page, "render", lambda _, figures, **given: seen.update(given))
    page.evaluation_page(golden.evaluate(quantized, DATA, 7), quantized, DATA)
    assert seen["sampled"] == 7
    monkeypatch.setattr(page, "SAMPLED_IMAGES", 5)
    page.evaluation_page(golden.evaluate(quantized, DATA, 7), quantized, DATA)
    assert seen["sampled"] == 5


def test_figures_and_what_is_said_of_histograms(
    shown: dict[str, Any], quantized: golden.QuantizedNetwork
) -> None:
    assert list(shown["figures"]) == ["confusion", "sqnr", "values-0", "values-1"]
    fmt = quantized.fixed["conv"].output_format
    conv, dense = shown["histograms"]
    assert (conv["id"], conv["name"], conv["format"]) == ("values-0", "conv", fmt)
    assert (dense["id"], dense["name"]) == ("values-1", "dense")
    # Two bits without a sign: from 0 to 3 steps.
    step = 2.0**-fmt.frac_bits
    assert conv["about"] == f"a step is {step:.4g}, from 0 to {3 * step:.4g}"
    assert shown["sampled"] == COUNT
    assert shown["settings"] == (
        "Weights of 2 bits, feature maps of 2, calibrated by mse on 40 images of unnamed, one "
        "weight scale a channel"
    )
