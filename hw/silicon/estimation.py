# amaranth: UnusedElaboratable=no
"""Estimates what a plan takes of a device, before its Verilog is generated or synthesized.

The operators, registers and memories of every part come from Amaranth's own elaboration, so that
the estimate follows the hardware. Memories and multipliers are mapped by rules; LUTs and flip-flops
are sums with coefficients that `scripts.benchmarks.silicon_figures` fits to real syntheses.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from importlib import resources
from math import ceil
from typing import Annotated, Any

import msgspec

from systolith.golden.files import json_files
from systolith.golden.fixed.integers import FixedNetwork
from systolith.hw.accelerator import Accelerator
from systolith.hw.folding import Plan
from systolith.hw.silicon.memory_mapping import MemoryShape, map_memory
from systolith.hw.silicon.targets import Capacity, Device, Family
from systolith.hw.streams.result_layout import ResultKind
from systolith.hw.verilog.writer import part_rtlil
from systolith.hw.verilog.yosys import run_yosys

SCHEMA = "systolith.silicon_coefficients/2"
"""The schema of the file of coefficients."""

FEATURES = (
    *("register", "adder", "mux", "choice", "logic", "comparison", "shift"),
    *("read", "rom", "deep_rom", "distributed", "block", "multiplier", "product"),
)
"""What LUTs and flip-flops are sums of, in bits: registers, adders, multiplexers with two and with
more inputs, gates, comparisons, shifts, clocked reads of memories in LUTs, outputs of ROMs in LUTs,
LUTs of deeper ones; distributed memories, block memories, multipliers, and pairs of bits of
multiplications in logic."""

_REGISTERS_IN_MULTIPLIERS = frozenset({"ecp5", "xc7"})
"""Families whose multipliers take in the registers before and behind them."""

_SHIFT_REGISTER = 4
"""Chains of this many registers are shift registers in LUTs on 7-series; the last register stays
outside, or in a multiplier."""

_HALF_BITS = 9
"""The widest operands of the multipliers of Gowin of which two share one of 18 x 18."""

_LOGIC_PRODUCT = 9
"""The widest product that `synth_xilinx` makes of LUTs."""

_LEAST_BITS = {"gowin": 4, "xc7": 2}
"""The narrowest operands of multipliers: `synth_gowin` and `synth_xilinx` make logic of narrower
ones, as small constants are. On ECP5 `multiplier_registers` comes before powers of two are found,
and only factors of 1 and -1 are logic; these are not told from other powers of two."""

_SCRIPT = """
read_rtlil <<rtlil
{rtlil}
rtlil
proc
flatten {parts}
delete * {modules}
opt
wreduce
opt_clean
write_json
"""

_OPERATORS = {
    **dict.fromkeys(("add", "sub", "neg", "alu"), ("adder", "Y_WIDTH")),
    **dict.fromkeys(("and", "or", "xor", "xnor"), ("logic", "Y_WIDTH")),
    **dict.fromkeys(("lt", "le", "gt", "ge", "eq", "ne"), ("comparison", "A_WIDTH")),
    **dict.fromkeys(("reduce_and", "reduce_or", "reduce_bool", "logic_not"), ("logic", "A_WIDTH")),
    **dict.fromkeys(("shl", "sshl"), ("shift", "Y_WIDTH")),
    **dict.fromkeys(("shr", "sshr", "shift", "shiftx"), ("shift", "A_WIDTH")),
    "mux": ("mux", "WIDTH"),
}
"""The features of Yosys's cells, and the parameters that say how large each is."""


Bit = int | str
"""A net's number in Yosys's JSON, or a constant."""


@dataclass(frozen=True)
class InMultipliers:
    """Bits of registers that a multiplier with registers of its own can hold.

    Parameters
    ----------
    operands, products
        Registers before and behind a multiplication, which nothing else reads or sets.
    sums
        Registers behind the addition of such a product to something.
    """

    operands: int = 0
    products: int = 0
    sums: int = 0


@dataclass(frozen=True)
class Structure:
    """What a part consists of, before it is mapped: bits of operators, memories, multipliers.

    Parameters
    ----------
    bits
        The bits of registers and operators, by `FEATURES`.
    memories
        Its memories.
    multipliers
        The widths of the operands of its multipliers, the wider one first.
    in_multipliers
        The registers beside the multipliers.
    delays
        The numbers of chains of registers that nothing reads but at their ends, by their length; a
        chain is one bit wide.
    """

    bits: Mapping[str, int]
    memories: tuple[MemoryShape, ...]
    multipliers: tuple[tuple[int, int], ...]
    in_multipliers: InMultipliers = InMultipliers()
    delays: Mapping[int, int] = field(default_factory=dict)


Coefficient = Annotated[float, msgspec.Meta(ge=0)]


