"""The float model: runs a trained network in floating point, for any layer or the scores alone.

It computes in the type of the weights, float32 for the networks that ship. Internally, feature maps
are `(channels, batch, height, width)`, so that a convolution is one matrix product on slices copied
row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from systolith.golden.choices import choice
from systolith.golden.network.graph import (
    AveragePooling,
    Convolution,
    Dense,
    Input,
    Layer,
    MaxPooling,
    Network,
    Pooling,
    RadialBasis,
    Shape,
    Subsampling,
    WindowedLayer,
)
from systolith.golden.network.raw_images import check_raw_images
from systolith.golden.network.trained_network import Array, TrainedNetwork
from systolith.golden.one_thread import one_blas_thread
from systolith.golden.qformat import RawImages

_BATCH = 200
_BEST = {"largest": np.argmax, "smallest": np.argmin}


def run(trained: TrainedNetwork, images: RawImages) -> dict[str, Array]:
    """Every layer's output by name, including the input layer's (scaled, with its border).

    Memory grows with the batch: a LeNet-5 takes about 0.2 MB an image.

    Parameters
    ----------
    trained
        The network.
    images
        Raw values, `(batch, height, width, channels)`.

    Returns
    -------
    dict
        Floats `(batch, height, width, channels)`, after the layer's activation.

    Raises
    ------
    ValueError
        If the images are not of the shape and type that the network takes.
    """
    return {name: after for name, _, after in intermediates(trained, images)}


def intermediates(trained: TrainedNetwork, images: RawImages) -> Iterator[tuple[str, Array, Array]]:
    """The name of every layer in turn, with its output before and after the activation.

    Parameters, shapes and errors are those of `run`.
    """
    for name, before, after in _layers(trained, _checked(trained, images)):
        yield name, before.transpose(1, 2, 3, 0), after.transpose(1, 2, 3, 0)


def apply(trained: TrainedNetwork, name: str, x: Array) -> Array:
    """The output of one layer for given values of the layer that feeds it.

    Parameters
    ----------
    trained
        The network.
    name
        A layer after the input.
    x
        Floats `(batch, height, width, channels)`.

    Returns
    -------
    array
        The layer's output, after its activation, in the same order of axes.
    """
    layer = trained.network[name]
    shape = trained.network.shapes()[name]
    values = _compute(layer, trained.arrays[name], x.transpose(3, 0, 1, 2), shape)
    return layer.activation(values).transpose(1, 2, 3, 0)


def scores(trained: TrainedNetwork, images: RawImages) -> Array:
    """The values of the last layer for any number of images, `(images, outputs)`, in stream order.

    Raises
    ------
    ValueError
        As `run`.
    """
    images = _checked(trained, images)
    parts = []
    for first in range(0, len(images), _BATCH):
        for _, _, after in _layers(trained, images[first : first + _BATCH]):
            last = after
        parts.append(_flat(last))
    return np.concatenate(parts)


def classes(trained: TrainedNetwork, images: RawImages) -> NDArray[np.int64]:
    """The class of each image: the index of the best score, the lowest index on a tie.

    Raises
    ------
    ValueError
        As `run`.
    """
    return classes_of(trained, scores(trained, images))


def classes_of(trained: TrainedNetwork, values: Array) -> NDArray[np.int64]:
    """The class of each image from its `scores`, `(images, outputs)`.

    Raises
    ------
    ValueError
        As `check_scores`.
    """
    check_scores(trained, values)
    return winners(trained.network, values)


def check_scores(trained: TrainedNetwork, values: Array) -> None:
    """Refuse scores that are not finite, before anything is computed from them.

    Raises
    ------
    ValueError
        A score is not finite: weights or input scale are so large that sums overflow.
    """
    if not np.isfinite(values).all():
        raise ValueError(
            f"network {trained.name!r}: its float scores are not finite, its weights or the scale "
            "of its input are too large"
        )


def winners(network: Network, values: NDArray[Any]) -> NDArray[np.int64]:
    """The class of each row of scores `(images, outputs)`, of either model: see `Layer.winner`."""
    best: NDArray[np.int64] = choice(_BEST, network.output.winner, "winner")(values, axis=1)
    return best


def _checked(trained: TrainedNetwork, images: RawImages) -> RawImages:
    check_raw_images(trained.network, images)
    if not len(images):
        raise ValueError(f"network {trained.name!r}: needs at least 1 image, not 0")
    return images


def _layers(trained: TrainedNetwork, images: RawImages) -> Iterator[tuple[str, Array, Array]]:
    """The name of each layer in turn, with its output before and after the activation.

    What overflows is infinite or not a number from there on, without a warning.
    """
    every_array = [array for arrays in trained.arrays.values() for array in arrays.values()]
    dtype = np.result_type(np.float32, *every_array)
    with np.errstate(over="ignore"):
        values = _input(trained.network.input, images, dtype)
    yield trained.network.input.name, values, values
    for layer, _, shape in trained.network.computing_layers():
        with np.errstate(over="ignore", invalid="ignore"):
            before = _compute(layer, trained.arrays[layer.name], values, shape)
            values = layer.activation(before)
        yield layer.name, before, values


def _input(layer: Input, images: RawImages, dtype: np.dtype[Any]) -> Array:
    border = ((0, 0), (0, 0), (layer.border, layer.border), (layer.border, layer.border))
    pixels = np.pad(images.transpose(3, 0, 1, 2), border, constant_values=layer.background)
    step = dtype.type(layer.scale * layer.format.step)
    values: Array = pixels.astype(dtype) * step + dtype.type(layer.offset)
    return values


@one_blas_thread()
def _compute(layer: Layer, arrays: Mapping[str, Array], x: Array, shape: Shape) -> Array:
    """A layer's output before its activation."""
    return layer.entry(_COMPUTE, "float model")(layer, arrays, x, shape)


