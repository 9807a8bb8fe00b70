"""Moves registers into the multipliers of ECP5, which Yosys leaves outside of them.

`MULT18X18D` has registers at its operands and at its product, and `synth_ecp5` of Yosys uses none:
an operand and its product then cross the device between flip-flops and the multiplier. This pass
runs before `synth_ecp5`, on the netlist in which registers are as wide as in the Verilog and have
neither enables nor resets that synthesis found; it replaces each multiplication between registers
by a `MULT18X18D` that has them inside, with the same values in every cycle. A register that has
other uses, too, stays for those.

Source: Lattice FPGA-TN-02205, "ECP5 and ECP5-5G sysDSP Usage Guide", for the cell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

Bit = int | str
"""A net's number in Yosys's JSON, or a constant: "0", "1", "x" or "z"."""

BEFORE = """\
proc
memory_collect
wreduce t:$mul
opt_clean
"""
"""The Yosys passes that make the netlist for `with_multiplier_registers` of a design read from
Verilog. `write_json` and `read_json` pass it here and back; `synth_ecp5` follows."""

_WIDTH = 18
_PRODUCT = 36


def with_multiplier_registers(netlist: dict[str, Any]) -> int:
    """Replace multiplications between registers by `MULT18X18D` that have the registers inside.

    A multiplication is replaced if each operand has 2 to 18 bits and comes from a register. The
    product's register moves in, too, if nothing else reads the product. Registers start at 0 and
    have the same clock. The register of a block memory (`ram_style`, `rom_style`) stays there.

    Parameters
    ----------
    netlist
        A design in Yosys's JSON, after the passes `BEFORE`. It is changed.

    Returns
    -------
    int
        The number of multiplications replaced.
    """
    modules = netlist["modules"].values()
    return sum(_Module(module).replace_all() for module in modules if module.get("cells"))


class _Register(NamedTuple):
    """One bit of a register: its input, and its clock."""

    d: Bit
    clock: Bit


class _Module:
    """A module, with the registers that a multiplier can hold."""

    def __init__(self, module: dict[str, Any]) -> None:
        self.cells: dict[str, Any] = module["cells"]
        self.nets: dict[str, Any] = module["netnames"]
        self.uses: Counter[Bit] = Counter()
        for port in module["ports"].values():
            if port["direction"] != "input":
                self.uses.update(port["bits"])
        for cell in self.cells.values():
            for _, bits in _inputs(cell):
                self.uses.update(bits)
        starts_high = {
            bit
            for net in self.nets.values()
            for bit, start in zip(net["bits"], reversed(_init(net)), strict=False)
            if start == "1"
        }
        in_memory = {
            bit
            for cell in self.cells.values()
            if cell["type"] == "$mem_v2" and _is_block(cell)
            for bit in cell["connections"]["RD_DATA"]
        }
        self.registers: dict[Bit, _Register] = {}
        self.cell_with_input: dict[Bit, str] = {}
        for name, cell in self.cells.items():
            if cell["type"] != "$dff" or int(cell["parameters"]["CLK_POLARITY"], 2) != 1:
                continue
            inputs, outputs = cell["connections"]["D"], cell["connections"]["Q"]
            if starts_high.isdisjoint(outputs):
                for d, q in zip(inputs, outputs, strict=True):
                    self.cell_with_input[d] = name
                    if d not in in_memory:
                        self.registers[q] = _Register(d, cell["connections"]["CLK"][0])

    def replace_all(self) -> int:
        """Replace all multiplications that can be; their number."""
        multiplications = [name for name, cell in self.cells.items() if cell["type"] == "$mul"]
        replaced = sum(map(self._replace, multiplications))
        if replaced:
            self._drop_unread_registers()
        return replaced

    def _replace(self, name: str) -> bool:
        cell = self.cells[name]
        signs = {port: int(cell["parameters"][f"{port}_SIGNED"], 2) for port in "AB"}
        product = cell["connections"]["Y"]
        operands = {}
        clocks: set[Bit] = set()
        for port in "AB":
            bits = _trimmed(cell["connections"][port], bool(signs[port]))
            registers = [self.registers.get(bit) for bit in bits]
            clocks.update(register.clock for register in registers if register is not None)
            inputs = [
                register.d if register is not None else bit
                for bit, register in zip(bits, registers, strict=True)
            ]
            constant = {b for b, r in zip(bits, registers, strict=True) if r is None}
            if not constant <= {"0", "x"} or not 2 <= len(bits) <= _WIDTH:
                return False
            above = inputs[-1] if signs[port] else "0"
            operands[port] = inputs + [above] * (_WIDTH - len(inputs))
        if len(clocks) != 1 or len(product) > _PRODUCT:
            return False
        clock = clocks.pop()
        self.uses.subtract([*cell["connections"]["A"], *cell["connections"]["B"]])
        self.uses.update([*operands["A"], *operands["B"]])
        self.cells[name] = multiplier = _multiplier(operands, signs, product, clock)
        register = self._register_of(product, clock)
        if register is not None:
            registered = self.cells.pop(register)["connections"]["Q"]
            multiplier["connections"] |= {f"P{at}": [bit] for at, bit in enumerate(registered)}
            multiplier["parameters"]["REG_OUTPUT_CLK"] = "CLK0"
            for bit in registered:
                del self.registers[bit]
        return True

    def _register_of(self, product: list[Bit], clock: Bit) -> str | None:
        """The register that reads a product, if nothing else does."""
        name = self.cell_with_input.get(product[0])
        if name is None or any(self.uses[bit] != 1 for bit in product):
            return None
        connections = self.cells[name]["connections"]
        return name if connections["D"] == product and connections["CLK"] == [clock] else None

    def _drop_unread_registers(self) -> None:
        """Remove registers that only multipliers read, also where an attribute keeps them."""
        for name in [name for name, cell in self.cells.items() if cell["type"] == "$dff"]:
            q = self.cells[name]["connections"]["Q"]
            if not any(self.uses[bit] for bit in q):
                del self.cells[name]
                dropped = set(q)
                for net in self.nets.values():
                    if not dropped.isdisjoint(net["bits"]):
                        net["attributes"].pop("keep", None)


def _multiplier(
    operands: dict[str, list[Bit]], signs: dict[str, int], product: list[Bit], clock: Bit
) -> dict[str, Any]:
    """A `MULT18X18D` with registers at its operands."""
    inputs = {f"{port}{at}": bit for port in "AB" for at, bit in enumerate(operands[port])}
    inputs |= {f"C{at}": "0" for at in range(_WIDTH)}
    inputs |= {f"SIGNED{port}": str(signs[port]) for port in "AB"}
    inputs |= {"SOURCEA": "0", "SOURCEB": "0", "CLK0": clock, "CE0": "1", "RST0": "0"}
    outputs = {f"P{at}": bit for at, bit in enumerate(product)}
    return {
        "hide_name": 0,
        "type": "MULT18X18D",
        "parameters": {"REG_INPUTA_CLK": "CLK0", "REG_INPUTB_CLK": "CLK0"},
        "attributes": {},
        "port_directions": dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output"),
        "connections": {port: [bit] for port, bit in (inputs | outputs).items()},
    }


def _inputs(cell: dict[str, Any]) -> Iterator[tuple[str, list[Bit]]]:
    for port, bits in cell["connections"].items():
        if cell["port_directions"][port] != "output":
            yield port, bits


def _init(net: dict[str, Any]) -> str:
    """The bits with which a net's register starts, the highest first."""
    start: str = net["attributes"].get("init", "")
    return start


def _is_block(memory: dict[str, Any]) -> bool:
    """Whether a memory is to be in block memory."""
    attributes = memory["attributes"]
    return "block" in (attributes.get("rom_style"), attributes.get("ram_style"))


def _trimmed(bits: list[Bit], signed: bool) -> list[Bit]:
    """An operand without the upper bits that only extend it."""
    end = len(bits)
    while end > 1 and bits[end - 1] == (bits[end - 2] if signed else "0"):
        end -= 1
    return bits[:end]
