"""What can go wrong around a simulation, other than a wrong result."""

from __future__ import annotations


class MissingToolError(RuntimeError):
    """The machine lacks a tool: one line that names it and the command that installs it."""

    def __init__(self, tool: str, purpose: str, command: str) -> None:
        super().__init__(f"{tool}, {purpose}, was not found: install it with `{command}`")
        self.tool = tool


class SimulationError(RuntimeError):
    """A simulator could not be built, died or gave no answer: one line that says which and why."""
