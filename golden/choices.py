"""Looks up a choice by its name, so that a name that a place does not know is an error there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Name = TypeVar("Name", bound=str)
Entry = TypeVar("Entry")


def choice(table: Mapping[Name, Entry], name: Name, what: str) -> Entry:
    """The entry of this name, in a table that has one for each name it knows.

    Raises
    ------
    ValueError
        There is none: says `what` the name is of, and which there are.
    """
    if name not in table:
        raise ValueError(f"{what} {name!r}: allowed are {', '.join(table)}")
    return table[name]
