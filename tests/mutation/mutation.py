"""Faults in the netlist of a unit, all of them in one design and chosen by an input port.

A netlist is what Yosys's `write_json` gives of a module.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Netlist = dict[str, Any]
Bit = int | str

SELECT = "mutsel"
"""The port that chooses a mutant by its number; 0 is none."""

YOSYS_KINDS = ("inv", "const0", "const1", "cnot0", "cnot1")
"""Faults of Yosys's `mutate`: a bit of a cell's port inverted, stuck, or inverted by another."""

OWN_KINDS = ("off by one", "swapped operands", "dropped carry", "stuck low", "stuck high")
"""Faults that people make: with a constant, an order, a width, a handshake."""

_COMPARISONS = ("$eq", "$ne", "$lt", "$le", "$gt", "$ge")
_ORDERED = ("$sub", "$lt", "$le", "$gt", "$ge")
_CLOCKS = ("CLK", "RD_CLK", "WR_CLK")
_NO_PINS = ("RD_ARST",)
_HANDSHAKES = (
    "valid",
    "ready",
    "available",
    "reserve",
    "room",
    "taken",
    "advance",
    "issue",
    "give",
)


@dataclass(frozen=True)
class Mutation:
    """A fault at one place.

    Parameters
    ----------
    unit
        The module.
    kind
        One of `YOSYS_KINDS` or `OWN_KINDS`.
    cell, port, bit
        Where.
    control_bit
        The bit of the same port that inverts it, of the kinds `cnot0` and `cnot1`.
    wire
        The name of the wire there, if it has one: for people.
    """

    unit: str
    kind: str
    cell: str
    port: str
    bit: int
    control_bit: int | None = None
    wire: str = ""

    def __str__(self) -> str:
        wire = f" ({self.wire})" if self.wire else ""
        return f"{self.unit}: {self.kind} at {self.cell}.{self.port}[{self.bit}]{wire}"


def parse_mutations(text: str) -> Iterator[Mutation]:
    """What Yosys's `mutate -list` wrote, but for clocks, and for pins that hardware has not."""
    for line in text.splitlines():
        words = line.split()
        options = dict(zip(words[1::2], words[2::2], strict=True))
        if options["-port"] in _CLOCKS or options["-port"] in _NO_PINS:
            continue
        control = options.get("-ctrlbit")
        yield Mutation(
            unit=options["-module"],
            kind=options["-mode"],
            cell=options["-cell"].removeprefix("\\"),
            port=options["-port"],
            bit=int(options["-portbit"]),
            control_bit=None if control is None else int(control),
            wire=options.get("-wire", "").removeprefix("\\"),
        )


def mutate_command(mutation: Mutation, number: int, width: int) -> str:
    """The Yosys command that puts in a mutation of `YOSYS_KINDS`, chosen by its number."""
    cell, port = mutation.cell, mutation.port
    if port == "Q":
        cell, port = _behind(cell), "Y"
    words = ["mutate", "-mode", mutation.kind, "-module", mutation.unit, "-cell", cell]
    words += ["-port", port, "-portbit", str(mutation.bit)]
    if mutation.control_bit is not None:
        words += ["-ctrlbit", str(mutation.control_bit)]
    return " ".join([*words, "-ctrl", SELECT, str(width), str(number)])


