# amaranth: UnusedElaboratable=no
"""The memory bits of an accelerator, counted before any Verilog is made."""

from __future__ import annotations

from amaranth.hdl import Fragment, Module, Shape
from amaranth.lib.memory import Memory

from systolith.hw.accelerator import Accelerator


def memory_bits(accelerator: Accelerator) -> dict[str, int]:
    """The bits of the memories in each part of an accelerator (`Accelerator.parts`), by its name.

    Every part is elaborated, which takes at most a tenth of the time of generating its Verilog. The
    Verilog has the same memories: `manifest.json` counts them there.
    """
    bits = {}
    for name, part in accelerator.parts.items():
        counter = _Counter()
        Fragment.get(part, counter)
        bits[name] = counter.bits
    return bits


class _Counter:
    """A platform for Amaranth that counts the bits of memories in place of building them."""

    def __init__(self) -> None:
        self.bits = 0

    def get_memory(self, memory: Memory) -> Module:
        """Amaranth calls this for each memory."""
        self.bits += memory.depth * Shape.cast(memory.shape).width
        return Module()
