# amaranth: UnusedElaboratable=no
from __future__ import annotations

from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import Module, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from systolith.hw.streams.beats import beat_stream
from systolith.hw.streams.module_boundary import FlatModule, ModuleInstance, flat_ports


class Passing(wiring.Component):
    """A stream that passes through, and an output stream that is never valid."""

    def __init__(self) -> None:
        super().__init__(
            {
                "i": In(beat_stream(signed(4), 2)),
                "o": Out(beat_stream(signed(4), 2)),
                "flag": Out(stream.Signature(1)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.d.sync += self.o.valid.eq(self.i.valid)
        m.d.comb += [self.o.payload.eq(self.i.payload), self.i.ready.eq(self.o.ready)]
        return m


def test_fields_of_streams_become_ports() -> None:
    assert [(port.name, len(port.value), port.is_input) for port in flat_ports(Passing())] == [
        ("i_data", 8, True),
        ("i_last", 1, True),
        ("i_valid", 1, True),
        ("i_ready", 1, False),
        ("o_data", 8, False),
        ("o_last", 1, False),
        ("o_valid", 1, False),
        ("o_ready", 1, True),
        ("flag_payload", 1, False),
        ("flag_valid", 1, False),
        ("flag_ready", 1, True),
    ]


def test_a_module_and_its_instance_have_the_same_ports() -> None:
    module = rtlil.convert(FlatModule(Passing()), name="passing", emit_src=False)
    top = Module()
    top.submodules.passing = ModuleInstance(Passing(), "passing")
    instance = rtlil.convert(top, ports=[], emit_src=False)
    names = {"clk", "rst", *(port.name for port in flat_ports(Passing()))}
    wires = {line.split("\\")[1] for line in module.splitlines() if "put" in line}
    connected = {
        line.split("\\")[1].split()[0] for line in instance.splitlines() if "  connect \\" in line
    }
    assert wires == names
    assert connected == names


def test_a_module_adds_no_level_of_hierarchy() -> None:
    assert rtlil.convert(FlatModule(Passing()), name="passing").count("module \\") == 1