class FamilyCoefficients(msgspec.Struct, frozen=True):
    """The LUTs of logic and of carry chains and the flip-flops of each feature, never below 0."""

    logic_luts: dict[str, Coefficient]
    carry_luts: dict[str, Coefficient]
    flip_flops: dict[str, Coefficient]


class Coefficients(msgspec.Struct, frozen=True):
    """The content of the file: the coefficients of each family."""

    schema: str
    families: dict[str, FamilyCoefficients]


@dataclass(frozen=True)
class Estimate:
    """What an accelerator will about take of a device.

    Parameters
    ----------
    logic_luts
        LUTs of logic alone.
    occupied
        LUTs with those of memories and carry chains, flip-flops, multipliers and memories.
    """

    logic_luts: int
    occupied: Capacity


def structures(
    fixed: FixedNetwork, plan: Plan, result: ResultKind | None = None
) -> dict[str, Structure]:
    """What each part of an accelerator consists of, by the name of its module; takes seconds.

    Raises
    ------
    UnitError, AcceleratorError
        Hardware does not support the network or the plan.
    """
    accelerator = Accelerator(fixed, plan, result=result)
    texts = dict(part_rtlil(accelerator))
    script = _SCRIPT.format(
        rtlil="\n".join(texts.values()),
        parts=" ".join(name for name in texts if name != accelerator.name),
        modules=" ".join(f"{name} %d" for name in texts),
    )
    modules = msgspec.json.decode(run_yosys(script))["modules"]
    return {name: _structure(modules[name]) for name in texts}


def estimate(parts: Mapping[str, Structure], device: Device) -> Estimate:
    """What parts will about take of a device.

    Raises
    ------
    ValueError
        There are no coefficients for the device.
    """
    known = require_estimates(device)
    total: Counter[str] = Counter()
    blocks = distributed = 0
    multipliers = Fraction(0)
    for part in parts.values():
        mapped = features(part, device.family)
        total.update(mapped.features)
        blocks += mapped.blocks
        distributed += mapped.distributed
        multipliers += mapped.multipliers
    logic_luts = _weighted(total, known.logic_luts)
    others = _weighted(total, known.carry_luts)
    others += distributed * device.family.luts_of_distributed_memory
    return Estimate(
        logic_luts,
        Capacity(
            luts=logic_luts + others,
            flip_flops=_weighted(total, known.flip_flops),
            multipliers=ceil(multipliers),
            block_memories=blocks,
            distributed_memories=distributed,
        ),
    )


def require_estimates(device: Device) -> FamilyCoefficients:
    """The coefficients of a device's family.

    Raises
    ------
    ValueError
        There are none.
    """
    families = coefficients().families
    if device.family.name not in families:
        raise ValueError(
            f"target {device.name}: there are no estimates for its family, only for "
            f"{', '.join(families)}"
        )
    return families[device.family.name]


@dataclass(frozen=True)
class Mapped:
    """The features of a part, and its memories and multipliers, in a family."""

    features: Mapping[str, int]
    blocks: int
    distributed: int
    multipliers: Fraction


