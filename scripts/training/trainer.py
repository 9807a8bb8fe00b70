"""Training in PyTorch (extra `train`): float32, one thread, seeded.

The same seed, training files, machine and PyTorch give the same weights, bit for bit.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from systolith.golden.files.datasets import Dataset, training_digits
from systolith.golden.network import shipped
from systolith.golden.network.dataset_check import check_dataset
from systolith.golden.network.graph import (
    Activation,
    AveragePooling,
    Convolution,
    Dense,
    Input,
    Layer,
    MaxPooling,
    Network,
    RadialBasis,
    Shape,
    Subsampling,
)
from systolith.golden.network.trained_network import TrainedNetwork

BATCH = 128
"""Images a step."""

MAX_SHIFT = 2
"""Pixels by which a training image is shifted at most, in each direction."""

_EVALUATION_BATCH = 500


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Parameters
    ----------
    epochs
        Passes over the training images.
    peak_rate
        The highest learning rate of the one-cycle schedule.
    weight_decay
        AdamW's.
    rotation, scaling
        By how much a training image is turned at most, in degrees, and how far its height and its
        width are from their own at most, as a fraction; beside the shifts that all images have.
    averaging
        Decay, per step, of the running average of the weights, which is what is evaluated.
    start
        How weights begin: `paper` is uniform in +-2.4 / fan-in (LeCun et al., 1998, appendix A),
        `he` normal with the variance 2 / fan-in (He et al., 2015).
    centres
        Of a radial basis output: the values at which background and ink of the output codes start,
        and whether they stay there.
    distance_scale
        What squared distances are multiplied by in the MAP criterion.
    """

    epochs: int
    peak_rate: float
    weight_decay: float = 0.0
    rotation: float = 0.0
    scaling: float = 0.0
    averaging: float = 0.998
    start: Literal["paper", "he"] = "paper"
    centres: tuple[float, float] = (-1.0, 1.0)
    train_centres: bool = False
    distance_scale: float = 1.0


RECIPES: Mapping[str, Recipe] = {
    "lenet5": Recipe(epochs=16, peak_rate=2e-3, weight_decay=1e-2, distance_scale=0.05),
    "lenet5-sigmoid": Recipe(
        epochs=24, peak_rate=8e-3, centres=(0.0, 1.0), train_centres=True, distance_scale=0.2
    ),
    "lenet5-relu": Recipe(
        epochs=20, peak_rate=3e-3, weight_decay=1e-3, rotation=10.0, scaling=0.1, start="he"
    ),
}


@dataclass(frozen=True)
class Progress:
    """What is known after an epoch: fractions of images; the loss is the epoch's mean."""

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
    """Train a network that ships on the MNIST training files.

    The last 5,000 images are held out; the weights returned are those of the epoch with the
    highest accuracy on them, the later one on a tie.

    Parameters
    ----------
    name
        Of the network.
    data_dir
        The folder of `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, gzipped or not.
    seed
        Of start weights, order and shifts; from 0 to 2**63 - 1.
    progress
        Called after each epoch.
    recipe
        Instead of the network's own.

    Raises
    ------
    ValueError
        If the network is unknown, the seed out of range, or a file missing or damaged.
    """
    graph = shipped.network(name)
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed must be from 0 to 2**63 - 1, not {seed}")
    training, validation = training_digits(data_dir)
    for dataset in (training, validation):
        check_dataset(graph, dataset)
    with _one_deterministic_thread():
        return _train(graph, recipe or RECIPES[name], training, validation, seed, progress)


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


