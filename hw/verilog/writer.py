"""Writes readable Verilog: a module for every unit, named after the top module and its layer."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from importlib import metadata
from typing import NamedTuple

from amaranth.back import rtlil
from amaranth.lib import wiring

from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.graph import RadialBasis
from systolith.hw.accelerator import Accelerator, part_module, unit_part
from systolith.hw.folding import Folding
from systolith.hw.streams.module_boundary import FlatModule
from systolith.hw.systolic.array_work import array_work
from systolith.hw.verilog.garbage_collection import garbage_collection_paused
from systolith.hw.verilog.names import plain_names
from systolith.hw.verilog.yosys import Yosys, started_yosys, yosys_version

_SCRIPT = """
read_rtlil <<rtlil
{rtlil}
rtlil
proc -noopt
flatten -noscopeinfo -separator _ {flat}
delete * {others}
select -set rest * t:$mul %d
opt_expr -full @rest
opt_merge @rest
opt_muxtree @rest
opt_reduce @rest
opt_merge @rest
opt_dff
opt_clean -purge
opt_merge @rest
opt_dff
opt_expr -full @rest
opt_clean -purge
write_verilog -nodec -simple-lhs
"""
"""Each unit becomes one module and is optimized, except for its multiplications: Yosys would
replace some that have a constant operand, and every multiplier is to be visible."""

_BATCH_CHARACTERS = 600_000
"""The size of RTLIL for which a Yosys process is started: it runs for as long as Amaranth needs to
write that much, and for several times its own start. The size does not depend on the number of
processors, so that the bytes do not either."""

_PROCESSES = 2
"""Yosys processes at a time."""

_OTHER_ATTRIBUTE = re.compile(r"(?:^ +)?\(\* (?!keep |parallel_case ).*?\*\)\s", re.MULTILINE)
"""Attributes for Yosys alone. `keep` is that of `systolic.processing_element`."""

_RTLIL_MODULE = re.compile(r"^module \\(\S+)$", re.MULTILINE)
_MODULE = re.compile(r"^module \\?(\S+?) ?\(.*?^endmodule\n", re.MULTILINE | re.DOTALL)
_MULTIPLICATION = re.compile(r"^  assign .* \* ", re.MULTILINE)
_MEMORY = re.compile(r"^  reg (?:\[(\d+):0\] )?(\S+) \[(\d+):0\];", re.MULTILINE)


def accelerator_modules(accelerator: Accelerator) -> dict[str, str]:
    """The text of every Verilog module of an accelerator, by name, the top module first.

    Yosys works on some units in the background while Amaranth elaborates the next ones.

    Raises
    ------
    YosysError
        Yosys failed.
    """
    top = accelerator.name
    modules: dict[str, str] = {}
    with ExitStack() as stack:
        runs: list[tuple[list[str], Yosys]] = []
        for batch in _batches(part_rtlil(accelerator)):
            if len(runs) >= _PROCESSES:
                runs[-_PROCESSES][1].wait()
            runs.append((list(batch), stack.enter_context(started_yosys(_script(top, batch)))))
        for names, yosys in runs:
            text = _OTHER_ATTRIBUTE.sub("", yosys.output())
            found = {match[1]: match[0] for match in _MODULE.finditer(text)}
            modules |= {name: found[name] for name in names}
    return modules


def part_rtlil(accelerator: Accelerator) -> Iterator[tuple[str, str]]:
    """The name and the RTLIL of the top module, and of each part with its submodules."""
    top = accelerator.name
    modules = {part_module(top, name): part for name, part in accelerator.parts.items()}
    keep = {top, *modules, *accelerator.parts, *accelerator.stream_signals()}
    yield top, _rtlil(top, accelerator.with_black_boxes(), keep)
    for name, part in modules.items():
        text = _rtlil(name, FlatModule(part), keep)
        # Submodules of different parts may get the same name: `x.y_z` and `x_y.z`.
        keep.update(_RTLIL_MODULE.findall(text))
        yield name, text


def _rtlil(name: str, component: wiring.Component, keep: Collection[str]) -> str:
    with garbage_collection_paused():
        return plain_names(rtlil.convert(component, name=name, emit_src=False), keep)


def _batches(parts: Iterable[tuple[str, str]]) -> Iterator[dict[str, str]]:
    """Parts by name, in batches that are large enough for a Yosys process."""
    batch: dict[str, str] = {}
    for name, text in parts:
        batch[name] = text
        if sum(map(len, batch.values())) >= _BATCH_CHARACTERS:
            yield batch
            batch = {}
    if batch:
        yield batch


def _script(top: str, batch: Mapping[str, str]) -> str:
    """The Yosys script that turns each part of a batch of RTLIL into one Verilog module."""
    return _SCRIPT.format(
        rtlil="\n".join(batch.values()),
        flat=" ".join(name for name in batch if name != top),
        others=" ".join(f"{name} %d" for name in batch),
    )


def count_multipliers(modules: Iterable[str]) -> int:
    """The number of multiplications in the text of modules."""
    return sum(len(_MULTIPLICATION.findall(module)) for module in modules)


class Memory(NamedTuple):
    """A memory in a module: its name, words and bits a word."""

    name: str
    words: int
    bits: int


def memories(module: str) -> list[Memory]:
    """The memories in the text of a module."""
    return [
        Memory(name, int(last) + 1, int(high or 0) + 1)
        for high, name, last in _MEMORY.findall(module)
    ]


def with_comments(accelerator: Accelerator, modules: dict[str, str], sha256: str) -> str:
    """The text of a Verilog file: an accelerator's modules, each with a comment that describes it.

    `sha256` is that of the quantized network's file.
    """
    fixed, plan = accelerator.fixed, accelerator.plan
    versions = {
        "Systolith": metadata.version("systolith"),
        "Amaranth": metadata.version("amaranth"),
        "Yosys": yosys_version(),
    }
    made_by = ", ".join(f"{tool} {version}" for tool, version in versions.items())
    lines = [
        f"// {fixed.name}: a streaming accelerator, pixels in, classes out (AXI4-Stream).",
        f"// Made by {made_by}.",
        f"// Quantized network: sha256 {sha256}",
        "//",
        "// s_axis_tdata: pixels, row by row, channels ascending; tlast with an image's final one.",
        "// m_axis_tdata: the class in bits 7 to 0, the winning score in bits 63 to 32;",
        "//               tuser: the image had a wrong length.",
        "// aresetn: synchronous, active low.",
        "",
    ]
    units = {part_module(accelerator.name, unit_part(each.name)): each for each in fixed.layers}
    for name, module in modules.items():
        if name in units:
            lines += _comment(units[name], plan[units[name].name])
        lines.append(module)
    return "\n".join(lines)


def _comment(layer: FixedLayer, folding: Folding) -> list[str]:
    source, result = layer.input_shape, layer.output_shape
    size = f"{folding.rows} x {folding.columns} processing elements"
    if array_work(layer) is None:
        size = "no processing elements"
    if folding.order == "outputs":
        size += ", one group of outputs after another"
    formats = f"{source} of {layer.input_format} to {result} of {layer.output_format}"
    lines = [
        f"// {layer.name}: {layer.layer.type_name}, {formats};",
        f"// {size}, {folding.lanes} values a beat.",
    ]
    if isinstance(layer.layer, RadialBasis):
        lines += [
            "// keep: a difference is both operands of its square. Yosys 0.70 would move its",
            "// register into a DSP for one of them, and multiply by 0.",
        ]
    return lines
