# amaranth: UnusedElaboratable=no
"""The cycle model of every unit against the unit in a simulator: every handshake of every beat.

To repeat a failure: `pytest tests/hw/streams/test_cycles.py --network-seed SEED`, where SEED is the
number in the test's name. `--network-count` is the number of units of each kind.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from systolith.golden.fixed.integers import FixedLayer
from systolith.golden.network import graph
from systolith.hw.folding import Folding
from systolith.hw.systolic.window_memory import WindowMemory
from systolith.hw.units import convolution
from systolith.hw.units.registry import UNITS, build_unit
from systolith.sim.bench.paces import modelled, random_paces
from systolith.sim.bench.unit_bench import measure_unit
from systolith.sim.bench.unit_reference import layer_values, random_frames
from tests.hw.units.test_unit_benches import random_unit
from tests.sim.required import need


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        first = metafunc.config.getoption("network_seed")
        count = metafunc.config.getoption("network_count") or 1
        metafunc.parametrize("seed", range(first, first + count))


@pytest.mark.parametrize("kind", UNITS)
def test_a_unit_agrees_with_its_model_at_any_pace(kind: type[graph.Layer], seed: int) -> None:
    compare_with_model(*random_unit(kind, seed), seed)


def test_rows_of_a_single_pixel_are_overwritten_after_their_last_read(seed: int) -> None:
    seeds = np.random.default_rng(seed)
    while True:
        layer, folding, lanes = random_unit(graph.Convolution, int(seeds.integers(1 << 30)))
        assert isinstance(layer.layer, graph.Convolution)
        rows = layer.layer.windows.reach[0]
        if layer.input_shape.width == 1 and layer.input_shape.height > rows:
            break
    compare_with_model(layer, replace(folding, lines=rows), lanes, seed)


def test_memories_of_windows(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random convolutions have too few chunks a window for them."""
    monkeypatch.setattr(convolution, "MANY_CHUNKS", 2)
    seeds = np.random.default_rng(seed)
    while True:
        layer, folding, lanes = random_unit(graph.Convolution, int(seeds.integers(1 << 30)))
        unit = build_unit(layer, folding, lanes)
        if isinstance(unit, convolution.Convolution) and isinstance(unit.feeder, WindowMemory):
            break
    compare_with_model(layer, folding, lanes, seed)


def compare_with_model(layer: FixedLayer, folding: Folding, lanes: int, seed: int) -> None:
    need("icarus")
    unit = build_unit(layer, folding, lanes)
    frames = random_frames(layer, seed)
    frames = np.concatenate([frames, frames])[: 3 + seed % 4]
    expected = layer_values(layer, frames)
    paces = random_paces(seed, frames.size // lanes, expected.size // folding.lanes)
    name = f"{layer.layer.type_name} {layer.input_shape} after {lanes} lanes with {folding}"
    measured = measure_unit(unit, frames, expected, paces, simulator="icarus", name=name)
    for pace, cycles in zip(paces, measured, strict=True):
        assert modelled(unit, pace) == cycles, f"{name} at {pace}"
