# amaranth: UnusedElaboratable=no
"""Every unit alone in a simulator, under every pattern of stalls, with random parameters.

To repeat a failure: `pytest tests/hw/units/test_unit_benches.py --network-seed SEED`, where SEED is
the number at the head of the run.
"""

from __future__ import annotations

import numpy as np
import pytest

from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network import graph
from systolith.hw.folding import Folding, input_lanes
from systolith.hw.units.registry import UNITS, build_unit
from systolith.sim.bench.unit_bench import run_unit_bench
from systolith.sim.bench.unit_reference import layer_values, random_frames
from systolith.sim.simulators.installed import Simulator
from tests.random_cases import random_case
from tests.sim.required import need

ICARUS_UNITS = 2
VERILATOR_UNITS = 1
MOST_CYCLES = 150


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    first = metafunc.config.getoption("network_seed")
    simulators = ["icarus"] * ICARUS_UNITS + ["verilator"] * VERILATOR_UNITS
    metafunc.parametrize(
        ("kind", "simulator", "seed"),
        [
            pytest.param(
                kind, simulator, first + number, id=f"{kind.type_name}-{simulator}-{number}"
            )
            for kind in UNITS
            for number, simulator in enumerate(simulators)
        ],
    )


def test_unit(kind: type[graph.Layer], simulator: Simulator, seed: int) -> None:
    need(simulator)
    layer, folding, lanes = random_unit(kind, seed)
    frames = random_frames(layer, seed)
    report = run_unit_bench(
        build_unit(layer, folding, lanes),
        frames,
        layer_values(layer, frames),
        simulator=simulator,
        seed=seed,
        name=f"{layer.layer.type_name} {layer.input_shape} with {folding}",
    )
    report.require_passed()


def random_unit(kind: type[graph.Layer], seed: int) -> tuple[FixedLayer, Folding, int]:
    """A small layer of a random network, its folding and its input lanes."""
    rng = np.random.default_rng(seed)
    while True:
        case = random_case(int(rng.integers(1 << 30)))
        fixed = case.quantized.fixed
        lanes = input_lanes(fixed.network.input, case.plan)
        for layer, (of_graph, source, _) in zip(
            fixed.layers, fixed.network.computing_layers(), strict=True
        ):
            folding = case.plan[layer.name]
            cycles = of_graph.macs(source) // (folding.rows * folding.columns)
            cycles += layer.input_shape.size // lanes + layer.output_shape.size // folding.lanes
            # A frame of one beat cannot be reset in its middle.
            several_beats = layer.input_shape.size > lanes
            if isinstance(of_graph, kind) and several_beats and cycles <= MOST_CYCLES:
                return layer, folding, lanes
            lanes = folding.lanes
