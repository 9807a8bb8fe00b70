"""Verilog that a person can read: a module for every unit, called after its layer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import metadata

from amaranth.back import rtlil

from golden.fixed_network import FixedLayer, FixedNetwork
from golden.graph import Pooling
from hw.accelerator import Accelerator
from hw.folding import Folding, Plan
from hw.module_boundary import FlatModule
from hw.plain_names import plain_names
from hw.yosys import run_yosys, yosys_version

_OPTIMIZE = """
opt_expr -full @rest
opt_merge @rest
opt_muxtree @rest
opt_reduce @rest
opt_merge @rest
opt_dff
opt_clean -purge
"""

_SCRIPT = """
read_rtlil <<rtlil
{rtlil}
rtlil
hierarchy -top {top}
proc
flatten -noscopeinfo -separator _ * {top} %d
hierarchy -top {top}
select -set rest * t:$mul %d
{optimize}
{optimize}
opt_expr -full @rest
opt_clean -purge
write_verilog -noattr -nodec -simple-lhs
"""
"""Everything inside a unit becomes one module, and is cleaned up, but for multiplications: Yosys
would turn some of those by constants into other things, and each is to be seen for what it is."""

_MODULE = re.compile(r"^module \\?(\S+?) ?\(.*?^endmodule\n", re.MULTILINE | re.DOTALL)
_MULTIPLICATION = re.compile(r"^  assign .* \* ", re.MULTILINE)
_MEMORY = re.compile(r"^  reg (?:\[(\d+):0\] )?\S+ \[(\d+):0\];", re.MULTILINE)


def accelerator_modules(accelerator: Accelerator) -> dict[str, str]:
    """The text of every Verilog module of an accelerator, by name, the top module first.

    Raises
    ------
    YosysError
        Yosys failed.
    """
    top = accelerator.name
    texts = [rtlil.convert(accelerator.hollow(), name=top, emit_src=False)]
    texts += [
        rtlil.convert(FlatModule(part), name=name, emit_src=False)
        for name, part in accelerator.parts.items()
    ]
    keep = {top, *accelerator.parts, *accelerator.stream_signals()}
    verilog = run_yosys(
        _SCRIPT.format(rtlil=plain_names("\n".join(texts), keep), top=top, optimize=_OPTIMIZE)
    )
    modules = {match[1]: match[0] for match in _MODULE.finditer(verilog)}
    return {name: modules[name] for name in (top, *accelerator.parts)}


def count_multipliers(modules: Iterable[str]) -> int:
    """Multiplications in the text of modules."""
    return sum(len(_MULTIPLICATION.findall(module)) for module in modules)


def count_memory_bits(modules: Iterable[str]) -> int:
    """Bits of the memories in the text of modules."""
    return sum(
        (int(high or 0) + 1) * (int(last) + 1)
        for module in modules
        for high, last in _MEMORY.findall(module)
    )


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