def own_mutations(unit: str, netlist: Netlist) -> Iterator[Mutation]:
    """Every place for a fault of `OWN_KINDS`, in the order of the netlist."""
    names = _names(netlist)
    for name, cell in netlist["cells"].items():
        ports, kind = cell["connections"], cell["type"]
        for port in ("Y", "Q"):
            if port not in ports:
                continue
            wire = names.get(ports[port][0], "")

            def fault(
                what: str, at: str, bit: int = 0, name: str = name, wire: str = wire
            ) -> Mutation:
                return Mutation(unit, what, name, at, bit, wire=wire)

            if kind in ("$add", "$sub", *_COMPARISONS):
                yield from (fault("off by one", at) for at in ("A", "B") if _constant(ports[at]))
            if kind in _ORDERED or (kind == "$mux" and len(ports["Y"]) > 1):
                yield fault("swapped operands", "A")
            if kind == "$add" and len(ports["Y"]) > 1:
                yield fault("dropped carry", "Y", len(ports["Y"]) // 2)
            if len(ports[port]) == 1 and wire.rstrip("_").endswith(_HANDSHAKES):
                yield from (fault(stuck, port) for stuck in ("stuck low", "stuck high"))


def choose(places: Iterable[Mutation], count: int, seed: int) -> list[Mutation]:
    """So many of some places at random, no kind needlessly more often than another."""
    generator = random.Random(seed)
    by_kind: dict[str, list[Mutation]] = {}
    for place in places:
        by_kind.setdefault(place.kind, []).append(place)
    for each in by_kind.values():
        generator.shuffle(each)
    chosen: list[Mutation] = []
    while len(chosen) < count and any(by_kind.values()):
        for each in by_kind.values():
            if each and len(chosen) < count:
                chosen.append(each.pop())
    return chosen


def select_width(mutations: Sequence[Mutation]) -> int:
    """The bits of the port that chooses one of so many, or none."""
    return len(mutations).bit_length()


def with_own_mutations(
    unit: str, netlist: Netlist, mutations: Sequence[Mutation], width: int
) -> Netlist:
    """A module with the port `SELECT`, and with its mutations of `OWN_KINDS`.

    Between a register that a mutation is to follow, and what it drives, there is a cell then: the
    register itself keeps the value that it starts with.

    Parameters
    ----------
    unit
        The module.
    netlist
        It without mutations.
    mutations
        Of all modules; a mutation's number is its place here, counted from 1.
    width
        Of the port.

    Raises
    ------
    ValueError
        There is no such place in the netlist.
    """
    made = copy.deepcopy(netlist)
    editor = _Editor(made, width)
    for cell in dict.fromkeys(m.cell for m in mutations if m.unit == unit and m.port == "Q"):
        editor.separate(cell)
    for number, mutation in enumerate(mutations, 1):
        if mutation.unit == unit and mutation.kind in OWN_KINDS:
            if mutation not in own_mutations(unit, netlist):
                raise ValueError(f"no such place in the netlist: {mutation}")
            editor.mutate(mutation, number)
    return made


def join_select(netlist: Netlist, modules: Iterable[str], width: int) -> Netlist:
    """A module with the port `SELECT`, joined to those of the modules inside it."""
    made = copy.deepcopy(netlist)
    editor = _Editor(made, width)
    for cell in made["cells"].values():
        if cell["type"] in modules:
            cell.setdefault("port_directions", {})[SELECT] = "input"
            cell["connections"][SELECT] = editor.select
    return made


def show(netlist: Netlist, ports: dict[str, str]) -> Netlist:
    """A module with more outputs: `ports` tells which wire each shows."""
    made = copy.deepcopy(netlist)
    for port, wire in ports.items():
        bits = made["netnames"][wire]["bits"]
        made["ports"][port] = {"direction": "output", "bits": bits}
        made["netnames"][port] = {"hide_name": 0, "bits": bits, "attributes": {}}
    return made


class _Editor:
    """Adds to a netlist."""

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
        """Let a mutation's number choose between a cell and a copy of it that has the fault."""
        name = _behind(mutation.cell) if mutation.port == "Q" else mutation.cell
        cell = self._netlist["cells"][name]
        place = cell["connections"]["Y"]
        good = cell["connections"]["Y"] = self._fresh(len(place))
        bad = _FAULTS[mutation.kind](self, mutation, cell, good)
        chosen = self._fresh(1)
        constant: list[Bit] = [str(number >> bit & 1) for bit in range(len(self.select))]
        self.add(f"is{number}", "$eq", {"A": self.select, "B": constant, "Y": chosen})
        self.add(f"mux{number}", "$mux", {"A": good, "B": bad, "S": chosen, "Y": place})

    def separate(self, name: str) -> None:
        """Put a cell behind a register."""
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
        register = f"register{bits[0]} {_names(self._netlist).get(driven[0], '')}".replace(" ", "_")
        init = "".join(initial.get(bit, "x") for bit in reversed(driven))
        self._netlist["netnames"][register] = {
            "hide_name": 0,
            "bits": bits,
            "attributes": {"init": init},
        }
        parameters = {"A_SIGNED": _number(0)}
        parameters |= {f"{port}_WIDTH": _number(len(bits)) for port in ("A", "Y")}
        self._netlist["cells"][_behind(name)] = _cell("$pos", parameters, {"A": bits, "Y": driven})

    def add(self, name: str, kind: str, connections: dict[str, list[Bit]]) -> None:
        """A cell of unsigned inputs."""
        parameters = {f"{port}_WIDTH": _number(len(bits)) for port, bits in connections.items()}
        parameters |= {f"{port}_SIGNED": _number(0) for port in ("A", "B")}
        if kind == "$mux":
            parameters = {"WIDTH": _number(len(connections["Y"]))}
        self.add_like(name, {"type": kind, "parameters": parameters}, connections)

    def add_like(self, name: str, cell: Netlist, connections: dict[str, list[Bit]]) -> None:
        """A cell of the type and the parameters of another."""
        self._netlist["cells"][f"$mutant${name}"] = {
            "hide_name": 1,
            "type": cell["type"],
            "parameters": dict(cell["parameters"]),
            "attributes": {},
            "port_directions": {port: "output" if port == "Y" else "input" for port in connections},
            "connections": connections,
        }

    def off_by_one(self, mutation: Mutation, cell: Netlist, good: list[Bit]) -> list[Bit]:
        bits = cell["connections"][mutation.port]
        value = sum((bit == "1") << position for position, bit in enumerate(bits))
        # Most constants are the ends of counters: a frame or a row that is one longer.
        other = (value + 1) % (1 << len(bits))
        changed: list[Bit] = [str(other >> position & 1) for position in range(len(bits))]
        return self._copy(cell, {mutation.port: changed})

    def swapped(self, mutation: Mutation, cell: Netlist, good: list[Bit]) -> list[Bit]:
        ports = cell["connections"]
        parameters = dict(cell["parameters"])
        for what in ("WIDTH", "SIGNED"):
            if f"A_{what}" in parameters:
                first, second = f"A_{what}", f"B_{what}"
                parameters |= {first: parameters[second], second: parameters[first]}
        other = {**cell, "parameters": parameters}
        return self._copy(other, {"A": ports["B"], "B": ports["A"]})

    def dropped_carry(self, mutation: Mutation, cell: Netlist, good: list[Bit]) -> list[Bit]:
        low: list[Bit] = ["0"] * mutation.bit
        ports = cell["connections"]
        operands = {
            port: (low + ports[port][mutation.bit :])[: len(ports[port])] for port in ("A", "B")
        }
        return good[: mutation.bit] + self._copy(cell, operands)[mutation.bit :]

    def stuck(self, mutation: Mutation, cell: Netlist, good: list[Bit]) -> list[Bit]:
        return ["1" if mutation.kind == "stuck high" else "0"]

    def _copy(self, cell: Netlist, changed: dict[str, list[Bit]]) -> list[Bit]:
        """The output of a copy of a cell, with some other inputs."""
        output = self._fresh(len(cell["connections"]["Y"]))
        connections = {**cell["connections"], **changed, "Y": output}
        made = _cell(cell["type"], dict(cell["parameters"]), connections)
        self._netlist["cells"][f"$mutant${output[0]}"] = made
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


def _names(netlist: Netlist) -> dict[Bit, str]:
    """The name of the wire of each bit that is in a named one."""
    return {
        bit: name
        for name, net in netlist["netnames"].items()
        if not net["hide_name"]
        for bit in net["bits"]
    }


def _behind(register: str) -> str:
    """The name of the cell behind a register."""
    return f"$behind{register.replace(' ', '_')}"


def _cell(kind: str, parameters: dict[str, str], connections: dict[str, list[Bit]]) -> Netlist:
    return {
        "hide_name": 1,
        "type": kind,
        "parameters": parameters,
        "attributes": {},
        "port_directions": {port: "output" if port == "Y" else "input" for port in connections},
        "connections": connections,
    }


def _constant(bits: Sequence[Bit]) -> bool:
    return len(bits) > 0 and all(isinstance(bit, str) for bit in bits)


def _number(value: int) -> str:
    return f"{value:032b}"
