"""Refuses Verilog that does more in a simulator than describe hardware.

A folder of hardware may come from others, and a simulator runs the C or the shell commands in it
(`$c`, `$system`) as a program of its own. `hw.verilog.artifacts.load` calls `require_harmless`
before a simulator reads the text. What `generate` writes passes.
"""

from __future__ import annotations

import re

from systolith.golden.errors import FileFormatError

_PARTS = re.compile(
    r"""
    (?P<comment> //[^\n]* | /\*.*?\*/ )
    | (?P<string> "(?:[^"\\\n]|\\[^\n])*"(?!") )
    | (?P<code>
        \\[\w.:\[\]]+(?=\s)                       # an escaped name
        | \$(?:un)?signed\b
        | \(\*\s*(?:parallel_case|keep|rom_style)\s*(?:=\s*(?:[\w']+|"\w*")\s*)?\*\)
        | \((?!\*(?!\s*\)))                       # also in @(*)
        | /
        | [^"/\\$`(]+
      )
    | (?P<refused> \$\w* | `\w* | \(\* | . )
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
"""The parts of a text. A simulator must not see code where this sees a comment or a string: an
identifier with `$`, an escaped name with other signs, and a string of three quotes are refused."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]|\r(?!\n)")
"""Characters that end a line or a file for some tools."""

_FOREIGN = re.compile(r"\b(?:import|export)\b", re.ASCII)

_PRAGMA = re.compile(
    r"verilator\w*|synopsys|synthesis|cadence|ambit|pragma|coverage", re.ASCII | re.IGNORECASE
)
"""The first word of comments that are instructions to tools."""

_WAIVER = re.compile(r"/\* verilator lint_(?:off|on) [A-Z]+ \*/")
"""A comment that only chooses which warnings Verilator prints."""


def require_harmless(verilog: str) -> None:
    """Refuse Verilog with anything but modules of registers, wires and expressions.

    Refused are system tasks and functions other than `$signed` and `$unsigned`, compiler directives
    and macros, imports and exports (DPI), comments that instruct a tool other than to print no
    warning, and attributes other than `keep`, `parallel_case` and `rom_style`.

    Raises
    ------
    FileFormatError
        The message has the line and what it contains.
    """
    control = _CONTROL.search(verilog)
    if control is not None:
        raise _refusal(verilog, control.start(), f"the control character {control[0]!r}")
    for part in _PARTS.finditer(verilog):
        start = part.start()
        if part["refused"]:
            raise _refusal(verilog, start, _reason(part["refused"]))
        if part["comment"] and _is_pragma(part["comment"]):
            raise _refusal(verilog, start, "a comment that is an instruction to a tool")
        if part["code"]:
            if verilog.startswith("/*", start):
                raise _refusal(verilog, start, "a comment without an end")
            foreign = _FOREIGN.search(part["code"])
            if foreign is not None and not verilog.startswith("\\", start):
                raise _refusal(verilog, start + foreign.start(), foreign[0])


def _is_pragma(comment: str) -> bool:
    if _WAIVER.fullmatch(comment):
        return False
    words = comment.removesuffix("*/")[2:].split(maxsplit=1)
    return bool(words) and _PRAGMA.fullmatch(words[0]) is not None


def _reason(found: str) -> str:
    if found == '"':
        return "a string without an end"
    if found == "\\":
        return "an escaped name with other signs than letters, digits and _ . : [ ]"
    if found == "(*":
        return "an attribute other than keep, parallel_case and rom_style"
    kind = "compiler directive" if found.startswith("`") else "system task"
    return f"the {kind} {found}"


def _refusal(verilog: str, position: int, found: str) -> FileFormatError:
    line = verilog.count("\n", 0, position) + 1
    return FileFormatError(f"line {line}: has {found}, which Verilog of generate never has")
