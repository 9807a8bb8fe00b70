"""Somebody's ONNX model through the whole path: import, quantize, generate, simulate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from systolith import golden, hw, sim
from systolith.golden.fixed import execution
from tests.golden.onnx.spelled_chains import save, spelled_chain

_TRIES = 30


def buildable(number: int, folder: Path) -> golden.QuantizedNetwork:
    """The first of a few random chains that hardware builds (windows of 3 x 3 have no mean)."""
    goal = hw.Goal(max_multipliers=24)
    for seed in range(number * _TRIES, (number + 1) * _TRIES):
        chain = spelled_chain(seed)
        path = save(chain, folder, external=False)
        trained = golden.import_onnx(path, golden.Preprocessing((1 / 255,)), chain.output).trained
        shape = trained.network.input.image_shape
        images = np.random.default_rng(seed).integers(0, 256, (20, *shape), dtype=np.uint8)
        try:
            quantized = golden.quantize(trained, images)
            hw.generate(quantized, folder / "hardware", hw.make_plan(quantized.fixed, goal))
        except ValueError:
            continue
        return quantized
    raise AssertionError(f"none of {_TRIES} chains can be built")


def check(number: int, folder: Path) -> None:
    quantized = buildable(number, folder)
    shape = quantized.fixed.network.input.image_shape
    images = np.random.default_rng(number).integers(0, 256, (4, *shape), dtype=np.uint8)
    classes = execution.classes(quantized.fixed, images)
    data = golden.Dataset("imported", "custom", images, classes)
    report = sim.simulate(folder / "hardware", images=None, dataset=data, engine="bulk")
    assert report.bit_exact, "; ".join(report.failures)
    assert report.as_predicted


@pytest.mark.parametrize("number", range(3))
def test_imported_network(number: int, tmp_path: Path) -> None:
    check(number, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("number", range(3, 33))
def test_one_of_many_imported_networks(number: int, tmp_path: Path) -> None:
    check(number, tmp_path)
