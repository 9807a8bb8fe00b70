"""Names of layers: identifiers made of the names that a graph has."""

from __future__ import annotations

import re

_LONGEST = 40


class LayerNames:
    """Gives every layer a name of its own, as near to the graph's as an identifier can be."""

    def __init__(self) -> None:
        self._taken = {"input"}

    def take(self, wanted: str, operator: str, kind: str) -> str:
        """A name like `wanted`, the name of a node with this operator.

        Of an exporter's path the operator at its end, and folders that the next one repeats, are
        left out: `/net/net.0/Conv` is `net_0`. `kind` is put before what begins with no letter.
        """
        path = [part for part in wanted.split("/") if part]
        if len(path) > 1 and path[-1] == operator:
            path.pop()
        following = [*path[1:], ""]
        path = [
            part
            for part, after in zip(path, following, strict=False)
            if not after.startswith(f"{part}.")
        ]
        name = re.sub(r"[^A-Za-z0-9]+", "_", "_".join(path)).strip("_")[-_LONGEST:].strip("_")
        if not name[:1].isalpha():
            name = f"{kind}_{name}" if name else kind
        found, count = name, 1
        while found in self._taken:
            count += 1
            found = f"{name}_{count}"
        self._taken.add(found)
        return found


def network_name(stem: str) -> str:
    """The name of a network, of a file's name without its suffix."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem)[:60].strip("-") or "network"
