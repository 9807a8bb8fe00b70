"""Faults in a small netlist, by hand."""

from __future__ import annotations

import pytest

from tests.mutation.mutation import (
    OWN_KINDS,
    SELECT,
    Mutation,
    Netlist,
    choose,
    mutate_command,
    own_mutations,
    parse_mutations,
    select_width,
)
from tests.mutation.netlist_editor import with_own_mutations


def cell(kind: str, **connections: list[int | str]) -> Netlist:
    parameters = {f"{port}_WIDTH": f"{len(bits):032b}" for port, bits in connections.items()}
    parameters |= {"A_SIGNED": "0" * 32, "B_SIGNED": "0" * 32}
    directions = {port: "output" if port == "Y" else "input" for port in connections}
    return {
        "hide_name": 0,
        "type": kind,
        "parameters": parameters,
        "attributes": {},
        "port_directions": directions,
        "connections": connections,
    }


def net(*bits: int) -> Netlist:
    return {"hide_name": 0, "bits": list(bits), "attributes": {}}


def netlist() -> Netlist:
    """A counter's next value, its end, a difference and a handshake."""
    return {
        "ports": {},
        "netnames": {"count": net(2, 3), "next": net(4, 5), "o_valid": net(6), "less": net(7, 8)},
        "cells": {
            "next": cell("$add", A=[2, 3], B=["1", "0"], Y=[4, 5]),
            "end": cell("$eq", A=[2, 3], B=["1", "1"], Y=[6]),
            "minus": cell("$sub", A=[2, 3], B=[4, 5], Y=[7, 8]),
        },
    }


def test_places_for_faults() -> None:
    found = [(each.kind, each.cell, each.port) for each in own_mutations("unit", netlist())]
    assert found == [
        ("off by one", "next", "B"),
        ("dropped carry", "next", "Y"),
        ("off by one", "end", "B"),
        ("stuck low", "end", "Y"),
        ("stuck high", "end", "Y"),
        ("swapped operands", "minus", "A"),
    ]


def test_a_number_chooses_between_a_cell_and_its_mutants() -> None:
    mutations = list(own_mutations("unit", netlist()))
    made = with_own_mutations("unit", netlist(), mutations, select_width(mutations))
    assert made["ports"][SELECT]["bits"] == made["netnames"][SELECT]["bits"]
    cells = made["cells"]
    # The second of two mutants of a cell is nearer to it.
    last = cells["$mutant$mux1"]["connections"]
    first = cells["$mutant$mux2"]["connections"]
    assert last["Y"] == [4, 5] and last["A"] == first["Y"]
    assert first["A"] == cells["next"]["connections"]["Y"]
    constants = {each["connections"]["B"][0] for each in cells.values() if each["type"] == "$add"}
    assert constants == {"0", "1"}
    swapped = next(
        each for name, each in cells.items() if each["type"] == "$sub" and name != "minus"
    )
    assert swapped["connections"]["A"] == [4, 5] and swapped["connections"]["B"] == [2, 3]
    assert cells["$mutant$is6"]["connections"]["B"] == ["0", "1", "1"]


def test_a_place_that_is_not_there_is_refused() -> None:
    wrong = Mutation("unit", "off by one", "next", "A", 0)
    with pytest.raises(ValueError, match=r"no such place in the netlist: unit: off by one at next"):
        with_own_mutations("unit", netlist(), [wrong], 1)


def test_every_kind_has_its_turn() -> None:
    places = [Mutation("unit", kind, f"{n}", "Y", 0) for kind in OWN_KINDS for n in range(3)]
    chosen = choose(places, 10, 4)
    assert sorted(each.kind for each in chosen) == sorted(2 * OWN_KINDS)
    assert chosen == choose(places, 10, 4) != choose(places, 10, 5)
    assert len(choose(places, 100, 4)) == len(places)


def test_mutations_of_yosys() -> None:
    line = r"mutate -mode cnot0 -module C1 -cell $x.$5 -port Q -portbit 3 -ctrlbit 1 -wire \a.b"
    clock = "mutate -mode inv -module C1 -cell $x.$5 -port CLK -portbit 0"
    (mutation,) = parse_mutations(f"{line} -wirebit 2\n{clock}\n")
    assert mutation == Mutation("C1", "cnot0", "$x.$5", "Q", 3, 1, "a.b")
    assert str(mutation) == "C1: cnot0 at $x.$5.Q[3] (a.b)"
    assert mutate_command(mutation, 6, 4) == (
        "mutate -mode cnot0 -module C1 -cell $behind$x.$5 -port Y -portbit 3 -ctrlbit 1 "
        "-ctrl mutsel 4 6"
    )