def _convolution(layer: Convolution, arrays: Mapping[str, Array], x: Array, shape: Shape) -> Array:
    rows, columns = layer.kernel
    channels, batch = x.shape[:2]
    patches = np.empty((rows, columns, channels, batch, shape.height, shape.width), x.dtype)
    for row, column, values in _by_element(layer, x, shape, 0.0):
        patches[row, column] = values
    if layer.groups == 1:
        kernels = arrays["weights"].reshape(-1, shape.channels).T
        sums: Array = kernels @ patches.reshape(rows * columns * channels, -1)
    else:
        sums = np.concatenate(list(_products_by_group(layer, arrays["weights"], patches)))
    maps = sums.reshape(shape.channels, batch, shape.height, shape.width)
    return maps + _by_channel(arrays["bias"])


def _products_by_group(layer: Convolution, weights: Array, patches: Array) -> Iterator[Array]:
    """The sums of each group's output maps, `(maps, positions)`."""
    inputs, outputs = patches.shape[2] // layer.groups, layer.out_channels // layer.groups
    for group in range(layer.groups):
        into, out = slice(group * inputs, None), slice(group * outputs, (group + 1) * outputs)
        own = weights[:, :, into, out][:, :, :inputs].reshape(-1, outputs)
        yield own.T @ patches[:, :, into][:, :, :inputs].reshape(len(own), -1)


def _subsampling(layer: Subsampling, arrays: Mapping[str, Array], x: Array, shape: Shape) -> Array:
    sums = _pooled(layer, x, shape, np.add, 0.0)
    return sums * _by_channel(arrays["weights"]) + _by_channel(arrays["bias"])


def _average(layer: AveragePooling, arrays: Mapping[str, Array], x: Array, shape: Shape) -> Array:
    counted = layer.values_counted(Shape(x.shape[2], x.shape[3], x.shape[0])).astype(x.dtype)
    return _pooled(layer, x, shape, np.add, 0.0) / counted


def _maximum(layer: MaxPooling, arrays: Mapping[str, Array], x: Array, shape: Shape) -> Array:
    return _pooled(layer, x, shape, np.maximum, -np.inf)


def _dense(layer: Dense, arrays: Mapping[str, Array], x: Array, shape: Shape) -> Array:
    return _maps(_flat(x) @ arrays["weights"] + arrays["bias"])


def _distances(layer: RadialBasis, arrays: Mapping[str, Array], x: Array, shape: Shape) -> Array:
    differences = _flat(x)[:, :, np.newaxis] - arrays["weights"]
    return _maps(np.square(differences).sum(axis=1))


_COMPUTE: dict[type[Layer], Callable[..., Array]] = {
    Convolution: _convolution,
    Subsampling: _subsampling,
    AveragePooling: _average,
    MaxPooling: _maximum,
    Dense: _dense,
    RadialBasis: _distances,
}


def _pooled(
    layer: Pooling,
    x: Array,
    shape: Shape,
    combine: Callable[[Array, Array], Array],
    padding: float,
) -> Array:
    """The values of each window, combined two at a time."""
    return reduce(combine, (values for _, _, values in _by_element(layer, x, shape, padding)))


def _by_element(
    layer: WindowedLayer, x: Array, shape: Shape, padding: float
) -> Iterator[tuple[int, int, Array]]:
    """For each row and column of a window, the values of all windows there."""
    windows = layer.windows
    above, left, below, right = windows.padding
    if any(windows.padding):
        x = np.pad(x, ((0, 0), (0, 0), (above, below), (left, right)), constant_values=padding)
    for row, column in product(*map(range, windows.kernel)):
        down, across = windows.places(row, column, (shape.height, shape.width))
        yield row, column, x[:, :, down, across]


def _by_channel(array: Array) -> Array:
    return array[:, np.newaxis, np.newaxis, np.newaxis]


def _flat(x: Array) -> Array:
    """Maps as rows of values in stream order, `(batch, height * width * channels)`."""
    return x.transpose(1, 2, 3, 0).reshape(x.shape[1], -1)


def _maps(x: Array) -> Array:
    """Rows `(batch, units)` as maps of one pixel."""
    return x.T[:, :, np.newaxis, np.newaxis]
