"""Components as Verilog modules with flat ports of plain names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out


@dataclass(frozen=True)
class Port:
    """A port, and the part of a component's interface that it stands for."""

    name: str
    value: Value
    is_input: bool


def flat_ports(component: wiring.Component) -> Iterator[Port]:
    """A component's ports, the fields of structured ones each by itself.

    A stream `i` of beats becomes `i_data`, `i_last`, `i_valid` and `i_ready`.
    """
    for path, member, value in component.signature.flatten(component):
        is_input = member.flow == wiring.In
        if isinstance(value, data.View) and isinstance(value.shape(), data.StructLayout):
            stem = [str(step) for step in path if step != "payload"]
            for field, _ in value.shape():
                yield Port("_".join([*stem, field]), Value.cast(value[field]), is_input)
        else:
            yield Port("_".join(map(str, path)), Value.cast(value), is_input)


def clear_names(component: wiring.Component) -> None:
    """Take the names of a component's ports, so that what is connected to them gives its own."""
    for _, _, value in component.signature.flatten(component):
        Value.cast(value).name = ""


class FlatModule(wiring.Component):
    """A component behind flat ports, without a level of hierarchy of its own."""

    def __init__(self, component: wiring.Component) -> None:
        self.component = component
        super().__init__(
            {
                port.name: (In if port.is_input else Out)(len(port.value))
                for port in flat_ports(component)
            }
        )
        clear_names(component)

    def elaborate(self, platform: Any) -> Module:
        m: Module = self.component.elaborate(platform)
        for port in flat_ports(self.component):
            outer = getattr(self, port.name)
            m.d.comb += port.value.eq(outer) if port.is_input else outer.eq(port.value)
        return m


class ModuleInstance(wiring.Component):
    """A place for a `FlatModule` that is made elsewhere: the same interface, nothing inside."""

    def __init__(self, component: wiring.Component, module: str) -> None:
        self.module = module
        super().__init__(component.signature)
        clear_names(self)

    def elaborate(self, platform: Any) -> Instance:
        ports: dict[str, Value] = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
        for port in flat_ports(self):
            ports[f"{'i' if port.is_input else 'o'}_{port.name}"] = port.value
        return Instance(self.module, **ports)
