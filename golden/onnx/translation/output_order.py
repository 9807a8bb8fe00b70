"""The order of a model's output, which the network's scores must have.

A network puts its scores out by row, column and channel. What a model gathers, slices or turns
after its last layer is therefore done to that layer's outputs, or it is no order of the network's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from systolith.golden.network.graph import Shape
from systolith.golden.onnx.translation.call import MAX_CONSTANT, Signal
from systolith.golden.onnx.translation.steps import (
    Ending,
    Order,
    Pool,
    Products,
    Scaling,
    Squashing,
    Step,
)


@dataclass(frozen=True, eq=False)
class Output:
    """A chain whose last map holds the values of a tensor, all of them and no others.

    Parameters
    ----------
    step
        The last step.
    channels_first
        Whether the tensor has all pixels of a channel before those of the next; otherwise it is in
        stream order. Of one pixel or one channel both are the same, and this is False.
    """

    step: Step
    channels_first: bool


def as_output(signal: Signal, images: int) -> Output | None:
    """The chain that ends in the values of a tensor; None if no layer can have them so.

    Channels may be chosen, in any order: the layer that makes them then makes just these.
    """
    step, order = signal.step, signal.order
    channels = step.shape.channels
    pixels = step.shape.height * step.shape.width
    if not order.size or order.size % (images * pixels):
        return None
    first = step.shape.size * np.arange(images)[:, np.newaxis]
    own = order.reshape(images, -1) - first
    if own.min() < 0 or own.max() >= step.shape.size or (own != own[0]).any():
        return None
    by_pixel, by_channel = own[0].reshape(pixels, -1), own[0].reshape(-1, pixels).T
    for table in (by_pixel, by_channel):
        chosen = table[0]
        expected = chosen + channels * np.arange(pixels)[:, np.newaxis]
        if chosen.max() < channels and np.array_equal(table, expected):
            break
    else:
        return None
    if not np.array_equal(chosen, np.arange(channels)):
        only = _with_channels(step, chosen)
        if only is None:
            return None
        step = only
    return Output(step, table is by_channel and pixels > 1 and len(chosen) > 1)


def _with_channels(last: Step, chosen: Order) -> Step | None:
    """The step with some of its channels, in this order; None if it cannot be had so."""
    steps: list[Step] = []
    for step in last.chain():
        steps.append(step)
        if not isinstance(step, Scaling | Squashing | Pool | Ending):
            break
    channels, count = last.shape.channels, len(chosen)
    steps.reverse()
    first = steps[0]
    if not isinstance(first, Products) or first.groups > 1:
        return None
    if first.weights.size // channels * count > MAX_CONSTANT:
        return None
    new = np.full(channels, -1)
    new[chosen] = np.arange(count)
    made = before = None
    for step in steps:
        # Activations share the order of what they are applied to.
        if made is None or before is None or step.order is not before.order:
            pixel, channel = np.divmod(step.order, channels)
            gone = (step.order < 0) | (new[channel] < 0)
            order = np.where(gone, -1, pixel * count + new[channel])
        shape = Shape(step.shape.height, step.shape.width, count)
        before = step
        if isinstance(step, Products):
            step = replace(step, weights=step.weights[..., chosen], bias=step.bias[chosen])
        elif isinstance(step, Scaling):
            gain, offset = (
                each.reshape(-1, channels)[:, chosen].ravel() for each in (step.gain, step.offset)
            )
            step = replace(step, gain=gain, offset=offset)
        made = replace(step, source=step.source if made is None else made, shape=shape, order=order)
    return made
