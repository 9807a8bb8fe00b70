"""Stimuli and expected values of one unit, over the whole range of its input format.

Tests use them for `unit_bench`; a unit must be right for inputs that its network never gives it.
"""

from __future__ import annotations

import numpy as np

from systolith.golden.fixed import arithmetic
from systolith.golden.fixed.integers import FixedLayer, Integers
from systolith.golden.fixed.kernels import kernel_of
from systolith.golden.network.activations import FixedForm

BEATS_TO_FILL = 24
"""A number of output beats that fills the FIFOs of a unit with the default depth."""

_RECTIFIES = {
    FixedForm.IDENTITY: False,
    FixedForm.RECTIFIER: True,
    FixedForm.CLAMP: False,
    FixedForm.TABLE: False,
}
"""Whether negative accumulators become zero."""


def random_frames(layer: FixedLayer, seed: int, lanes: int | None = None) -> Integers:
    """Frames of random values, of the smallest, of the largest, and of these two mixed.

    Given the `lanes` of the output, there are frames enough for `BEATS_TO_FILL`: a FIFO that is
    never full is not tested.
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
    """Frames, many with small or few values, so that sums do not all saturate."""
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
    """The expected values, `(frames, height, width, channels)`, by the kernels of `golden`."""
    maps = kernel_of(layer, "int64")(frames.transpose(3, 1, 2, 0))
    accumulators = maps.transpose(3, 1, 2, 0).astype(np.int64)
    if layer.bias is not None:
        accumulators += layer.bias
    if layer.layer.activation.entry(_RECTIFIES, "expected values"):
        accumulators = np.maximum(accumulators, 0)
    if layer.requantization is None:
        return accumulators
    return arithmetic.requantize(accumulators, layer.requantization)[0]
