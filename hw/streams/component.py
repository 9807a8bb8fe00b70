"""Components that the planner creates by the hundred and never elaborates."""

from __future__ import annotations

from typing import Any

from amaranth.lib import wiring


class Component(wiring.Component):
    """A `wiring.Component` that creates its ports on first access.

    The planner creates hundreds of units for their cycle models alone, and creating the ports takes
    longer than running these.

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
