"""What a unit alone should give, whatever the layers before it could: frames in, values out."""

from __future__ import annotations

import numpy as np

from systolith.golden.fixed import arithmetic
from systolith.golden.fixed.integers import FixedLayer, Integers
from systolith.golden.fixed.kernels import kernel_of

BEATS_TO_FILL = 24
"""Beats that fill the FIFOs of a unit that is not given a large one."""


def random_frames(layer: FixedLayer, seed: int, lanes: int | None = None) -> Integers:
    """Frames of any values, of the smallest, of the largest, and of these two.

    With `lanes` of the output there are as many as give `BEATS_TO_FILL`: a FIFO that is never full
    is not tested.
    """
    rng = np.random.default_rng(seed)
    fmt, shape = layer.input_format, tuple(layer.input_shape)
    ends = np.array([fmt.min_raw, fmt.max_raw])
    beats = layer.output_shape.size // (lanes or layer.output_shape.size)
    rounds = 1 if lanes is None else -(-BEATS_TO_FILL // (4 * beats))
    return np.stack(
        [
            frame
            for _ in range(rounds)
            for frame in (
                rng.integers(fmt.min_raw, fmt.max_raw, shape, endpoint=True),
                np.full(shape, fmt.min_raw),
                np.full(shape, fmt.max_raw),
                rng.choice(ends, shape),
            )
        ]
    )


def many_frames(layer: FixedLayer, count: int, seed: int) -> Integers:
    """Frames of any size of values, many of them few and small: so that sums do not saturate."""
    rng = np.random.default_rng(seed)
    fmt, shape = layer.input_format, tuple(layer.input_shape)
    frames = []
    for _ in range(count):
        values = rng.integers(fmt.min_raw, fmt.max_raw, shape, endpoint=True)
        values >>= rng.integers(0, fmt.bits)
        values[rng.random(shape) < rng.random()] = 0
        frames.append(values)
    return np.stack(frames)


def layer_values(layer: FixedLayer, frames: Integers) -> Integers:
    """The layer's values by the fixed-point model, `(frames, height, width, channels)`."""
    maps = kernel_of(layer, "int64")(frames.transpose(3, 1, 2, 0))
    accumulators = maps.transpose(3, 1, 2, 0).astype(np.int64)
    if layer.bias is not None:
        accumulators += layer.bias
    if layer.layer.activation.is_rectifier:
        accumulators = np.maximum(accumulators, 0)
    if layer.requantization is None:
        return accumulators
    return arithmetic.requantize(accumulators, layer.requantization)[0]
