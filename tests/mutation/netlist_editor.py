"""Edits netlists: adds mutations of `OWN_KINDS`, the port that chooses one, and output ports.

`mutated_network` uses it to make one design of all mutants, which is then built only once.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

from tests.mutation.mutation import (
    OWN_KINDS,
    SELECT,
    Bit,
    Mutation,
    Netlist,
    buffer_of,
    own_mutations,
    wire_names,
)


def with_own_mutations(
    unit: str, netlist: Netlist, mutations: Sequence[Mutation], width: int
) -> Netlist:
    """Add the port `SELECT` and the mutations of `OWN_KINDS` to a module.

    A register whose output is mutated, in whatever way, gets a buffer cell: the mutations are put
    there, so that the register itself still starts with its value.

    Parameters
    ----------
    unit
        The module.
    netlist
        Its netlist, which is copied.
    mutations
        Those of all modules; a mutation's number is its position here, counted from 1.
    width
        The width of the port.

    Raises
    ------
    ValueError
        The netlist has no place for a mutation.
    """
    changed = copy.deepcopy(netlist)
    editor = _Editor(changed, width)
    for cell in dict.fromkeys(m.cell for m in mutations if m.unit == unit and m.port == "Q"):
        editor.buffer(cell)
    for number, mutation in enumerate(mutations, 1):
        if mutation.unit == unit and mutation.kind in OWN_KINDS:
            if mutation not in own_mutations(unit, netlist):
                raise ValueError(f"no such place in the netlist: {mutation}")
            editor.mutate(mutation, number)
    return changed


def join_select(netlist: Netlist, modules: Iterable[str], width: int) -> Netlist:
    """Add the port `SELECT` to a module, and connect it to that of the modules inside it."""
    changed = copy.deepcopy(netlist)
    editor = _Editor(changed, width)
    for cell in changed["cells"].values():
        if cell["type"] in modules:
            cell.setdefault("port_directions", {})[SELECT] = "input"
            cell["connections"][SELECT] = editor.select
    return changed


def show(netlist: Netlist, ports: dict[str, str]) -> Netlist:
    """Add output ports to a module; `ports` maps the name of each to a wire."""
    changed = copy.deepcopy(netlist)
    for port, wire in ports.items():
        bits = changed["netnames"][wire]["bits"]
        changed["ports"][port] = {"direction": "output", "bits": bits}
        changed["netnames"][port] = {"hide_name": 0, "bits": bits, "attributes": {}}
    return changed


class _Editor:
    """Adds cells and the port `SELECT` to a netlist, in place."""

    def __init__(self, netlist: Netlist, width: int) -> None:
        self._netlist = netlist
        used = [b for net in netlist["netnames"].values() for b in net["bits"]]
        used += [
            bit
            for cell in netlist["cells"].values()
            for bits in cell["connections"].values()
            for bit in bits
        ]
        self._next = 1 + max(bit for bit in used if isinstance(bit, int))
        self.select = self._fresh(width)
        netlist["ports"][SELECT] = {"direction": "input", "bits": self.select}
        netlist["netnames"][SELECT] = {"hide_name": 0, "bits": self.select, "attributes": {}}

    def mutate(self, mutation: Mutation, number: int) -> None:
        """Put a multiplexer after a cell: at the mutation's number it takes a faulty copy."""
        name = buffer_of(mutation.cell) if mutation.port == "Q" else mutation.cell
        cell = self._netlist["cells"][name]
        place = cell["connections"]["Y"]
        good = cell["connections"]["Y"] = self._fresh(len(place))
        bad = _FAULTS[mutation.kind](self, mutation, cell, good)
        chosen = self._fresh(1)
        constant: list[Bit] = [str(number >> bit & 1) for bit in range(len(self.select))]
        self.add(f"is{number}", "$eq", {"A": self.select, "B": constant, "Y": chosen})
        self.add(f"mux{number}", "$mux", {"A": good, "B": bad, "S": chosen, "Y": place})

    def buffer(self, name: str) -> None:
        """Put a buffer cell between a register and what it drives."""
        ports = self._netlist["cells"][name]["connections"]
        driven, bits = ports["Q"], self._fresh(len(ports["Q"]))
        initial: dict[Bit, str] = {}
        for net in self._netlist["netnames"].values():
            init = net["attributes"].get("init")
            if init is not None:
                values = dict(
                    zip(net["bits"], reversed(init.rjust(len(net["bits"]), "x")), strict=True)
                )
                initial |= {bit: values[bit] for bit in driven if values.get(bit, "x") != "x"}
                values |= dict.fromkeys(driven, "x")
                init = "".join(values[bit] for bit in reversed(net["bits"]))
                net["attributes"]["init"] = init
        ports["Q"] = bits
        wire = wire_names(self._netlist).get(driven[0], "")
        register = f"register{bits[0]} {wire}".replace(" ", "_")
        init = "".join(initial.get(bit, "x") for bit in reversed(driven))
        self._netlist["netnames"][register] = {
            "hide_name": 0,
            "bits": bits,
            "attributes": {"init": init},
        }
        parameters = {"A_SIGNED": _number(0)}
        parameters |= {f"{port}_WIDTH": _number(len(bits)) for port in ("A", "Y")}
        buffer = _cell("$pos", parameters, {"A": bits, "Y": driven})
        self._netlist["cells"][buffer_of(name)] = buffer

    def add(self, name: str, kind: str, connections: dict[str, list[Bit]]) -> None:
        """Add a cell with unsigned inputs."""
        parameters = {f"{port}_WIDTH": _number(len(bits)) for port, bits in connections.items()}
        parameters |= {f"{port}_SIGNED": _number(0) for port in ("A", "B")}
        if kind == "$mux":
            parameters = {"WIDTH": _number(len(connections["Y"]))}
        self._netlist["cells"][f"$mutant${name}"] = _cell(kind, parameters, connections)

    def off_by_one(self, mutation: Mutation, cell: Netlist, good: list[Bit]) -> list[Bit]:
        """The output of a copy whose constant is larger by one."""
        bits = cell["connections"][mutation.port]
        value = sum((bit == "1") << position for position, bit in enumerate(bits))
        # Most constants are the ends of counters: a frame or a row becomes longer by one.
        other = (value + 1) % (1 << len(bits))
        changed: list[Bit] = [str(other >> position & 1) for position in range(len(bits))]
        return self._copy(cell, {mutation.port: changed})

    def swapped(self, mutation: Mutation, cell: Netlist, good: list[Bit]) -> list[Bit]:
        """The output of a copy with its operands in the other order."""
        ports = cell["connections"]
        parameters = dict(cell["parameters"])
        for what in ("WIDTH", "SIGNED"):
            if f"A_{what}" in parameters:
                first, second = f"A_{what}", f"B_{what}"
                parameters |= {first: parameters[second], second: parameters[first]}
        other = {**cell, "parameters": parameters}
        return self._copy(other, {"A": ports["B"], "B": ports["A"]})

    def dropped_carry(self, mutation: Mutation, cell: Netlist, good: list[Bit]) -> list[Bit]:
        """A sum whose upper half gets no carry from the lower."""
        low: list[Bit] = ["0"] * mutation.bit
        ports = cell["connections"]
        operands = {
            port: (low + ports[port][mutation.bit :])[: len(ports[port])] for port in ("A", "B")
        }
        return good[: mutation.bit] + self._copy(cell, operands)[mutation.bit :]

    def stuck(self, mutation: Mutation, cell: Netlist, good: list[Bit]) -> list[Bit]:
        """A constant."""
        return ["1" if mutation.kind == "stuck high" else "0"]

    def _copy(self, cell: Netlist, changed: dict[str, list[Bit]]) -> list[Bit]:
        """Add a copy of a cell with some other inputs; returns its output."""
        output = self._fresh(len(cell["connections"]["Y"]))
        connections = {**cell["connections"], **changed, "Y": output}
        copied = _cell(cell["type"], dict(cell["parameters"]), connections)
        self._netlist["cells"][f"$mutant${output[0]}"] = copied
        return output

    def _fresh(self, width: int) -> list[Bit]:
        start = self._next
        self._next += width
        return list(range(start, self._next))


_FAULTS = {
    "off by one": _Editor.off_by_one,
    "swapped operands": _Editor.swapped,
    "dropped carry": _Editor.dropped_carry,
    "stuck low": _Editor.stuck,
    "stuck high": _Editor.stuck,
}


def _cell(kind: str, parameters: dict[str, str], connections: dict[str, list[Bit]]) -> Netlist:
    return {
        "hide_name": 1,
        "type": kind,
        "parameters": parameters,
        "attributes": {},
        "port_directions": {port: "output" if port == "Y" else "input" for port in connections},
        "connections": connections,
    }


def _number(value: int) -> str:
    return f"{value:032b}"
