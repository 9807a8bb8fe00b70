"""Verilog that a person can read: a module for every unit, called after its layer."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from importlib import metadata
from typing import NamedTuple

from amaranth.back import rtlil
from amaranth.lib import wiring

from systolith.golden.fixed.integers import FixedLayer, FixedNetwork
from systolith.golden.network.graph import Pooling
from systolith.hw.accelerator import Accelerator
from systolith.hw.folding import Folding, Plan
from systolith.hw.streams.module_boundary import FlatModule
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
write_verilog -noattr -nodec -simple-lhs
"""
"""Everything inside a unit becomes one module, and is cleaned up, but for multiplications: Yosys
would turn some of those by constants into other things, and each is to be seen for what it is."""

_BATCH_CHARACTERS = 600_000
"""Of RTLIL, from which on Yosys is started: it takes as long as Amaranth took to write them, and as
several of its own starts. By size, not by processors, so that these do not alter the bytes."""

_PROCESSES = 2
"""Yosys processes at a time."""

_MODULE = re.compile(r"^module \\?(\S+?) ?\(.*?^endmodule\n", re.MULTILINE | re.DOTALL)
_MULTIPLICATION = re.compile(r"^  assign .* \* ", re.MULTILINE)
_MEMORY = re.compile(r"^  reg (?:\[(\d+):0\] )?(\S+) \[(\d+):0\];", re.MULTILINE)


def accelerator_modules(accelerator: Accelerator) -> dict[str, str]:
    """The text of every Verilog module of an accelerator, by name, the top module first.

    While Amaranth elaborates some units, Yosys works on those before.

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
            found = {match[1]: match[0] for match in _MODULE.finditer(yosys.output())}
            modules |= {name: found[name] for name in names}
    return modules


def part_rtlil(accelerator: Accelerator) -> Iterator[tuple[str, str]]:
    """The name and the RTLIL of the top module, and of each part with the modules inside it."""
    top = accelerator.name
    keep = {top, *accelerator.parts, *accelerator.stream_signals()}
    yield top, _rtlil(top, accelerator.with_black_boxes(), keep)
    for name, part in accelerator.parts.items():
        yield name, _rtlil(name, FlatModule(part), keep)


def _rtlil(name: str, component: wiring.Component, keep: Collection[str]) -> str:
    with garbage_collection_paused():
        return plain_names(rtlil.convert(component, name=name, emit_src=False), keep)


def _batches(parts: Iterable[tuple[str, str]]) -> Iterator[dict[str, str]]:
    """Parts by name, so many at a time that a start of Yosys is worth it."""
    batch: dict[str, str] = {}
    for name, text in parts:
        batch[name] = text
        if sum(map(len, batch.values())) >= _BATCH_CHARACTERS:
            yield batch
            batch = {}
    if batch:
        yield batch


def _script(top: str, batch: Mapping[str, str]) -> str:
    """What makes one Verilog module of each part of a batch, given as RTLIL."""
    return _SCRIPT.format(
        rtlil="\n".join(batch.values()),
        flat=" ".join(name for name in batch if name != top),
        others=" ".join(f"{name} %d" for name in batch),
    )


def count_multipliers(modules: Iterable[str]) -> int:
    """Multiplications in the text of modules."""
    return sum(len(_MULTIPLICATION.findall(module)) for module in modules)


class Memory(NamedTuple):
    """A memory in a module."""

    name: str
    words: int
    bits: int


def memories(module: str) -> list[Memory]:
    """The memories in the text of a module."""
    return [
        Memory(name, int(last) + 1, int(high or 0) + 1)
        for high, name, last in _MEMORY.findall(module)
    ]


def with_comments(fixed: FixedNetwork, plan: Plan, modules: dict[str, str], sha256: str) -> str:
    """A Verilog file: the modules, each with a comment on what it is.

    `sha256` is that of the quantized network's file.
    """
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
    for name, module in modules.items():
        if name in plan:
            lines += _comment(fixed[name], plan[name])
        lines.append(module)
    return "\n".join(lines)


def _comment(layer: FixedLayer, folding: Folding) -> list[str]:
    source, result = layer.input_shape, layer.output_shape
    size = f"{folding.rows} x {folding.columns} processing elements"
    if isinstance(layer.layer, Pooling):
        size = "no processing elements"
    if folding.order == "outputs":
        size += ", one group of outputs after another"
    formats = f"{source} of {layer.input_format} to {result} of {layer.output_format}"
    return [
        f"// {layer.name}: {layer.layer.type_name}, {formats};",
        f"// {size}, {folding.lanes} values a beat.",
    ]
