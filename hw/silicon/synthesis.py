# amaranth: UnusedElaboratable=no
"""Synthesizes the Verilog of an accelerator with Yosys, and counts the cells of each part.

`synthesize` makes a netlist once for each content; `placement` places and routes it.
"""

from __future__ import annotations

import gzip
import inspect
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
from amaranth.back import rtlil
from amaranth.hdl import Cat, ClockDomain, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from systolith.golden.files import json_files
from systolith.hw.accelerator import Port
from systolith.hw.build_cache import cached, content_key
from systolith.hw.silicon import multiplier_registers
from systolith.hw.silicon.targets import LONE_FLIP_FLOP, Device, Family
from systolith.hw.silicon.tools import Tool, ToolError, find_tool, run_tool
from systolith.hw.verilog.netlist import find_target

TOP_PART = ""
"""The name of the part that is left: cells of the top module, outside all others."""

HARNESS_INSTANCE = "accelerator"
"""The name of the accelerator inside its pin harness."""

WITH_MULTIPLIER_REGISTERS = frozenset({"ecp5"})
"""The families whose multipliers have registers that Yosys does not use by itself."""

_READ = """\
read_verilog {source}
{harness}
"""
_PREPARE = """\
hierarchy -top {top}
{passes}
write_json {result}
"""
_SCRIPT = """\
{read}
{synthesis} {options} -top {top}
{finish}
delete t:$scopeinfo
setattr -unset src *
setattr -mod -unset src *
write_json {result}
"""

_SOURCE, _HARNESS, _NETLIST, _COMMANDS = "design.v", "pins.il", "netlist.json", "synthesis.ys"
_PREPARED = "prepared.json"
_COMPRESSED = f"{_NETLIST}.gz"

CONFLICT = "Driver-driver conflict"
"""A warning of Yosys after which the netlist is another design."""


class _PortBits(msgspec.Struct):
    bits: list[int | str]
    direction: str = ""


class _Module(msgspec.Struct):
    """A module of a netlist; library cells have one of these attributes."""

    cells: dict[str, _Cell] = {}
    ports: dict[str, _PortBits] = {}
    attributes: dict[str, Any] = {}

    @property
    def is_library(self) -> bool:
        return bool({"blackbox", "whitebox"} & self.attributes.keys())


class _Cell(msgspec.Struct):
    type: str
    connections: dict[str, list[int | str]] = {}


class _Netlist(msgspec.Struct):
    modules: dict[str, _Module]


@dataclass(frozen=True, eq=False)
class Netlist:
    """A netlist of an accelerator for a device.

    Parameters
    ----------
    device, tool
        The device, and the Yosys that made it.
    top
        The name of its top module.
    content
        The JSON of Yosys.
    cells
        The numbers of its cells by type, in each of the parts; those outside them in `TOP_PART`.
        A flip-flop that occupies a LUT, too, is there again as `targets.LONE_FLIP_FLOP`.
    """

    device: Device
    tool: Tool
    top: str
    content: bytes
    cells: Mapping[str, Counter[str]]


def synthesize(
    verilog: str, top: str, ports: Sequence[Port], modules: Mapping[str, str], device: Device
) -> Netlist:
    """Synthesize an accelerator; each content once, later from the cache of builds.

    Parameters
    ----------
    verilog, top, ports
        The text of the Verilog, and the name and the ports of its top module.
    modules
        The names of the modules whose cells are counted apart, and the names of these parts.
    device
        The device.

    Raises
    ------
    MissingToolError
        Yosys is not installed.
    ToolError
        Yosys failed, or the netlist has a cell that the device does not.
    OSError
        The cache cannot be written.
    """
    tool = find_tool("yosys")
    family = device.family
    harness = _pin_harness(top, ports) if _needs_harness(device, ports) else ""
    netlist_top = _harness_name(top) if harness else top
    read = _READ.format(source=_SOURCE, harness=f"read_rtlil {_HARNESS}" if harness else "")
    prepare = ""
    if family.name in WITH_MULTIPLIER_REGISTERS:
        prepare = read + _PREPARE.format(
            top=netlist_top, passes=multiplier_registers.BEFORE, result=_PREPARED
        )
        read = f"read_json {_PREPARED}"
    script = _SCRIPT.format(
        read=read,
        synthesis=find_target(family.name).synthesis,
        options=family.options,
        top=netlist_top,
        finish=family.finish.format(top=netlist_top),
        result=_NETLIST,
    )

    def build(folder: Path) -> None:
        (folder / _SOURCE).write_text(verilog, "utf-8")
        (folder / _HARNESS).write_text(harness, "utf-8")
        if prepare:
            _run(tool, prepare, folder, _PREPARED)
            prepared = msgspec.json.decode((folder / _PREPARED).read_bytes())
            multiplier_registers.with_multiplier_registers(prepared)
            (folder / _PREPARED).write_bytes(msgspec.json.encode(prepared))
        _run(tool, script, folder, _NETLIST)
        content = (folder / _NETLIST).read_bytes()
        (folder / _COMPRESSED).write_bytes(gzip.compress(content, 1, mtime=0))
        for file in (_NETLIST, _SOURCE, _PREPARED):
            (folder / file).unlink(missing_ok=True)

    # The text of the pass, so that a cached netlist is not that of an older one.
    rewriting = inspect.getsource(multiplier_registers) if prepare else ""
    key = content_key("synthesis", *tool.identity, rewriting, prepare, script, harness, verilog)
    content = gzip.decompress(cached(key, _COMPRESSED, build).read_bytes())
    return Netlist(
        device, tool, netlist_top, content, _cells(content, netlist_top, modules, family)
    )


