"""Nodes that cannot be imported: a line for each, and the error that holds all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from systolith.golden.onnx.model.plain_text import shown


@dataclass(frozen=True)
class Refusal:
    """A node that cannot be imported, and why.

    Parameters
    ----------
    node, operator
        Its name and its operator.
    attribute
        The attribute or input that is refused, or `""` for the whole operator.
    reason
        The reason.
    remedy
        How the model can be changed, or `""`.
    """

    node: str
    operator: str
    attribute: str
    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        what = f", {self.attribute}" if self.attribute else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{shown(self.node)} ({shown(self.operator)}{what}): {self.reason}{remedy}"


class RefusedError(ValueError):
    """A model that cannot be imported: `refusals` has all unsupported nodes, in order."""

    def __init__(self, source: str, refusals: Sequence[Refusal], nodes: int) -> None:
        self.refusals = tuple(refusals)
        count = len({each.node for each in refusals})
        first = f": {refusals[0]}" if len(refusals) == 1 else ""
        super().__init__(f"{source}: {count} of {nodes} nodes cannot be imported{first}")
