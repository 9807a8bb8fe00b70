"""Mutations: the faults that can be put into a unit's netlist, and the places for them.

A netlist is a module in the form of Yosys's `write_json`. `netlist_editor` and Yosys's `mutate` put
all mutations into one netlist, in which an input port chooses one.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Netlist = dict[str, Any]
Bit = int | str

SELECT = "mutsel"
"""The port whose value is the number of the mutant that is active; 0: none is."""

YOSYS_KINDS = ("inv", "const0", "const1", "cnot0", "cnot1")
"""Faults of Yosys's `mutate`: a bit of a cell's port is inverted, stuck, or inverted by another."""

OWN_KINDS = ("off by one", "swapped operands", "dropped carry", "stuck low", "stuck high")
"""Faults that designers make: in a constant, an order of operands, a width, a handshake."""

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
        The place.
    control_bit
        For `cnot0` and `cnot1`: the bit of the same port that inverts it.
    wire
        The name of the wire there, for messages; empty if it has none.
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
    """The mutations in the output of Yosys's `mutate -list`.

    Those of clocks are left out, and those of pins that the cells of hardware do not have.
    """
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
    """The Yosys command that adds a mutation of `YOSYS_KINDS`, active at its number."""
    cell, port = mutation.cell, mutation.port
    if port == "Q":
        cell, port = buffer_of(cell), "Y"
    words = ["mutate", "-mode", mutation.kind, "-module", mutation.unit, "-cell", cell]
    words += ["-port", port, "-portbit", str(mutation.bit)]
    if mutation.control_bit is not None:
        words += ["-ctrlbit", str(mutation.control_bit)]
    return " ".join([*words, "-ctrl", SELECT, str(width), str(number)])


def own_mutations(unit: str, netlist: Netlist) -> Iterator[Mutation]:
    """Every possible mutation of `OWN_KINDS`, in the order of the netlist."""
    names = wire_names(netlist)
    for name, cell in netlist["cells"].items():
        ports, cell_type = cell["connections"], cell["type"]
        for port in ("Y", "Q"):
            if port not in ports:
                continue
            wire = names.get(ports[port][0], "")

            def fault(
                kind: str, port: str, bit: int = 0, name: str = name, wire: str = wire
            ) -> Mutation:
                return Mutation(unit, kind, name, port, bit, wire=wire)

            if cell_type in ("$add", "$sub", *_COMPARISONS):
                yield from (fault("off by one", x) for x in ("A", "B") if _is_constant(ports[x]))
            if cell_type in _ORDERED or (cell_type == "$mux" and len(ports["Y"]) > 1):
                yield fault("swapped operands", "A")
            if cell_type == "$add" and len(ports["Y"]) > 1:
                yield fault("dropped carry", "Y", len(ports["Y"]) // 2)
            if len(ports[port]) == 1 and wire.rstrip("_").endswith(_HANDSHAKES):
                yield from (fault(stuck, port) for stuck in ("stuck low", "stuck high"))


def choose(mutations: Iterable[Mutation], count: int, seed: int) -> list[Mutation]:
    """Choose `count` mutations at random, every kind about equally often."""
    generator = random.Random(seed)
    by_kind: dict[str, list[Mutation]] = {}
    for mutation in mutations:
        by_kind.setdefault(mutation.kind, []).append(mutation)
    for each in by_kind.values():
        generator.shuffle(each)
    chosen: list[Mutation] = []
    while len(chosen) < count and any(by_kind.values()):
        for each in by_kind.values():
            if each and len(chosen) < count:
                chosen.append(each.pop())
    return chosen


def select_width(mutations: Sequence[Mutation]) -> int:
    """The width of the port that chooses one of these mutations, or none."""
    return len(mutations).bit_length()


def wire_names(netlist: Netlist) -> dict[Bit, str]:
    """The name of the wire that each bit belongs to, where it has one."""
    return {
        bit: name
        for name, net in netlist["netnames"].items()
        if not net["hide_name"]
        for bit in net["bits"]
    }


def valid_of(port: str, ports: Iterable[str]) -> str | None:
    """The port that says whether an output of a stream matters; None if it always does."""
    valid = f"{port.rsplit('_', 1)[0]}_valid"
    return valid if not port.endswith(("_valid", "_ready")) and valid in ports else None


def buffer_of(register: str) -> str:
    """The name of the cell that `netlist_editor` puts between a register and what it drives."""
    return f"$behind{register.replace(' ', '_')}"


def _is_constant(bits: Sequence[Bit]) -> bool:
    return len(bits) > 0 and all(isinstance(bit, str) for bit in bits)
