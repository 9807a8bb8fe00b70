"""Training images with random shifts, rotations and scalings, in batches."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from systolith.golden.files.datasets import Dataset
from systolith.golden.network.graph import Input, Shape
from systolith.scripts.training.recipe import Recipe
from systolith.scripts.training.torch_network import input_values

BATCH = 128
"""The number of images in a step."""

MAX_SHIFT = 2
"""The largest shift of a training image in each direction, in pixels."""


class ShiftedImages:
    """Training images in random order, each shifted at random over the background.

    Images are also rotated and scaled if the recipe says so.
    """

    def __init__(self, layer: Input, dataset: Dataset, recipe: Recipe) -> None:
        shape = Shape(*dataset.images.shape[1:])
        if shape != layer.image_shape:
            raise ValueError(f"images must be {layer.image_shape}, not {shape}")
        self.layer = layer
        self.recipe = recipe
        images = torch.from_numpy(dataset.images.copy()).permute(0, 3, 1, 2)
        margin = (MAX_SHIFT,) * 4
        padded = functional.pad(images, margin, value=layer.background)
        # Every shift of every image, as a view: (images, shifts, shifts, channels, height, width).
        windows = padded.unfold(2, shape.height, 1).unfold(3, shape.width, 1)
        self.windows = windows.permute(0, 2, 3, 1, 4, 5)
        self.labels = torch.from_numpy(dataset.known_labels.copy())
        self.batches = len(dataset) // BATCH
        if not self.batches:
            raise ValueError(f"a batch needs {BATCH} images, not {len(dataset)}")

    def epoch(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of input values and labels; an incomplete last batch is left out."""
        order = torch.randperm(len(self.labels), generator=generator)
        shifts = torch.randint(2 * MAX_SHIFT + 1, (2, len(order)), generator=generator)
        for step in range(self.batches):
            part = slice(step * BATCH, (step + 1) * BATCH)
            index = order[part]
            images = self.windows[index, shifts[0, part], shifts[1, part]]
            if self.recipe.rotation or self.recipe.scaling:
                images = self._distorted(images, generator)
            yield input_values(self.layer, images), self.labels[index]

    def _distorted(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """The images, rotated about their centres and scaled, by bilinear interpolation."""
        uniform = torch.rand((3, len(images)), generator=generator) * 2 - 1
        angles = uniform[0] * math.radians(self.recipe.rotation)
        height, width = uniform[1:] * self.recipe.scaling + 1
        cosines, sines, zeros = angles.cos(), angles.sin(), torch.zeros_like(angles)
        rows = [
            torch.stack([cosines * width, -sines * height, zeros], 1),
            torch.stack([sines * width, cosines * height, zeros], 1),
        ]
        shape = list(images.shape)
        grid = functional.affine_grid(torch.stack(rows, 1), shape, align_corners=False)
        # `grid_sample` takes zero outside the image, so the background must be zero meanwhile.
        background = self.layer.background
        foreground = images.float() - background
        return functional.grid_sample(foreground, grid, align_corners=False) + background
