"""Fixed-point layers for tests of units: random integers, exact accumulator ranges."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from systolith.golden.fixed.arithmetic import QFormat
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.graph import Convolution, Layer, RadialBasis, Shape

Integers = NDArray[np.int64]


def random_integers(
    rng: np.random.Generator, fmt: QFormat, shape: tuple[int, ...], extreme: bool
) -> Integers:
    """Raw values of `fmt`, all of them its smallest or largest if `extreme`."""
    if extreme:
        return rng.choice(np.array([fmt.min_raw, fmt.max_raw]), shape)
    return rng.integers(fmt.min_raw, fmt.max_raw, shape, endpoint=True)


def array_layer(
    layer: Layer,
    source: Shape,
    inputs: QFormat,
    weights: QFormat,
    *,
    rng: np.random.Generator,
    extreme: bool = False,
    input_shift: int = 0,
) -> FixedLayer:
    """A layer with random weights, without bias and requantization.

    Its accumulators are exactly as wide as the worst inputs need.
    """
    shape = layer.array_shapes(source)["weights"]
    integers = random_integers(rng, weights, shape, extreme)
    if isinstance(layer, Convolution):
        sources = layer.sources(source)
        integers *= np.array([[m in maps for maps in sources] for m in range(source.channels)])
    fixed = FixedLayer(
        layer,
        source,
        layer.output_shape(source),
        inputs,
        QFormat(62, 0),
        weights=integers,
        weight_formats=(weights,) * shape[-1],
        input_shift=input_shift,
    )
    low, high = accumulator_range(fixed)
    fixed = replace(fixed, accumulator_range=(low, high))
    return replace(fixed, output_format=QFormat(fixed.accumulator_bits, 0))


def accumulator_range(layer: FixedLayer) -> tuple[int, int]:
    """The smallest and the largest partial sum, in any order of summation."""
    assert layer.weights is not None
    flat = layer.weights.reshape(-1, layer.weights.shape[-1])
    ends = np.array([layer.input_format.min_raw, layer.input_format.max_raw]).reshape(2, 1, 1)
    if isinstance(layer.layer, RadialBasis):
        worst = (((ends << layer.input_shift) - flat) ** 2).max(axis=0)
        return 0, int(worst.sum(axis=0).max())
    products = ends * flat
    low = np.minimum(products.min(axis=0), 0).sum(axis=0).min()
    high = np.maximum(products.max(axis=0), 0).sum(axis=0).max()
    return int(low), int(high)
