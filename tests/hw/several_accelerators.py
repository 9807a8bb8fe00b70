# amaranth: UnusedElaboratable=no
"""A network by two plans, another network, and tops with names of ours, in one design."""

from __future__ import annotations

from systolith import hw
from systolith.hw.accelerator import Accelerator, axis_ports
from systolith.hw.planning.plan_file import smallest_plan
from systolith.hw.verilog.writer import accelerator_modules
from tests.hw.small_networks import EVERY_KIND, EVERY_KIND_PLAN, ONE_LAYER, quantized

TOGETHER = "together"
"""The top module of the design."""

_OURS = ("frame_checker", "classifier", "aclk", "unit_scores", "delete", "_0_")
TOPS = ("slow", "fast", "every_kind", *_OURS)
"""The top modules of the accelerators."""


def several_accelerators() -> str:
    """The Verilog of all of them, and of a module that has an instance of each."""
    one = quantized(ONE_LAYER).fixed
    accelerators = [
        Accelerator(one, smallest_plan(ONE_LAYER), "slow"),
        Accelerator(one, {"scores": hw.Folding(rows=2, columns=2, lanes=2)}, "fast"),
        Accelerator(quantized(EVERY_KIND).fixed, EVERY_KIND_PLAN),
        *(Accelerator(one, smallest_plan(ONE_LAYER), name) for name in _OURS),
    ]
    texts = [text for each in accelerators for text in accelerator_modules(each).values()]
    ports, instances = [], []
    for place, top in enumerate(TOPS):
        connections = {name: name for name, kind, _ in axis_ports(8) if kind == "input"}
        for name, kind, width in axis_ports(8):
            if kind == "output" or place == 0:
                port = connections.setdefault(name, f"{name}_{place}")
                ports.append(f"  {kind} [{width - 1}:0] {port}")
        connected = ", ".join(f".{name}({signal})" for name, signal in connections.items())
        instances.append(f"  {top} i{place}({connected});")
    together = [f"module {TOGETHER}(", ",\n".join(ports), ");", *instances, "endmodule", ""]
    return "\n".join([*texts, *together])
