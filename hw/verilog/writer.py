"""Writes Verilog: a module for every unit, named after the top module and its layer."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from importlib import metadata
from typing import NamedTuple

from amaranth.back import rtlil
from amaranth.lib import wiring

from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network.graph import Convolution, Pooling, RadialBasis
from systolith.golden.qformat import PIXELS
from systolith.hw.accelerator import (
    CLASSIFIER,
    FRAME_CHECKER,
    SCORE_STREAM,
    Accelerator,
    part_module,
    unit_part,
)
from systolith.hw.folding import Folding
from systolith.hw.planning.budget import Goal
from systolith.hw.planning.estimate import Planned
from systolith.hw.streams.module_boundary import FlatModule
from systolith.hw.streams.result_layout import ResultLayout
from systolith.hw.systolic.array_work import array_work
from systolith.hw.verilog.garbage_collection import garbage_collection_paused
from systolith.hw.verilog.names import plain_names
from systolith.hw.verilog.readable import readable
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

_OTHER_ATTRIBUTE = re.compile(
    r"(?:^ +)?\(\* (?!keep |parallel_case |rom_style ).*?\*\)\s", re.MULTILINE
)
"""Attributes for Yosys alone. `keep` is that of `systolic.processing_element`, `rom_style` that of
`systolic.weight_memory`."""

_RTLIL_MODULE = re.compile(r"^module \\(\S+)$", re.MULTILINE)
_MODULE = re.compile(r"^module \\?(\S+?) ?\(.*?^endmodule\n", re.MULTILINE | re.DOTALL)
_MULTIPLICATION = re.compile(r"(?<=[\w)\]}])\s+\*\s+(?=[\w$({])")
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
            with garbage_collection_paused():
                modules |= {name: readable(found[name]) for name in names}
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


def with_comments(
    accelerator: Accelerator, modules: dict[str, str], planned: Planned, goal: Goal | None
) -> str:
    """The text of a Verilog file: an accelerator's modules, each with a comment that describes it.

    Parameters
    ----------
    accelerator, modules
        The accelerator and its modules.
    planned
        Its cost and its cycles.
    goal
        The goal that its plan was made for, if there is one.
    """
    fixed, plan, layout = accelerator.fixed, accelerator.plan, accelerator.layout
    out = "classes" if layout.kind == "class" else "scores"
    versions = {
        "Systolith": metadata.version("systolith"),
        "Amaranth": metadata.version("amaranth"),
        "Yosys": yosys_version(),
    }
    made_by = ", ".join(f"{tool} {version}" for tool, version in versions.items())
    fmt = fixed.network.input.format
    what, values = "pixels", "pixels"
    if fmt != PIXELS:
        what, values = "raw values", f"raw {fmt} values in the lowest bits"
    order = "row by row, channels ascending; tlast with the last beat."
    source = [f"// s_axis_tdata: {values}, {order}"]
    fields = accelerator.input_layout
    if fields.lanes > 1:
        port = f"{fields.lanes} fields of {fields.field_bits} bits, the first lowest"
        each = "channels of a pixel" if fmt == PIXELS else values
        source = [f"// s_axis_tdata: {port}: {each},", f"//               {order}"]
    interval, latency = planned.predicted.interval_cycles, planned.predicted.latency_cycles
    lines = [
        f"// {fixed.name}: a streaming accelerator, {what} in, {out} out (AXI4-Stream).",
        f"// Made by {made_by}.",
        "// This file is yours: Systolith's licence makes no claim on generated files.",
        "//",
        f"// Quantized network: sha256 {planned.quantized_sha256}",
        f"// Plan: {_goal(goal)}.",
        f"// Multipliers: {planned.multipliers:,}",
        f"// Predicted: an image every {interval:,} cycles, {latency:,} from pixel to result.",
        "//",
        *source,
        f"// m_axis_tdata: {_result(layout)};",
        "//               tuser, with tlast: the image had a wrong length.",
        "// aresetn: synchronous, active low.",
        "",
        "// One file has all modules.",
        "/* verilator lint_off DECLFILENAME */",
        "",
    ]
    units = {part_module(accelerator.name, unit_part(each.name)): each for each in fixed.layers}
    others = {part_module(accelerator.name, part): [f"// {text}"] for part, text in _OTHERS.items()}
    for name, module in modules.items():
        if name in units:
            lines += _comment(units[name], plan[units[name].name])
        else:
            lines += others.get(name, [])
        lines.append(module)
    return "\n".join([*lines, "/* verilator lint_on DECLFILENAME */", ""])


_OTHERS = {
    FRAME_CHECKER: "Fills up images that are too short, and truncates those that are too long.",
    CLASSIFIER: "Finds the class, the index of the winning score.",
    SCORE_STREAM: "Puts out the scores, one a beat.",
}


def _result(layout: ResultLayout) -> str:
    """The fields of `m_axis_tdata`, in words."""
    words = {field.name: f"bits {field.high} to {field.low}" for field in layout.fields}
    if layout.kind == "class":
        return f"the class in {words['class']}, the winning score in {words['score']}"
    scores = "1 score" if layout.beats == 1 else f"{layout.beats:,} scores"
    return f"{scores} an image, one in {words['score']}; tlast with the last beat"


def _goal(goal: Goal | None) -> str:
    """What a plan was made for, in words."""
    if goal is None:
        return "given by its user, in a file or a script"
    if goal.max_multipliers is not None:
        limit, least = f"at most {goal.max_multipliers:,} multipliers", "initiation interval"
    else:
        limit, least = f"an image at least every {goal.target_cycles:,} cycles", "multipliers"
    return f"{limit}, the least {'latency' if goal.minimize == 'latency' else least}"


def _comment(layer: FixedLayer, folding: Folding) -> list[str]:
    size = f"{folding.rows} x {folding.columns} processing elements"
    if array_work(layer) is None:
        size = "no processing elements"
    if folding.order == "outputs":
        size += ", one group of outputs after another"
    lines = [
        f"// {layer.name}: {_description(layer)}; {size}",
        f"// {layer.input_format} to {layer.output_format}, {_values(folding.lanes)} a beat.",
    ]
    if isinstance(layer.layer, RadialBasis):
        lines += [
            "// keep: a difference is both operands of its square. Yosys 0.70 would move its",
            "// register into a DSP for one of them, and multiply by 0.",
        ]
    return lines


def _values(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"


def _description(layer: FixedLayer) -> str:
    """What a layer computes: its type, kernel or window, and shapes."""
    of, source, result = layer.layer, layer.input_shape, layer.output_shape
    kind = of.type_name.replace("_", " ")
    sizes = f"{source.height} x {source.width} to {result.height} x {result.width}"
    if isinstance(of, Convolution):
        return f"{kind} {of.form}, {source.channels} to {result.channels} channels, {sizes}"
    if isinstance(of, Pooling):
        return f"{kind} {of.form}, {result.channels} channels, {sizes}"
    return f"{kind}, {source.size} to {result.size} values"
