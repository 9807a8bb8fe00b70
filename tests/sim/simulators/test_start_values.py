"""What a reset does not define is undefined on Icarus Verilog, and seen."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from systolith import hw
from systolith.hw.verilog import artifacts
from systolith.sim.bench.network_bench import simulate_cocotb
from systolith.sim.record.taps import RuleBroken, TappedNetwork, tapped_network
from systolith.sim.simulators.start_values import without_start_values
from tests.sim import small_hardware
from tests.sim.required import need

REGISTERS = """  initial begin
    q = 4'h0;
    wide = { 300{1'h0} };
    words = {
        128'h00000000000000000000000000000001, 128'h00000000000000000000000000000000 };
  end
"""
VERILOG = f"""module one(clk, rst, d, q);
  reg [3:0] q;
  wire x = 1'h0;
{REGISTERS}  reg [7:0] rom [1:0];
  initial begin
    rom[0] = 8'h01;
    rom[1] = 8'h02;
  end
  reg [7:0] ring [1:0];
  initial begin
    ring[0] = 8'h00;
    ring[1] = 8'h00;
  end
  always @(posedge clk) begin
    if (x)
      ring[q] <= d;
  end
endmodule

module two(clk, q);
  reg q;
  initial begin
    q = 1'h1;
  end
  reg [7:0] ring [1:0];
  initial begin
    ring[0] = 8'h03;
  end
endmodule
"""


def test_registers_and_written_memories_start_undefined() -> None:
    expected = VERILOG.replace(REGISTERS, "")
    expected = expected.replace("  initial begin\n    q = 1'h1;\n  end\n", "")
    expected = expected.replace(
        "  initial begin\n    ring[0] = 8'h00;\n    ring[1] = 8'h00;\n  end\n", ""
    )
    assert without_start_values(VERILOG) == expected


def test_no_comment_is_opened() -> None:
    text = """module one;
  reg [7:0] ring [1:0];
  initial begin
    /*
  end
  initial $system("ls"); // */
    ring[0] = 8'h00;
  end
  always @*
    ring[0] <= 1;
endmodule
"""
    assert without_start_values(text) == text


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> TappedNetwork:
    folder: Path = tmp_path_factory.mktemp("hardware") / "small"
    hw.generate(small_hardware.quantized(), folder, small_hardware.PLAN)
    built = artifacts.load(folder)
    return tapped_network(built.quantized.fixed, built.manifest, built.verilog)


def test_nothing_generated_starts_defined_but_what_is_never_written(
    network: TappedNetwork,
) -> None:
    text = without_start_values(network.design.verilog)
    assert network.design.verilog.count(" = ") > text.count(" = ")
    assert re.search(r"^ *(reg .*|\w+) = ", text, re.MULTILINE) is None
    memories = re.findall(r"^\s*reg \S+ (\S+) \[\S+;\n\s*initial begin", text, re.MULTILINE)
    assert memories
    for name in memories:
        assert re.search(rf"^\s*{name}\[.*\] <= ", text, re.MULTILINE) is None


Alter = Callable[[str], str]


def without_reset(module: str, register: str) -> Alter:
    def alter(verilog: str) -> str:
        before, behind = verilog.split(f"\nmodule {module}(")
        altered, count = re.subn(rf"if \(rst\) {register} <=", f"if (1'b0) {register} <=", behind)
        assert count == 1
        return f"{before}\nmodule {module}({altered}"

    return alter


@pytest.mark.parametrize(
    "alter",
    [
        without_reset("small_one_unit_dense", "core_step"),
        without_reset("small_one_unit_pool", "reducer_row"),
    ],
)
def test_a_missing_reset_is_seen(network: TappedNetwork, alter: Alter) -> None:
    need("icarus")
    images = small_hardware.dataset(2).images
    design = network.design
    altered = dataclasses.replace(
        network, design=dataclasses.replace(design, verilog=alter(design.verilog))
    )
    assert len(list(simulate_cocotb(network, images, None, "icarus"))) > 0
    with pytest.raises(RuleBroken, match=r"undefined bits|nothing moved"):
        list(simulate_cocotb(altered, images, None, "icarus"))
    # Where registers start with a value, nobody would know.
    (batch,) = simulate_cocotb(altered, images, None, "verilator")
    (right,) = simulate_cocotb(network, images, None, "verilator")
    np.testing.assert_array_equal(batch.records["dense"], right.records["dense"])
