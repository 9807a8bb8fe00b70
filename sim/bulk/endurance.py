"""A long run of a network with random pauses, resets and frames of a wrong length.

Use it to see that a network recovers from all of them: every image must still come out exactly.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from systolith.golden.files.datasets import Dataset
from systolith.hw.verilog import artifacts
from systolith.sim.bulk.engine import Disturbances, PartCounts, simulate_bulk
from systolith.sim.record.checks import Check
from systolith.sim.record.taps import Batch, tapped_network

_RESET_IMAGES = 8
_WRONG_FRAMES = 4


@dataclass(frozen=True)
class Endurance:
    """What happened to a network, and what failed.

    Parameters
    ----------
    images
        The number of images that came out; every layer of each was compared.
    counts
        Cycles, resets (nearly all of them in mid-frame) and frames of a wrong length (all of which
        were flagged); zeros if the simulation did not reach its end.
    failures
        What was wrong, a line each; empty if nothing was.
    """

    images: int
    counts: PartCounts
    failures: tuple[str, ...]


def endure(
    folder: str | os.PathLike[str], dataset: Dataset, cycles: int = 1_000_000, seed: int = 0
) -> Endurance:
    """Simulate generated hardware with random pauses, resets and frames of a wrong length.

    Source and sink pause at random. The hardware is reset about once in the time of eight images.
    Frames that are too short or too long come between the images. Nevertheless every layer of every
    image must be exact, and the result of every other frame must have `tuser` set.

    Parameters
    ----------
    folder
        A folder that `hw.generate` wrote.
    dataset
        The images, which are repeated.
    cycles
        The least number of clock cycles.
    seed
        Of all random choices: the same seed gives the same run.

    Raises
    ------
    FileFormatError, PlanError
        The folder is not one that `hw.generate` wrote.
    MissingToolError, SimulationError, OSError
        As for `sim.simulate`.
    """
    built = artifacts.load(folder)
    fixed, predicted = built.quantized.fixed, built.manifest.predicted
    network = tapped_network(fixed, built.manifest, built.verilog)
    count = -(-cycles // predicted.interval_cycles)
    images = dataset.images[np.arange(count) % len(dataset)]
    disturbances = Disturbances(
        reset_cycles=_RESET_IMAGES * predicted.interval_cycles + predicted.latency_cycles,
        wrong_frames=_WRONG_FRAMES,
    )
    check = Check(fixed, images, [layer.name for layer in fixed.layers], built.manifest.result)
    counts = PartCounts(0, 0, 0)

    def batches() -> Generator[Batch]:
        nonlocal counts
        (counts,) = yield from simulate_bulk(network, images, seed, 1, disturbances)

    for _ in check.take(batches()):
        pass
    wrong = (str(layer) for layer in check.layer_results() if layer.mismatches)
    return Endurance(
        images=int(np.count_nonzero(check.came_out)),
        counts=counts,
        failures=(*wrong, *check.violations()),
    )
