"""Training in PyTorch (extra `train`): float32, one thread, seeded.

The same seed, training files, machine and PyTorch give the same weights, bit for bit.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from systolith.golden.choices import choice
from systolith.golden.files.datasets import (
    Dataset,
    DatasetReference,
    hold_out,
    training_files,
)
from systolith.golden.network import shipped
from systolith.golden.network.dataset_check import check_dataset
from systolith.golden.network.graph import Convolution, Layer, Network, RadialBasis, Subsampling
from systolith.golden.network.trained_network import TrainedNetwork
from systolith.scripts.training.recipe import RECIPES, Recipe
from systolith.scripts.training.shifted_images import ShiftedImages
from systolith.scripts.training.torch_network import GraphModule, input_values

_EVALUATION_BATCH = 500


@dataclass(frozen=True)
class Progress:
    """The state after an epoch: its mean loss, and the accuracy on the validation images."""

    epoch: int
    epochs: int
    loss: float
    validation_accuracy: float


def train(
    name: str,
    data_dir: str | os.PathLike[str],
    seed: int,
    progress: Callable[[Progress], None] = lambda _: None,
    recipe: Recipe | None = None,
) -> TrainedNetwork:
    """Train one of the networks that ship on the MNIST training files.

    The last 5,000 images are validation images. The returned weights are those of the epoch with
    the highest accuracy on them; on a tie, of the later epoch. The network says what it was trained
    on: the name and the hash of all images and labels in the files.

    Parameters
    ----------
    name
        The name of the network.
    data_dir
        The folder of `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, gzipped or not.
    seed
        The seed of initial weights, order and shifts, from 0 to 2**63 - 1.
    progress
        Called after each epoch.
    recipe
        A recipe other than the network's own.

    Raises
    ------
    ValueError
        The network is unknown, the seed is out of range, or a file is missing or damaged.
    """
    graph = shipped.network(name)
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed must be from 0 to 2**63 - 1, not {seed}")
    everything = training_files(data_dir)
    origin = DatasetReference(everything.name, everything.sha256, len(everything))
    training, validation = hold_out(everything)
    for dataset in (training, validation):
        check_dataset(graph, dataset)
    with _one_deterministic_thread():
        trained = _train(graph, recipe or RECIPES[name], training, validation, seed, progress)
    return replace(trained, trained_on=origin)


def _train(
    graph: Network,
    recipe: Recipe,
    training: Dataset,
    validation: Dataset,
    seed: int,
    progress: Callable[[Progress], None],
) -> TrainedNetwork:
    generator = torch.Generator().manual_seed(seed)
    model = GraphModule(graph)
    _start(model, recipe, generator)
    average = GraphModule(graph)
    average.load_state_dict(model.state_dict())
    shifted = ShiftedImages(graph.input, training, recipe)
    criterion = _criterion(graph.output, recipe)

    parameters = [p for p in model.parameters() if p.requires_grad]
    averages = [average.get_parameter(n) for n, p in model.named_parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=recipe.peak_rate, weight_decay=recipe.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.peak_rate, total_steps=recipe.epochs * shifted.batches
    )
    best_accuracy, best = -1.0, None
    for epoch in range(1, recipe.epochs + 1):
        total = 0.0
        for images, labels in shifted.epoch(generator):
            optimizer.zero_grad(set_to_none=True)
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                torch._foreach_lerp_(averages, parameters, 1 - recipe.averaging)
            total += loss.item()
        accuracy = _accuracy(average, validation)
        progress(Progress(epoch, recipe.epochs, total / shifted.batches, accuracy))
        if accuracy >= best_accuracy:
            best_accuracy, best = accuracy, average.trained()
    assert best is not None
    return best


def _start(model: GraphModule, recipe: Recipe, generator: torch.Generator) -> None:
    """Initialize the weights; biases are zero already."""
    for layer, source, _ in model.network.computing_layers():
        parameters = model.parameters_of(layer)
        if "weights" not in parameters:
            continue
        weights = parameters["weights"].data
        if isinstance(layer, RadialBasis):
            codes = torch.from_numpy(shipped.output_codes())
            low, high = recipe.centres
            weights.copy_((codes + 1) / 2 * (high - low) + low)
            parameters["weights"].requires_grad_(recipe.train_centres)
            continue
        if isinstance(layer, Subsampling):
            weights.fill_(1 / math.prod(layer.window))
            continue
        fan_in = torch.tensor(math.prod(weights.shape[:-1]), dtype=torch.float32)
        if isinstance(layer, Convolution):
            links = torch.tensor([len(maps) for maps in layer.sources(source)])
            fan_in = links * math.prod(layer.kernel)
        choice(_STARTS, recipe.start, "start")(weights, fan_in, generator)


def _start_as_paper(weights: Tensor, fan_in: Tensor, generator: torch.Generator) -> None:
    weights.uniform_(-2.4, 2.4, generator=generator).div_(fan_in)


def _start_as_he(weights: Tensor, fan_in: Tensor, generator: torch.Generator) -> None:
    weights.normal_(generator=generator).mul_((2 / fan_in).sqrt())


_STARTS: Mapping[str, Callable[[Tensor, Tensor, torch.Generator], None]] = {
    "paper": _start_as_paper,
    "he": _start_as_he,
}


def _criterion(output: Layer, recipe: Recipe) -> Callable[[Tensor, Tensor], Tensor]:
    return choice(_CRITERIA, output.winner, "winner")(recipe)


def _cross_entropy(_: Recipe) -> Callable[[Tensor, Tensor], Tensor]:
    loss: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy
    return loss


def _maximum_a_posteriori(recipe: Recipe) -> Callable[[Tensor, Tensor], Tensor]:
    def maximum_a_posteriori(distances: Tensor, labels: Tensor) -> Tensor:
        """Equation 9 of the paper, with j = 10, on scaled distances."""
        distances = distances * recipe.distance_scale
        constant = torch.full((len(distances), 1), -10.0)
        competing = torch.logsumexp(torch.cat([-distances, constant], 1), 1)
        wanted = distances.gather(1, labels[:, None])[:, 0]
        return (wanted + competing).mean()

    return maximum_a_posteriori


_CRITERIA: Mapping[str, Callable[[Recipe], Callable[[Tensor, Tensor], Tensor]]] = {
    "largest": _cross_entropy,
    "smallest": _maximum_a_posteriori,
}
_BEST: Mapping[str, Callable[[Tensor, int], Tensor]] = {
    "largest": torch.argmax,
    "smallest": torch.argmin,
}


def _accuracy(model: GraphModule, dataset: Dataset) -> float:
    """The fraction of images classified correctly."""
    best = choice(_BEST, model.network.output.winner, "winner")
    correct = 0
    with torch.no_grad():
        for first in range(0, len(dataset), _EVALUATION_BATCH):
            part = slice(first, first + _EVALUATION_BATCH)
            images = torch.from_numpy(dataset.images[part].copy()).permute(0, 3, 1, 2)
            scores = model(input_values(model.network.input, images))
            classes = best(scores, 1)
            correct += int((classes.numpy() == dataset.known_labels[part]).sum())
    return correct / len(dataset)


class _one_deterministic_thread:
    """One thread and deterministic algorithms within a `with` block; restores both after it."""

    def __enter__(self) -> None:
        self._threads = torch.get_num_threads()
        self._deterministic = torch.are_deterministic_algorithms_enabled()
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self._threads)
        torch.use_deterministic_algorithms(self._deterministic)
