"""Drafts of layers, from which the network is made."""

from __future__ import annotations

from dataclasses import dataclass

from systolith.golden.network.graph import NO_ACTIVATION, Activation, Shape
from systolith.golden.network.windows import SINGLE_VALUES, Windows
from systolith.golden.onnx.model.onnx_graph import Node
from systolith.golden.onnx.refusals import Refusal
from systolith.golden.onnx.translation.steps import Reals, Step, Weights


class DraftError(Exception):
    """A node that no layer can hold."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal


@dataclass
class Draft:
    """The draft of a layer.

    `kind` is a layer's type name. `nodes` are those whose work it does. Its values are those of
    the step `equals`: before its activation if `before_activation`, and of none if that is None.
    """

    kind: str
    shape: Shape
    nodes: list[Node]
    equals: Step | None
    weights: Weights | None = None
    bias: Reals | None = None
    windows: Windows = SINGLE_VALUES
    groups: int = 1
    count_padding: bool = False
    activation: Activation = NO_ACTIVATION
    before_activation: bool = False


@dataclass
class InputDraft:
    """The draft of the input: an image's shape, what a pixel stands for, and a border."""

    shape: Shape
    scale: float = 1.0
    offset: float = 0.0
    border: int = 0
    background: int = 0