class GraphModule(nn.Module):
    """A graph in PyTorch: scores of float images `(batch, channels, height, width)`.

    Its parameters have the names and shapes of the graph's arrays.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.arrays = nn.ModuleDict()
        self.masks: dict[str, Tensor] = {}
        for layer, source, _ in network.computing_layers():
            self.arrays[layer.name] = nn.ParameterDict(
                {
                    name: nn.Parameter(torch.zeros(shape))
                    for name, shape in layer.array_shapes(source).items()
                }
            )
            if isinstance(layer, Convolution) and layer.connection_table is not None:
                self.masks[layer.name] = _mask(layer, source)

    def parameters_of(self, layer: Layer) -> dict[str, nn.Parameter]:
        """The arrays of a layer, by name."""
        parameters = self.arrays[layer.name]
        assert isinstance(parameters, nn.ParameterDict)
        return dict(parameters.items())

    def weights_of(self, layer: Layer) -> Tensor:
        """The weights of a layer, zero where it has no connection."""
        weights: Tensor = self.parameters_of(layer)["weights"]
        mask = self.masks.get(layer.name)
        return weights if mask is None else weights * mask

    def forward(self, images: Tensor) -> Tensor:
        """The scores, `(batch, outputs)`: the values of the last layer."""
        values = images
        for layer, _, _ in self.network.computing_layers():
            values = self._layer(layer, values)
        return values.flatten(1)

    def _layer(self, layer: Layer, x: Tensor) -> Tensor:
        if isinstance(layer, Convolution):
            weights = self.weights_of(layer).permute(3, 2, 0, 1)
            bias = self.parameters_of(layer)["bias"]
            if x.shape[1:] == weights.shape[1:] and layer.padding == (0, 0):
                # One window: a matrix product takes half the time of a convolution.
                x = (x.flatten(1) @ weights.flatten(1).T + bias)[:, :, None, None]
            else:
                x = functional.conv2d(x, weights, bias, padding=layer.padding)
        elif isinstance(layer, Subsampling):
            # The sum of a window is its mean times the window's size.
            scale = self.weights_of(layer) * math.prod(layer.window)
            x = functional.avg_pool2d(x, layer.window)
            x = x * scale[:, None, None] + self.parameters_of(layer)["bias"][:, None, None]
        elif isinstance(layer, AveragePooling):
            x = functional.avg_pool2d(x, layer.window)
        elif isinstance(layer, MaxPooling):
            x = functional.max_pool2d(x, layer.window)
        elif isinstance(layer, Dense):
            x = x.permute(0, 2, 3, 1).flatten(1)
            x = x @ self.weights_of(layer) + self.parameters_of(layer)["bias"]
            x = x[:, :, None, None]
        elif isinstance(layer, RadialBasis):
            x = x.permute(0, 2, 3, 1).flatten(1)
            x = (x[:, :, None] - self.weights_of(layer)).square().sum(1)[:, :, None, None]
        else:
            layer.fail("cannot be trained")
        return activate(layer.activation, x)

    def trained(self) -> TrainedNetwork:
        """The network with copies of the weights of now."""
        arrays = {}
        for layer, _, _ in self.network.computing_layers():
            parameters: dict[str, Tensor] = dict(self.parameters_of(layer))
            if layer.name in self.masks:
                parameters["weights"] = self.weights_of(layer)
            arrays[layer.name] = {name: p.detach().numpy() for name, p in parameters.items()}
        return TrainedNetwork(self.network, arrays)


class ShiftedImages:
    """Training images in random order, each shifted at random; what is uncovered is background.

    They are turned and scaled as well, if the recipe says so.
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
        self.labels = torch.from_numpy(dataset.labels.copy())
        self.batches = len(dataset) // BATCH
        if not self.batches:
            raise ValueError(f"a batch needs {BATCH} images, not {len(dataset)}")

    def epoch(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of input values and labels; the images that fill no batch are left out."""
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
        """The images turned about their centres and scaled, by bilinear interpolation."""
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
        # Outside the image `grid_sample` takes zero, which must then be the background.
        background = self.layer.background
        foreground = images.float() - background
        return functional.grid_sample(foreground, grid, align_corners=False) + background


def input_values(layer: Input, images: Tensor) -> Tensor:
    """What raw pixels `(batch, channels, height, width)` stand for, border included."""
    bordered = functional.pad(images, (layer.border,) * 4, value=layer.background)
    return bordered.float().mul_(layer.scale).add_(layer.offset)


def activate(activation: Activation, x: Tensor) -> Tensor:
    """The activation of each value.

    Raises
    ------
    ValueError
        The function has no entry in `_ACTIVATIONS`.
    """
    if activation.kind not in _ACTIVATIONS:
        raise ValueError(
            f"activation {activation.kind!r} cannot be trained: "
            f"allowed are {', '.join(_ACTIVATIONS)}"
        )
    return _ACTIVATIONS[activation.kind](activation, x)


def _scaled_tanh(activation: Activation, x: Tensor) -> Tensor:
    squashed: Tensor = _ScaledTanh.apply(x, activation.amplitude, activation.slope)
    return squashed


_ACTIVATIONS: Mapping[str, Callable[[Activation, Tensor], Tensor]] = {
    "none": lambda _, x: x,
    "relu": lambda _, x: torch.relu(x),
    "tanh": _scaled_tanh,
    "sigmoid": lambda scaled, x: scaled.amplitude * torch.sigmoid(scaled.slope * x),
}


class _ScaledTanh(torch.autograd.Function):
    """`amplitude * tanh(slope * x)`, with fewer passes over memory than its parts take."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, amplitude: float, slope: float) -> Tensor:
        tanh = (x * slope).tanh_()
        ctx.save_for_backward(tanh)
        ctx.gain = amplitude * slope
        return tanh * amplitude

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (tanh,) = ctx.saved_tensors
        return torch.ops.aten.tanh_backward(gradient, tanh).mul_(ctx.gain), None, None


def _mask(layer: Convolution, source: Shape) -> Tensor:
    mask = torch.zeros(source.channels, layer.out_channels)
    for out, maps in enumerate(layer.sources(source)):
        mask[list(maps), out] = 1
    return mask


def _start(model: GraphModule, recipe: Recipe, generator: torch.Generator) -> None:
    """Fill the parameters; biases start at zero."""
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
        if recipe.start == "paper":
            weights.uniform_(-2.4, 2.4, generator=generator).div_(fan_in)
        else:
            weights.normal_(generator=generator).mul_((2 / fan_in).sqrt())


def _criterion(output: Layer, recipe: Recipe) -> Callable[[Tensor, Tensor], Tensor]:
    if output.winner == "largest":
        cross_entropy: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy
        return cross_entropy

    def maximum_a_posteriori(distances: Tensor, labels: Tensor) -> Tensor:
        """Equation 9 of the paper, with j = 10, on scaled distances."""
        distances = distances * recipe.distance_scale
        constant = torch.full((len(distances), 1), -10.0)
        competing = torch.logsumexp(torch.cat([-distances, constant], 1), 1)
        wanted = distances.gather(1, labels[:, None])[:, 0]
        return (wanted + competing).mean()

    return maximum_a_posteriori


def _accuracy(model: GraphModule, dataset: Dataset) -> float:
    """The fraction of images classified correctly."""
    largest = model.network.output.winner == "largest"
    correct = 0
    with torch.no_grad():
        for first in range(0, len(dataset), _EVALUATION_BATCH):
            part = slice(first, first + _EVALUATION_BATCH)
            images = torch.from_numpy(dataset.images[part].copy()).permute(0, 3, 1, 2)
            scores = model(input_values(model.network.input, images))
            classes = scores.argmax(1) if largest else scores.argmin(1)
            correct += int((classes.numpy() == dataset.labels[part]).sum())
    return correct / len(dataset)


class _one_deterministic_thread:
    """PyTorch's settings within a `with` block; those from before return after it."""

    def __enter__(self) -> None:
        self._threads = torch.get_num_threads()
        self._deterministic = torch.are_deterministic_algorithms_enabled()
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self._threads)
        torch.use_deterministic_algorithms(self._deterministic)
