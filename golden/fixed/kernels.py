"""Exact sums of layers, computed by BLAS in floats where a bound from the weights allows it.

Maps are `(channels, height, width, batch)` here: the batch is the innermost axis, so that every
slice is copied, summed or compared in long runs. The floats are integers throughout, and no partial
sum, in any order that BLAS may choose, leaves the range in which the type represents every integer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from systolith.golden.choices import choice
from systolith.golden.fixed.accumulator import accumulator_range
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.graph import (
    AveragePooling,
    Convolution,
    Dense,
    Layer,
    MaxPooling,
    Pooling,
    RadialBasis,
    Subsampling,
)
from systolith.golden.network.windows import Padding, Windows

Engine = Literal["float32", "float64", "int64"]
Map = NDArray[Any]

_LIMITS: dict[Engine, int] = {"float32": 1 << 24, "float64": 1 << 53, "int64": 1 << 63}


def fastest_engine(bound: int) -> Engine:
    """The fastest type that holds every integer whose magnitude is at most `bound`.

    Raises
    ------
    OverflowError
        64 bits do not.
    """
    for engine, limit in _LIMITS.items():
        if bound < limit:
            return engine
    raise OverflowError(f"sums of up to {bound.bit_length()} bits do not fit 64 bits")


class Kernel(ABC):
    """The exact accumulators of one layer, bias not included.

    Parameters
    ----------
    layer
        The layer.
    engine
        The type to compute in; without one, the fastest that `bound` allows.

    Raises
    ------
    ValueError
        The engine is unknown.
    OverflowError
        The bound does not fit the engine.
    """

    def __init__(self, layer: FixedLayer, engine: Engine | None = None) -> None:
        self.layer = layer
        self.bound = self._bound()
        self.engine = engine or fastest_engine(self.bound)
        if self.bound >= choice(_LIMITS, self.engine, "engine"):
            raise OverflowError(
                f"layer {layer.name!r}: sums of up to {self.bound.bit_length()} bits do not fit "
                f"{self.engine}"
            )
        self.dtype = np.dtype(self.engine)
        self._buffers: dict[str, Map] = {}

    @abstractmethod
    def __call__(self, x: Map) -> Map:
        """Accumulators of a map of this kernel's type, in a buffer that the next call reuses."""

    def _bound(self) -> int:
        """The largest magnitude of an input value or of any sum on the way, bias included."""
        source = self.layer.input_format
        low, high = accumulator_range(self.layer)
        return max(-low, high, -source.min_raw, source.max_raw)

    def pad(self, x: Map) -> Map:
        """The map in this kernel's type, with the layer's padding around it."""
        padding, (channels, height, width, batch) = self.layer.padding, x.shape
        if not any(padding):
            return x.astype(self.dtype, order="C", copy=False)
        shape = (channels, *padding.size(height, width), batch)
        padded, fresh = self._buffer("padded", shape)
        if fresh:
            padded[...] = self.layer.padding_value
        above, left = padding.above, padding.left
        padded[:, above : above + height, left : left + width] = x
        return padded

    def _buffer(self, name: str, shape: tuple[int, ...]) -> tuple[Map, bool]:
        """An array cached between calls (fresh memory costs page faults), and whether it is new."""
        found = self._buffers.get(name)
        if found is not None and found.shape == shape:
            return found, False
        self._buffers[name] = np.empty(shape, self.dtype)
        return self._buffers[name], True


class LinearKernel(Kernel):
    """Convolution and dense layers as one matrix product, or one for each group of maps.

    With `tile` above 1 x 1, a column of the matrix holds the inputs of a whole tile of
    neighbouring outputs, whose largest is the result: a max pooling of the accumulators, with
    fewer copies of each input.
    """

    def __init__(
        self, layer: FixedLayer, engine: Engine | None = None, tile: tuple[int, int] = (1, 1)
    ) -> None:
        super().__init__(layer, engine)
        self._tile = tile
        size, conv = _padded_size(layer), layer.layer
        assert layer.weights is not None
        if isinstance(conv, Convolution):
            self._windows, groups = conv.windows, conv.groups
        else:
            self._windows, groups = Windows(kernel=size), 1
        if tile != (1, 1):
            rows, columns = self._windows.kernel
            self._windows = Windows(kernel=(rows + tile[0] - 1, columns + tile[1] - 1), stride=tile)
        self._output = replace(self._windows, padding=Padding()).count(*size)
        kernel = conv.kernel if isinstance(conv, Convolution) else size
        weights = layer.weights.reshape(*kernel, layer.input_shape.channels, -1)
        matrix = _tiled(weights, tile, self._windows.kernel)
        self._matrices = _by_group(matrix, groups).astype(self.dtype)

    def __call__(self, x: Map) -> Map:
        padded = self.pad(x)
        groups, rows, values = self._matrices.shape
        positions = self._output[0] * self._output[1] * x.shape[-1]
        outputs, _ = self._buffer("outputs", (groups, rows, positions))
        columns = self._columns(padded).reshape(groups, values, positions)
        np.matmul(self._matrices, columns, out=outputs)
        tiles = outputs.reshape(self._tile[0] * self._tile[1], -1, *self._output, x.shape[-1])
        largest: Map = tiles[0]
        for tile in tiles[1:]:
            np.maximum(largest, tile, out=largest)
        return largest

    def _columns(self, x: Map) -> Map:
        """The patches of a map as `(patch values, patches)`."""
        channels, _, _, batch = x.shape
        rows, columns = self._windows.kernel
        if self._output == (1, 1) and self._windows.dilation == (1, 1):
            return x[:, :rows, :columns].reshape(-1, batch)
        patches, _ = self._buffer("columns", (channels, rows, columns, *self._output, batch))
        for row, column in product(range(rows), range(columns)):
            down, across = self._windows.places(row, column, self._output)
            patches[:, row, column] = x[:, down, across]
        return patches.reshape(channels * rows * columns, -1)


