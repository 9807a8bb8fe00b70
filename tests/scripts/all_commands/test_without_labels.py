"""Images without labels: agreement with the float network is reported, and never as accuracy."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from systolith import golden
from systolith.golden.network import float_model
from systolith.scripts.main import main
from tests.scripts import tiny


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network `tiny`, of 8 and of 2 bits, and images without labels."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("systolith.scripts.comparing.parallel_trials.processors", lambda: 1)
    trained = tiny.quantized().parent
    trained.save("net.npz")
    for name, count, seed in (("data", 60, 2), ("others", 40, 3)):
        tiny.save_images(tmp_path / f"{name}.npz", count, seed)
        np.savez(f"{name}.npz", images=np.load(f"{name}.npz")["images"])
    for bits in (8, 2):
        widths = golden.LayerSettings(weight_bits=bits, activation_bits=bits)
        images = golden.load_images("others.npz")
        golden.quantize(trained, images, golden.Settings(widths)).save(f"q{bits}.npz")


def agreement(name: str, data: str) -> float:
    images = golden.load_images(data)
    quantized = golden.QuantizedNetwork.load(name)
    real = float_model.classes(quantized.parent, images)
    scores = golden.fixed_maps(quantized, images)["dense"].reshape(len(images), -1)
    return float(np.mean(scores.argmax(axis=1) == real))


def shown(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(command.split()) == 0
    return capsys.readouterr().out


def test_evaluate_and_advice(capsys: pytest.CaptureFixture[str]) -> None:
    words = "evaluate q2.npz --data data.npz --sensitivity --trial-data others.npz"
    out = shown(f"{words} --out report.json --out report.html --out report.csv", capsys)
    assert "none: agreement, not accuracy" in " ".join(out.split())
    assert "trial agreement" in " ".join(out.split())
    assert out.replace("agreement, not accuracy", "").count("accuracy") == 0
    assert "float class" in out
    page = Path("report.html").read_text("utf-8")
    body = page[page.index("<h1>") : page.index('<p class="soft">Network')]
    assert "accuracy" not in body and "no labels" in body
    raw = json.loads(Path("report.json").read_text("utf-8"))
    assert (raw["correct"], raw["accuracy"], raw["labels"]) == (None, None, None)
    assert (raw["measure"], raw["trials"]["measure"]) == ("agreement", "agreement")
    assert raw["agreement_with_float"] == agreement("q2.npz", "data.npz") < 1
    low, high = raw["interval"]
    assert low < raw["agreement_with_float"] < high
    with Path("report.csv").open(encoding="utf-8") as file:
        (row, *_) = csv.DictReader(file)
    assert (row["correct"], row["accuracy"], row["measure"]) == ("", "", "agreement")
    report = golden.AccuracyReport.load("report.json")
    assert report.to_json() == Path("report.json").read_text("utf-8")
    assert report.rate == report.agreement_with_float
    others = raw["trials"]
    assert others["correct"] == round(20 * agreement_of_rest("q2.npz"))


def agreement_of_rest(name: str) -> float:
    """On the images on which trials are scored: formats are chosen on half of them, by seed 1."""
    rest = np.sort(np.random.default_rng(1).permutation(40)[20:])
    np.savez("rest.npz", images=golden.load_images("others.npz")[rest])
    return agreement(name, "rest.npz")


def test_compare(capsys: pytest.CaptureFixture[str]) -> None:
    out = shown("compare q8.npz q2.npz --data data.npz --out page.html --out all.json", capsys)
    assert "The images have no labels: agreement is" in " ".join(out.split())
    assert "accuracy" not in out
    (first, second) = json.loads(Path("all.json").read_text("utf-8"))["reports"]
    assert (second["measure"], second["accuracy"]) == ("agreement", None)
    drop = agreement("q2.npz", "data.npz") - agreement("q8.npz", "data.npz")
    assert second["difference"] == pytest.approx(drop)
    assert first["agreement_with_float"] == agreement("q8.npz", "data.npz")
    page = Path("page.html").read_text("utf-8")
    assert "<h2>Agreement</h2>" in page and "class of the float network" in page

    command = "compare q8.npz q2.npz --data data.npz --fail-on-drop 0.5 --out new.json"
    assert main(command.split()) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "--fail-on-drop: data.npz has no labels" in err
    assert not Path("new.json").exists()


def test_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    words = "sweep net.npz --out swept --weight-bits 8,2 --activation-bits 8 --jobs 1"
    out = shown(f"{words} --data data.npz --test-data others.npz", capsys)
    assert "ranked by the agreement with the float network" in " ".join(out.split())
    assert "accuracy" not in out
    raw = json.loads(Path("swept/sweep.json").read_text("utf-8"))
    assert (raw["data"]["measure"], raw["test"]["measure"]) == ("agreement", "agreement")
    for point in raw["points"]:
        assert (point["validation"]["correct"], point["validation"]["accuracy"]) == (None, None)
    best, worst = (point["validation"]["agreement"] for point in raw["points"])
    assert 1 >= best > worst
    assert raw["networks"][0]["validation"]["agreement"] == 1
    for design in raw["hardware_front"]:
        assert design["accuracy"] is None and design["agreement"] in (best, worst)
    header, *_ = Path("swept/sweep.csv").read_text("utf-8").splitlines()
    assert ",agreement,float_agreement,test_agreement,float_test_agreement," in f",{header},"
    for name in ("sweep.html", "pareto.svg"):
        assert "accurac" not in Path("swept", name).read_text("utf-8").lower().replace(
            "accuracies", ""
        )


def test_run(capsys: pytest.CaptureFixture[str]) -> None:
    # The hardware of `test_own_images`, which is built once.
    out = shown("run --network net.npz --data data.npz --images 12 --out out", capsys)
    assert "with the class of the float network" in out
    assert "accuracy" not in out and "right" not in out
    simulated = json.loads(Path("out/tiny/rtl/simulation.json").read_text("utf-8"))
    assert (simulated["bit_exact"], simulated["accuracy"]) == (True, None)
    sheet = Path("out/tiny/rtl/datasheet.md").read_text("utf-8")
    assert "| agreement | 30 of 30 images with the class of the float network" in sheet
    assert "accuracy" not in sheet
