"""Turns steps into layers: scalings are folded into weights, or become layers of their own.

Every rewriting here is an equality of real numbers. Scalings go back into the weights before them,
or into the input, or forward into weights without padding; what is left becomes a sub-sampling
layer with windows of one value. Activations that never decrease are moved from behind a max
pooling to before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import NoReturn

import numpy as np

from systolith.golden.network.graph import Activation, Shape
from systolith.golden.network.windows import SINGLE_VALUES
from systolith.golden.onnx.model.onnx_graph import Node
from systolith.golden.onnx.preprocessing import Preprocessing
from systolith.golden.onnx.refusals import Refusal
from systolith.golden.onnx.translation.layer_drafts import Draft, DraftError, InputDraft
from systolith.golden.onnx.translation.layouts import in_image
from systolith.golden.onnx.translation.steps import (
    Border,
    Layout,
    Polynomial,
    Pool,
    Products,
    Reals,
    Scaling,
    Squashing,
    Step,
)
from systolith.golden.qformat import PIXELS

_BORDER_TOLERANCE = 1e-4


@dataclass
class _Pending:
    """A scaling that no layer has taken yet, one entry for every value of the map before it."""

    gain: Reals
    offset: Reals
    nodes: list[Node] = field(default_factory=list)
    last: Step | None = None

    @property
    def is_identity(self) -> bool:
        """Whether it changes nothing."""
        return bool((self.gain == 1).all() and (self.offset == 0).all())


def draft_layers(last: Step, preprocessing: Preprocessing) -> tuple[InputDraft, list[Draft]]:
    """The layers that compute the chain up to `last`, of raw values.

    Raises
    ------
    DraftError
        A node that no layer can hold.
    ValueError
        The preprocessing does not fit the channels of the image.
    """
    steps = list(last.chain())[::-1]
    layout = next(each for each in steps if isinstance(each, Layout))
    known = steps.index(layout)
    drafter = _Drafter(layout, preprocessing)
    for step in [*(in_image(each, layout) for each in steps[: known + 1]), *steps[known + 1 :]]:
        if isinstance(step, Scaling):
            drafter.scale(step)
        elif isinstance(step, Border):
            drafter.surround(step)
        elif isinstance(step, Products):
            drafter.weigh(step)
        elif isinstance(step, Pool):
            drafter.pool(step)
        elif isinstance(step, Squashing):
            drafter.squash(step)
        elif isinstance(step, Polynomial):
            _refuse(
                step.node,
                "makes a polynomial of a map, which is taken inside a GELU by a tanh only",
                "train with another activation",
            )
    drafter.settle()
    return drafter.input, drafter.drafts


def _refuse(node: Node | None, reason: str, remedy: str = "") -> NoReturn:
    name, operator = (node.name, node.operator) if node is not None else ("input", "input")
    raise DraftError(Refusal(name, operator, "", reason, remedy))


class _Drafter:
    """The layers so far, and the pending scaling."""

    def __init__(self, layout: Layout, preprocessing: Preprocessing) -> None:
        self.input = InputDraft(layout.shape)
        self.drafts: list[Draft] = []
        pixels = layout.shape.height * layout.shape.width
        gain, offset = preprocessing.affine(layout.shape.channels)
        self._shape = layout.shape
        self._format = preprocessing.format
        self._pending = _Pending(
            np.tile(gain, pixels), np.tile(offset, pixels), last=in_image(layout, layout)
        )

    def scale(self, step: Scaling) -> None:
        """Add a scaling by constants to the last layer or to the pending scaling."""
        assert step.node is not None
        if self.drafts and self._pending.is_identity and self._fold_back(step):
            return
        held = self._pending
        held.gain, held.offset = step.gain * held.gain, step.gain * held.offset + step.offset
        held.nodes.append(step.node)
        held.last = step

    def surround(self, step: Border) -> None:
        """Add a border to the input."""
        self._settle_into_input()
        if not self._pending.is_identity:
            _refuse(step.node, "pads with a value, and channels stand for different numbers")
        fmt = self._format
        raw = (step.value - self.input.offset) / self.input.scale / fmt.step
        if not fmt.contains(round(raw)) or abs(raw - round(raw)) > _BORDER_TOLERANCE:
            allowed = "pixel" if fmt == PIXELS else "raw value"
            _refuse(
                step.node,
                f"pads with {step.value:g}, which is no {allowed} from {fmt.min_raw} to "
                f"{fmt.max_raw}",
            )
        self.input.border, self.input.background = step.width, round(raw)
        self._forget(step.shape)

    def weigh(self, step: Products) -> None:
        """Add a convolution or a dense layer."""
        weights, bias = step.weights, step.bias
        self._settle_into_input()
        gain, offset = self._pending.gain, self._pending.offset
        nodes = self._pending.nodes
        # Large weights are not copied where nothing is pending.
        if not self._pending.is_identity:
            if weights.ndim == 2:
                bias = bias + offset @ weights
                weights = gain[:, np.newaxis] * weights
            elif self._is_by_channel() and (not any(step.windows.padding) or not offset.any()):
                channels = weights.shape[2]
                bias = bias + np.einsum("ijko,k->o", weights, offset[:channels])
                weights = weights * gain[:channels, np.newaxis]
            else:
                self._settle_into_layer(step.node)
                nodes = []
        assert step.node is not None
        self.drafts.append(
            Draft(
                kind="dense" if weights.ndim == 2 else "convolution",
                shape=step.shape,
                nodes=[*nodes, step.node],
                equals=step,
                weights=weights,
                bias=bias,
                windows=step.windows,
                groups=step.groups,
            )
        )
        self._forget(step.shape)

    def pool(self, step: Pool) -> None:
        """Add a pooling; one of single values is left out."""
        if step.windows == SINGLE_VALUES:
            return
        self.settle()
        assert step.node is not None
        kind = "max_pooling" if step.kind == "max" else "average_pooling"
        self.drafts.append(
            Draft(
                kind,
                step.shape,
                [step.node],
                step,
                windows=step.windows,
                count_padding=step.count_padding,
            )
        )
        self._forget(step.shape)

    def squash(self, step: Squashing) -> None:
        """Give an activation to the last layer that can take it."""
        assert step.node is not None
        place = self._holder(step.activation) if self._pending.is_identity else None
        held = None if place is None else self.drafts[place].activation
        if place is not None and held is not None and _changes_nothing(step.activation, held):
            self.drafts[place].nodes.append(step.node)
            return
        if place is None or held is None or not held.is_identity:
            self._settle_into_layer(step.node)
            place = len(self.drafts) - 1
        target, later = self.drafts[place], self.drafts[place + 1 :]
        target.activation = step.activation
        target.nodes.append(step.node)
        if not later:
            target.equals = step
            return
        target.before_activation = True
        for draft in later:
            draft.equals = None
        self.drafts[-1].equals = step

    def settle(self) -> None:
        """Move the pending scaling into the input, or emit a sub-sampling layer for it."""
        self._settle_into_input()
        if not self._pending.is_identity:
            self._settle_into_layer(None)

    def _holder(self, activation: Activation) -> int | None:
        """The place of the last layer that can take the activation.

        One that never decreases goes before max poolings, which is equal.
        """
        for place in reversed(range(len(self.drafts))):
            if self.drafts[place].kind != "max_pooling":
                return place
            if not activation.function.rises:
                return None
        return None

    def _fold_back(self, step: Scaling) -> bool:
        """Fold a scaling into the last layer's weights or table; returns whether it could be."""
        assert step.node is not None
        last, gain, offset = self.drafts[-1], step.gain, step.offset
        channels = last.shape.channels
        if last.activation.is_table and gain[0] > 0 and (gain == gain[0]).all():
            if offset.any():
                return False
            amplitude = last.activation.amplitude * float(gain[0])
            last.activation = replace(last.activation, amplitude=amplitude)
            last.nodes.append(step.node)
            last.equals = step
            return True
        by_channel = _is_by_channel(gain, channels) and _is_by_channel(offset, channels)
        if not last.activation.is_identity or not by_channel or last.kind == "max_pooling":
            return False
        if last.kind == "average_pooling":
            if any(last.windows.padding) and not last.count_padding:
                return False
            last.kind = "subsampling"
            last.weights = np.full(channels, 1 / math.prod(last.windows.kernel))
            last.bias = np.zeros(channels)
        assert last.weights is not None and last.bias is not None
        last.weights = last.weights * gain[:channels]
        last.bias = last.bias * gain[:channels] + offset[:channels]
        last.nodes.append(step.node)
        last.equals = step
        return True

    def _settle_into_input(self) -> None:
        """Move the pending scaling into the input if it is the same for every pixel."""
        gain, offset = self._pending.gain, self._pending.offset
        if self.drafts or self.input.border or gain[0] <= 0 or self._pending.is_identity:
            return
        if (gain == gain[0]).all() and (offset == offset[0]).all():
            self.input.scale, self.input.offset = float(gain[0]), float(offset[0])
            self._forget(self._shape)

    def _settle_into_layer(self, node: Node | None) -> None:
        """Emit a 1 x 1 sub-sampling layer for the pending scaling, even if it is the identity."""
        self._settle_into_input()
        held = self._pending
        nodes = held.nodes or ([node] if node is not None and held.is_identity else [])
        if not self._is_by_channel():
            _refuse(
                nodes[0] if nodes else node,
                "its constants differ from pixel to pixel, not only from channel to channel",
            )
        channels = self._shape.channels
        self.drafts.append(
            Draft(
                kind="subsampling",
                shape=self._shape,
                nodes=list(held.nodes),
                equals=held.last,
                weights=held.gain[:channels],
                bias=held.offset[:channels],
            )
        )
        self._forget(self._shape)

    def _is_by_channel(self) -> bool:
        channels = self._shape.channels
        return _is_by_channel(self._pending.gain, channels) and _is_by_channel(
            self._pending.offset, channels
        )

    def _forget(self, shape: Shape) -> None:
        """Start a new pending scaling, the identity, after a map of this shape."""
        self._shape = shape
        self._pending = _Pending(np.ones(shape.size), np.zeros(shape.size))


def _changes_nothing(activation: Activation, after: Activation) -> bool:
    """Whether an activation leaves the values of another as they are."""
    rectified = activation.kind == "relu" and not after.function.signed
    return activation.is_identity or rectified


def _is_by_channel(values: Reals, channels: int) -> bool:
    """Whether all pixels have the values of the first."""
    return bool((values.reshape(-1, channels) == values[:channels]).all())
