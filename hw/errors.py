"""The errors of units and plans that hardware does not support, and of tools that are missing."""

from __future__ import annotations

from systolith.golden.fixed.integers import FixedLayer


class UnitError(ValueError):
    """A layer that cannot be built; the message has the layer, the value and what is allowed."""

    def __init__(self, layer: FixedLayer, message: str) -> None:
        super().__init__(f"{layer.layer.type_name} {layer.name!r}: {message}")


class PlanError(ValueError):
    """A plan that cannot be made or read; the message has the value and what is allowed."""


class MisfitError(RuntimeError):
    """A design that a device has no room for; the message says of what there is too little.

    The command line ends with status 1 after it, as after each check that fails.
    """


class MissingToolError(RuntimeError):
    """A tool is not installed; the message names it and the command that installs it.

    The command line ends with status 3 after it.
    """

    def __init__(self, tool: str, purpose: str, command: str) -> None:
        super().__init__(f"{tool}, {purpose}, was not found: install it with `{command}`")
        self.tool = tool
