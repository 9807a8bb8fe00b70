"""Names that are Verilog identifiers and need no escape."""

from __future__ import annotations

import re
from collections.abc import Collection

_MODULE = re.compile(r"^module .*?^end$", re.MULTILINE | re.DOTALL)
_PUBLIC = re.compile(r"(?<=\\)[A-Za-z_][^\s\"]*")
_STRANGE = re.compile(r"[^A-Za-z0-9]+")


def plain_names(rtlil: str, keep: Collection[str]) -> str:
    """RTLIL with the names of wires, cells, memories and modules changed to Verilog identifiers.

    Amaranth joins the steps of a path by `__` and the fields of a structure by `.`, and makes equal
    names unique by `$` and a number. Verilog needs escapes for the latter two, and simulators
    change the first. All become single underscores. A name is changed in the same way in all
    modules, and names inside a module stay different.

    Parameters
    ----------
    rtlil
        The text of all modules that refer to each other.
    keep
        Names that stay unchanged, and that no other name becomes.
    """
    modules = [dict.fromkeys(_PUBLIC.findall(match[0])) for match in _MODULE.finditer(rtlil)]
    modules_of: dict[str, list[int]] = {}
    for number, names in enumerate(modules):
        for name in names:
            modules_of.setdefault(name, []).append(number)
    plain = {name for name in modules_of if name in keep or _plain(name) == name}
    taken = [plain.intersection(names) for names in modules]
    renamed = {}
    for name in modules_of:
        if name not in plain:
            new = _plain(name)
            while new in keep or any(new in taken[number] for number in modules_of[name]):
                new += "_"
            for number in modules_of[name]:
                taken[number].add(new)
            renamed[name] = new
    return _PUBLIC.sub(lambda match: renamed.get(match[0], match[0]), rtlil)


def _plain(name: str) -> str:
    return _STRANGE.sub("_", name)
