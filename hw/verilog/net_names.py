"""Names for nets that have none: after what they are, or what they are for."""

from __future__ import annotations

import re

from systolith.hw.verilog.expressions import Expression

_ANONYMOUS = re.compile(r"_\d+_")

_LONGEST = 48
"""Characters of a name that says what an expression is."""

_RELATIONS = {
    "<": "below",
    "<=": "at_most",
    ">": "above",
    ">=": "at_least",
    "+": "plus",
    "-": "minus",
    "*": "times",
    "&": "and",
    "|": "or",
    "^": "xor",
}
_WORDS = {
    "+": "sum",
    "-": "difference",
    "*": "product",
    "&": "and",
    "|": "or",
    "^": "xor",
    "?": "choice",
    "call": "selected",
    "|1": "any",
    "&1": "all",
    "~1": "not",
    "!1": "zero",
    "<<": "shifted",
    ">>": "shifted",
    "element": "read",
}


class Namer:
    """Gives names to nets; the same nets in the same order get the same names.

    Parameters
    ----------
    taken
        Names that no net gets.

    Attributes
    ----------
    names
        The name given, by the one before.
    """

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken
        self.names: dict[str, str] = {}

    def take(self, name: str) -> None:
        """Give a name to no net."""
        self._taken.add(name)

    def name(self, net: str, wanted: str) -> None:
        """Give a net a name, with a number behind it if another thing has that."""
        new, number = wanted, 1
        while new in self._taken:
            number += 1
            new = f"{wanted}_{number}"
        self._taken.add(new)
        self.names[net] = new

    def has_name(self, of: Expression) -> bool:
        """Whether a net has a name."""
        return of.name in self.names or _ANONYMOUS.fullmatch(of.name) is None

    def net(self, of: Expression) -> str:
        """The name of a net or an element, with the bits if it is not the whole one."""
        name = self.names.get(of.name, of.name)
        if of.low is None:
            return name
        if of.width == 1:
            return f"{name}_{of.low}"
        return f"{name}_{of.low + of.width - 1}_{of.low}"

    def description(self, of: Expression) -> str:
        """A name that says what an expression is; empty if that would be long."""
        kind, parts = of.kind, of.parts
        words = [self._operand(part) for part in parts]
        if not words or not all(words) or words[0][0].isdigit():
            return ""
        described = ""
        if kind in {"==", "!="}:
            is_word = "is" if parts[1].kind == "constant" else "equals"
            if kind == "!=":
                is_word = "is_not" if parts[1].kind == "constant" else "differs_from"
            described = _joined(words[0], is_word, words[1])
        elif kind in _RELATIONS:
            described = _joined(words[0], _RELATIONS[kind], words[1])
        elif kind in {"~1", "!1"}:
            described = f"not_{words[0]}"
        elif kind == "|1":
            described = f"{words[0]}_is_not_0"
        return described if len(described) <= _LONGEST else ""

    def _operand(self, of: Expression) -> str:
        if of.kind == "constant":
            return str(of.value)
        if of.kind == "net":
            return self.net(of) if self.has_name(of) else ""
        if of.kind == "signed":
            return self._operand(of.parts[0])
        if of.kind in {"~1", "!1"}:
            name = self._operand(of.parts[0])
            return name and f"not_{name}"
        return ""

    def operation(self, of: Expression | None) -> str:
        """A word for the operation of an expression."""
        return (
            "value"
            if of is None
            else _WORDS.get(of.kind, "condition" if of.width == 1 else "value")
        )


def _joined(left: str, word: str, right: str) -> str:
    """Two names and a word, without what the second name repeats of the first."""
    first, second = left.split("_"), right.split("_")
    same = 0
    while same < min(len(first), len(second)) - 1 and first[same] == second[same]:
        same += 1
    return "_".join([left, word, *second[same:]])