def _run(tool: Tool, script: str, folder: Path, result: str) -> None:
    (folder / _COMMANDS).write_text(script, "utf-8")
    run_tool(tool, ["-Q", "-q", "-e", CONFLICT, "-s", _COMMANDS], folder, [result])


def _cells(
    content: bytes, top: str, parts: Mapping[str, str], family: Family
) -> dict[str, Counter[str]]:
    """The numbers of cells by type in each part of a netlist."""
    modules = json_files.decode_part(content, _Netlist).modules
    counts: dict[str, Counter[str]] = {name: Counter() for name in (*parts.values(), TOP_PART)}

    def count(module: str, part: str) -> None:
        for cell in modules[module].cells.values():
            inner = modules.get(cell.type)
            if inner is None or inner.is_library:
                counts[part][cell.type] += 1
            else:
                count(cell.type, parts.get(cell.type, part))
        if LONE_FLIP_FLOP in family.cells:
            counts[part] += Counter({LONE_FLIP_FLOP: _lone_flip_flops(modules[module])})

    if top not in modules:
        raise ToolError(f"the netlist has no module {top!r}")
    count(top, TOP_PART)
    return counts


def _lone_flip_flops(module: _Module) -> int:
    """The fewest flip-flops whose input is not the output of a LUT that drives nothing else.

    What an input of the module drives may be behind such a LUT elsewhere.
    """
    cells = module.cells.values()
    bits = [*chain.from_iterable(port.bits for port in module.ports.values())]
    ends = Counter(
        bits + [bit for cell in cells for each in cell.connections.values() for bit in each]
    )
    shared = {
        bit for port in module.ports.values() if port.direction == "input" for bit in port.bits
    }
    for cell in cells:
        if cell.type == "SB_LUT4":
            shared.update(bit for bit in cell.connections["O"] if ends[bit] == 2)
    return sum(
        cell.connections["D"][0] not in shared for cell in cells if cell.type.startswith("SB_DFF")
    )


def _needs_harness(device: Device, ports: Sequence[Port]) -> bool:
    """Whether the device has too few pins for an accelerator's ports, or needs their places."""
    placer = device.placer
    pins = sum(width for _, _, width in ports)
    return placer is not None and (placer.pins < pins or bool(placer.constraints))


def _harness_name(top: str) -> str:
    return f"{top}_pins"


def _pin_harness(top: str, ports: Sequence[Port]) -> str:
    """The RTLIL of a module that has an accelerator behind four pins."""
    text: str = rtlil.convert(_PinHarness(top, ports), name=_harness_name(top), emit_src=False)
    return text


class _PinHarness(wiring.Component):
    """An accelerator whose ports are shift registers, for devices with few pins.

    Inputs are shifted in. Outputs are captured while a result is offered, else shifted out.
    """

    def __init__(self, top: str, ports: Sequence[Port]) -> None:
        self._top = top
        self._ports = ports
        super().__init__(
            {"aclk": In(1), "aresetn": In(1), "scan_in": In(1), "scan_out": Out(1)},
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.domains.sync = domain = ClockDomain("sync", reset_less=True)
        m.d.comb += domain.clk.eq(self.aclk)
        ports = {"aclk": self.aclk, "aresetn": self.aresetn}
        ports |= {name: Signal(width) for name, _, width in self._ports if name not in ports}
        connected = {f"{kind[0]}_{name}": ports[name] for name, kind, _ in self._ports}
        m.submodules[HARNESS_INSTANCE] = Instance(self._top, **connected)
        inputs = Cat(
            ports[name] for name, kind, _ in self._ports if kind == "input" and name[0] != "a"
        )
        outputs = Cat(ports[name] for name, kind, _ in self._ports if kind == "output")
        given, taken = Signal(len(inputs)), Signal(len(outputs))
        m.d.comb += [inputs.eq(given), self.scan_out.eq(taken[0])]
        m.d.sync += [given.eq(Cat(given[1:], self.scan_in)), taken.eq(Cat(taken[1:], taken[0]))]
        with m.If(ports["m_axis_tvalid"]):
            m.d.sync += taken.eq(outputs)
        return m
