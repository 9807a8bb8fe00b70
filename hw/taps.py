"""Verilog for simulators: the generated file, and a module around it that shows every stream."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hw.accelerator import AXIS_PORTS, STREAM_SIGNALS
from hw.frame import PIXEL
from hw.manifest import Manifest


class TapError(ValueError):
    """Verilog without a signal that should be there."""


@dataclass(frozen=True)
class TappedVerilog:
    """A design for a simulator.

    Parameters
    ----------
    top
        The module to simulate: the accelerator's ports, and for the input and every layer the
        outputs `tap_<layer>_data`, `_valid`, `_ready` and `_last`: the stream behind it.
    text
        All modules.
    """

    top: str
    text: str


def tapped_verilog(verilog: str, manifest: Manifest, input_name: str) -> TappedVerilog:
    """Put a module around an accelerator that shows the streams behind its input and its layers.

    The accelerator's text stays as it is, so that what is simulated is what was generated.

    Parameters
    ----------
    verilog
        The accelerator.
    manifest
        Its manifest: the top module's name, and every layer's stream.
    input_name
        The name of the network's input, whose stream is of single pixels.

    Raises
    ------
    TapError
        The accelerator has no such module, or not the signals of a stream in it; names the file.
    """
    module = rf"^module {manifest.top}\s*\(.*?^endmodule"
    body = re.search(module, verilog, re.MULTILINE | re.DOTALL)
    if body is None:
        raise TapError(f"{manifest.files.verilog}: there is no module {manifest.top!r}")
    declarations = [f"  {kind} {_range(width)}{name};" for name, kind, width in AXIS_PORTS]
    connections = [f".{name}({name})" for name, _, _ in AXIS_PORTS]
    ports = [name for name, _, _ in AXIS_PORTS]
    assignments = []
    data_widths = {input_name: PIXEL.width}
    data_widths |= {each.name: each.stream.lanes * each.stream.bits for each in manifest.layers}
    for layer, data_width in data_widths.items():
        for signal in STREAM_SIGNALS:
            width = data_width if signal == "data" else 1
            name = f"{layer}_{signal}"
            if f"\n  wire {_range(width)}{name};\n" not in body[0]:
                raise TapError(
                    f"{manifest.files.verilog}: module {manifest.top!r} must have a wire {name!r} "
                    f"of width {width}"
                )
            ports.append(f"tap_{name}")
            declarations.append(f"  output {_range(width)}tap_{name};")
            assignments.append(f"  assign tap_{name} = accelerator.{name};")
    top = _free_name(f"{manifest.top}_tapped", verilog)
    lines = [
        f"module {top}({', '.join(ports)});",
        *declarations,
        f"  {manifest.top} accelerator({', '.join(connections)});",
        *assignments,
        "endmodule",
    ]
    return TappedVerilog(top, verilog + "\n" + "\n".join(lines) + "\n")


def _range(width: int) -> str:
    return f"[{width - 1}:0] " if width > 1 else ""


def _free_name(name: str, verilog: str) -> str:
    while re.search(rf"^module {name}\b", verilog, re.MULTILINE):
        name += "_"
    return name
