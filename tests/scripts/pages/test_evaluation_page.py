"""What the page of a report shows of single images, as the template gets it."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from systolith import golden
from systolith.golden.fixed import execution
from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.network import float_model
from systolith.golden.quantization.trials import Trial, Trials
from systolith.golden.reports.accuracy import HardwareEntry
from systolith.golden.reports.side_by_side import LayerValues
from systolith.scripts.pages import evaluation_page as page
from systolith.scripts.pages.map_pictures import maps
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


def test_of_many_images_that_differ_the_first_are_shown(
    report: golden.AccuracyReport,
    quantized: golden.QuantizedNetwork,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(page, "SHOWN_DISAGREEMENTS", 3)
    found = [each["image"] for each in page._digits(report, quantized, DATA)]
    assert found == list(report.disagreements[:3])
    assert len(report.disagreements) > 3


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


def test_maps_have_the_scale_of_the_larger_and_differences_one_of_their_own() -> None:
    """Floats reach to -2 and fixed values to 1; they differ by half at most."""
    real = np.array([-2.0, 0.25, 0.5, 1.0]).reshape(1, 2, 2, 1)
    held = np.array([-1.5, 0.25, 0.75, 1.0]).reshape(1, 2, 2, 1)
    shown = page._walk_layer(LayerValues("M", real, held, QFormat(8, 2), 0.25, 0.5), None)
    assert [(each["what"], each["picture"]) for each in shown["pictures"]] == [
        ("float", maps(real[0], 2.0)),
        ("fixed", maps(held[0], 2.0)),
        ("fixed minus float", maps(held[0] - real[0], 0.5)),
    ]
    assert shown["difference"] == "0.5; a step is 0.25"
    # The hardware's raw values on the scale of the others.
    raw = np.array([-8, -1, 1, 2]).reshape(2, 2, 1)
    shown = page._walk_layer(LayerValues("M", real, held, QFormat(8, 2), 0.25, 0.5), raw)
    what, picture = shown["pictures"][-1].values()
    assert what == "RTL: 4 of 4 equal to fixed"
    assert picture == maps(held[0], 2.0)
    # Fixed values may be the larger ones, too.
    shown = page._walk_layer(LayerValues("M", held, real, QFormat(8, 2), 0.25, 0.5), None)
    assert [each["picture"] for each in shown["pictures"]][:2] == [
        *(maps(held[0], 2.0), maps(real[0], 2.0))
    ]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"weight_bits": 3, "activation_bits": 5, "calibration": "minmax"},
            (
                "Weights of 3 bits, feature maps of 5, calibrated by minmax on 40 images of data, "
                "one weight scale a channel"
            ),
        ),
        (
            {
                "granularity": "tensor",
                "bias_correction": True,
                "layers": {"conv": {"weight_bits": 3}, "dense": {"weight_bits": 4}},
            },
            (
                "Weights of 8 bits, feature maps of 8, calibrated by mse on 40 images of data, one "
                "weight scale a tensor, biases corrected; other settings for conv, dense"
            ),
        ),
    ],
)
def test_settings_are_said_in_words(settings: dict[str, Any], text: str) -> None:
    own = golden.Settings.from_mapping(settings)
    network = golden.quantize(tiny.quantized().parent, DATA.images, own, "data")
    assert page._settings(network) == text


@pytest.mark.parametrize(
    ("rtl", "bit_exact", "engines", "text"),
    [
        (Path("rtl"), True, {"cocotb": 10, "bulk": 1990}, "10 by cocotb, 1,990 by bulk"),
        # Also of one that is wrong.
        (Path("rtl"), False, {"bulk": 7}, "7 by bulk"),
        (Path("rtl"), True, {}, ""),
        (Path("rtl"), None, {"bulk": 7}, ""),
        (None, True, {"bulk": 7}, ""),
    ],
)
def test_which_engines_simulated_how_many_images(
    rtl: Path | None,
    bit_exact: bool | None,
    engines: dict[str, int],
    text: str,
    report: golden.AccuracyReport,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outcome = SimpleNamespace(engine_images=engines, simulator="icarus")
    monkeypatch.setattr("systolith.sim.report.load_outcome", lambda _: outcome)
    known = replace(report, hardware=HardwareEntry(1, 2, 3, bit_exact))
    said = f"on icarus, images: {text}" if text else ""
    assert page._simulation(known, rtl) == said
    assert page._simulation(report, rtl) == ""


def test_without_labels_confusions_are_with_the_float_network(
    quantized: golden.QuantizedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def render(_: str, figures: dict[str, Any], **given: Any) -> str:
        seen.update(given, figures=list(figures))
        return ""

    monkeypatch.setattr(page, "render", render)
    plain = replace(DATA, labels=None)
    found = golden.evaluate(quantized, plain)
    page.evaluation_page(found, quantized, plain, repeat="again")
    assert seen["figures"] == ["confusion", "sqnr", "values-0", "values-1"]
    first = found.disagreements[0]
    real = float_model.run(quantized.parent, DATA.images)["dense"].reshape(COUNT, 3)
    assert (seen["walk"]["image"], seen["walk"]["label"]) == (first, real[first].argmax())
    assert [each["label"] for each in seen["digits"]] == [
        real[each["image"]].argmax() for each in seen["digits"]
    ]
    assert seen["repeat"] == "again"
    # Nothing is wrong with the float network itself, nor is there anything to show of it.
    own = golden.evaluate(quantized.parent, plain)
    page.evaluation_page(own, quantized.parent, plain)
    assert seen["figures"] == []
    assert (seen["digits"], seen["histograms"], seen["settings"]) == ([], [], "")


def test_a_network_without_classes_has_no_label_and_no_confusion(
    quantized: golden.QuantizedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(
        page, "render", lambda _, figures, **given: seen.update(given, figures=list(figures))
    )
    page.evaluation_page(golden.evaluate(quantized, DATA, by_class=False), quantized, DATA)
    assert seen["figures"] == ["sqnr", "values-0", "values-1"]
    assert (seen["walk"]["image"], seen["walk"]["label"], seen["digits"]) == (0, None, [])
    assert len(seen["outputs"]) == 3


def test_trials_have_a_row_each_and_their_figures(
    report: golden.AccuracyReport,
    quantized: golden.QuantizedNetwork,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of twelve trials in one layer; the one everywhere is no trial of a layer."""
    trials = Trials(
        *("other", "validation", 200, 150, 4321),
        (
            Trial(None, "bits", 4, 190, 40, 0, 2345),
            *(Trial("conv", "weight_bits", 8, 150 + n, n, 0, 9, 1, 8 * n) for n in range(12)),
        ),
    )
    seen: dict[str, Any] = {}

    def render(_: str, figures: dict[str, Any], **given: Any) -> str:
        seen.update(given, figures=list(figures))
        return ""

    monkeypatch.setattr(page, "render", render)
    monkeypatch.setattr(type(quantized.fixed.network.output), "winner", "smallest")
    page.evaluation_page(replace(report, trials=trials), quantized, DATA)
    assert seen["figures"][:2] == ["bits", "sensitivity"]
    headings = seen["headings"]
    rows = [dict(zip(headings, row, strict=True)) for row in seen["effects"]]
    assert [(row["layer"], row["part"], row["gains"]) for row in rows] == [
        ("conv", "weights", str(n)) for n in range(12)
    ]
    assert (seen["winner"], seen["classes"]) == ("smallest", range(3))


def test_the_last_layer_s_format_has_no_ends(shown: dict[str, Any]) -> None:
    """Its accumulator is as wide as it must be: three layers of marks, and two of the scores."""
    layers = [len(shown["figures"][f"values-{n}"].to_dict()["layer"]) for n in (0, 1)]
    assert layers == [3, 2]


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
