"""Components as Verilog modules with flat ports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out


@dataclass(frozen=True)
class Port:
    """A flat port, and the value of a component's interface that it carries."""

    name: str
    value: Value
    is_input: bool


def flat_ports(component: wiring.Component) -> Iterator[Port]:
    """The flat ports of a component: one for each field of a structured port.

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
    """Clear the names of a component's ports, so that nets are named after their other ends."""
    for _, _, value in component.signature.flatten(component):
        Value.cast(value).name = ""


class FlatModule(wiring.Component):
    """A component with flat ports, without an additional level of hierarchy."""

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
    """A black box: an instance of a `FlatModule` whose Verilog is generated separately.

    It has the same interface as the component.
    """

    def __init__(self, component: wiring.Component, module: str) -> None:
        self.module = module
        super().__init__(component.signature)
        clear_names(self)

    def elaborate(self, platform: Any) -> Instance:
        ports: dict[str, Value] = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
        for port in flat_ports(self):
            ports[f"{'i' if port.is_input else 'o'}_{port.name}"] = port.value
        return Instance(self.module, **ports)
