"""A node and its inputs: how operators read inputs and attributes, and refuse them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from systolith.golden.onnx.model.onnx_graph import Node, Values
from systolith.golden.onnx.model.plain_text import shown
from systolith.golden.onnx.refusals import Refusal
from systolith.golden.onnx.translation.steps import Order, Step, Weights

MAX_VALUES = 2**22
"""The most values of a feature map, over all images that are followed."""

MAX_CONSTANT = 2**26
"""The most values of a constant that is computed."""

MAX_WEIGHTS = 2**24
"""The most weights of all layers together, if the model does not store as many."""

MAX_STORED_WEIGHTS = 2**26
"""The most weights of all layers of a model that stores as many: an import takes up to 31 bytes
for each."""


class AbandonedError(Exception):
    """A refused node whose output is unknown; the reason is among the refusals."""


@dataclass(frozen=True, eq=False)
class Signal:
    """A tensor of values of a map.

    Parameters
    ----------
    order
        Of each element, `image * size + place in the stream`, or -1 for a zero.
    step
        What made the map.
    """

    order: Order
    step: Step


class Call:
    """A node whose inputs are known: each a signal, a constant, or none.

    Parameters
    ----------
    node
        The node.
    inputs
        One for each of its inputs.
    opset
        The version of ONNX's operators.
    images, batch
        The images that are followed, and those of a batch of the file: more, if it is large.
    earlier_weights
        The weights of the layers before, each use of a constant counted.
    stored_weights
        The float32 values that the model's constants have room for.
    refusals
        Where refusals go.
    notes
        Where it goes what is worth saying of a node that is taken.
    """

    def __init__(
        self,
        node: Node,
        inputs: Sequence[Signal | Values | None],
        opset: int,
        images: int,
        batch: int,
        earlier_weights: int,
        stored_weights: int,
        refusals: list[Refusal],
        notes: list[str],
    ) -> None:
        self.node = node
        self.inputs = list(inputs)
        self.opset = opset
        self.images = images
        self.batch = batch
        self.earlier_weights = earlier_weights
        self.stored_weights = stored_weights
        self._refusals = refusals
        self._notes = notes

    def refuse(self, attribute: str, reason: str, remedy: str = "") -> None:
        """Refuse the node and continue as if it were supported, so that all refusals are found."""
        self._refusals.append(
            Refusal(self.node.name, self.node.operator, attribute, reason, remedy)
        )

    def abandon(self, attribute: str, reason: str, remedy: str = "") -> NoReturn:
        """Refuse the node, whose output is then unknown."""
        self.refuse(attribute, reason, remedy)
        raise AbandonedError

    def note(self, text: str) -> None:
        """Add a remark about a node that is translated."""
        self._notes.append(f"{shown(self.node.name)} ({self.node.operator}): {text}")

    def integer(self, name: str, default: int) -> int:
        """An attribute that is an integer."""
        value = self.node.attributes.get(name, default)
        if not isinstance(value, int):
            self.abandon(name, "must be an integer")
        return value

    def number(self, name: str, default: float) -> float:
        """An attribute that is a finite number."""
        value = self.node.attributes.get(name, default)
        if not isinstance(value, float) or not math.isfinite(value):
            self.abandon(name, "must be a finite number")
        return value

    def text(self, name: str, default: str) -> str:
        """An attribute that is a word."""
        value = self.node.attributes.get(name, default)
        if not isinstance(value, str):
            self.abandon(name, "must be a word")
        return value

    def integers(self, name: str) -> list[int] | None:
        """An attribute that is a list of integers; None if it is left out."""
        value = self.node.attributes.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(each, int) for each in value):
            self.abandon(name, "must be a list of integers")
        return value

    def whole_or_input(self, name: str, position: int) -> list[int] | None:
        """Integers that older operator sets hold in an attribute and newer ones in an input."""
        given = self.integers(name)
        if given is not None:
            return given
        constant = self.constant(position)
        if constant is None:
            return None
        if constant.dtype.kind not in "iu":
            self.abandon(name, "must be integers")
        return [int(each) for each in constant.ravel()]

    def constant(self, position: int) -> Values | None:
        """An input that must not depend on the image; None if it is left out."""
        value = self.inputs[position] if position < len(self.inputs) else None
        if isinstance(value, Signal):
            self.abandon(f"input {position + 1}", "is computed from the image, must be constant")
        return value

    def reals(self, position: int) -> NDArray[np.float64] | None:
        """An input of finite constants, in float64; None if it is left out."""
        value = self.constant(position)
        if value is None:
            return None
        with np.errstate(invalid="ignore"):
            result = value.astype(np.float64)
        self._require_finite(position, result)
        return result

    def weights(self, position: int) -> Weights | None:
        """An input of finite weights, in float32 or float64; their number is checked."""
        value = self.constant(position)
        if value is not None:
            self.require_weights(value.size)
        if value is None or value.dtype != np.float32:
            return self.reals(position)
        self._require_finite(position, value)
        return value

    def _require_finite(self, position: int, values: Values) -> None:
        if not np.isfinite(values).all():
            self.abandon(f"input {position + 1}", "has values that are not finite")

    def signal(self, position: int = 0) -> Signal:
        """An input that depends on the image."""
        value = self.inputs[position] if position < len(self.inputs) else None
        if not isinstance(value, Signal):
            self.abandon(f"input {position + 1}", "must be computed from the image")
        return value

    def require_alone(self, outputs: int = 1) -> None:
        """Refuse further outputs that are used."""
        for name in self.node.outputs[outputs:]:
            if name:
                self.refuse(f"output {shown(name)!r}", "only the first output is made")

    def aligned(self, shape: tuple[int, ...], operand: Values) -> Values:
        """The second operand of a sum or product, its axes placed as opset 6 says."""
        if self.opset >= 7 or not self.integer("broadcast", 0) or operand.ndim == 0:
            return operand
        axis = self.integer("axis", len(shape) - operand.ndim)
        return operand.reshape(operand.shape + (1,) * (len(shape) - axis - operand.ndim))

    def require_size(self, size: int) -> None:
        """Refuse a result that would not fit: this many values of a map, or of a constant."""
        of_map = any(isinstance(each, Signal) for each in self.inputs)
        most = MAX_VALUES if of_map else MAX_CONSTANT
        if not 0 <= size <= most:
            self.abandon("", f"makes {size:,} values, more than the {most:,} that are allowed")

    def require_weights(self, count: int) -> None:
        """Refuse a layer of this many weights if all layers would have more than are allowed."""
        most = max(MAX_WEIGHTS, min(self.stored_weights, MAX_STORED_WEIGHTS))
        if self.earlier_weights + count > most:
            before = f" after {self.earlier_weights:,} of other layers" * bool(self.earlier_weights)
            self.abandon(
                "", f"needs {count:,} weights{before}, more than the {most:,} allowed in all"
            )
