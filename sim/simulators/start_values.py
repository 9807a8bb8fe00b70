"""Removes the start values of registers and memories from Verilog.

Icarus simulates the result, so that a register which no reset clears is seen as undefined.
"""

from __future__ import annotations

import re

_MODULE = re.compile(r"^module .*?^endmodule", re.MULTILINE | re.DOTALL)
_REGISTERS = re.compile(r"^ *initial begin\n(?: *\w+ = [\s\w'{},]+;\n)+ *end\n", re.MULTILINE)
_MEMORY = re.compile(
    r"^(\s*reg (?:\[\d+:\d+\] )?(\S+) {1,2}\[\d+:\d+\];\n)\s*initial begin(?: : \w+)?\n"
    r"(?: *integer \w+;\n *for \(.*\)\n)?"
    r"(?: *\w+ ?\[\w+\] = [\s\w'{},]+;\n)*\s*end\n",
    re.MULTILINE,
)


def without_start_values(verilog: str) -> str:
    """The same modules, in which registers and writable memories start undefined.

    Memories that are never written keep their content.

    Parameters
    ----------
    verilog
        As `generate` writes it.
    """
    return _MODULE.sub(lambda module: _stripped(module[0]), verilog)


def _stripped(module: str) -> str:
    def memory(found: re.Match[str]) -> str:
        written = re.search(
            rf"^\s*(?:if \(.*\) )?{re.escape(found[2])}\s?\[[^;]*\] <=", module, re.MULTILINE
        )
        return found[1] if written else found[0]

    return _MEMORY.sub(memory, _REGISTERS.sub("", module))
