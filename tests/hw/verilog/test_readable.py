"""Readable Verilog computes what the Verilog of Yosys computes, where widths and signs meet too."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from systolith.hw.verilog.expressions import VerilogError
from systolith.hw.verilog.readable import readable
from systolith.sim.simulators import installed
from tests.hw.front_ends import icarus
from tests.sim.required import need

MODULES = 200
INPUTS = {"a": 1, "b": 3, "c": 4, "d": 4, "e": 6}
OPERATORS = ("+", "-", "*", "&", "|", "==", "<", ">=", "<<", ">>", "?", "~", "!", "|1", "&1", "{")


def test_every_bit_is_the_same(tmp_path: Path) -> None:
    """Random modules as Yosys writes them, beside their readable forms, in Icarus Verilog."""
    need("icarus")
    rng = random.Random(1)
    parts, checks = [], []
    for number in range(MODULES):
        module, width = random_module(rng, f"m{number}")
        parts += [module, readable(module).replace(f"module m{number}(", f"module r{number}(")]
        ports = ", ".join(f".{name}({name})" for name in INPUTS)
        checks += [
            f"  wire [{width - 1}:0] y{number}, z{number};",
            f"  m{number} i{number}({ports}, .y(y{number}));",
            f"  r{number} j{number}({ports}, .y(z{number}));",
            f'  always @(negedge go) if (y{number} !== z{number}) $display("m{number}");',
        ]
    declared = "".join(f"  reg [{width - 1}:0] {name};\n" for name, width in INPUTS.items())
    values = "".join(f"    {name} = $random;\n" for name in INPUTS)
    bench = (
        f"module bench;\n  reg go = 0;\n{declared}" + "\n".join(checks) + "\n"
        f"  initial repeat (300) begin\n{values}    #1 go = 1;\n    #1 go = 0;\n    #1;\n  end\n"
        "endmodule\n"
    )
    (tmp_path / "bench.v").write_text("".join(parts) + bench, "utf-8")
    icarus(tmp_path, "-s", "bench", "bench.v")
    simulator = installed.find_icarus().runtime
    run = subprocess.run([simulator, "design.vvp"], cwd=tmp_path, capture_output=True, check=True)
    assert set(run.stdout.decode().split()) == set()


def random_module(rng: random.Random, name: str) -> tuple[str, int]:
    """A module whose anonymous nets have an operator each, and the width of its output."""
    widths = dict(INPUTS)
    lines = []

    def operand(width: int | None = None) -> str:
        net = rng.choice(list(widths)[-6:])
        if (width is not None and width < widths[net]) or rng.random() < 0.3:
            low = rng.randrange(widths[net])
            high = rng.randrange(low, widths[net])
            if widths[net] > 1:
                return f"{net}[{high}:{low}]" if high > low else f"{net}[{low}]"
        return net

    for number in range(rng.randrange(2, 9)):
        operator = rng.choice(OPERATORS)
        left, right, third = operand(), operand(), operand()
        while right == left:
            right = operand()
        if operator in {"+", "-", "<", ">="} and rng.random() < 0.5:
            left, right = f"$signed({left})", f"$signed({right})"
        if operator == "+" and rng.random() < 0.3:
            right = "1'h1"
        value = f"{left} {operator} {right}"
        if operator == "?":
            value = f"{third} ? {left} : {right}"
        elif operator == "{":
            value = f"{{ {left}, {right}, {third} }}"
        elif operator in {"~", "!", "|1", "&1"}:
            value = f"{operator[0]} {left}"
        width = 1 if operator in {"==", "<", ">=", "!", "|1", "&1"} else rng.randrange(1, 9)
        widths[f"_{number}_"] = width
        lines.append(f"  assign _{number}_ = {value};")
    out = rng.randrange(1, 9)
    lines.append(f"  assign y = {operand()} {rng.choice('+&-')} {operand()};")
    declared = [f"  wire [{width - 1}:0] {net};" for net, width in widths.items() if "_" in net]
    ports = [f"  input [{width - 1}:0] {net};" for net, width in INPUTS.items()]
    header = f"module {name}({', '.join(INPUTS)}, y);\n  output [{out - 1}:0] y;"
    return "\n".join([header, *ports, *declared, *lines, "endmodule", ""]), out


def module(*lines: str) -> str:
    return "\n".join(["module m(clk, a, b, y);", *(f"  {line}" for line in lines), "endmodule", ""])


PORTS = ("input clk;", "input [3:0] a;", "input [3:0] b;", "output [4:0] y;")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # A sum that is one bit wider than its operands loses its carry nowhere.
        (("wire [4:0] _0_;", "assign _0_ = a + b;", "assign y = _0_;"), "assign y = a + b;"),
        (
            ("wire [4:0] _0_;", "assign _0_ = a + b;", "assign y = { _0_[4:1], 1'h0 };"),
            "assign y = { a_plus_b[4:1], 1'h0 };",
        ),
        # What nobody reads above the operands' width is not computed.
        (
            ("wire [4:0] _0_;", "assign _0_ = a + 1'h1;", "assign y = { 1'h0, _0_[3:0] };"),
            "assign y = { 1'h0, a + 1'h1 };",
        ),
        # An inverted net would have ones before it in a wider place.
        (("wire [3:0] _0_;", "assign _0_ = ~ a;", "assign y = _0_;"), "assign y = not_a;"),
        # A sum with signs has them there as well.
        (
            ("wire [4:0] _0_;", "assign _0_ = $signed(a) + $signed(b[1:0]);", "assign y = _0_;"),
            "assign y = { { 1{a[3]} }, a } + { { 3{b[1]} }, b[1:0] };",
        ),
        (
            ("wire _0_;", "assign _0_ = a == b;", "assign y = _0_ ? a : { _0_, a };"),
            "assign a_equals_b = a == b;",
        ),
    ],
)
def test_expressions_stand_where_they_are_the_same(lines: tuple[str, ...], expected: str) -> None:
    assert f"  {expected}\n" in readable(module(*PORTS, *lines))


def test_other_text_is_a_defect() -> None:
    with pytest.raises(VerilogError, match="forever"):
        readable(module(*PORTS, "initial forever;"))
    with pytest.raises(VerilogError, match="'c' is not known"):
        readable(module(*PORTS, "assign y = c;"))
