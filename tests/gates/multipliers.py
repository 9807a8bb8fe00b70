"""Simulation models of the multipliers that Yosys has none for.

They multiply. That of `ecp5` has the registers that `hw.silicon.multiplier_registers` uses; they
have no other registers and no chains of these cells: a netlist that sets another parameter, to use
one, does not compile with them.
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
    """`MULT18X18D`, with a port for each bit.

    Lattice FPGA-TN-02205, "ECP5 and ECP5-5G sysDSP Usage Guide": registers at both operands and at
    the product, each used if its clock is not "NONE", with the clock enable `CE0` and the
    synchronous reset `RST0`. They start at 0.
    """
    widths = {"A": 18, "B": 18, "C": 18, "P": 36}
    bits = {port: [f"{port}{n}" for n in range(width)] for port, width in widths.items()}
    inputs = [*bits["A"], *bits["B"], *bits["C"], "SIGNEDA", "SIGNEDB", "SOURCEA", "SOURCEB"]
    inputs += ["CLK0", "CE0", "RST0"]
    a, b, p = (", ".join(reversed(bits[port])) for port in "ABP")
    return f"""\
module MULT18X18D #(
  parameter REG_INPUTA_CLK = "NONE", parameter REG_INPUTB_CLK = "NONE",
  parameter REG_OUTPUT_CLK = "NONE"
) (input {", ".join(inputs)}, output {", ".join(bits["P"])});
  wire [17:0] a_in = {{{a}}}, b_in = {{{b}}};
  reg [17:0] a_register = 0, b_register = 0;
  reg [35:0] p_register = 0;
  wire [17:0] a = REG_INPUTA_CLK == "NONE" ? a_in : a_register;
  wire [17:0] b = REG_INPUTB_CLK == "NONE" ? b_in : b_register;
  wire signed [18:0] signed_a = {{SIGNEDA & a[17], a}}, signed_b = {{SIGNEDB & b[17], b}};
  wire [35:0] product = signed_a * signed_b;
  always @(posedge CLK0)
    if (RST0) {{a_register, b_register, p_register}} <= 0;
    else if (CE0) {{a_register, b_register, p_register}} <= {{a_in, b_in, product}};
  assign {{{p}}} = REG_OUTPUT_CLK == "NONE" ? product : p_register;
endmodule
"""


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
