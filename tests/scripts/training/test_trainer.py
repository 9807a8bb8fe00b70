"""Needs PyTorch, which is imported where it is used: without it these tests are only collected."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from systolith.golden.files import datasets, idx
from systolith.golden.network import float_model, shipped
from systolith.golden.network.activations import ACTIVATIONS
from systolith.golden.network.graph import Activation, Convolution
from systolith.golden.network.trained_network import TrainedNetwork

if TYPE_CHECKING:
    from systolith.scripts.training.trainer import Progress

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training files: 2,600 digits to train on, and the validation digits."""
    digits = datasets.validation_digits()
    images = np.concatenate([digits.images[:2600, ..., 0], digits.images[..., 0]])
    labels = np.concatenate([digits.labels[:2600], digits.labels]).astype(np.uint8)
    path = tmp_path_factory.mktemp("mnist")
    for suffix, array in (("images-idx3", images), ("labels-idx1", labels)):
        content = gzip.compress(idx.encode(array), compresslevel=1)
        (path / f"train-{suffix}-ubyte.gz").write_bytes(content)
    return path


def quick(name: str, folder: Path, seed: int, epochs: int = 1) -> TrainedNetwork:
    from systolith.scripts.training import trainer

    recipe = replace(trainer.RECIPES[name], epochs=epochs, averaging=0.9)
    return trainer.train(name, folder, seed, recipe=recipe)


def test_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    digests = []
    for seed in (3, 3, 4):
        path = tmp_path / "trained.npz"
        quick("lenet5-relu", folder, seed).save(path)
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("name", "epochs", "accuracy"),
    [("lenet5", 4, 0.8), ("lenet5-sigmoid", 9, 0.5), ("lenet5-relu", 4, 0.8)],
)
def test_training_learns(name: str, epochs: int, accuracy: float, folder: Path) -> None:
    trained = quick(name, folder, 0, epochs)
    digits = datasets.validation_digits().take(1000)
    right = np.equal(float_model.classes(trained, digits.images), digits.labels)
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
    recipe = replace(trainer.RECIPES["lenet5-relu"], epochs=3, averaging=0.9)
    trained = trainer.train("lenet5-relu", folder, 0, seen.append, recipe)
    assert [(p.epoch, p.epochs) for p in seen] == [(1, 3), (2, 3), (3, 3)]
    assert all(p.loss > 0 for p in seen)
    digits = datasets.validation_digits()
    accuracy = np.mean(float_model.classes(trained, digits.images) == digits.labels)
    best = max(p.validation_accuracy for p in seen)
    # Sums in another order may turn an image or two.
    assert accuracy == pytest.approx(best, abs=3 / len(digits))


@pytest.mark.parametrize("name", shipped.names())
def test_pytorch_computes_what_the_float_model_computes(name: str) -> None:
    import torch

    from systolith.scripts.training import trainer

    network = shipped.network(name)
    model = trainer.GraphModule(network)
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data.normal_(std=0.3, generator=generator)
    images = datasets.validation_digits().images[:20]
    pixels = torch.from_numpy(images.copy()).permute(0, 3, 1, 2)
    with torch.no_grad():
        scores = model(trainer.input_values(network.input, pixels)).numpy()
    np.testing.assert_allclose(
        float_model.scores(model.trained(), images), scores, rtol=1e-4, atol=1e-3
    )


def test_the_squashing_function_s_gradient() -> None:
    import torch

    from systolith.scripts.training import trainer

    x = torch.linspace(-3, 3, 50, dtype=torch.float64, requires_grad=True)
    activation = shipped.network("lenet5")["C1"].activation
    assert torch.autograd.gradcheck(lambda x: trainer.activate(activation, x), x)


def test_every_activation_is_that_of_the_float_model(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from systolith.scripts.training import trainer

    x = torch.linspace(-3, 3, 50, dtype=torch.float64)
    for name in ACTIVATIONS:
        activation = Activation(name)
        if activation.is_table:
            activation = Activation(name, amplitude=1.5, slope=0.5)
        found = trainer.activate(activation, x).numpy()
        np.testing.assert_allclose(found, activation(x.numpy()), rtol=1e-12, atol=1e-12)
    monkeypatch.setitem(ACTIVATIONS, "swish", ACTIVATIONS["tanh"])
    with pytest.raises(ValueError, match="activation 'swish' cannot be trained: allowed are none"):
        trainer.activate(Activation("swish"), x)


@pytest.mark.parametrize("name", ["lenet5", "lenet5-relu"])
def test_distorted_images_keep_their_labels_and_their_background(name: str) -> None:
    import torch

    from systolith.scripts.training import trainer

    digits = datasets.validation_digits().take(256)
    layer = shipped.network(name).input
    batches = trainer.ShiftedImages(layer, digits, trainer.RECIPES[name])
    seen = list(batches.epoch(torch.Generator().manual_seed(0)))
    assert len(seen) == 2
    # Wherever a digit went, no pixel leaves the range from white to black, and corners are white.
    images = torch.cat([images for images, _ in seen])
    assert images.shape == (256, 1, 32, 32)
    assert images.min() == pytest.approx(-0.1) and images.max() <= 1.1751
    assert (images[:, :, :2] == images.min()).all() and (images[:, :, :, -2:] == images.min()).all()
    labels = torch.cat([labels for _, labels in seen])
    assert sorted(labels.tolist()) == sorted(digits.labels.tolist())
    # The ink of every image is about that of an image with its label.
    ink = (images + 0.1).sum((1, 2, 3)).mean()
    assert float(ink) == pytest.approx(float(digits.images.sum() / 256 * 0.005), rel=0.05)


def test_shifts_cover_all_directions() -> None:
    import torch

    from systolith.golden.files.datasets import Dataset
    from systolith.scripts.training import trainer

    dots = np.zeros((1280, 28, 28, 1), np.uint8)
    dots[:, 10, 12] = 255
    layer = shipped.network("lenet5").input
    recipe = trainer.RECIPES["lenet5"]
    dataset = Dataset("dots", "custom", dots, np.zeros(1280, np.int64))
    batches = trainer.ShiftedImages(layer, dataset, recipe)
    found = set()
    for images, _ in batches.epoch(torch.Generator().manual_seed(0)):
        for image in images:
            row, column = (image[0] == image.max()).nonzero()[0].tolist()
            found.add((row - 12, column - 14))
    assert found == {(row, column) for row in range(-2, 3) for column in range(-2, 3)}


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
