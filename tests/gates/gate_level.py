"""Gate level: in place of a design, its netlist for an FPGA, with models of the cells."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from systolith.hw.build_cache import cached, content_key
from systolith.hw.silicon import multiplier_registers
from systolith.hw.silicon.multiplier_registers import BEFORE, with_multiplier_registers
from systolith.hw.silicon.synthesis import Netlist
from systolith.hw.verilog.netlist import cell_models, synthesis_script
from systolith.sim.simulators.builds import Design
from tests.gates.block_memories import block_memory_models
from tests.gates.multipliers import multiplier_models
from tests.yowasp import full_yosys_version, run_full_yosys

_SOURCE, _NETLIST = "design.v", "netlist.v"
_BEFORE, _AFTER = "before.json", "after.json"


def netlist(design: Design, target: str, show: Iterable[str] = ()) -> str:
    """The netlist of a design, made once for each content.

    Parameters
    ----------
    design
        What is synthesized; the netlist has its top module's name and ports.
    target
        One of `hw.verilog.netlist.TARGETS`.
    show
        Wires of the top module that the netlist has as outputs, too.

    Raises
    ------
    NetlistError
        There is no such target.
    MissingToolError
        Yosys is not installed.
    SimulationError
        Yosys failed.
    """
    script = synthesis_script(_SOURCE, _NETLIST, design.top, target, show)
    return _by_yosys(script, _SOURCE, design.verilog.encode())


def netlist_with_registers(design: Design) -> str:
    """The netlist of a design for ECP5 with registers in its multipliers, made once each.

    Raises
    ------
    MissingToolError, SimulationError
        As `netlist`.
    """
    read = f"read_verilog {_SOURCE}\n"
    first = f"{read}hierarchy -top {design.top}\n{BEFORE}write_json {_BEFORE}\n"
    second = synthesis_script(_SOURCE, _NETLIST, design.top, "ecp5")
    second = second.replace(read, f"read_json {_AFTER}\n")

    def build(folder: Path) -> None:
        (folder / _SOURCE).write_text(design.verilog, "utf-8")
        run_full_yosys(first, folder)
        cells = json.loads((folder / _BEFORE).read_text("utf-8"))
        assert with_multiplier_registers(cells)
        (folder / _AFTER).write_text(json.dumps(cells), "utf-8")
        run_full_yosys(second, folder)

    key = content_key("netlist", full_yosys_version(), first, second, _source(), design.verilog)
    return cached(key, _NETLIST, build).read_text("utf-8")


def _source() -> str:
    """The text of the pass, so that a cached netlist is not that of an older one."""
    return inspect.getsource(multiplier_registers)


def synthesized_text(synthesized: Netlist) -> str:
    """The Verilog of the netlist that `systolith synth` counts and places.

    Raises
    ------
    MissingToolError, SimulationError
        As `netlist`.
    """
    script = f"read_json {_AFTER}\nwrite_verilog -noattr -noexpr -simple-lhs {_NETLIST}\n"
    return _by_yosys(script, _AFTER, synthesized.content)


def _by_yosys(script: str, file: str, content: bytes) -> str:
    """The netlist that a script makes of a file, made once for each content."""

    def build(folder: Path) -> None:
        (folder / file).write_bytes(content)
        run_full_yosys(script, folder)

    key = content_key("netlist", full_yosys_version(), script, content)
    return cached(key, _NETLIST, build).read_text("utf-8")


def with_models(design: Design, text: str, target: str) -> Design:
    """A netlist in place of a design, with the models of its cells."""
    ours = multiplier_models(target) + block_memory_models(target)
    theirs = cell_models(target)
    for name in re.findall(r"^module (\w+)", ours, re.MULTILINE):
        empty = rf"^(\(\* blackbox \*\)\n)?module {name}\b.*?^endmodule\b"
        theirs = re.sub(empty, "", theirs, flags=re.DOTALL | re.MULTILINE)
    return replace(design, verilog=text + theirs + ours)
