# amaranth: UnusedElaboratable=no
"""Netlists of every type of unit and of a whole network, simulated gate by gate against golden."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from systolith import hw
from systolith.hw.accelerator import (
    STREAM_SIGNALS,
    Accelerator,
    part_module,
    stream_signal,
    unit_part,
)
from systolith.hw.streams.module_boundary import flat_ports
from systolith.hw.units.registry import UNITS
from systolith.hw.verilog import artifacts
from systolith.hw.verilog.artifacts import Artifacts
from systolith.hw.verilog.netlist import NetlistError, count_cells, synthesis_script
from systolith.sim.bench.unit_bench import BenchedUnit, beat_format, run_unit_bench
from systolith.sim.bench.unit_reference import layer_values, random_frames
from systolith.sim.bulk.engine import simulate_bulk
from systolith.sim.errors import SimulationError
from systolith.sim.record.checks import Check
from systolith.sim.record.taps import TappedNetwork, tapped_network
from systolith.sim.simulators.builds import Design
from tests.gates.gate_level import netlist, netlist_with_registers, with_models
from tests.hw.several_accelerators import TOGETHER, several_accelerators
from tests.hw.small_networks import EVERY_KIND, EVERY_KIND_PLAN, quantized
from tests.yowasp import run_full_yosys

CELLS = {
    "xc7": r"LUT[1-6]|FD[RS]E|CARRY4|MUXF[78]|DSP48E1|RAM\d+\w+|SRL\w+|INV|[IO]BUF|BUFG|GND|VCC",
    "ice40": r"SB_(LUT4|DFF\w*|CARRY|RAM40_4K)",
    "ecp5": r"LUT4|PFUMX|L6MUX21|CCU2C|TRELLIS_(FF|DPR16X4)|MULT18X18D",
    "gowin": r"LUT[1-4]|MUX2_LUT[5-8]|DFF\w*|ALU|RAM16SDP4|MULT(9X9|18X18)|[IO]BUF|GND|VCC",
}
"""The cells of a target that have a model: no block memory of `xc7`, for example."""

FIXED = quantized(EVERY_KIND).fixed
NAMES = [layer.name for layer in FIXED.layers]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    """What users get: a small network with every type of unit."""
    folder: Path = tmp_path_factory.mktemp("hardware") / "every-kind"
    hw.generate(quantized(EVERY_KIND), folder, EVERY_KIND_PLAN)
    return artifacts.load(folder)


def unit_netlist(built: Artifacts, name: str, target: str = "xc7") -> str:
    """The netlist of the unit of a layer, by the target's plain command; only cells with models."""
    module = part_module(built.manifest.top, unit_part(name))
    text = netlist(Design(module, built.verilog, ()), target)
    assert not [cell for cell in count_cells(text) if not re.fullmatch(CELLS[target], cell)]
    assert "always" not in text
    return text


def failures(name: str, text: str, target: str = "xc7") -> tuple[str, ...]:
    """What the bench finds wrong with a netlist in place of a unit."""
    accelerator = Accelerator(FIXED, EVERY_KIND_PLAN)
    unit, layer = accelerator.units[name], FIXED[name]
    ports = ("clk", "rst", *(port.name for port in flat_ports(unit)))
    design = Design(part_module(accelerator.name, unit_part(name)), "", ports)
    frames = random_frames(layer, seed=1)
    report = run_unit_bench(
        BenchedUnit(
            with_models(design, text, target), beat_format(unit, "i"), beat_format(unit, "o")
        ),
        frames,
        layer_values(layer, frames),
        simulator="verilator",
        seed=1,
        name=name,
    )
    return report.failures


def test_every_type_of_unit_is_here() -> None:
    assert {type(layer.layer) for layer in FIXED.layers} == set(UNITS)


@pytest.mark.gates
@pytest.mark.parametrize("name", NAMES)
def test_a_unit(built: Artifacts, name: str) -> None:
    text = unit_netlist(built, name)
    assert count_cells(text)["FDRE"] > 10
    assert failures(name, text) == ()


@pytest.mark.gates
@pytest.mark.parametrize("target", ["ice40", "ecp5", "gowin"])
def test_squares_on_other_targets(built: Artifacts, target: str) -> None:
    assert failures("output", unit_netlist(built, "output", target), target) == ()


