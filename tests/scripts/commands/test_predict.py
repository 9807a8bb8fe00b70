from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from systolith import golden, hw
from systolith.golden.fixed import execution
from systolith.golden.network import graph
from systolith.golden.network.graph import Network
from systolith.scripts.commands import predict
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


def test_the_hardware_s_own_results_are_told_from_the_model_s(
    folder: Path, pictures: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    """Hardware that gives each picture the next class, and breaks three rules."""
    network = tiny.quantized()
    classes = execution.classes(network.fixed, golden.load_images(folder / "images.npz")).tolist()
    wrong = [(each + 1) % 3 for each in classes]
    failures = ["first", "second", "third"]
    result = SimpleNamespace(classes=wrong, failures=failures)
    monkeypatch.setattr(classification, "classify", lambda *_: result)
    command = ["predict", str(folder / "rtl"), *pictures]
    assert main([*command, "--json"]) == 1
    out, err = capsys.readouterr()
    assert err == "systolith: first (and 2 more)\n"
    found = json.loads(out)
    assert [each["class"] for each in found["pictures"]] == classes
    assert [each["hardware_class"] for each in found["pictures"]] == wrong
    assert found["hardware"] == {"as_generated": True, "bit_exact": False}
    assert main(command) == 1
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    for own, other in zip(classes, wrong, strict=True):
        assert [str(own), str(other)] in [row[1:3] for row in rows]
    failures[1:] = []
    assert main(command) == 1
    assert capsys.readouterr().err == "systolith: first\n"


@pytest.mark.parametrize(
    ("size", "scaled"), [((8, 5), (4, 2)), ((2, 20), (1, 5)), ((3, 3), (4, 4))]
)
def test_sizes_are_width_and_height(
    size: tuple[int, int], scaled: tuple[int, int], folder: Path, tmp_path: Path, capsys: Shown
) -> None:
    """The network takes images four wide and five high."""
    Image.new("RGB", size, (9, 9, 9)).save(tmp_path / "a.png")
    words = ["predict", str(folder / "rtl" / "tiny.npz"), str(tmp_path / "a.png"), "--invert"]
    assert main([*words, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["pictures"]
    assert (found["width"], found["height"], found["mode"]) == (*size, "RGB")
    assert (found["scaled_width"], found["scaled_height"], found["inverted"]) == (*scaled, True)


@pytest.mark.parametrize("scores", [False, True])
def test_each_image_of_a_file_has_its_own_line(
    scores: bool, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    """Of a network of ten classes and fewer all scores are printed, with what they stand for."""
    monkeypatch.chdir(folder)
    network = tiny.quantized()
    if scores:
        monkeypatch.setattr(Network, "has_classes", False)
    expected = execution.scores(network.fixed, golden.load_images("images.npz"))
    classes = execution.classes(network.fixed, golden.load_images("images.npz"))
    assert main(["predict", "rtl/tiny.npz", "images.npz", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    fraction = network.fixed["dense"].output_format.frac_bits
    assert fraction != network.fixed["conv"].output_format.frac_bits
    assert found["score_frac_bits"] == fraction
    assert [(each["file"], each["image"], each["scores"]) for each in found["pictures"]] == [
        ("images.npz", number, own.tolist()) for number, own in enumerate(expected)
    ]
    assert found["result"] == ("scores" if scores else "class")
    assert main(["predict", "rtl/tiny.npz", "images.npz"]) == 0
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for number, (own, given) in enumerate(zip(expected, classes, strict=True)):
        middle = [] if scores else [str(given)]
        row = [f"images.npz [{number}]", *middle, *(f"{score:,}" for score in own)]
        assert " ".join(row) in rows
    meaning = f"scores raw values, 1 is 2**{-fraction}"
    assert meaning + ("" if scores else "; the largest wins") in rows


def test_hardware_of_scores_has_no_classes_though_its_network_has_some(
    folder: Path, pictures: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    manifest = SimpleNamespace(result=SimpleNamespace(kind="scores"))
    built = SimpleNamespace(quantized=tiny.quantized(), manifest=manifest, as_generated=True)
    result = SimpleNamespace(classes=(), failures=())
    monkeypatch.setattr(predict, "_hardware", lambda _: built)
    monkeypatch.setattr(classification, "classify", lambda *_: result)
    assert main(["predict", str(folder / "rtl"), *pictures, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["result"] == "scores"
    for each in found["pictures"]:
        assert (each["class"], each["hardware_class"], len(each["scores"])) == (None, None, 3)


def test_labels_of_a_file_mean_nothing(folder: Path, tmp_path: Path, capsys: Shown) -> None:
    images = golden.load_images(folder / "images.npz")
    np.savez(tmp_path / "odd.npz", images=images, labels=np.array([3, 999]))
    assert main(["predict", str(folder / "rtl" / "tiny.npz"), str(tmp_path / "odd.npz")]) == 0
    assert capsys.readouterr().out.count("odd.npz [") == 2


@pytest.mark.parametrize(
    ("kind", "best"), [(graph.Dense, max), (graph.RadialBasis, min)], ids=["largest", "smallest"]
)
def test_of_many_classes_only_the_winner_has_its_score(
    kind: Callable[..., graph.Layer],
    best: Callable[[list[int]], int],
    tmp_path: Path,
    capsys: Shown,
) -> None:
    layers = (
        golden.load_network("lenet5-relu").network.input,
        kind(name="output", inputs=("input",), units=11),
    )
    wide = graph.Network("wide", layers)
    source = wide.shapes()["input"]
    arrays = {"output": random_arrays(np.random.default_rng(0), layers[1], source)}
    images = np.random.default_rng(1).integers(0, 256, (9, 28, 28, 1), np.uint8)
    network = golden.quantize(golden.TrainedNetwork(wide, arrays), images)
    network.save(tmp_path / "q.npz")
    Image.fromarray(images[0, ..., 0]).save(tmp_path / "a.png")
    assert main(["predict", str(tmp_path / "q.npz"), str(tmp_path / "a.png")]) == 0
    shown = capsys.readouterr().out.split()
    scores = execution.scores(network.fixed, images[:1])[0].tolist()
    assert [score for score in scores if f"{score:,}" in shown] == [best(scores)]


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
