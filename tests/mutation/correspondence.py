"""Proves a mutant equivalent to its unit by the correspondence of their signals, with ABC.

`equivalence` tries it first: it takes seconds, and needs no candidates. Unit and mutant get the
same inputs; ABC's `scorr` finds all signals of both that are equal in every reachable state, by
induction. It proves most mutants in which a value never occurs that would show the fault.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.mutation.mutation import SELECT, Netlist, valid_of
from tests.yowasp import run_full_yosys

_TOP = "both"
_DIFFERENT = "different"
_SCRIPT = """
memory_map
read_verilog both.v
hierarchy -top both
flatten
opt_clean -purge
setundef -zero -init
techmap
dffunmap
opt_clean
abc -dff -script +strash;scorr;map
opt_expr
opt_clean
write_json proven.json
"""


def signals_correspond(unit: str, netlist: Netlist, commands: Sequence[str], number: int) -> bool:
    """Whether the outputs of a mutant are proven equal to the unit's.

    Parameters
    ----------
    unit, netlist, commands
        The module with its mutants (`tests.mutation.mutated_network.MutatedNetwork`).
    number
        The mutant.

    Raises
    ------
    MissingToolError
        Yosys is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="systolith-") as name:
        folder = Path(name)
        (folder / "design.json").write_text(json.dumps({"modules": {unit: netlist}}), "utf-8")
        (folder / "both.v").write_text(_both(unit, netlist, number), "utf-8")
        run_full_yosys("\n".join(["read_json design.json", *commands, _SCRIPT]), folder)
        proven = json.loads((folder / "proven.json").read_text("utf-8"))
    bits: list[int | str] = proven["modules"][_TOP]["ports"][_DIFFERENT]["bits"]
    return bits == ["0"]


def _both(unit: str, netlist: Netlist, number: int) -> str:
    """Verilog of the unit and its mutant with the same inputs, and whether their outputs differ."""
    ports: list[str] = []
    outputs: list[str] = []
    lines: list[str] = []
    pins: dict[str, list[str]] = {"unit": [], "mutant": []}
    for port, values in netlist["ports"].items():
        width = len(values["bits"])
        for side, connections in pins.items():
            wire = port
            if port == SELECT:
                wire = f"{width}'d{number if side == 'mutant' else 0}"
            elif values["direction"] == "output":
                wire = f"{side}_{port}"
                lines.append(f"wire [{width - 1}:0] {wire};")
            connections.append(f".{port}({wire})")
        if values["direction"] == "output":
            outputs.append(port)
        elif port != SELECT:
            ports.append(f"input [{width - 1}:0] {port}")
    lines += [f"\\{unit} {side} ({', '.join(wires)});" for side, wires in pins.items()]
    different = " | ".join(_unlike(port, netlist) for port in outputs)
    lines.append(f"assign {_DIFFERENT} = !rst & ({different});")
    head = f"module {_TOP} ({', '.join([*ports, f'output {_DIFFERENT}'])});"
    return "\n".join([head, *lines, "endmodule", ""])


def _unlike(port: str, netlist: Netlist) -> str:
    """Verilog of whether an output differs; a stream's payload matters while it is valid."""
    unlike = f"unit_{port} != mutant_{port}"
    valid = valid_of(port, netlist["ports"])
    return f"(unit_{valid} & ({unlike}))" if valid else f"({unlike})"
