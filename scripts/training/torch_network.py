"""A network as a PyTorch module, computed in float32 as the float model computes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

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


class GraphModule(nn.Module):
    """A network in PyTorch: computes the scores of images `(batch, channels, height, width)`.

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
        """The network with copies of the current weights."""
        arrays = {}
        for layer, _, _ in self.network.computing_layers():
            parameters: dict[str, Tensor] = dict(self.parameters_of(layer))
            if layer.name in self.masks:
                parameters["weights"] = self.weights_of(layer)
            arrays[layer.name] = {name: p.detach().numpy() for name, p in parameters.items()}
        return TrainedNetwork(self.network, arrays)


def input_values(layer: Input, images: Tensor) -> Tensor:
    """The values that raw pixels `(batch, channels, height, width)` represent, with the border."""
    bordered = functional.pad(images, (layer.border,) * 4, value=layer.background)
    return bordered.float().mul_(layer.scale).add_(layer.offset)


def activate(activation: Activation, x: Tensor) -> Tensor:
    """Apply an activation to every value.

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


class _ScaledTanh(torch.autograd.Function):
    """`amplitude * tanh(slope * x)` with fewer passes over memory than separate operators."""

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


def _scaled_tanh(activation: Activation, x: Tensor) -> Tensor:
    squashed: Tensor = _ScaledTanh.apply(x, activation.amplitude, activation.slope)
    return squashed


_ACTIVATIONS: Mapping[str, Callable[[Activation, Tensor], Tensor]] = {
    "none": lambda _, x: x,
    "relu": lambda _, x: torch.relu(x),
    "tanh": _scaled_tanh,
    "sigmoid": lambda scaled, x: scaled.amplitude * torch.sigmoid(scaled.slope * x),
}


def _mask(layer: Convolution, source: Shape) -> Tensor:
    mask = torch.zeros(source.channels, layer.out_channels)
    for out, maps in enumerate(layer.sources(source)):
        mask[list(maps), out] = 1
    return mask
