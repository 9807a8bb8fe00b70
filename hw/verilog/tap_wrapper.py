"""Verilog for simulators: the generated file in a wrapper that taps every stream."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from systolith.hw.accelerator import (
    STREAM_SIGNALS,
    axis_ports,
    part_module,
    stream_signal,
    unit_part,
)
from systolith.hw.streams.input_layout import StreamEntry
from systolith.hw.verilog.manifest import Manifest

ACCELERATOR = "accelerator"
"""The name of the accelerator's instance in the wrapper."""

UNIT = "unit"
"""The name of a single unit's instance in its wrapper."""

RESULT_BITS_ALONE = 8
"""The width of `m_axis_tdata` of a single unit in its wrapper, which has no results: it is 0."""


class TapError(ValueError):
    """Verilog that lacks an expected module or signal."""


@dataclass(frozen=True)
class TappedVerilog:
    """A design for a simulator.

    Parameters
    ----------
    top
        The module to simulate: the accelerator's ports, and for the input and every layer the
        outputs `tap_<layer>_data`, `_valid`, `_ready` and `_last`: the stream after it.
    text
        All modules.
    """

    top: str
    text: str


def tapped_verilog(verilog: str, manifest: Manifest, input_name: str) -> TappedVerilog:
    """Wrap an accelerator in a module whose outputs are the streams after its input and layers.

    The accelerator's text is unchanged, so that simulations run exactly what was generated.

    Parameters
    ----------
    verilog
        The accelerator.
    manifest
        Its manifest, with the top module's name and every layer's stream.
    input_name
        The name of the network's input.

    Raises
    ------
    TapError
        The Verilog lacks that module, or the signals of a stream; the message names the file.
    """
    module = _Module(verilog, manifest.top, manifest.files.verilog)
    streams: dict[str, StreamEntry] = {input_name: manifest.input}
    streams |= {each.name: each.stream for each in manifest.layers}
    declarations, assignments = [], []
    for layer, stream in streams.items():
        for signal in STREAM_SIGNALS:
            width = stream.lanes * stream.bits if signal == "data" else 1
            name, tap = stream_signal(layer, signal), f"tap_{layer}_{signal}"
            module.require("wire", name, width)
            declarations.append(f"output {_range(width)}{tap}")
            assignments.append(f"  assign {tap} = {ACCELERATOR}.{name};")
        assignments += _lanes(layer, stream)
    ports = manifest.ports
    connections = [f".{name}({name})" for name, _, _ in ports]
    instance = f"  {manifest.top} {ACCELERATOR}({', '.join(connections)});"
    return _wrapped(
        verilog, f"{manifest.top}_tapped", ports, declarations, [instance, *assignments]
    )


def tapped_layer_verilog(
    verilog: str, manifest: Manifest, layer: str, input_width: int
) -> TappedVerilog:
    """Wrap the unit of one layer of an accelerator, without the other layers.

    The ports are those of the accelerator: `s_axis` carries the beats of the unit's input, `m_axis`
    the handshakes of its output. The output's stream is tapped as by `tapped_verilog`.

    Parameters
    ----------
    verilog, manifest
        As for `tapped_verilog`.
    layer
        The layer's name.
    input_width
        Bits of an input beat.

    Raises
    ------
    TapError
        The layer has no module, or not the ports of a unit; the message names the file.
    """
    stream = next(each.stream for each in manifest.layers if each.name == layer)
    output_width = stream.lanes * stream.bits
    name = part_module(manifest.top, unit_part(layer))
    module = _Module(verilog, name, manifest.files.verilog)
    for side, inputs, width in (
        ("i", ("data", "valid", "last"), input_width),
        ("o", ("ready",), output_width),
    ):
        for signal in STREAM_SIGNALS:
            kind = "input" if signal in inputs else "output"
            module.require(kind, f"{side}_{signal}", width if signal == "data" else 1)
    ports = axis_ports(input_width, RESULT_BITS_ALONE)
    taps = {signal: f"tap_{layer}_{signal}" for signal in STREAM_SIGNALS}
    declarations = [
        f"output {_range(output_width if signal == 'data' else 1)}{tap}"
        for signal, tap in taps.items()
    ]
    connections = {"clk": "aclk", "rst": "!aresetn"}
    connections |= {f"i_{signal}": f"s_axis_t{signal}" for signal in STREAM_SIGNALS}
    connections |= {f"o_{signal}": tap for signal, tap in taps.items()}
    connections["o_ready"] = "m_axis_tready"
    named = ", ".join(f".{port}({signal})" for port, signal in connections.items())
    lines = [
        f"  {name} {UNIT}({named});",
        f"  assign {taps['ready']} = m_axis_tready;",
        f"  assign m_axis_tvalid = {taps['valid']};",
        f"  assign m_axis_tlast = {taps['last']};",
        "  assign m_axis_tdata = 0;",
        "  assign m_axis_tuser = 0;",
        *_lanes(layer, stream),
    ]
    return _wrapped(verilog, f"{name}_alone", ports, declarations, lines)


def _lanes(layer: str, stream: StreamEntry) -> list[str]:
    """Wires `lane_<layer>_<number>` with the values of a beat, to read in waveforms."""
    sign = "signed " if stream.signed else ""
    bits = stream.bits
    parts = [f"[{lane * bits + bits - 1}:{lane * bits}]" for lane in range(stream.lanes)]
    if stream.lanes * bits == 1:
        parts = [""]
    return [
        f"  wire {sign}{_range(bits)}lane_{layer}_{lane} = tap_{layer}_data{part};"
        for lane, part in enumerate(parts)
    ]


class _Module:
    """The text of a module."""

    def __init__(self, verilog: str, name: str, file: str) -> None:
        module = rf"^module {re.escape(name)}\s*\(.*?^endmodule"
        found = re.search(module, verilog, re.MULTILINE | re.DOTALL)
        if found is None:
            raise TapError(f"{file}: there is no module {name!r}")
        self._text, self._name, self._file = found[0], name, file

    def require(self, kind: str, name: str, width: int) -> None:
        """Raise a `TapError` if a signal is not declared."""
        declaration = rf"^  {kind}(?: reg)? {re.escape(_range(width))}{name}[;,]?$"
        if re.search(declaration, self._text, re.MULTILINE) is None:
            raise TapError(
                f"{self._file}: module {self._name!r} must have the {kind} {name!r} "
                f"of width {width}"
            )


def _wrapped(
    verilog: str,
    top: str,
    ports: Sequence[tuple[str, str, int]],
    declarations: Sequence[str],
    lines: Sequence[str],
) -> TappedVerilog:
    """A text and the wrapper."""
    declared = [f"{kind} {_range(width)}{name}" for name, kind, width in ports]
    header = ",\n  ".join([*declared, *declarations])
    text = "\n".join([f"module {top}(\n  {header}\n);", *lines, "endmodule"])
    return TappedVerilog(top, f"{verilog}\n{text}\n")


def _range(width: int) -> str:
    return f"[{width - 1}:0] " if width > 1 else ""
