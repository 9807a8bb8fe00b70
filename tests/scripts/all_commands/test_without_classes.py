"""Networks that are no classifiers: reports speak of outputs, and labels mean nothing to them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from systolith import golden, hw
from systolith.golden.errors import FileFormatError
from systolith.golden.network import float_model
from systolith.golden.network.graph import Activation, Convolution, Input, Network
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.golden.reports.side_by_side import side_by_side
from systolith.scripts.main import main
from tests.golden.onnx.small_models import normal
from tests.scripts import tiny

COUNT = 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that makes two maps, quantized with 8 and 4 bits, and images with other labels."""
    made = tmp_path_factory.mktemp("maps")
    layers = (
        Input(name="input", height=5, width=4, scale=1 / 255),
        Convolution(
            name="map",
            inputs=("input",),
            kernel=(2, 2),
            out_channels=2,
            activation=Activation("tanh", amplitude=1.5),
        ),
    )
    arrays = {"map": {"weights": normal(2, 2, 1, 2), "bias": normal(2)}}
    trained = TrainedNetwork(Network("maps", layers), arrays)
    trained.save(made / "net.npz")
    images = np.random.default_rng(4).integers(0, 256, (COUNT, 5, 4, 1), dtype=np.uint8)
    for bits in (8, 4):
        settings = golden.Settings.from_mapping({"weight_bits": bits, "activation_bits": bits})
        golden.quantize(trained, images, settings).save(made / f"q{bits}.npz")
    np.savez(made / "plain.npz", images=images)
    np.savez(made / "others.npz", images=255 - images)
    np.savez(made / "labelled.npz", images=images, labels=np.full(COUNT, 999))
    hw.generate(golden.QuantizedNetwork.load(made / "q8.npz"), made / "rtl")
    return made


@pytest.fixture(autouse=True)
def _there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def report(name: str) -> golden.AccuracyReport:
    dataset = golden.load_dataset("labelled.npz")
    return golden.evaluate(golden.load(f"{name}.npz"), dataset)


def test_errors_are_those_of_each_channel() -> None:
    found = report("q4")
    *_, last = side_by_side(golden.QuantizedNetwork.load("q4.npz"), golden.load_images("plain.npz"))
    real, held = (each.astype(np.float64).reshape(-1, 2) for each in (last.real, last.held))
    assert found.outputs is not None and len(found.outputs) == 2
    for channel, each in enumerate(found.outputs):
        error = np.abs(held - real)[:, channel]
        assert (each.lowest, each.highest) == (real[:, channel].min(), real[:, channel].max())
        assert each.rms_error == pytest.approx(math.sqrt((error**2).mean()))
        assert each.largest_error == pytest.approx(error.max())
    assert (found.measure, found.labels, found.predictions, found.confusion) == (
        "error",
        None,
        (),
        (),
    )
    assert golden.AccuracyReport.from_json(found.to_json()) == found
    of_float = report("net").outputs
    assert of_float is not None
    assert [(each.rms_error, each.largest_error) for each in of_float] == [(0, 0), (0, 0)]


def test_scores_of_a_network_that_looks_like_a_classifier_may_be_outputs() -> None:
    images = np.random.default_rng(4).integers(0, 256, (9, 5, 4, 1), dtype=np.uint8)
    data = golden.Dataset("noise", "custom", images, np.full(9, 999))
    found = golden.evaluate(tiny.quantized(), data, by_class=False)
    assert found.outputs is not None and len(found.outputs) == 3
    with pytest.raises(
        ValueError, match="has the label 999, network 'tiny' has the classes 0 to 2"
    ):
        golden.evaluate(tiny.quantized(), data)
    # Seen as a classifier, a map has a class a value.
    few = golden.Dataset("few", "custom", images[:1], np.array([3]))
    assert len(golden.evaluate(golden.load("q8.npz"), few, by_class=True).confusion) == 24


