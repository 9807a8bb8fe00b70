"""Simulation models of block memories, of which Yosys has only the pins.

They store and read as the data sheets say, without registers at the outputs. A mode that they do
not have does not compile, and a reset of an output ends the simulation.
"""

from __future__ import annotations

_PORTS = "AB"

_BYTES = """
module bytes_of_block_memory #(
  parameter BYTES = 2048, parameter LANES = 4, parameter HOLDS_OLD = 0,
  parameter READ_A = 1, parameter READ_B = 1, parameter WRITE_A = 1, parameter WRITE_B = 1
) (
  input clk_a, clk_b, read_a, read_b, reset_a, reset_b,
  input [$clog2(BYTES)-1:0] at_a, at_b,
  input [LANES-1:0] write_a, write_b,
  input [9*LANES-1:0] in_a, in_b,
  output reg [9*LANES-1:0] out_a, out_b
);
  reg [8:0] bytes [0:BYTES-1];
  initial {out_a, out_b} = 0;
"""

_BYTES_PORT = """
  always @(posedge clk_{this}) begin : port_{this}
    integer lane, other;
    if (reset_{this}) $fatal;
    for (lane = 0; lane < READ_{THIS}; lane = lane + 1) if (read_{this}) begin
      out_{this}[9*lane +: 9] <= bytes[at_{this} / READ_{THIS} * READ_{THIS} + lane];
      for (other = 0; other < WRITE_{THAT}; other = other + 1)
        if (!HOLDS_OLD && write_{that}[other] && at_{that} / WRITE_{THAT} * WRITE_{THAT} + other
            == at_{this} / READ_{THIS} * READ_{THIS} + lane)
          out_{this}[9*lane +: 9] <= ~bytes[at_{this} / READ_{THIS} * READ_{THIS} + lane];
    end
    for (lane = 0; lane < WRITE_{THIS}; lane = lane + 1)
      if (write_{this}[lane])
        bytes[at_{this} / WRITE_{THIS} * WRITE_{THIS} + lane] <= in_{this}[9*lane +: 9];
  end
"""


def block_memory_models(target: str) -> str:
    """The models for a target; empty if there are none."""
    if target == "ecp5":
        return _bytes() + _ecp5()
    if target == "xc7":
        return _bytes() + _xc7("RAMB18E1", 16, 14) + _xc7("RAMB36E1", 32, 16)
    return ""


def _bytes() -> str:
    """A memory with two ports, of bytes of 9 bits, and words of several bytes.

    A port that reads where the other one writes gets the old bytes, or their complements.
    """
    ports = [
        _BYTES_PORT.format(this=this.lower(), that=that.lower(), THIS=this, THAT=that)
        for this, that in (("A", "B"), ("B", "A"))
    ]
    return f"{_BYTES}{''.join(ports)}endmodule\n"


