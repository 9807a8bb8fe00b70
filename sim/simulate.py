"""Generated hardware against the fixed-point model: every value of every layer."""

from __future__ import annotations

import errno
import os
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from golden.data import Dataset, test_digits
from golden.files import write_whole
from sim import simulators
from sim.bulk_engine import simulate_bulk
from sim.checks import Check
from sim.faults import Fault, find_fault
from sim.network_bench import simulate_cocotb
from sim.report import FILE_NAME, SimulationReport
from sim.simulators import SIMULATORS, Simulator
from sim.taps import Batch, RuleBroken, TappedNetwork, tapped_network

if TYPE_CHECKING:
    from hw.artifacts import Artifacts

Progress = Callable[[int, int], None]
"""Called with how many images came out, and of how many."""

_STEADY_IMAGES = 6


def simulate(
    folder: str | os.PathLike[str],
    images: int | None = 100,
    dataset: Dataset | None = None,
    simulator: Simulator = "verilator",
    layer: str | None = None,
    stalls: int | None = None,
    inject_fault: str | None = None,
    progress: Progress | None = None,
) -> SimulationReport:
    """Simulate the hardware in a folder that `hw.generate` wrote; write `simulation.json` there.

    Nothing but the folder is read, and the images. On Verilator they are split among processes, on
    Icarus they go through one after the other.

    Parameters
    ----------
    folder
        With the Verilog, its manifest, and the quantized network to which it is held.
    images
        The first so many; None for all.
    dataset
        Where images and labels are from; by default the test digits that ship.
    simulator
        `verilator` or `icarus`.
    layer
        Compare this layer alone.
    stalls
        The seed of random pauses of source and sink; None for none.
    inject_fault
        Simulate hardware that is generated anew with one bit of one weight of this layer inverted:
        to see the check fail. What it finds is not written to the folder.
    progress
        Told now and then how far it is.

    Raises
    ------
    ValueError
        The folder, the number of images, the simulator or a layer is not what it should be.
    MissingToolError
        A tool is not installed.
    SimulationError, OSError
        The simulator could not be built or died, or a file cannot be written.
    """
    from hw import artifacts  # imports Amaranth, which benches inside simulators do without

    if simulator not in SIMULATORS:
        raise ValueError(f"simulator {simulator!r}: allowed are {', '.join(SIMULATORS)}")
    built = artifacts.load(folder)
    fixed = built.quantized.fixed
    names = [each.name for each in fixed.layers]
    if layer is not None and layer not in names:
        raise ValueError(f"layer {layer!r}: network {fixed.name!r} has {', '.join(names)}")
    data = test_digits() if dataset is None else dataset
    part = data if images is None else data.take(images)
    if data.images.shape[1:] != fixed.network.input.image_shape:
        raise ValueError(
            f"data {data.name!r} has images of {' x '.join(map(str, data.images.shape[1:]))}, "
            f"network {fixed.name!r} takes {fixed.network.input.image_shape}"
        )
    if inject_fault is None and not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    simulators.require(simulator)
    fault = None
    if inject_fault is not None:
        fault = find_fault(fixed, inject_fault, part.images)
        built = _with_fault(built, fault)

    network = tapped_network(fixed, built.manifest, built.verilog)
    check = Check(fixed, part.images, names if layer is None else [layer])
    timing = Timing()
    done = 0
    with closing(_batches(network, part.images, stalls, simulator)) as batches:
        for count in check.take(timing.watch(batches)):
            done += count
            if progress is not None:
                progress(done, len(part))
    violations = check.violations()
    if simulator == "verilator" and (stalls is not None or timing.results < _STEADY_IMAGES):
        timing, more = _measure(network, part.images[np.arange(_STEADY_IMAGES) % len(part)])
        violations += more
    elif stalls is not None:
        timing = Timing()
    report = SimulationReport(
        network=fixed.name,
        quantized_sha256=built.manifest.quantized_sha256,
        dataset={
            "name": data.name,
            "split": data.split,
            "sha256": data.sha256,
            "images": len(data),
        },
        simulator=simulator,
        stalls=stalls,
        fault=None if fault is None else str(fault),
        images=len(part),
        classes=tuple(check.classes.tolist()),
        correct=int(np.count_nonzero(check.classes == part.labels)),
        interval_cycles=timing.interval_cycles,
        latency_cycles=timing.latency_cycles,
        layers=check.layer_results(),
        violations=violations,
    )
    if fault is None:
        write_whole(Path(folder) / FILE_NAME, report.to_json())
    return report


class Timing:
    """The clock cycles of results that came one after the other, from the first image on.

    Members
    -------
    results
        How many came.
    latency_cycles
        From the first pixel taken to the first result offered; None before it came.
    """

    def __init__(self) -> None:
        self._taken: list[int] = []
        self.latency_cycles: int | None = None

    @property
    def results(self) -> int:
        return len(self._taken)

    @property
    def interval_cycles(self) -> int | None:
        """From a result to the next, the mean of the later half; None of less than two."""
        if len(self._taken) < 2:
            return None
        later = self._taken[(len(self._taken) - 1) // 2 :]
        return round((later[-1] - later[0]) / (len(later) - 1))

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Pass batches on, and look at those of the first part."""
        for batch in batches:
            if batch.part == 0:
                if batch.first == 0:
                    cycles = batch.records["valid cycle"], batch.records["first pixel cycle"]
                    self.latency_cycles = int(cycles[0][0]) - int(cycles[1][0])
                self._taken += batch.records["taken cycle"].tolist()
            yield batch


def _measure(network: TappedNetwork, images: NDArray[np.uint8]) -> tuple[Timing, tuple[str, ...]]:
    """The cycles of a few images without pauses, and the rule that was broken, if one was."""
    timing = Timing()
    try:
        deque(timing.watch(simulate_bulk(network, images, None)), maxlen=0)
    except RuleBroken as error:
        return Timing(), (f"without pauses: {error}",)
    return timing, ()


def _batches(
    network: TappedNetwork, images: NDArray[np.uint8], stalls: int | None, simulator: Simulator
) -> Generator[Batch]:
    if simulator == "verilator":
        return simulate_bulk(network, images, stalls)
    return simulate_cocotb(network, images, stalls, simulator)


def _with_fault(built: Artifacts, fault: Fault) -> Artifacts:
    """The hardware of a network with a fault, made by the same plan."""
    from hw import artifacts

    with tempfile.TemporaryDirectory(prefix="systolith-") as name:
        folder = Path(name) / "faulty"
        artifacts.generate(replace(built.quantized, fixed=fault.fixed), folder, built.plan)
        return replace(built, verilog=artifacts.load(folder).verilog)
