"""Needs PyTorch, which is imported where it is used: without it these tests are only collected."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from systolith.golden.files import datasets, idx
from systolith.golden.network import float_model, shipped
from systolith.golden.network.graph import Convolution
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.scripts.training.recipe import RECIPES

if TYPE_CHECKING:
    from systolith.scripts.training.trainer import Progress

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training files: 2,600 digits to train on, and the validation digits."""
    digits = datasets.validation_digits()
    images = np.concatenate([digits.images[:2600, ..., 0], digits.images[..., 0]])
    labels = np.concatenate([digits.known_labels[:2600], digits.known_labels]).astype(np.uint8)
    path = tmp_path_factory.mktemp("mnist")
    for suffix, array in (("images-idx3", images), ("labels-idx1", labels)):
        content = gzip.compress(idx.encode(array), compresslevel=1)
        (path / f"train-{suffix}-ubyte.gz").write_bytes(content)
    return path


def quick(name: str, folder: Path, seed: int, epochs: int = 1) -> TrainedNetwork:
    from systolith.scripts.training import trainer

    recipe = replace(RECIPES[name], epochs=epochs, averaging=0.9)
    return trainer.train(name, folder, seed, recipe=recipe)


def test_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    digests = []
    for seed in (3, 3, 4):
        path = tmp_path / "trained.npz"
        quick("lenet5-relu", folder, seed).save(path)
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    assert digests[0] == digests[1] != digests[2]


def test_the_network_says_what_it_was_trained_on(folder: Path) -> None:
    files = datasets.training_files(folder)
    origin = datasets.DatasetReference("train-images-idx3-ubyte.gz", files.sha256, 7600)
    assert quick("lenet5-relu", folder, 0).trained_on == origin != datasets.MNIST


@pytest.mark.parametrize(
    ("name", "epochs", "accuracy"),
    [("lenet5", 4, 0.8), ("lenet5-sigmoid", 9, 0.5), ("lenet5-relu", 4, 0.8)],
)
def test_training_learns(name: str, epochs: int, accuracy: float, folder: Path) -> None:
    trained = quick(name, folder, 0, epochs)
    digits = datasets.validation_digits().take(1000)
    right = np.equal(float_model.classes(trained, digits.images), digits.known_labels)
    assert np.mean(right) > accuracy


def test_missing_connections_and_fixed_centres_stay(folder: Path) -> None:
    trained = quick("lenet5", folder, 0)
    layer = trained.network["C3"]
    assert isinstance(layer, Convolution) and layer.connection_table is not None
    used = np.abs(trained.arrays["C3"]["weights"]).sum(axis=(0, 1))
    for out, maps in enumerate(layer.connection_table):
        assert used[:, out].nonzero()[0].tolist() == list(maps)
    centres = trained.arrays["output"]["weights"]
    np.testing.assert_array_equal(centres, shipped.output_codes())


def test_trained_centres_move(folder: Path) -> None:
    centres = quick("lenet5-sigmoid", folder, 0).arrays["output"]["weights"]
    assert not np.isin(centres, (0.0, 1.0)).any()


def test_progress_and_the_checkpoint_chosen(folder: Path) -> None:
    from systolith.scripts.training import trainer

    seen: list[Progress] = []
    recipe = replace(RECIPES["lenet5-relu"], epochs=3, averaging=0.9)
    trained = trainer.train("lenet5-relu", folder, 0, seen.append, recipe)
    assert [(p.epoch, p.epochs) for p in seen] == [(1, 3), (2, 3), (3, 3)]
    assert all(p.loss > 0 for p in seen)
    digits = datasets.validation_digits()
    accuracy = np.mean(float_model.classes(trained, digits.images) == digits.labels)
    best = max(p.validation_accuracy for p in seen)
    # Sums in another order may turn an image or two.
    assert accuracy == pytest.approx(best, abs=3 / len(digits))


@pytest.mark.parametrize(
    ("name", "seed", "message"),
    [
        ("lenet6", 0, "network 'lenet6' is unknown: allowed are lenet5, "),
        ("lenet5", -1, r"seed must be from 0 to 2\*\*63 - 1, not -1"),
        ("lenet5", 2**63, "seed must be from 0"),
        ("lenet5", 0, r"train-images-idx3-ubyte\.gz: no such file"),
    ],
)
def test_bad_input_is_refused(name: str, seed: int, message: str, tmp_path: Path) -> None:
    from systolith.scripts.training import trainer

    with pytest.raises(ValueError, match=message):
        trainer.train(name, tmp_path, seed)


def test_unknown_choices_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from systolith.scripts.training import trainer
    from systolith.scripts.training.torch_network import GraphModule

    start: Any = "ones"
    with pytest.raises(ValueError, match="start 'ones': allowed are paper, he"):
        trainer.train("lenet5", folder, 0, recipe=replace(RECIPES["lenet5"], start=start))
    network = shipped.network("lenet5-relu")
    monkeypatch.setattr(type(network.output), "winner", "median")
    message = "winner 'median': allowed are largest, smallest"
    with pytest.raises(ValueError, match=message):
        trainer.train("lenet5-relu", folder, 0)
    with pytest.raises(ValueError, match=message):
        trainer._accuracy(GraphModule(network), datasets.validation_digits())
