# amaranth: UnusedElaboratable=no
"""The benches of the frame checker and of the classifier."""

from __future__ import annotations

import numpy as np
import pytest

from systolith.golden.network.graph import Input
from systolith.hw.units.frame import FrameChecker
from systolith.sim.bench.unit_bench import UnitBenchReport, run_unit_bench
from systolith.sim.record.packing import BeatFormat
from tests.mutation.part_benches import GROUP, FrameBench, frame_lengths, frame_values
from tests.sim.required import need

LAYER = Input(name="input", height=2, width=2, background=9)


def run(expected_change: int = 0) -> UnitBenchReport:
    need("icarus")
    size = LAYER.image_shape.size
    lengths = frame_lengths(size, 3)
    groups = [frame_values(LAYER, lengths, seed) for seed in range(2)]
    frames, expected = (np.stack(each)[:, None, None] for each in zip(*groups, strict=True))
    expected[1, 0, 0, -1] ^= expected_change
    return run_unit_bench(
        FrameBench(FrameChecker(LAYER, 1), size),
        frames,
        expected,
        simulator="icarus",
        seed=2,
        output_format=BeatFormat(1, 10, False, has_last=False),
    )


def test_lengths_are_right_and_wrong() -> None:
    lengths = frame_lengths(LAYER.image_shape.size, 3)
    assert len(lengths) == GROUP and {1, 3, 4, 5} <= set(lengths)


def test_the_frame_checker_passes_with_flags_given_late() -> None:
    run().require_passed()


def test_a_wrong_flag_is_seen() -> None:
    with pytest.raises(AssertionError, match="1 of 160 values differ"):
        run(expected_change=1).require_passed()
