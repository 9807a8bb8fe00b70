"""Needs PyTorch, which is imported where it is used: without it these tests are only collected."""

from __future__ import annotations

import numpy as np
import pytest

from systolith.golden.files import datasets
from systolith.golden.files.datasets import Dataset
from systolith.golden.network import shipped
from systolith.scripts.training.recipe import RECIPES

pytestmark = pytest.mark.training


@pytest.mark.parametrize("name", ["lenet5", "lenet5-relu"])
def test_distorted_images_keep_their_labels_and_their_background(name: str) -> None:
    import torch

    from systolith.scripts.training import shifted_images

    digits = datasets.validation_digits().take(256)
    layer = shipped.network(name).input
    batches = shifted_images.ShiftedImages(layer, digits, RECIPES[name])
    seen = list(batches.epoch(torch.Generator().manual_seed(0)))
    assert len(seen) == 2
    # Wherever a digit went, no pixel leaves the range from white to black, and corners are white.
    images = torch.cat([images for images, _ in seen])
    assert images.shape == (256, 1, 32, 32)
    assert images.min() == pytest.approx(-0.1) and images.max() <= 1.1751
    assert (images[:, :, :2] == images.min()).all() and (images[:, :, :, -2:] == images.min()).all()
    labels = torch.cat([labels for _, labels in seen])
    assert sorted(labels.tolist()) == sorted(digits.known_labels.tolist())
    # The ink of every image is about that of an image with its label.
    ink = (images + 0.1).sum((1, 2, 3)).mean()
    assert float(ink) == pytest.approx(float(digits.images.sum() / 256 * 0.005), rel=0.05)


def test_shifts_cover_all_directions() -> None:
    import torch

    from systolith.scripts.training import shifted_images

    dots = np.zeros((1280, 28, 28, 1), np.uint8)
    dots[:, 10, 12] = 255
    layer = shipped.network("lenet5").input
    dataset = Dataset("dots", "custom", dots, np.zeros(1280, np.int64))
    batches = shifted_images.ShiftedImages(layer, dataset, RECIPES["lenet5"])
    found = set()
    for images, _ in batches.epoch(torch.Generator().manual_seed(0)):
        for image in images:
            row, column = (image[0] == image.max()).nonzero()[0].tolist()
            found.add((row - 12, column - 14))
    assert found == {(row, column) for row in range(-2, 3) for column in range(-2, 3)}
