"""Components that are often only looked at, and seldom built."""

from __future__ import annotations

from typing import Any

from amaranth.lib import wiring


class Component(wiring.Component):
    """A `wiring.Component` whose ports are made when one is first asked for.

    A planner makes hundreds of units for their cycles alone; to make their ports takes longer than
    to compute those.

    Parameters
    ----------
    members
        As for `wiring.Component`.
    """

    def __init__(self, members: dict[str, Any]) -> None:
        self._members = members

    def __getattr__(self, name: str) -> Any:
        members = self.__dict__.pop("_members", None)
        if members is None:
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        super().__init__(members)
        return getattr(self, name)
