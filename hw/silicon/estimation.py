# amaranth: UnusedElaboratable=no
"""Estimates what a plan takes of a device, before its Verilog is generated or synthesized.

The operators, registers and memories of every part come from Amaranth's own elaboration, so that
the estimate follows the hardware. Memories and multipliers are mapped by rules; LUTs and flip-flops
are sums with coefficients that `scripts.benchmarks.silicon_figures` fits to real syntheses.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

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

SCHEMA = "systolith.silicon_coefficients/1"
"""The schema of the file of coefficients."""

FEATURES = (
    *("register", "adder", "mux", "choice", "logic", "comparison", "shift"),
    *("read", "rom", "distributed", "depth", "multiplier"),
)
"""What LUTs and flip-flops are sums of, in bits: registers, adders, multiplexers with two and with
more inputs, gates, comparisons, shifts, clocked reads of memories in LUTs, words of ROMs in LUTs;
and distributed memories, their outputs beyond the first block, and multipliers."""

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
    **dict.fromkeys(("shl", "shr", "sshl", "sshr", "shift", "shiftx"), ("shift", "A_WIDTH")),
    "mux": ("mux", "WIDTH"),
}
"""The features of Yosys's cells, and the parameters that say how large each is."""


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
    """

    bits: Mapping[str, int]
    memories: tuple[MemoryShape, ...]
    multipliers: tuple[tuple[int, int], ...]


class FamilyCoefficients(msgspec.Struct, frozen=True):
    """The LUTs (of logic, and all that are occupied) and flip-flops of each feature."""

    logic_luts: dict[str, float]
    luts: dict[str, float]
    flip_flops: dict[str, float]


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
    blocks = distributed = multipliers = 0
    for part in parts.values():
        mapped = features(part, device.family)
        total.update(mapped.features)
        blocks += mapped.blocks
        distributed += mapped.distributed
        multipliers += mapped.multipliers
    return Estimate(
        _weighted(total, known.logic_luts),
        Capacity(
            luts=_weighted(total, known.luts),
            flip_flops=_weighted(total, known.flip_flops),
            multipliers=multipliers,
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
    multipliers: int


def features(part: Structure, family: Family) -> Mapped:
    """Map a part to a family: what its LUTs are a sum of, and its memories and multipliers."""
    found = Counter(part.bits)
    blocks = distributed = 0
    for memory in part.memories:
        mapped = map_memory(memory, family)
        bits = memory.bits * memory.reads
        if mapped.place == "block":
            blocks += mapped.sites
            continue
        if memory.clocked:
            found["read"] += bits
        if mapped.place == "distributed":
            distributed += mapped.sites
            found["distributed"] += mapped.cells
            found["depth"] += (mapped.depth - 1) * bits
        elif memory.written:
            found["register"] += memory.words * memory.bits
        else:
            found["rom"] += -(-memory.words // family.lut_bits) * bits
    multipliers = 0
    for wide, narrow in part.multipliers:
        multipliers += -(-wide // _multiplier_bits(family)) * -(-narrow // 18)
    found["multiplier"] = multipliers
    return Mapped(found, blocks, distributed, multipliers)


def _multiplier_bits(family: Family) -> int:
    return 25 if family.name == "xc7" else 18


def _weighted(total: Mapping[str, int], weights: Mapping[str, float]) -> int:
    return max(0, round(sum(total[name] * weight for name, weight in weights.items())))


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
    return Structure(bits, tuple(memories), tuple(multipliers))


def _number(bits: str | int) -> int:
    """A parameter of a cell, which Yosys writes in binary."""
    return bits if isinstance(bits, int) else int(bits, 2)


@cache
def coefficients() -> Coefficients:
    """The coefficients that were fitted last."""
    text = (resources.files("systolith.hw.silicon") / "coefficients.json").read_bytes()
    return json_files.decode(text, Coefficients, SCHEMA)