def _ecp5() -> str:
    """`DP16KD`, with a pin for each bit.

    Lattice FPGA-TN-02204, "ECP5 and ECP5-5G Memory Usage Guide": 2,048 bytes of 9 bits. A port of
    18 bits has the enables of its bytes in the lowest bits of its address. With 36 bits, port A
    writes and port B reads, and a word is at the pins of both, its lower half at those of A. What
    one port reads while the other one writes there is not defined; here it is the complement.
    """
    buses = (("DI", 18), ("AD", 14), ("CS", 3))
    controls = ("CLK", "CE", "OCE", "WE", "RST")
    inputs = [f"{bus}{port}{bit}" for port in _PORTS for bus, bits in buses for bit in range(bits)]
    inputs += [f"{control}{port}" for port in _PORTS for control in controls]
    outputs = [f"DO{port}{bit}" for port in _PORTS for bit in range(18)]
    bus = {
        f"{name}{port}": ", ".join(f"{name}{port}{bit}" for bit in reversed(range(bits)))
        for port in _PORTS
        for name, bits in (*buses, ("DO", 18))
    }
    starts = [f"INITVAL_{number:02X}" for number in range(64)]
    defaults = {f"DATA_WIDTH_{port}": "18" for port in _PORTS}
    defaults |= {f"REGMODE_{port}": '"NOREG"' for port in _PORTS}
    defaults |= {f"WRITEMODE_{port}": '"NORMAL"' for port in _PORTS}
    defaults |= {f"CSDECODE_{port}": '"0b000"' for port in _PORTS}
    defaults |= {f"CLK{port}MUX": f'"CLK{port}"' for port in _PORTS}
    defaults |= {"RESETMODE": '"SYNC"', "ASYNC_RESET_RELEASE": '"SYNC"', "GSR": '"ENABLED"'}
    known = " && ".join(
        f"(DATA_WIDTH_{port} == 9 || DATA_WIDTH_{port} == 18 || DATA_WIDTH_{port} == 36) &&"
        f' REGMODE_{port} == "NOREG" && CLK{port}MUX == "CLK{port}" && CSDECODE_{port} == "0b000"'
        for port in _PORTS
    )
    return f"""
module DP16KD #(
  {_parameters(defaults)}, {_parameters(dict.fromkeys(starts, "320'b0"))}
) (input {", ".join(inputs)}, output {", ".join(outputs)});
  generate if (!({known})) unknown_mode_of_DP16KD unknown(); endgenerate
  localparam [20479:0] INIT = {{{", ".join(reversed(starts))}}};
  localparam WIDE = DATA_WIDTH_A == 36 || DATA_WIDTH_B == 36;
  wire [13:0] address_a = {{{bus["ADA"]}}}, address_b = {{{bus["ADB"]}}};
  wire on_a = CEA && {{{bus["CSA"]}}} == 0, on_b = CEB && {{{bus["CSB"]}}} == 0;
  wire [3:0] lanes_a = DATA_WIDTH_A == 9 ? 4'b1 : DATA_WIDTH_A == 18 ? {{2'b0, ADA1, ADA0}}
                                                                    : {{ADA3, ADA2, ADA1, ADA0}};
  wire [3:0] lanes_b = DATA_WIDTH_B == 9 ? 4'b1 : {{2'b0, ADB1, ADB0}};
  wire [35:0] out_a, out_b;
  bytes_of_block_memory #(
    .READ_A(DATA_WIDTH_A / 9), .READ_B(DATA_WIDTH_B / 9),
    .WRITE_A(DATA_WIDTH_A / 9), .WRITE_B(DATA_WIDTH_B / 9)
  ) memory(
    .clk_a(CLKA), .clk_b(CLKB), .reset_a(RSTA), .reset_b(RSTB),
    .read_a(on_a && !WIDE && (!WEA || WRITEMODE_A == "READBEFOREWRITE")),
    .read_b(on_b && (WIDE || !WEB || WRITEMODE_B == "READBEFOREWRITE")),
    .write_a(on_a && WEA ? lanes_a : 4'b0), .write_b(on_b && WEB && !WIDE ? lanes_b : 4'b0),
    .at_a(address_a[13:3]), .at_b(address_b[13:3]),
    .in_a({{{bus["DIB"]}, {bus["DIA"]}}}), .in_b({{18'b0, {bus["DIB"]}}}),
    .out_a(out_a), .out_b(out_b)
  );
  assign {{{bus["DOA"]}}} = DATA_WIDTH_B == 36 ? out_b[17:0] : out_a[17:0];
  assign {{{bus["DOB"]}}} = DATA_WIDTH_B == 36 ? out_b[35:18] : out_b[17:0];
  integer word;
  initial for (word = 0; word < 1024; word = word + 1)
    {{memory.bytes[2 * word + 1], memory.bytes[2 * word]}} = INIT[20 * word +: 18];
endmodule
"""


