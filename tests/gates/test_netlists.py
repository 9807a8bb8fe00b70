# amaranth: UnusedElaboratable=no
"""Netlists of every type of unit and of a whole network, simulated gate by gate against golden."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from systolith import hw
from systolith.hw.accelerator import STREAM_SIGNALS
from systolith.hw.units.registry import UNITS, build_unit
from systolith.hw.verilog import artifacts
from systolith.hw.verilog.netlist import NetlistError, count_cells, synthesis_script
from systolith.sim.bench.unit_bench import BenchedUnit, benched, run_unit_bench
from systolith.sim.bench.unit_reference import layer_values, random_frames
from systolith.sim.bulk.engine import simulate_bulk
from systolith.sim.record.checks import Check
from systolith.sim.record.taps import TappedNetwork, tapped_network
from systolith.sim.simulators.builds import Design
from tests.gates.gate_level import netlist, with_models
from tests.hw.small_networks import EVERY_KIND, EVERY_KIND_PLAN, quantized
from tests.yowasp import run_full_yosys

TARGET = "xc7"
CELLS = re.compile(r"LUT[1-6]|FD[RSCP]E|CARRY4|MUXF[78]|DSP48E1|RAM\d+\w+|SRL\w+|INV|GND|VCC")
FIXED = quantized(EVERY_KIND).fixed
NAMES = [layer.name for layer in FIXED.layers]


@cache
def unit(name: str) -> tuple[BenchedUnit, str]:
    """The unit of a layer, and its netlist."""
    before = FIXED[name].layer.inputs[0]
    lanes = EVERY_KIND_PLAN[before].lanes if before in EVERY_KIND_PLAN else 1
    seen = benched(build_unit(FIXED[name], EVERY_KIND_PLAN[name], lanes), None, None)
    return seen, netlist(seen.design, TARGET)


def failures(name: str, text: str) -> tuple[str, ...]:
    """What the bench finds wrong with a netlist in place of a unit."""
    seen, _ = unit(name)
    layer = FIXED[name]
    frames = random_frames(layer, seed=1)
    report = run_unit_bench(
        replace(seen, design=with_models(seen.design, text, TARGET)),
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
def test_a_unit(name: str) -> None:
    _, text = unit(name)
    cells = count_cells(text)
    assert not [cell for cell in cells if not CELLS.fullmatch(cell)]
    assert cells["FDRE"] > 10 and "always" not in text
    assert failures(name, text) == ()


@pytest.mark.gates
@pytest.mark.parametrize("name", ["C1", "S4", "output"])
def test_a_wrong_gate_is_seen(name: str) -> None:
    """One table inverted, all of it."""
    _, text = unit(name)
    tables = list(re.finditer(r"\.INIT\((\d+)'h([0-9a-f]+)\)", text))
    wide = [table for table in tables if int(table[1]) > 2]
    table = np.random.default_rng(0).choice(len(wide))
    width, start, end = int(wide[table][1]), *wide[table].span(2)
    inverted = f"{int(wide[table][2], 16) ^ ((1 << width) - 1):0{end - start}x}"
    assert failures(name, text[:start] + inverted + text[end:]) != ()


@pytest.mark.gates
def test_the_register_of_a_difference_must_be_held_back(tmp_path: Path) -> None:
    """Once this fails, Yosys packs such a register rightly, and the script need not hold it."""
    seen, _ = unit("output")
    script = synthesis_script("design.v", "netlist.v", seen.design.top, TARGET)
    unheld = script.replace("setattr -set keep 1 w:*_difference\n", "")
    assert unheld != script
    (tmp_path / "design.v").write_text(seen.design.verilog, "utf-8")
    run_full_yosys(unheld, tmp_path)
    assert failures("output", (tmp_path / "netlist.v").read_text("utf-8")) != ()


@pytest.fixture(scope="module")
def gates(tmp_path_factory: pytest.TempPathFactory) -> TappedNetwork:
    """A small network with every type of unit; its netlist shows the streams behind the layers."""
    folder: Path = tmp_path_factory.mktemp("hardware") / "every-kind"
    hw.generate(quantized(EVERY_KIND), folder, EVERY_KIND_PLAN)
    built = artifacts.load(folder)
    network = tapped_network(built.quantized.fixed, built.manifest, built.verilog)
    streams = product((tap.layer for tap in network.taps), STREAM_SIGNALS)
    show = [f"{layer}_{signal}" for layer, signal in streams]
    text = netlist(Design(built.manifest.top, built.verilog, ()), TARGET, show)
    assert not [cell for cell in count_cells(text) if not CELLS.fullmatch(cell)]
    around = network.design.verilog.removeprefix(built.verilog)
    return replace(network, design=with_models(network.design, text + around, TARGET))


@pytest.mark.gates
@pytest.mark.parametrize("stalls", [None, 1])
def test_a_whole_network(gates: TappedNetwork, stalls: int | None) -> None:
    shape = (50, *gates.source_shape)
    images = np.random.default_rng(3).integers(0, 256, shape, np.uint8)
    check = Check(FIXED, images, NAMES)
    assert sum(check.take(simulate_bulk(gates, images, stalls))) == 50
    assert check.violations() == ()
    assert [layer.mismatches for layer in check.layer_results()] == [0] * len(NAMES)


def test_other_targets_are_refused() -> None:
    with pytest.raises(NetlistError, match="target 'asic': allowed are xc7"):
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
