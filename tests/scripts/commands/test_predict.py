from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from systolith import golden, hw
from systolith.golden.fixed import execution
from systolith.golden.network import graph
from systolith.scripts.main import main
from systolith.sim import classification
from systolith.sim.faults import find_fault
from systolith.sim.record.taps import Batch
from tests.golden.random_networks import random_arrays
from tests.scripts import tiny

Shown = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hardware, and the images of its data set as pictures."""
    folder = tmp_path_factory.mktemp("predict")
    tiny.generate(folder / "rtl")
    tiny.save_images(folder / "images.npz", 2)
    for number, image in enumerate(golden.load_images(folder / "images.npz")):
        Image.fromarray(image[..., 0]).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def pictures(folder: Path) -> list[str]:
    return [str(folder / "0.png"), str(folder / "1.png")]


def test_classes_and_scores_are_those_of_the_model(
    folder: Path, pictures: list[str], capsys: Shown
) -> None:
    network = tiny.quantized()
    images = golden.load_images(folder / "images.npz")
    scores = execution.scores(network.fixed, images)
    assert main(["predict", str(folder / "rtl" / "tiny.npz"), *pictures, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert next(iter(found)) == "schema"
    assert (found["schema"], found["network"]) == ("systolith.prediction/1", "tiny")
    assert (found["winner"], found["hardware"], found["result"]) == ("largest", None, "class")
    assert found["quantized_sha256"] == network.sha256
    assert [each["scores"] for each in found["pictures"]] == scores.tolist()
    classes = execution.classes(network.fixed, images).tolist()
    assert [each["class"] for each in found["pictures"]] == classes
    assert found["pictures"][0] == {
        "file": pictures[0],
        "width": 4,
        "height": 5,
        "mode": "L",
        "scaled_width": 4,
        "scaled_height": 5,
        "inverted": False,
        "class": classes[0],
        "hardware_class": None,
        "scores": scores[0].tolist(),
    }
    assert main(["predict", str(folder / "rtl" / "tiny.npz"), "--invert", *pictures]) == 0
    shown = capsys.readouterr().out
    for score in execution.scores(network.fixed, 255 - images).flat:
        assert f"{score:,}" in shown
    assert "inverted, not cropped" in shown and "the largest wins" in shown


def test_hardware_is_simulated_and_compared(
    folder: Path, pictures: list[str], capsys: Shown
) -> None:
    before = {path.name for path in (folder / "rtl").iterdir()}
    assert main(["predict", str(folder / "rtl"), *pictures, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["hardware"] == {"as_generated": True, "bit_exact": True}
    assert all(each["hardware_class"] == each["class"] for each in found["pictures"])
    assert main(["predict", str(folder / "rtl"), *pictures]) == 0
    shown = capsys.readouterr().out
    assert "RTL class" in shown and "yes, in every layer" in shown
    assert {path.name for path in (folder / "rtl").iterdir()} == before


def test_hardware_that_differs_ends_with_1(
    folder: Path, pictures: list[str], tmp_path: Path, capsys: Shown
) -> None:
    network = tiny.quantized()
    fault = find_fault(network.fixed, "conv", golden.load_images(folder / "images.npz"))
    hw.generate(replace(network, fixed=fault.fixed), tmp_path / "faulty")
    wrong = tmp_path / "rtl"
    shutil.copytree(folder / "rtl", wrong)
    shutil.copy(tmp_path / "faulty" / "tiny.v", wrong / "tiny.v")
    assert main(["predict", str(wrong), *pictures]) == 1
    shown, error = capsys.readouterr()
    assert "not the one that generate wrote" in shown and "bit-exact" not in shown
    assert error.startswith("systolith: conv: ") and error.count("\n") == 1
    assert main(["predict", str(wrong), *pictures, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["hardware"] == {
        "as_generated": False,
        "bit_exact": False,
    }


def test_results_that_did_not_come_out_end_with_1(
    folder: Path, pictures: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    """And no value of a layer is wrong."""

    def nothing(*_: object) -> Iterator[Batch]:
        yield from ()

    monkeypatch.setattr(classification, "simulate_bulk", nothing)
    assert main(["predict", str(folder / "rtl"), *pictures, "--json"]) == 1
    shown, error = capsys.readouterr()
    assert error == "systolith: 2 of 2 images did not come out\n"
    found = json.loads(shown)
    assert found["hardware"] == {"as_generated": True, "bit_exact": False}
    assert [each["hardware_class"] for each in found["pictures"]] == [-1, -1]


def test_of_many_classes_only_the_winner_has_its_score(tmp_path: Path, capsys: Shown) -> None:
    layers = (
        golden.load_network("lenet5-relu").network.input,
        graph.Dense(name="output", inputs=("input",), units=11),
    )
    wide = graph.Network("wide", layers)
    source = wide.shapes()["input"]
    arrays = {"output": random_arrays(np.random.default_rng(0), layers[1], source)}
    images = np.random.default_rng(1).integers(0, 256, (9, 28, 28, 1), np.uint8)
    network = golden.quantize(golden.TrainedNetwork(wide, arrays), images)
    network.save(tmp_path / "q.npz")
    Image.fromarray(images[0, ..., 0]).save(tmp_path / "a.png")
    assert main(["predict", str(tmp_path / "q.npz"), str(tmp_path / "a.png")]) == 0
    shown = capsys.readouterr().out
    scores = execution.scores(network.fixed, images[:1])[0]
    assert [f"{score:,}" in shown.split() for score in scores].count(True) == 1
    assert f"{scores.max():,}" in shown.split()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("rtl/tiny.npz missing.png", "missing.png: no such file"),
        ("rtl/tiny.npz rtl/tiny.npz", "rtl/tiny.npz: is a quantized network, not an .npz file of"),
        ("rtl/tiny.npz images.npz --invert", "--invert: is for pictures, not for images.npz"),
        ("rtl/tiny.npz 0.png rtl", "rtl: is a folder, not a file"),
        ("0.png 0.png", "0.png: is a PNG picture, not a quantized network"),
        (". 0.png", ".: is not a folder with hardware, it has no manifest.json"),
        ("rtl/tiny.npz", "Missing argument 'PICTURE...'"),
    ],
)
def test_bad_input_is_one_line(
    folder: Path,
    arguments: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Shown,
) -> None:
    monkeypatch.chdir(folder)
    assert main(["predict", *arguments.split()]) == 2
    shown, error = capsys.readouterr()
    assert shown == "" and error.count("\n") == 1
    assert message in error