class RadialBasisKernel(Kernel):
    """Squared distances as `sum x**2 - 2 sum x w + sum w**2`."""

    def __init__(self, layer: FixedLayer, engine: Engine | None = None) -> None:
        super().__init__(layer, engine)
        assert layer.weights is not None
        height, width = _padded_size(layer)
        centres = layer.weights.reshape(height, width, layer.input_shape.channels, -1)
        centres = centres.transpose(3, 2, 0, 1)
        self._centres = centres.reshape(len(centres), -1).astype(self.dtype)
        self._squares = (self._centres**2).sum(axis=1)[:, None]

    def _bound(self) -> int:
        layer = self.layer
        assert layer.weights is not None
        centres = abs(layer.weights.astype(object))
        largest = max(-layer.input_format.min_raw, layer.input_format.max_raw)
        largest <<= layer.input_shift
        # Each of the three sums, and any total of them, stays below the sum of all.
        return int((largest**2 + 2 * largest * centres + centres**2).sum(axis=0).max())

    def __call__(self, x: Map) -> Map:
        values = self.pad(x).reshape(-1, x.shape[-1]) * self.dtype.type(1 << self.layer.input_shift)
        products = self._centres @ values
        distances: Map = (values**2).sum(axis=0) - 2 * products + self._squares
        return distances.reshape(-1, 1, 1, x.shape[-1])


class WindowSumKernel(Kernel):
    """Average pooling with its factors, and sub-sampling with its coefficients: sums of windows.

    A sum that is larger than its product with the coefficient is multiplied by zero.
    """

    def __call__(self, x: Map) -> Map:
        first, *others = _window_parts(self.pad(x), self.layer)
        sums, _ = self._buffer("sums", first.shape)
        sums[...] = first
        for part in others:
            sums += part
        if self.layer.weights is not None:
            sums *= self.layer.weights.astype(self.dtype)[:, None, None, None]
        if self.layer.factors is not None:
            sums *= self.layer.factors.astype(self.dtype)[None, :, :, None]
        return sums


class MaxPoolingKernel(Kernel):
    """The largest value of each window."""

    def __call__(self, x: Map) -> Map:
        first, *others = _window_parts(self.pad(x), self.layer)
        largest, _ = self._buffer("largest", first.shape)
        largest[...] = first
        for part in others:
            np.maximum(largest, part, out=largest)
        return largest


def kernel_of(layer: FixedLayer, engine: Engine | None = None) -> Kernel:
    """The kernel of a layer.

    Raises
    ------
    GraphError
        The layer's type has none.
    ValueError, OverflowError
        As `Kernel`.
    """
    return layer.layer.entry(_KERNELS, "fixed-point kernel")(layer, engine)


_KERNELS: dict[type[Layer], type[Kernel]] = {
    Convolution: LinearKernel,
    Subsampling: WindowSumKernel,
    AveragePooling: WindowSumKernel,
    MaxPooling: MaxPoolingKernel,
    Dense: LinearKernel,
    RadialBasis: RadialBasisKernel,
}


def _padded_size(layer: FixedLayer) -> tuple[int, int]:
    return layer.padding.size(layer.input_shape.height, layer.input_shape.width)


def _tiled(
    weights: NDArray[np.int64], tile: tuple[int, int], patch: tuple[int, int]
) -> NDArray[np.int64]:
    """The matrix `(tile rows * tile columns * outputs, channels, patch)` of a convolution."""
    rows, columns, channels, outputs = weights.shape
    matrix = np.zeros((*tile, outputs, channels, *patch), np.int64)
    for i in range(tile[0]):
        for j in range(tile[1]):
            matrix[i, j, :, :, i : i + rows, j : j + columns] = weights.transpose(3, 2, 0, 1)
    return matrix.reshape(tile[0] * tile[1] * outputs, channels, -1)


def _by_group(matrix: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
    """The part of each group in a matrix `(outputs, channels, patch)`: `(groups, outputs, ...)`."""
    outputs, channels, _ = matrix.shape
    rows, inputs = outputs // groups, channels // groups
    parts = [
        matrix[group * rows : (group + 1) * rows, group * inputs : (group + 1) * inputs]
        for group in range(groups)
    ]
    return np.stack([part.reshape(rows, -1) for part in parts])


def _window_parts(x: Map, layer: FixedLayer) -> Iterator[Map]:
    """For each position in a pooling window, the values of all windows there."""
    assert isinstance(layer.layer, Pooling)
    windows = layer.layer.windows
    for row, column in product(*map(range, windows.kernel)):
        down, across = windows.places(row, column, layer.output_shape[:2])
        yield x[:, down, across]