def _xc7(name: str, pins: int, address_bits: int) -> str:
    """`RAMB18E1` or `RAMB36E1`, whose ports have 16 or 32 pins for data.

    Xilinx UG473, "7 Series FPGAs Memory Resources": bytes of 8 bits and one of parity. In the mode
    SDP, port A reads and port B writes; the widest word is at the pins of both, its lower half at
    those of A. A port that reads where the other one writes gets the old word if that one has the
    mode READ_FIRST and the same clock.
    """
    lanes = pins // 8
    starts = [f"INIT_{number:02X}" for number in range(4 * pins)]
    parities = [f"INITP_{number:02X}" for number in range(pins // 2)]
    defaults = {"RAM_MODE": '"TDP"', "SIM_DEVICE": '"7SERIES"'}
    for port in _PORTS:
        defaults |= {f"READ_WIDTH_{port}": "0", f"WRITE_WIDTH_{port}": "0", f"DO{port}_REG": "0"}
        defaults |= {f"WRITE_MODE_{port}": '"WRITE_FIRST"', f"RAM_EXTENSION_{port}": '"NONE"'}
        defaults |= {f"SRVAL_{port}": "0", f"INIT_{port}": "0"}
    known = " && ".join(
        f"READ_WIDTH_{port} % 9 == 0 && WRITE_WIDTH_{port} % 9 == 0 && DO{port}_REG == 0 &&"
        f' RAM_EXTENSION_{port} == "NONE" &&'
        f' (WRITE_WIDTH_{port} == 0 || WRITE_MODE_{port} == "READ_FIRST")'
        for port in _PORTS
    )
    d_a, d_b, p_a, p_b = ("DIADI", "DIBDI", "DIPADIP", "DIPBDIP")
    in_a, in_b = (_joined(lanes, *names) for names in ((d_a, p_a), (d_b, p_b)))
    address = f"[{(128 * pins - 1).bit_length() + 2}:3]"
    return f"""
module {name} #(
  {_parameters(defaults)}, {_parameters(dict.fromkeys((*starts, *parities), "256'b0"))}
) (
  input CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, REGCEAREGCE, REGCEB,
  input RSTRAMARSTRAM, RSTRAMB, RSTREGARSTREG, RSTREGB,
  input [{address_bits - 1}:0] ADDRARDADDR, ADDRBWRADDR,
  input [{pins - 1}:0] DIADI, DIBDI, input [{lanes - 1}:0] DIPADIP, DIPBDIP,
  input [{lanes - 1}:0] WEA, input [{2 * lanes - 1}:0] WEBWE,
  output [{pins - 1}:0] DOADO, DOBDO, output [{lanes - 1}:0] DOPADOP, DOPBDOP
);
  localparam SDP = RAM_MODE == "SDP";
  generate if (!({known}) || SDP && READ_WIDTH_B + WRITE_WIDTH_A != 0)
    unknown_mode_of_{name} unknown();
  endgenerate
  localparam [{256 * len(starts) - 1}:0] INIT = {{{", ".join(reversed(starts))}}};
  localparam [{256 * len(parities) - 1}:0] INITP = {{{", ".join(reversed(parities))}}};
  wire [{18 * lanes - 1}:0] out_a, out_b;
  wire [{9 * lanes - 1}:0] in_a = {{{in_a}}}, in_b = {{{in_b}}};
  bytes_of_block_memory #(
    .BYTES({128 * pins}), .LANES({2 * lanes}), .HOLDS_OLD(1),
    .READ_A(READ_WIDTH_A / 9), .READ_B(READ_WIDTH_B / 9),
    .WRITE_A(WRITE_WIDTH_A / 9), .WRITE_B(WRITE_WIDTH_B / 9)
  ) memory(
    .clk_a(CLKARDCLK), .clk_b(CLKBWRCLK), .reset_a(RSTRAMARSTRAM), .reset_b(RSTRAMB),
    .read_a(ENARDEN), .read_b(ENBWREN && !SDP),
    .write_a(ENARDEN && !SDP ? {{{lanes}'b0, WEA}} : {2 * lanes}'b0),
    .write_b(ENBWREN ? WEBWE : {2 * lanes}'b0),
    .at_a(ADDRARDADDR{address}), .at_b(ADDRBWRADDR{address}),
    .in_a({{{9 * lanes}'b0, in_a}}),
    .in_b(SDP && WRITE_WIDTH_B == {18 * lanes} ? {{in_b, in_a}} : {{{9 * lanes}'b0, in_b}}),
    .out_a(out_a), .out_b(out_b)
  );
  localparam BITS = {9 * lanes};
  assign {{{_joined(lanes, "DOADO", "DOPADOP")}}} = out_a[BITS-1:0];
  assign {{{_joined(lanes, "DOBDO", "DOPBDOP")}}} = SDP ? out_a[2*BITS-1:BITS] : out_b[BITS-1:0];
  integer at;
  initial for (at = 0; at < {128 * pins}; at = at + 1)
    memory.bytes[at] = {{INITP[at], INIT[8 * at +: 8]}};
endmodule
"""


def _joined(lanes: int, data: str, parity: str) -> str:
    """The pins of a word, each byte after its parity, the highest first."""
    return ", ".join(
        f"{parity}[{lane}], {data}[{8 * lane + 7}:{8 * lane}]" for lane in reversed(range(lanes))
    )


def _parameters(defaults: dict[str, str]) -> str:
    return ", ".join(f"parameter {name} = {value}" for name, value in defaults.items())
