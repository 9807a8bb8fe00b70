# amaranth: UnusedElaboratable=no
"""Registers in multipliers: a processing element stays the same, with a model of the cell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Elaboratable, Module, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from systolith.hw.silicon.multiplier_registers import BEFORE, with_multiplier_registers
from systolith.hw.systolic.processing_element import ProcessingElement
from systolith.sim.errors import SimulationError
from tests.formal import test_processing_element
from tests.gates.multipliers import multiplier_models
from tests.yowasp import run_full_yosys

_EQUAL = """
read_json after.json
rename top after
read_verilog model.v
hierarchy -top after
flatten after
read_rtlil before.il
rename top before
proc
memory_map
miter -equiv -flatten -make_outputs before after compared
hierarchy -top compared
opt -full
simplemap t:$dff t:$sdff t:$dffe t:$sdffe
opt_merge
wreduce
opt -full
sat -verify -seq 6 -prove trigger 0 compared
setattr -unset init w:*
sat -verify -seq 8 -prove-skip 6 -prove trigger 0 compared
"""
"""Equal in the first cycles; and in all others, as any state before has left the pipeline then."""

MULTIPLIER = "MULT18X18D"

ELEMENTS = test_processing_element.ELEMENTS | {
    "18-bit-signed": ProcessingElement(signed(18), signed(2), signed(21), signed(21)),
    "18-bit-unsigned": ProcessingElement(unsigned(18), unsigned(2), signed(21), signed(21)),
}
"""Also with all bits of an operand, where it matters whether the highest is a sign."""


def changed(design: Elaboratable, folder: Path) -> dict[str, Any]:
    """The cells of the top module after the pass; both netlists are in the folder."""
    (folder / "before.il").write_text(rtlil.convert(design, name="top"), "utf-8")
    run_full_yosys(f"read_rtlil before.il\nflatten\n{BEFORE}write_json before.json\n", folder)
    netlist = json.loads((folder / "before.json").read_text("utf-8"))
    with_multiplier_registers(netlist)
    (folder / "after.json").write_text(json.dumps(netlist), "utf-8")
    cells: dict[str, Any] = netlist["modules"]["top"]["cells"]
    return cells


def require_equal(folder: Path, model: str) -> None:
    """Prove that the netlist after the pass is that from before, in every cycle."""
    (folder / "model.v").write_text(model, "utf-8")
    run_full_yosys(_EQUAL, folder)


def multipliers(cells: dict[str, Any]) -> Iterator[dict[str, str]]:
    """The parameters of the multipliers."""
    return (cell["parameters"] for cell in cells.values() if cell["type"] == MULTIPLIER)


class Registered(wiring.Component):
    """A processing element between the registers at its operands, as in an array."""

    def __init__(self, element: ProcessingElement) -> None:
        self.element = element
        super().__init__(element.signature)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.element = element = self.element
        for name in ("x", "weight"):
            m.d.sync += getattr(element, name).eq(getattr(self, name))
        m.d.comb += [
            element.psum_in.eq(self.psum_in),
            self.x_out.eq(element.x_out),
            self.psum_out.eq(element.psum_out),
        ]
        return m


class Product(wiring.Component):
    """A product of two operands of 8 bits, of which a test chooses what is special."""

    def __init__(self, special: str) -> None:
        self.special = special
        inputs = dict.fromkeys("ab", In(signed(8)))
        super().__init__(inputs | dict.fromkeys(("p", "other"), Out(signed(16))))

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        special = self.special
        a = Signal(signed(20 if special == "wide" else 8), init=special == "starts at 1")
        b = Signal(signed(8), reset_less=True)
        result, product = Signal(signed(16)), Signal(signed(16), reset_less=True)
        m.d.sync += [a.eq(self.a << 12 if special == "wide" else self.a), product.eq(result)]
        m.d.comb += [result.eq(a * b), self.p.eq(product)]
        if special in ("block memory", "memory"):
            attrs = {"rom_style": "block"} if special == "block memory" else {}
            m.submodules.rom = rom = Memory(
                shape=signed(8), depth=256, init=range(-128, 128), attrs=attrs
            )
            port = rom.read_port(domain="comb")
            m.d.comb += port.addr.eq(self.b)
            m.d.sync += b.eq(port.data)
        elif special == "no register":
            m.d.comb += b.eq(self.b)
        elif special == "enable":
            with m.If(self.a[0]):
                m.d.sync += b.eq(self.b)
        else:
            m.d.sync += b.eq(self.b)
        if special == "product has other uses":
            m.d.comb += self.other.eq(result)
        if special == "operand has other uses":
            m.d.comb += self.other.eq(a + b)
        return m


@pytest.mark.formal
@pytest.mark.parametrize("name", [name for name in ELEMENTS if name != "one-bit"])
def test_a_processing_element_is_the_same(name: str, tmp_path: Path) -> None:
    cells = changed(Registered(ELEMENTS[name]), tmp_path)
    assert list(multipliers(cells)) == [
        {"REG_INPUTA_CLK": "CLK0", "REG_INPUTB_CLK": "CLK0", "REG_OUTPUT_CLK": "CLK0"}
    ]
    require_equal(tmp_path, multiplier_models("ecp5"))


@pytest.mark.formal
@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("18-bit-signed", "SIGNEDA & a[17]", "1'b0"),
        ("18-bit-unsigned", "SIGNEDA & a[17]", "a[17]"),
        ("unsigned", 'REG_INPUTA_CLK == "NONE" ?', "1 ?"),
        ("unsigned", 'REG_OUTPUT_CLK == "NONE" ?', "1 ?"),
        ("unsigned", "{a_in, b_in, product}", "{a_in, b, product}"),
    ],
)
def test_a_wrong_cell_is_refuted(name: str, right: str, wrong: str, tmp_path: Path) -> None:
    changed(Registered(ELEMENTS[name]), tmp_path)
    model = multiplier_models("ecp5")
    assert right in model
    with pytest.raises(SimulationError):
        require_equal(tmp_path, model.replace(right, wrong))


BOTH = {"REG_INPUTA_CLK": "CLK0", "REG_INPUTB_CLK": "CLK0"}
ALL = BOTH | {"REG_OUTPUT_CLK": "CLK0"}


@pytest.mark.formal
@pytest.mark.parametrize(
    ("special", "found"),
    [
        ("", [ALL]),
        ("operand has other uses", [ALL]),
        ("enable", [ALL]),
        ("memory", [ALL]),
        ("product has other uses", [BOTH]),
        ("block memory", []),
        ("no register", []),
        ("starts at 1", []),
        ("wide", []),
    ],
)
def test_which_registers_move(special: str, found: list[dict[str, str]], tmp_path: Path) -> None:
    cells = changed(Product(special), tmp_path)
    assert list(multipliers(cells)) == found
    kept = {"operand has other uses": 2}
    registers = [cell for cell in cells.values() if cell["type"] == "$dff"]
    if found == [ALL]:
        assert len(registers) == kept.get(special, special == "enable")
