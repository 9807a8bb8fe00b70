"""Simulation models of the multipliers that Yosys has none for, as its `dsp_map` uses them.

They multiply, and have none of the registers and chains of these cells: a netlist that sets a
parameter, to use one, does not compile with them.
"""

from __future__ import annotations


def multiplier_models(target: str) -> str:
    """The models for a target; empty if Yosys's own suffice."""
    if target == "ecp5":
        return _ecp5()
    if target == "gowin":
        return "".join(_gowin(width) for width in (9, 18))
    return ""


def _ecp5() -> str:
    """`MULT18X18D`, with a port for each bit."""
    widths = {"A": 18, "B": 18, "C": 18, "P": 36}
    bits = {port: [f"{port}{n}" for n in range(width)] for port, width in widths.items()}
    inputs = [*bits["A"], *bits["B"], *bits["C"], "SIGNEDA", "SIGNEDB", "SOURCEA", "SOURCEB"]
    a, b, p = (", ".join(reversed(bits[port])) for port in "ABP")
    return (
        f"module MULT18X18D(input {', '.join(inputs)}, output {', '.join(bits['P'])});\n"
        f"  wire signed [18:0] a = {{SIGNEDA & A17, {a}}};\n"
        f"  wire signed [18:0] b = {{SIGNEDB & B17, {b}}};\n"
        f"  assign {{{p}}} = a * b;\n"
        "endmodule\n"
    )


def _gowin(width: int) -> str:
    """`MULT9X9` or `MULT18X18`."""
    high = width - 1
    return (
        f"module MULT{width}X{width}(\n"
        f"  input [{high}:0] A, SIA, B, SIB, input ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET,\n"
        f"  output [{2 * width - 1}:0] DOUT, output [{high}:0] SOA, SOB\n"
        ");\n"
        f"  wire signed [{width}:0] a = {{ASIGN & A[{high}], A}};\n"
        f"  wire signed [{width}:0] b = {{BSIGN & B[{high}], B}};\n"
        "  assign DOUT = a * b;\n"
        "endmodule\n"
    )
