"""Exact integer execution of a quantized network, every intermediate on request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from systolith.golden.fixed import arithmetic
from systolith.golden.fixed.integers import FixedLayer, FixedNetwork, Integers
from systolith.golden.fixed.kernels import Engine, Kernel, LinearKernel, Map, kernel_of
from systolith.golden.network import float_model
from systolith.golden.network.activations import FixedForm
from systolith.golden.network.graph import Convolution, Layer, MaxPooling
from systolith.golden.network.raw_images import check_raw_images
from systolith.golden.network.windows import Windows
from systolith.golden.one_thread import one_blas_thread
from systolith.golden.qformat import RawImages

BATCH = 64
"""Images computed at a time: few enough that their maps stay in the processor's cache."""

_FLOAT_BITS = 24

_RECTIFIES = {
    FixedForm.IDENTITY: False,
    FixedForm.RECTIFIER: True,
    FixedForm.CLAMP: False,
    FixedForm.TABLE: False,
}
"""Whether negative accumulators become zero."""


@dataclass(frozen=True, eq=False)
class FixedRun:
    """The values of every layer after the input for some images, by layer name.

    `outputs` are raw values of shape `(batch, height, width, channels)`; `saturated` counts, by
    channel over all images, the values that left their range when they were requantized.
    """

    outputs: dict[str, Integers]
    saturated: dict[str, Integers]


class FixedModel:
    """A quantized network ready to run on many images; its buffers allow one call at a time.

    Parameters
    ----------
    fixed
        The network.
    engine
        The type to compute in, for every layer; by default the fastest that a bound from the
        layer's weights allows. The result does not depend on it.

    Raises
    ------
    OverflowError
        Sums of a layer do not fit the engine.
    """

    def __init__(self, fixed: FixedNetwork, engine: Engine | None = None) -> None:
        self.fixed = fixed
        self._every = [_Step(layer, kernel_of(layer, engine)) for layer in fixed.layers]
        self._fused = [_step(layers, engine) for layers in _fused(fixed.layers)]

    @one_blas_thread()
    def run(self, images: RawImages) -> FixedRun:
        """Every layer's values for raw images `(batch, height, width, channels)`.

        Raises
        ------
        ValueError
            The images have another shape or type.
        """
        outputs = {
            layer.name: np.empty((len(images), *layer.output_shape), np.int64)
            for layer in self.fixed.layers
        }
        saturated = {
            layer.name: np.zeros(layer.output_shape.channels, np.int64)
            for layer in self.fixed.layers
        }
        for part in _batches(self.fixed, images):
            x = images[part].transpose(3, 1, 2, 0)
            for step in self._every:
                x, left = step.counted(x)
                outputs[step.layer.name][part] = x.transpose(3, 1, 2, 0)
                saturated[step.layer.name] += left
        return FixedRun(outputs, saturated)

    @one_blas_thread()
    def scores(self, images: RawImages) -> Integers:
        """The last layer's values `(batch, values)` for raw images, faster than `run`.

        Raises
        ------
        ValueError
            The images have another shape or type.
        """
        scores = np.empty((len(images), self.fixed.layers[-1].output_shape.size), np.int64)
        for part in _batches(self.fixed, images):
            x = images[part].transpose(3, 1, 2, 0)
            for step in self._fused:
                x = step(x)
            scores[part] = _rows(x)
        return scores

    def classes(self, images: RawImages) -> Integers:
        """The class of each image `(batch,)`: the winner among the scores."""
        return winners(self.fixed, self.scores(images))


def run(fixed: FixedNetwork, images: RawImages) -> FixedRun:
    """Every layer's values; see `FixedModel.run`."""
    return FixedModel(fixed).run(images)


def scores(fixed: FixedNetwork, images: RawImages) -> Integers:
    """The last layer's values; see `FixedModel.scores`."""
    return FixedModel(fixed).scores(images)


def classes(fixed: FixedNetwork, images: RawImages) -> Integers:
    """The class of each image; see `FixedModel.classes`."""
    return FixedModel(fixed).classes(images)


@one_blas_thread()
def classes_of_variants(variants: Sequence[FixedNetwork], images: RawImages) -> list[Integers]:
    """The class of each image by variants of a network, which differ from some layer on.

    Layers before it, which are the same objects in all variants, are computed once, and variants
    share the memory of later ones that are. The classes are those of `classes`.

    Parameters
    ----------
    variants
        Networks with the same input, at least one.
    images
        Raw values `(images, height, width, channels)`.

    Raises
    ------
    ValueError
        The images have another shape or type.
    OverflowError
        As `FixedModel`.
    """
    paths = [list(_fused(each.layers)) for each in variants]
    steps = {layers: _step(layers) for path in paths for layers in path}
    places = zip(*paths, strict=False)
    shared = sum(1 for _ in takewhile(lambda place: len(set(place)) == 1, places))
    found = [np.empty(len(images), np.int64) for _ in variants]
    for part in _batches(variants[0], images):
        start = images[part].transpose(3, 1, 2, 0)
        for layers in paths[0][:shared]:
            start = steps[layers](start)
        for variant, path, given in zip(variants, paths, found, strict=True):
            x = start
            for layers in path[shared:]:
                x = steps[layers](x)
            given[part] = winners(variant, _rows(x).astype(np.int64))
    return found


def winners(fixed: FixedNetwork, values: Integers) -> Integers:
    """The class of each row of scores `(batch, values)`: the lowest index among the best."""
    return float_model.winners(fixed.network, values)


