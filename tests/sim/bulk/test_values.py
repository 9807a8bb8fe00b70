"""Simulated values of a few images, against the fixed-point model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from systolith.golden.fixed import execution
from systolith.sim.bulk import values
from systolith.sim.bulk.engine import simulate_bulk
from systolith.sim.bulk.values import simulated_values
from systolith.sim.record.taps import Batch
from tests.scripts import tiny


def test_every_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever process is the first."""

    def last_first(*arguments: Any, **options: Any) -> list[Batch]:
        found = simulate_bulk(*arguments, **{**options, "processes": 2})
        return sorted(found, key=lambda batch: -batch.first)

    monkeypatch.setattr(values, "simulate_bulk", last_first)
    tiny.generate(tmp_path / "rtl")
    images = np.random.default_rng(5).integers(0, 256, (25, 5, 4, 1), dtype=np.uint8)
    expected = execution.run(tiny.quantized().fixed, images).outputs
    found = simulated_values(tmp_path / "rtl", images)
    assert list(found) == list(expected)
    assert all((found[name] == expected[name]).all() for name in expected)