@pytest.mark.parametrize(
    ("key", "value", "names"),
    [
        ("predictions", [0] * COUNT, r"\$.predictions: must be empty"),
        ("agreement_with_float", 1.0, r"\$.agreement_with_float: must be null"),
        ("outputs", [], r"\$.outputs: must have an entry"),
        ("outputs", None, r"\$.predictions: must have 30 entries"),
        (
            "outputs",
            [{"lowest": 0, "highest": 1, "rms_error": 0.5, "largest_error": 0.25}],
            r"\$.outputs\[0\]: lowest must not be above highest, nor rms_error",
        ),
    ],
)
def test_a_report_that_contradicts_itself_is_refused(key: str, value: object, names: str) -> None:
    document = json.loads(report("q8").to_json()) | {key: value}
    with pytest.raises(FileFormatError, match=names):
        golden.AccuracyReport.from_json(json.dumps(document))


def test_evaluate_reports_outputs_and_says_that_labels_are_not_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "q8.npz", "--rtl", "rtl"]
    outs = [tmp_path / f"report{suffix}" for suffix in (".json", ".md", ".csv", ".html")]
    options = [word for out in outs for word in ("--out", str(out))]
    assert main([*arguments, "--data", "labelled.npz", *options]) == 0
    shown = capsys.readouterr()
    assert shown.err == (
        "systolith: warning: the labels of labelled.npz are not used: network 'maps' is no "
        "classifier, its outputs have no classes\n"
    )
    for text in (shown.out, outs[1].read_text()):
        assert "RMS error" in text
        assert "Outputs" in text
        assert "accuracy" not in text
    page = outs[3].read_text("utf-8")
    assert "<h2>Outputs</h2>" in page
    for words in ("Wrong classes", "Other classes", "same class", "disagree</h2>"):
        assert words not in page
    assert main([*arguments, "--data", "plain.npz"]) == 0
    assert capsys.readouterr().err == ""


def test_compare_puts_errors_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    arguments = "compare rtl q4.npz net.npz --data plain.npz".split()
    assert main([*arguments, "--out", str(page)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "errors are those of the outputs" in text
    assert "SQNR of the outputs (dB) RMS error largest error" in text
    for words in ("losses", "agreement", "accuracy"):
        assert words not in text
    assert "Errors of the outputs" in page.read_text("utf-8")
    assert main([*arguments, "--json"]) == 0
    reports = json.loads(capsys.readouterr().out)["reports"]
    eight, four, real = (each["output_rms_error"] for each in reports)
    assert 0 == real < eight < four
    assert main([*arguments, "--fail-on-drop", "0"]) == 2
    assert "there is no accuracy that could drop" in capsys.readouterr().err


def test_hardware_of_scores_is_compared_by_its_outputs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its network alone looks like a classifier."""
    network = tiny.quantized()
    network.save(tmp_path / "q.npz")
    hw.generate(network, tmp_path / "rtl", result="scores")
    tiny.save_images(tmp_path / "data.npz", 12)
    rtl, q, data = (str(tmp_path / name) for name in ("rtl", "q.npz", "data.npz"))
    assert main(["compare", rtl, q, "--data", data]) == 2
    assert "reports errors of outputs" in capsys.readouterr().err
    assert main(["compare", rtl, q, "--data", data, "--result", "scores", "--json"]) == 0
    reports = json.loads(capsys.readouterr().out)["reports"]
    assert [each["measure"] for each in reports] == ["error", "error"]
    for option, measure in (([], "error"), (["--result", "class"], "accuracy")):
        assert main(["evaluate", q, "--rtl", rtl, "--data", data, "--json", *option]) == 0
        found = golden.AccuracyReport.from_json(capsys.readouterr().out)
        assert found.measure == measure


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (
            "evaluate q8.npz --advice --data plain.npz",
            "--advice: trials of other widths are scored",
        ),
        (
            "sweep net.npz --data plain.npz --test-data others.npz --out swept",
            "network 'maps' is no classifier, and a sweep ranks by classes",
        ),
    ],
)
def test_what_ranks_by_classes_is_refused(
    arguments: str, names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert names in line


@pytest.mark.parametrize("command", ["generate q8.npz --out {}/rtl", "predict q8.npz"])
def test_labels_need_not_fit(command: str, tmp_path: Path) -> None:
    data = ["--data", "labelled.npz"] if command.startswith("generate") else ["labelled.npz"]
    assert main([*command.format(tmp_path).split(), *data]) == 0


def test_finite_outputs_are_required() -> None:
    trained = golden.load_network("net.npz")
    with pytest.raises(ValueError, match="its float scores are not finite"):
        float_model.check_scores(trained, np.array([[np.inf]]))
