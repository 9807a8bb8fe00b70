"""Random pauses, resets and frames of a wrong length, for many cycles."""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from systolith.golden.files.datasets import Dataset
from systolith.hw.verilog import artifacts
from systolith.sim.bulk.engine import Disturbances, simulate_bulk
from systolith.sim.record.checks import Check
from systolith.sim.record.taps import Batch, tapped_network

_RESET_IMAGES = 8
_WRONG_FRAMES = 4


@dataclass(frozen=True)
class Endurance:
    """What a network was put through, and whether it stood it.

    Parameters
    ----------
    images
        Images that came out, compared in every layer.
    cycles
        Clock cycles.
    resets
        Resets at random, in mid-frame nearly all.
    wrong_frames
        Frames of a wrong length, all of which were flagged.
    failures
        What was wrong, a line each; empty if nothing was.
    """

    images: int
    cycles: int
    resets: int
    wrong_frames: int
    failures: tuple[str, ...]


def endure(
    folder: str | os.PathLike[str], dataset: Dataset, cycles: int = 1_000_000, seed: int = 0
) -> Endurance:
    """Put generated hardware through random pauses, resets and frames of a wrong length.

    Source and sink pause at random; the hardware is reset once in the time of some images; frames
    too short and too long come between the images. Every image must come out right all the same,
    in every layer, and every other frame with `tuser` set.

    Parameters
    ----------
    folder
        What `hw.generate` wrote.
    dataset
        The images, which go in again and again.
    cycles
        At least so many clock cycles.
    seed
        Of all that is random: the same seed gives the same run.

    Raises
    ------
    FileFormatError, PlanError
        The folder is not what it should be.
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
    check = Check(fixed, images, [layer.name for layer in fixed.layers])
    said: tuple[str, ...] = ()

    def batches() -> Generator[Batch]:
        nonlocal said
        said = yield from simulate_bulk(network, images, seed, 1, disturbances)

    for _ in check.take(batches()):
        pass
    counted = re.fullmatch(r"(\d+) cycles, (\d+) resets, (\d+) frames of .*", " ".join(said))
    cycles, resets, wrong_frames = map(int, counted.groups()) if counted else (0, 0, 0)
    wrong = (str(layer) for layer in check.layer_results() if layer.mismatches)
    return Endurance(
        images=int(np.count_nonzero(check.came_out)),
        cycles=cycles,
        resets=resets,
        wrong_frames=wrong_frames,
        failures=(*wrong, *check.violations()),
    )
