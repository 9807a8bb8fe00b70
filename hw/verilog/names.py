"""Names that Verilog can write as they are."""

from __future__ import annotations

import re
from collections.abc import Collection

_MODULE = re.compile(r"^module .*?^end$", re.MULTILINE | re.DOTALL)
_PUBLIC = re.compile(r"(?<=\\)[A-Za-z_][^\s\"]*")
_STRANGE = re.compile(r"[^A-Za-z0-9]+")


def plain_names(rtlil: str, keep: Collection[str]) -> str:
    """RTLIL in which the names of wires, cells, memories and modules are Verilog identifiers.

    Amaranth joins the steps of a path with `__`, the fields of a structure with `.`, and tells
    equal names apart by `$` and a number; Verilog needs an escape for the latter two, and
    simulators alter the first. All become single underscores. A name becomes the same in all
    modules, and names of a module stay different.

    Parameters
    ----------
    rtlil
        The text of all modules that are to stay connected.
    keep
        Names that stay as they are, and that nothing else gets.
    """
    modules = [dict.fromkeys(_PUBLIC.findall(match[0])) for match in _MODULE.finditer(rtlil)]
    homes: dict[str, list[int]] = {}
    for number, names in enumerate(modules):
        for name in names:
            homes.setdefault(name, []).append(number)
    plain = {name for name in homes if name in keep or _plain(name) == name}
    taken = [plain.intersection(names) for names in modules]
    renamed = {}
    for name in homes:
        if name not in plain:
            new = _plain(name)
            while new in keep or any(new in taken[number] for number in homes[name]):
                new += "_"
            for number in homes[name]:
                taken[number].add(new)
            renamed[name] = new
    return _PUBLIC.sub(lambda match: renamed.get(match[0], match[0]), rtlil)


def _plain(name: str) -> str:
    return _STRANGE.sub("_", name)
