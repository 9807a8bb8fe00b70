"""Pauses, resets and wrong frames leave no trace in what comes out."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from systolith import golden, hw
from systolith.sim.bulk import endurance
from systolith.sim.bulk.endurance import endure
from systolith.sim.bulk.engine import Disturbances, PartCounts
from systolith.sim.record.taps import Batch, RuleBroken, TappedNetwork
from tests.sim import small_hardware

DATA = small_hardware.dataset(50)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hardware") / "small"
    hw.generate(small_hardware.quantized(), folder, small_hardware.PLAN)
    return folder


def test_a_million_cycles(folder: Path) -> None:
    found = endure(folder, DATA)
    assert found.failures == ()
    assert found.counts.cycles >= 1_000_000
    # An image takes 70 cycles without pauses.
    assert found.images > 10_000
    assert found.counts.resets > 100 and found.counts.wrong_frames > 1000
    assert endure(folder, DATA, cycles=100_000) == endure(folder, DATA, cycles=100_000)
    assert endure(folder, DATA, cycles=100_000) != endure(folder, DATA, cycles=100_000, seed=1)


def test_images_are_repeated_and_disturbed_as_often_as_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of them come out, with a value that is wrong; then a rule is broken."""
    predicted = hw.load_manifest(folder).predicted
    interval, latency = predicted.interval_cycles, predicted.latency_cycles
    assert interval != latency

    def simulated(
        network: TappedNetwork, images: NDArray[np.uint8], *given: object
    ) -> Iterator[Batch]:
        # So many that a part of an interval is not left out.
        assert len(images) == 61
        np.testing.assert_array_equal(images, np.concatenate([DATA.images, DATA.images[:11]]))
        disturbances = Disturbances(reset_cycles=8 * interval + latency, wrong_frames=4)
        assert given == (9, 1, disturbances)
        yield Batch(0, 0, np.zeros(30, network.record_type))
        raise RuleBroken("C1: stuck")

    monkeypatch.setattr(endurance, "simulate_bulk", simulated)
    found = endure(folder, DATA, cycles=60 * interval + 1, seed=9)
    assert (found.images, found.counts) == (30, PartCounts(0, 0, 0))
    assert [line.partition(":")[0] for line in found.failures] == [
        *("pool", "conv__x", "dense", "C1", "m_axis", "31 of 61 images did not come out")
    ]


@pytest.mark.parametrize(
    ("module", "pattern", "replacement", "message"),
    [
        # A register of the schedule that no reset clears.
        ("unit_dense", r"if \(rst\) (core_step)", r"if (1'b0) \1", "dense: .* values differ"),
        (
            "frame_checker",
            r"wrong_length_payload <= [^;]*;",
            "wrong_length_payload <= 0;",
            "a frame of a wrong length has tuser 0",
        ),
    ],
)
def test_what_is_not_as_new_is_seen(
    folder: Path, tmp_path: Path, module: str, pattern: str, replacement: str, message: str
) -> None:
    broken = shutil.copytree(folder, tmp_path / "broken")
    verilog = broken / "small-one.v"
    before, behind = verilog.read_text().split(f"\nmodule small_one_{module}(")
    altered, count = re.subn(pattern, replacement, behind, count=1)
    assert count == 1
    verilog.write_text(f"{before}\nmodule small_one_{module}({altered}")
    found = endure(broken, DATA, cycles=100_000)
    assert re.search(message, found.failures[0])


@pytest.mark.long
@pytest.mark.parametrize("name", ["lenet5", "lenet5-sigmoid", "lenet5-relu"])
def test_the_networks_that_ship(name: str, tmp_path: Path) -> None:
    quantized = golden.quantize(golden.load_network(name), golden.validation_digits().images[:100])
    plan = hw.make_plan(quantized.fixed, hw.PRESETS["large"])
    hw.generate(quantized, tmp_path / name, plan)
    found = endure(tmp_path / name, golden.test_digits())
    assert found.failures == ()
    assert (
        found.counts.cycles >= 1_000_000
        and found.counts.resets > 50
        and found.counts.wrong_frames > 50
    )
