"""Where the values of a tensor stand in the stream of a map: what its axes mean.

Nothing here follows names such as NCHW. A tensor's places are compared with those that it would
have with its channels first, so that any row of transposes and reshapes is seen through.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from systolith.golden.network.graph import Shape
from systolith.golden.onnx.translation.call import Call, Signal
from systolith.golden.onnx.translation.steps import Layout, Order, Scaling, Source, Step


class Pads(NamedTuple):
    """Zeros around a map: rows before and after, columns before and after."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """A tensor `(batch, channels, height, width)` that holds a whole map in its order.

    `flat` says that the tensor has no axis of rows: it is `(batch, channels, width)`.
    """

    step: Step
    pads: Pads
    flat: bool

    @property
    def shape(self) -> Shape:
        """The map's shape, without the zeros around it."""
        return self.step.shape


def channels_first(images: int, shape: Shape) -> Order:
    """The places of a tensor `(batch, channels, height, width)`."""
    return np.arange(images * shape.size).reshape(images, *shape).transpose(0, 3, 1, 2)


def feature_map(call: Call, signal: Signal) -> FeatureMap:
    """A tensor as the feature map of a convolution or a pooling; refused if it is no whole map."""
    order, flat = signal.order, signal.order.ndim == 3
    if flat:
        order = order[:, :, np.newaxis, :]
    if order.ndim != 4:
        call.abandon("input 1", f"must have 4 axes, or 3, not {order.ndim}")
    pads = _zeros_around(order)
    rows, columns = order.shape[2] - pads.bottom, order.shape[3] - pads.right
    inner = order[:, :, pads.top : rows, pads.left : columns]
    step = signal.step
    if not inner.size or len(inner) != call.images:
        call.abandon("input 1", "its first axis is not that of the images")
    if not has_layout(step):
        step = with_layout(call, signal, inner[0].transpose(1, 2, 0))
        inner = placed(inner, step, call.images)
    channels, height, width = inner.shape[1:]
    if step.shape != Shape(height, width, channels) or not np.array_equal(
        inner, channels_first(call.images, step.shape)
    ):
        call.abandon(
            "input 1",
            f"is no {height} x {width} map of {channels} channels: values were moved, cut off or "
            f"repeated since the last layer, a map of {step.shape}",
        )
    return FeatureMap(step, pads, flat)


def made(call: Call, shape: Shape, flat: bool = False) -> Order:
    """The places of the output tensor of a convolution or a pooling."""
    call.require_size(call.images * shape.size)
    order = channels_first(call.images, shape)
    return order[:, :, 0, :] if flat else order


def has_layout(step: Step) -> bool:
    """Whether rows, columns and channels are known."""
    return any(isinstance(each, Layout) for each in step.chain())


def with_layout(call: Call, signal: Signal, places: Order) -> Step:
    """The input as an image whose pixels stand at `places` `(row, column, channel)`."""
    size = signal.step.shape.size
    if places.size != size or not np.array_equal(np.sort(places, axis=None), np.arange(size)):
        call.abandon("input 1", "is not the whole image: some of it was cut off or repeated")
    return _layout(signal.step, places)


def laid_out(call: Call, signal: Signal) -> Signal:
    """The signal with a known layout: that of the input's axes, unless it is known already."""
    if has_layout(signal.step):
        return signal
    step = usual_layout(signal.step)
    return Signal(placed(signal.order, step, call.images), step)


def usual_layout(step: Step) -> Layout:
    """The layout of an image if only the sizes of its axes are known.

    Three axes are channels, rows, columns, unless only the last is as small as colours are; two
    are rows and columns; any other number is a row of values, or the image that it was declared
    to be.
    """
    source = list(step.chain())[-1]
    dims = source.order.shape[1:]
    flat = np.arange(int(np.prod(dims)))
    places: Order
    if isinstance(source, Source) and source.image is not None:
        places = flat.reshape(source.image)
    elif len(dims) == 2:
        places = flat.reshape(*dims, 1)
    elif len(dims) != 3:
        places = flat.reshape(1, 1, -1)
    elif dims[2] <= 4 < dims[0]:
        places = flat.reshape(dims)
    else:
        places = flat.reshape(dims).transpose(1, 2, 0)
    return _layout(step, places)


def output_layout(end: Signal) -> Layout | None:
    """The layout of an image by an output that is one: its axes are channels, rows and columns.

    None if the output has other axes, or if it is not the whole image.
    """
    size = end.step.shape.size
    if end.order.ndim != 4 or not np.array_equal(np.sort(end.order[0], axis=None), np.arange(size)):
        return None
    return _layout(end.step, end.order[0].transpose(1, 2, 0))


def in_image(step: Step, layout: Layout) -> Step:
    """A step before the layout was known, its places counted as in the image."""
    size, places = layout.shape.size, layout.places.ravel()
    new = np.empty(size, np.int64)
    new[places] = np.arange(size)
    image, place = np.divmod(step.order, size)
    order = np.where(step.order < 0, -1, image * size + new[place])
    moved = replace(step, shape=layout.shape, order=order)
    if isinstance(moved, Scaling):
        return replace(moved, gain=moved.gain[places], offset=moved.offset[places])
    return moved


def unusual_axes(last: Step) -> list[str]:
    """A note if the rows of the image are not an earlier axis of the input than its columns.

    Nodes decide what axes mean. A square image with its rows in the columns' place would pass
    unnoticed.
    """
    layout = next((each for each in last.chain() if isinstance(each, Layout)), None)
    if layout is None or min(layout.shape[:2]) < 2:
        return []
    places = layout.places
    if places[1, 0, 0] - places[0, 0, 0] > places[0, 1, 0] - places[0, 0, 0]:
        return []
    note = (
        f"{layout.tensor}: its rows are read from a later axis than its columns: an image is given "
        f"as {layout.shape}, transposed against the model's input"
    )
    return [note]


def _layout(step: Step, places: Order) -> Layout:
    return Layout(
        source=step,
        shape=Shape(*places.shape),
        node=None,
        tensor=step.tensor,
        order=step.order,
        places=places,
    )


def placed(order: Order, layout: Step, images: int) -> Order:
    """Places in an input tensor as places in the image."""
    assert isinstance(layout, Layout)
    size = layout.shape.size
    new = np.empty(size, np.int64)
    new[layout.places.ravel()] = np.arange(size)
    whole = np.concatenate([image * size + new for image in range(images)])
    return np.where(order < 0, -1, whole[order])


def _zeros_around(order: Order) -> Pads:
    """The rows and columns at the edges of a tensor that are all zeros."""
    filled = order >= 0
    rows = np.flatnonzero(filled.any(axis=(0, 1, 3)))
    columns = np.flatnonzero(filled.any(axis=(0, 1, 2)))
    if not len(rows):
        return Pads()
    height, width = filled.shape[2:]
    return Pads(
        int(rows[0]), height - 1 - int(rows[-1]), int(columns[0]), width - 1 - int(columns[-1])
    )
