"""Simulated values of a few images, against the fixed-point model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from systolith.golden.fixed import execution
from systolith.sim.bulk.values import simulated_values
from tests.scripts import tiny


def test_every_layer(tmp_path: Path) -> None:
    tiny.generate(tmp_path / "rtl")
    images = np.random.default_rng(5).integers(0, 256, (25, 5, 4, 1), dtype=np.uint8)
    expected = execution.run(tiny.quantized().fixed, images).outputs
    found = simulated_values(tmp_path / "rtl", images)
    assert list(found) == list(expected)
    assert all((found[name] == expected[name]).all() for name in expected)