def features(part: Structure, family: Family) -> Mapped:
    """Map a part to a family: what its LUTs are a sum of, and its memories and multipliers."""
    found = Counter(part.bits)
    inside = part.in_multipliers
    if family.name in _REGISTERS_IN_MULTIPLIERS:
        found["register"] -= inside.operands + inside.products
    blocks = distributed = 0
    if family.name == "xc7":
        found["register"] -= inside.sums
        found["adder"] -= inside.sums
        for length, chains in part.delays.items():
            if length >= _SHIFT_REGISTER:
                found["register"] -= (length - 1) * chains
                distributed += chains
    for memory in part.memories:
        mapped = map_memory(memory, family)
        bits = memory.bits * memory.reads
        found["mux"] += (mapped.depth - 1) * bits
        if mapped.place == "block":
            blocks += mapped.sites
            found["block"] += mapped.cells
            continue
        if memory.clocked:
            found["read"] += bits
        if mapped.place == "distributed":
            distributed += mapped.sites
            found["distributed"] += mapped.cells
        elif memory.written:
            found["register"] += memory.words * memory.bits
        elif memory.words <= family.lut_bits:
            found["rom"] += bits
        else:
            found["deep_rom"] += -(-memory.words // family.lut_bits) * bits
    multipliers = Fraction(0)
    for wide, narrow in part.multipliers:
        sites = _multiplier_sites(wide, narrow, family)
        multipliers += sites
        found["multiplier" if sites else "product"] += 1 if sites else wide * narrow
    return Mapped(
        {name: max(0, count) for name, count in found.items()},
        blocks,
        distributed,
        multipliers,
    )


def _multiplier_sites(wide: int, narrow: int, family: Family) -> Fraction:
    """The multipliers of the device that a multiplication takes; 0 if it is logic."""
    if narrow < _LEAST_BITS.get(family.name, 0):
        return Fraction(0)
    if family.name == "gowin" and wide <= _HALF_BITS:
        return Fraction(1, 2)
    if family.name == "xc7":
        if wide + narrow <= _LOGIC_PRODUCT:
            return Fraction(0)
        return Fraction(ceil(wide / 25) * ceil(narrow / 18))
    return Fraction(ceil(wide / 18) * ceil(narrow / 18))


def _weighted(total: Mapping[str, int], weights: Mapping[str, float]) -> int:
    return round(sum(total[name] * weight for name, weight in weights.items()))


def _structure(module: Any) -> Structure:
    bits: Counter[str] = Counter()
    multipliers = []
    reads: dict[str, list[bool]] = defaultdict(list)
    written = set()
    for cell in module["cells"].values():
        kind, given = cell["type"].removeprefix("$"), cell["parameters"]
        if kind in _OPERATORS:
            feature, parameter = _OPERATORS[kind]
            bits[feature] += _number(given[parameter])
        elif kind == "pmux":
            bits["choice"] += _number(given["WIDTH"]) * _number(given["S_WIDTH"])
        elif kind.endswith(("dff", "dffe", "dffce")):
            bits["register"] += _number(given["WIDTH"])
        elif kind == "mul":
            widths = sorted((_number(given["A_WIDTH"]), _number(given["B_WIDTH"])), reverse=True)
            multipliers.append((widths[0], widths[1]))
        elif kind == "memrd_v2":
            reads[given["MEMID"]].append(bool(_number(given["CLK_ENABLE"])))
        elif kind == "memwr_v2":
            written.add(given["MEMID"])
    memories = []
    for name, memory in module.get("memories", {}).items():
        ports = reads.get(f"\\{name}", reads.get(name, []))
        is_written = bool({name, f"\\{name}"} & written)
        if ports:
            attributes = memory.get("attributes", {})
            memories.append(
                MemoryShape(
                    memory["size"],
                    memory["width"],
                    len(ports),
                    clocked=all(ports),
                    written=is_written,
                    block="block" in (attributes.get("rom_style"), attributes.get("ram_style")),
                )
            )
    nets = _Nets(module)
    return Structure(
        bits, tuple(memories), tuple(multipliers), nets.in_multipliers(), nets.delays()
    )


class _Nets:
    """The registers of a part, bit by bit, and what reads them."""

    def __init__(self, module: Any) -> None:
        self.cells = module["cells"].values()
        self.loads: Counter[Bit] = Counter()
        self.registers: dict[Bit, tuple[Bit, tuple[Bit, ...]]] = {}
        for port in module["ports"].values():
            self.loads.update(port["bits"])
        for cell in self.cells:
            connections = cell["connections"]
            for name, bits in connections.items():
                if cell["port_directions"][name] == "input":
                    self.loads.update(bits)
            if cell["type"] in ("$dff", "$dffe"):
                control = (*connections["CLK"], *connections.get("EN", ()))
                for source, bit in zip(connections["D"], connections["Q"], strict=True):
                    self.registers[bit] = source, control
        self.outputs = {
            source: bit
            for bit, (source, control) in self.registers.items()
            if self.loads[source] == 1 and len(control) == 1
        }

    def delays(self) -> Counter[int]:
        """`Structure.delays`."""
        registers = self.registers
        inner = {
            source
            for source, control in registers.values()
            if source in registers and registers[source][1] == control and self.loads[source] == 1
        }
        lengths: Counter[int] = Counter()
        for bit in registers.keys() - inner:
            length, source = 1, registers[bit][0]
            while source in inner and registers[source][1] == registers[bit][1]:
                length, source = length + 1, registers[source][0]
            lengths[length] += 1
        return lengths

    def in_multipliers(self) -> InMultipliers:
        """`Structure.in_multipliers`."""
        operands: set[Bit] = set()
        products: set[Bit] = set()
        for cell in self.cells:
            if cell["type"] == "$mul":
                for port in "AB":
                    operands.update(
                        bit
                        for bit in set(cell["connections"][port])
                        if bit in self.registers
                        and len(self.registers[bit][1]) == 1
                        # A sign is there several times.
                        and self.loads[bit] == cell["connections"][port].count(bit)
                    )
                products.update(
                    self.outputs[bit] for bit in cell["connections"]["Y"] if bit in self.outputs
                )
        sums = sum(
            sum(bit in self.outputs for bit in cell["connections"]["Y"])
            for cell in self.cells
            if cell["type"] == "$add"
            and not products.isdisjoint([*cell["connections"]["A"], *cell["connections"]["B"]])
        )
        return InMultipliers(len(operands), len(products), sums)


def _number(bits: str | int) -> int:
    """A parameter of a cell, which Yosys writes in binary."""
    return bits if isinstance(bits, int) else int(bits, 2)


@cache
def coefficients() -> Coefficients:
    """The coefficients that were fitted last."""
    text = (resources.files("systolith.hw.silicon") / "coefficients.json").read_bytes()
    return json_files.decode(text, Coefficients, SCHEMA)