@pytest.mark.gates
@pytest.mark.parametrize("name", ["C1", "output"])
def test_registers_in_multipliers(built: Artifacts, name: str) -> None:
    module = part_module(built.manifest.top, unit_part(name))
    text = netlist_with_registers(Design(module, built.verilog, ()))
    multipliers = next(each for each in built.manifest.layers if each.name == name).multipliers
    assert text.count('.REG_OUTPUT_CLK("CLK0")') == multipliers
    assert not [cell for cell in count_cells(text) if not re.fullmatch(CELLS["ecp5"], cell)]
    assert failures(name, text, "ecp5") == ()


@pytest.mark.gates
@pytest.mark.parametrize("name", ["C1", "S4", "output"])
def test_a_wrong_gate_is_seen(built: Artifacts, name: str) -> None:
    """One table inverted, all of it."""
    text = unit_netlist(built, name)
    tables = list(re.finditer(r"\.INIT\((\d+)'h([0-9a-f]+)\)", text))
    wide = [table for table in tables if int(table[1]) > 2]
    table = np.random.default_rng(1).choice(len(wide))
    width, start, end = int(wide[table][1]), *wide[table].span(2)
    inverted = f"{int(wide[table][2], 16) ^ ((1 << width) - 1):0{end - start}x}"
    assert failures(name, text[:start] + inverted + text[end:]) != ()


@pytest.mark.gates
def test_the_register_of_a_difference_must_be_held_back(built: Artifacts) -> None:
    """Once this fails, Yosys packs such a register rightly, and the Verilog needs no attribute."""
    free = built.verilog.replace('(* keep = "true" *)', "")
    assert free != built.verilog
    assert failures("output", unit_netlist(replace(built, verilog=free), "output")) != ()


@pytest.fixture(scope="module")
def gates(built: Artifacts) -> TappedNetwork:
    """The whole network; its netlist shows the streams after the layers."""
    network = tapped_network(built.quantized.fixed, built.manifest, built.verilog)
    streams = product((tap.layer for tap in network.taps), STREAM_SIGNALS)
    show = [stream_signal(layer, signal) for layer, signal in streams]
    top = built.manifest.top
    text = netlist(Design(top, built.verilog, ()), "xc7", show)
    parts = rf"{top}_\w+|{CELLS['xc7']}"
    assert not [cell for cell in count_cells(text) if not re.fullmatch(parts, cell)]
    around = network.design.verilog.removeprefix(built.verilog)
    return replace(network, design=with_models(network.design, text + around, "xc7"))


@pytest.mark.gates
@pytest.mark.parametrize("stalls", [None, 1])
def test_a_whole_network(built: Artifacts, gates: TappedNetwork, stalls: int | None) -> None:
    shape = (50, *gates.source_shape)
    images = np.random.default_rng(3).integers(0, 256, shape, np.uint8)
    check = Check(FIXED, images, NAMES, built.manifest.result)
    assert sum(check.take(simulate_bulk(gates, images, stalls))) == 50
    assert check.violations() == ()
    assert [layer.mismatches for layer in check.layer_results()] == [0] * len(NAMES)


@pytest.mark.gates
def test_yosys_finds_no_problem(built: Artifacts, tmp_path: Path) -> None:
    """In an accelerator, and in several in one design."""
    for top, text in ((built.manifest.top, built.verilog), (TOGETHER, several_accelerators())):
        (tmp_path / "design.v").write_text(text, "utf-8")
        check = f"read_verilog design.v\nhierarchy -check -top {top}\nproc\ncheck -assert\n"
        run_full_yosys(check, tmp_path)
    (tmp_path / "design.v").write_text(text.replace("assign taken = ", "assign rst = "), "utf-8")
    with pytest.raises(SimulationError):
        run_full_yosys(check, tmp_path)


def test_other_targets_are_refused() -> None:
    with pytest.raises(NetlistError, match="target 'asic': allowed are xc7, ice40, ecp5, gowin"):
        synthesis_script("a.v", "b.v", "top", "asic")


def test_cells_are_counted() -> None:
    text = """module top(a);
  wire b;
  LUT2 #(
    .INIT(4'h8)
  ) _0_ (
    .I0(a),
    .O(b)
  );
  FDRE \\x[0]  (
    .C(clk)
  );
  LUT2 #(
    .INIT(4'h6)
  ) _1_ (
    .I0(a)
  );
endmodule
"""
    assert count_cells(text) == {"LUT2": 2, "FDRE": 1}