class _Step:
    """A layer: its kernel, then bias, ReLU and requantization."""

    def __init__(self, layer: FixedLayer, kernel: Kernel) -> None:
        self.layer = layer
        self._kernel = kernel
        self._relu = layer.layer.activation.entry(_RECTIFIES, "fixed-point execution")
        self._none_left = np.zeros(layer.output_shape.channels, np.int64)
        how = layer.requantization
        # The limits of a wider target are not exact in float32.
        self._in_floats = kernel.engine != "int64" and (
            how is None
            or (
                (how.rounding, how.overflow, how.multiplier) == ("half_up", "saturate", 1)
                and how.target.bits <= _FLOAT_BITS
            )
        )
        if not self._in_floats:
            return
        channels = layer.output_shape.channels
        constant = np.zeros(channels) if layer.bias is None else layer.bias.astype(np.float64)
        if how is not None:
            shifts = np.broadcast_to(how.shifts, channels)
            # Half an LSB; in floats the shift is exact, and `floor` rounds once.
            constant += np.where(shifts > 0, np.ldexp(0.5, shifts), 0.0)
            self._scale = _by_channel(np.ldexp(1.0, -shifts), kernel.dtype)
            # Rounding preserves order and zero, so ReLU is a lower limit of the saturation.
            low, self._high = how.range
            self._low = max(low, 0) if self._relu else low
            self._table = None if how.table is None else how.table.astype(kernel.dtype)
        self._index = np.empty(0, np.intp)
        self._constant = _by_channel(constant, kernel.dtype)
        self._constant_matters = bool(constant.any())

    def __call__(self, x: Map) -> Map:
        """The layer's values."""
        return self._finish(x, count=False)[0]

    def counted(self, x: Map) -> tuple[Map, Integers]:
        """The layer's values, and the number of saturated values of each channel."""
        return self._finish(x, count=True)

    def _finish(self, x: Map, count: bool) -> tuple[Map, Integers]:
        acc = self._kernel(x)
        how = self.layer.requantization
        if not self._in_floats:
            return self._in_integers(acc)
        if self._constant_matters:
            acc += self._constant
        if how is None:
            return (np.maximum(acc, 0, out=acc) if self._relu else acc), self._none_left
        acc *= self._scale
        np.floor(acc, out=acc)
        left = self._none_left
        if count:
            if how.limits[1] is None:
                left = _by_first_axis(acc > how.target.max_raw)
            if not self._relu and how.limits[0] is None:
                left = left + _by_first_axis(acc < how.target.min_raw)
        if self._table is None:
            return np.clip(acc, self._low, self._high, out=acc), left
        if self._relu:
            np.maximum(acc, 0, out=acc)
        acc -= how.target.min_raw
        if self._index.shape != acc.shape:
            self._index = np.empty(acc.shape, np.intp)
        np.copyto(self._index, acc, casting="unsafe")
        # `clip` saturates, and is five times as fast as a take that checks.
        return np.take(self._table, self._index, out=acc, mode="clip"), left

    def _in_integers(self, acc: Map) -> tuple[Map, Integers]:
        values = np.moveaxis(acc, 0, -1).astype(np.int64)
        if self.layer.bias is not None:
            values += self.layer.bias
        if self._relu:
            np.maximum(values, 0, out=values)
        left = self._none_left
        if self.layer.requantization is not None:
            values, left = arithmetic.requantize(values, self.layer.requantization)
        return np.moveaxis(values, -1, 0), left


def _fused(layers: tuple[FixedLayer, ...]) -> Iterator[tuple[FixedLayer, ...]]:
    """The layers of each step: a convolution and a max pooling that follows it are one.

    Where requantizing preserves order, the largest value is that of the largest accumulator.
    """
    position = 0
    while position < len(layers):
        layer, *following = layers[position : position + 2]
        pooled = (
            isinstance(layer.layer, Convolution)
            and any(_may_be_fused(layer.layer, each.layer) for each in following)
            and _preserves_order(layer)
        )
        taken = layers[position : position + 1 + pooled]
        yield taken
        position += len(taken)


def _may_be_fused(conv: Convolution, following: Layer) -> bool:
    """Whether `LinearKernel` can compute a layer after a convolution: plain max pooling."""
    return (
        isinstance(following, MaxPooling)
        and following.windows == Windows(following.window, following.window)
        and conv.groups == 1
        and conv.windows == replace(Windows(conv.kernel), padding=conv.pads)
    )


def _step(layers: tuple[FixedLayer, ...], engine: Engine | None = None) -> _Step:
    """A step of `_fused`: max pooling is applied to accumulators, not to results, for speed."""
    layer, *pooling = layers
    if not pooling:
        return _Step(layer, kernel_of(layer, engine))
    assert isinstance(pooling[0].layer, MaxPooling)
    return _Step(layer, LinearKernel(layer, engine, tile=pooling[0].layer.window))


def _batches(fixed: FixedNetwork, images: RawImages) -> Iterator[slice]:
    check_raw_images(fixed.network, images)
    for start in range(0, len(images), BATCH):
        yield slice(start, start + BATCH)


def _rows(x: Map) -> Map:
    """A map as a row of values for each image, in stream order."""
    return x.transpose(3, 1, 2, 0).reshape(x.shape[-1], -1)


def _preserves_order(layer: FixedLayer) -> bool:
    how = layer.requantization
    return how is None or (
        how.overflow == "saturate"
        and how.multiplier > 0
        and (how.table is None or bool((np.diff(how.table) >= 0).all()))
    )


def _by_first_axis(flags: NDArray[np.bool_]) -> Integers:
    """The number of true flags of each channel; counting by channel is faster than along axes."""
    return np.array([np.count_nonzero(each) for each in flags], np.int64)


def _by_channel(values: NDArray[Any], dtype: np.dtype[Any]) -> Map:
    return values.astype(dtype)[:, None, None, None]
