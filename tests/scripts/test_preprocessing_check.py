"""Whether another common preprocessing would be better, on a network whose classes are known."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from systolith import golden
from systolith.golden import Preprocessing
from systolith.golden.qformat import QFormat
from systolith.scripts import preprocessing_check
from systolith.scripts.main import main
from systolith.scripts.preprocessing_check import COMMON, PreprocessingCheck, check_preprocessing
from systolith.scripts.preprocessing_options import declared_preprocessing, numbers
from tests.golden.onnx.small_models import model, node

IMAGES = 1500


def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, (IMAGES, 2, 2, 1), dtype=np.uint8)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model of images of 2 x 2 that says 1 if its four inputs have a sum below 2, else 0; and
    images whose labels it gives if pixels are divided by 255."""
    monkeypatch.chdir(tmp_path)
    weights = np.array([[1, 0]] * 4, np.float32)
    nodes = [node("Flatten", "x", "a"), node("Gemm", "a w b", "y")]
    arrays = {"w": weights, "b": np.array([0, 2], np.float32)}
    Path("net.onnx").write_bytes(model(nodes, arrays, (1, 1, 2, 2)))
    images = pixels()
    np.savez("data.npz", images=images, labels=labels_of(images))
    return tmp_path


def labels_of(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    sums: NDArray[np.int64] = images.sum((1, 2, 3), dtype=np.int64)
    return (sums < 2 * 255).astype(np.int64)


def checked(preprocessing: Preprocessing) -> PreprocessingCheck:
    imported = golden.import_onnx("net.onnx", preprocessing)
    images = pixels()[:1000]
    return check_preprocessing(imported, golden.Dataset("a", "b", images, labels_of(images)))


def test_the_right_declaration_has_no_better_one(here: Path) -> None:
    assert checked(Preprocessing((1 / 255,))) == PreprocessingCheck(1000, 1000)


def test_a_wrong_declaration_is_told_the_better_one(here: Path) -> None:
    """Raw pixels have a sum below 2 in none of the images, so that all get the class 0."""
    zeros = 1000 - int(labels_of(pixels()[:1000]).sum())
    assert checked(Preprocessing()) == PreprocessingCheck(1000, zeros, "--scale 1/255", 1000)


def test_a_slightly_better_one_is_not_worth_a_word(here: Path) -> None:
    """Less than 2 % more of the images are right with 1/255 than with 1/252."""
    found = checked(Preprocessing((1 / 252,)))
    assert 980 < found.correct < 1000
    assert found.better is None


def test_one_at_the_level_of_chance_is_not_better(here: Path) -> None:
    """All images get the class 0 as declared, and with 1/255 the class 1, as 60 % of the labels."""
    images, labels = (
        np.full((1000, 2, 2, 1), 9, np.uint8),
        (np.arange(1000) >= 400).astype(np.int64),
    )
    imported = golden.import_onnx("net.onnx", Preprocessing())
    found = check_preprocessing(imported, golden.Dataset("a", "b", images, labels))
    assert found == PreprocessingCheck(1000, 400)


def stub(declared: Preprocessing, right: dict[str, list[int]]) -> Any:
    """A network that gets, as declared, 900 of 1,000 images right, and others as `right` says.

    By options: the numbers of images that become right, and those that become wrong; one that is
    not there overflows.
    """
    trained = SimpleNamespace(network=SimpleNamespace(input=SimpleNamespace(channels=1)))

    def other(preprocessing: Preprocessing) -> object:
        options = next(name for name, each in COMMON.items() if each == preprocessing)
        if options not in right:
            raise ValueError("a sum overflows")
        return options

    return SimpleNamespace(preprocessing=declared, trained=trained, with_preprocessing=other)


@pytest.mark.parametrize(
    ("right", "better"),
    [
        # Two in a hundred more, and not by chance: binomtest(25, 30).pvalue is 0.0003.
        ({"--raw": [20, 0]}, ("--raw", 920)),
        ({"--raw": [25, 5]}, ("--raw", 920)),
        ({"--raw": [19, 0]}, None),
        ({"--raw": [24, 5]}, None),
        # binomtest(35, 50).pvalue is 0.007, and binomtest(39, 56).pvalue 0.0046.
        ({"--raw": [35, 15]}, None),
        # The best of all counts, wherever it stands.
        (
            {"--raw": [25, 0], "--scale 1/255 --mean 0.5": [40, 2]},
            ("--scale 1/255 --mean 0.5", 938),
        ),
        ({"--raw": [40, 2], "--scale 1/255 --mean 0.5": [25, 0]}, ("--raw", 938)),
        ({}, None),
    ],
)
def test_one_is_clearly_better_by_two_points_and_not_by_chance(
    right: dict[str, list[int]],
    better: tuple[str, int] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def counted(trained: object, _: object) -> NDArray[np.bool_]:
        found = np.arange(1000) < 900
        if isinstance(trained, str):
            gains, losses = right[trained]
            found[900 : 900 + gains], found[:losses] = True, False
        return found

    monkeypatch.setattr(preprocessing_check, "check_dataset", lambda *_: None)
    monkeypatch.setattr(preprocessing_check, "_right", counted)
    labels = np.arange(1000) % 4
    data = golden.Dataset("a", "b", np.zeros((1000, 1, 1, 1), np.uint8), labels)
    own = Preprocessing((1 / 128,))
    found = check_preprocessing(stub(own, right), data)
    assert found == PreprocessingCheck(1000, 900, *(better or ()))
    # Features that are no pixels have no usual preprocessing.
    signed = Preprocessing((1 / 128,), format=QFormat(8, 5))
    assert check_preprocessing(stub(signed, right), data) == PreprocessingCheck(1000, 900)


def test_the_usual_preprocessings_are_what_their_options_declare() -> None:
    """By the options' parsers."""
    for options, expected in COMMON.items():
        words = options.split()
        given = dict(zip(words[::2], words[1::2], strict=False))
        scale, mean, std = (
            numbers(name)(given[name]) if name in given else None
            for name in ("--scale", "--mean", "--std")
        )
        assert declared_preprocessing(scale, mean, std, options == "--raw") == expected
    assert [options.count("--") for options in COMMON] == [1, 1, 3, 2, 3, 3, 3]


def test_the_command_prints_accuracy_and_warning(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("import net.onnx --out net.npz --scale 1/255 --data data.npz".split()) == 0
    out, err = capsys.readouterr()
    assert (
        "1,000 of 1,000 images of data.npz (custom, chosen of 1,500 with seed 1) are right"
        in " ".join(out.split())
    )
    assert err == ""
    assert main("import net.onnx --out net.npz --raw --data data.npz".split()) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("systolith: warning: with --scale 1/255 1,000 of 1,000 would be right")
    assert Path("net.npz").exists()


def test_images_that_do_not_fit_are_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("data.npz", images=np.zeros((3, 2, 3), np.uint8), labels=np.zeros(3, np.int64))
    assert main("import net.onnx --out net.npz --raw --data data.npz".split()) == 2
    assert "takes 2 x 2 x 1" in capsys.readouterr().err
    assert not Path("net.npz").exists()


def test_without_labels_layers_are_compared_on_the_images_and_ranges_are_printed(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = np.full((3, 2, 2), 51, np.uint8)
    np.savez("plain.npz", images=images)
    assert main("import net.onnx --out net.npz --scale 1/255 --data plain.npz".split()) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "the model's input 0.2 to 0.2, its outputs" in out
    assert (
        "on 3 images of plain.npz (custom) preprocessing cannot be judged: the images have" in out
    )
    imported = golden.import_onnx("net.onnx", Preprocessing((1 / 255,)))
    on_these = golden.compare_with_runtime(imported, images[..., np.newaxis])
    assert on_these != golden.compare_with_runtime(imported)
    assert all(each.is_rounding for each in on_these)
