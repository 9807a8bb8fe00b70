"""`simulate`: compares every value of every layer of generated hardware with the fixed-point model.

It chooses the engine, feeds the images, checks and times what comes out, and writes the report.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

import numpy as np
from numpy.typing import NDArray

from systolith.golden.files.datasets import Dataset, test_digits
from systolith.golden.files.whole_files import write_whole
from systolith.golden.fixed.execution import FixedModel
from systolith.golden.fixed.integers import FixedNetwork
from systolith.golden.network.dataset_check import check_dataset, check_origin
from systolith.golden.qformat import RawImages
from systolith.hw.child_processes import temporary_folder
from systolith.sim.bench.network_bench import simulate_cocotb
from systolith.sim.bulk.engine import simulate_bulk
from systolith.sim.bulk.waves import write_waves
from systolith.sim.errors import SimulationError
from systolith.sim.faults import Fault, find_fault
from systolith.sim.record.checks import Check
from systolith.sim.record.junit import Case, junit
from systolith.sim.record.taps import Batch, RuleBroken, TappedNetwork, tapped_layer, tapped_network
from systolith.sim.report import FILE_NAME, JUNIT_NAME, LOG_NAME, SimulationReport
from systolith.sim.simulators import installed
from systolith.sim.simulators.installed import ENGINES, SIMULATORS, Engine, Simulator
from systolith.sim.timing import MEASURED_IMAGES, Stopwatch, Timeline, measure_network

if TYPE_CHECKING:
    from systolith.hw.verilog.artifacts import Artifacts
    from systolith.hw.verilog.manifest import Manifest

_BATCH = 100

COCOTB_IMAGES = 32
"""The largest number of images that are simulated under cocotb by default."""

COCOTB_CYCLES = 200_000
"""The largest number of clock cycles, by the plan, that are simulated under cocotb by default."""

FIRST_IMAGES = 10
"""The number of images that are simulated under cocotb if both engines are chosen."""

Progress = Callable[[int, int], None]
"""Called with the number of images that came out, and the number of all."""


def simulate(
    folder: str | os.PathLike[str],
    images: int | None = 100,
    dataset: Dataset | None = None,
    simulator: Simulator = "verilator",
    layer: str | None = None,
    stalls: int | None = None,
    waves: bool = False,
    inject_fault: str | None = None,
    progress: Progress | None = None,
    announce: Callable[[str], None] = lambda step: None,
    engine: Engine | Literal["both"] | None = None,
    keep_log: bool = False,
) -> SimulationReport:
    """Simulate the hardware in a folder that `hw.generate` wrote; write `simulation.json` there.

    Only the folder and the images are read. `simulation.log`, the simulator's output, and
    `results.xml`, a test case for each layer, are written there if something failed; those of an
    earlier simulation are replaced or removed.

    Parameters
    ----------
    folder
        It has the Verilog, its manifest, and the quantized network.
    images
        The number of images, from the first on; None for all.
    dataset
        Images and labels; by default the shipped test digits, for networks trained on MNIST.
    simulator
        `verilator` or `icarus`.
    layer
        Simulate the unit of this layer alone: its input are the values of the fixed-point model.
        The report is not written to the folder.
    stalls
        The seed of random pauses of source and sink; None for none.
    waves
        Write the waveform of one image as well (`bulk.waves`): that of the first wrong value, if
        there is one. By the engine `bulk` only.
    inject_fault
        Generate and simulate the hardware with one bit of one weight of this layer inverted, to
        see the check fail. The report is not written to the folder.
    progress
        Called after every batch.
    announce
        Called before each long step with its name, such as `measuring cycles`.
    engine
        `cocotb` simulates the images one after the other; `bulk`, on Verilator, is a loop in C++
        and splits them among processes; `both` simulates the first `FIRST_IMAGES` under cocotb, or
        fewer if they take more than `COCOTB_CYCLES`, and the others by `bulk`. By default it is
        `bulk` on Verilator for waves, for more than `COCOTB_IMAGES` images, or if the images, or
        the `MEASURED_IMAGES`, take more than `COCOTB_CYCLES`; else cocotb.
    keep_log
        Write `simulation.log` and `results.xml` also if nothing failed.

    Raises
    ------
    ValueError
        The folder, the number of images, the simulator, the engine or a layer is not valid.
    MissingToolError
        A tool is not installed.
    SimulationError, OSError
        The simulator could not be built or died, or a file cannot be written.
    """
    built = _load(folder, simulator, layer)
    dataset, used = choose_images(built, dataset, images)
    writable = os.access(folder, os.W_OK)
    if not writable and (inject_fault is None or keep_log):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    engines = choose_engines(
        engine, simulator, len(used), built.manifest.predicted.interval_cycles, waves
    )
    installed.require(simulator)
    fault, verilog = None, built.verilog
    if inject_fault is not None:
        announce("generating hardware with a fault")
        fault = find_fault(built.quantized.fixed, inject_fault, used.images)
        verilog = _faulty_verilog(built, fault)

    run = _Run(built, dataset, used, simulator, engines, layer, stalls, fault)
    log: list[str] = []
    try:
        report = _report(run, verilog, Path(folder) if waves else None, log, progress, announce)
    except SimulationError as error:
        if not writable:
            raise
        failed = junit(built.quantized.fixed.name, [Case("simulation", error=str(error))])
        path, _ = _keep(folder, [*log, error.log], failed)
        raise SimulationError(f"{error} (the whole output: {path})") from None
    if writable:
        if keep_log or report.failures:
            report = replace(report, kept=_keep(folder, log, report.to_junit()))
        else:
            for name in (LOG_NAME, JUNIT_NAME):
                (Path(folder) / name).unlink(missing_ok=True)
    if fault is None and layer is None:
        write_whole(Path(folder) / FILE_NAME, report.to_json())
    return report


def _report(
    run: _Run,
    verilog: str,
    waves: Path | None,
    log: list[str],
    progress: Progress | None,
    announce: Callable[[str], None],
) -> SimulationReport:
    """Simulate, compare, measure, and write the waveform if there is a folder for it."""
    network, frames = run.tapped(verilog)
    check = run.check()
    stopwatch = Stopwatch(network)
    with closing(_batches(run, network, frames, log, announce)) as batches:
        _exhaust(check.take(stopwatch.watch(batches)), len(run.used), progress)
    violations = check.violations()
    timeline = stopwatch.timeline if run.stalls is None else None
    if run.simulator == "verilator" and not _is_long_enough(timeline):
        announce("measuring cycles")
        timeline, more = _measure(network, frames, list(run.engines)[-1])
        violations += more
    shown = None
    if waves is not None:
        announce("compiling for the waveform")
        results = check.layer_results()
        shown = write_waves(network, frames, run.stalls, results, check.came_out, waves)
    return run.report(check, timeline, shown, violations)


@dataclass(frozen=True, eq=False)
class _Run:
    """What `simulate` runs: generated hardware, the images that go in, and how.

    Parameters
    ----------
    built
        The folder's content, without the fault.
    dataset, used
        The data set, and the images of it that go in.
    simulator, layer, stalls
        The arguments of `simulate`.
    engines
        The engines, in order, and the number of images that each simulates.
    fault
        The fault in the hardware, or None.
    """

    built: Artifacts
    dataset: Dataset
    used: Dataset
    simulator: Simulator
    engines: dict[Engine, int]
    layer: str | None
    stalls: int | None
    fault: Fault | None

    def tapped(self, verilog: str) -> tuple[TappedNetwork, NDArray[np.integer[Any]]]:
        """What is simulated of this Verilog, and the values that go in."""
        fixed, images = self.built.quantized.fixed, self.used.images
        if self.layer is None:
            return tapped_network(fixed, self.built.manifest, verilog), images
        network = tapped_layer(fixed, self.built.manifest, verilog, self.layer)
        return network, _values(fixed, fixed[self.layer].layer.inputs[0], images)

    def check(self) -> Check:
        """The comparison with the fixed-point model."""
        fixed, images = self.built.quantized.fixed, self.used.images
        if self.layer is None:
            layers = [each.name for each in fixed.layers]
            return Check(fixed, images, layers, self.built.manifest.result)
        return Check(fixed, images, [self.layer])

    def report(
        self,
        check: Check,
        timeline: Timeline | None,
        waves_image: int | None,
        violations: tuple[str, ...],
    ) -> SimulationReport:
        """The report of what was compared and measured."""
        built, dataset = self.built, self.dataset
        return SimulationReport(
            network=built.quantized.fixed.name,
            quantized_sha256=built.manifest.quantized_sha256,
            plan_sha256=built.manifest.plan_sha256,
            verilog_sha256=built.verilog_sha256,
            as_generated=built.as_generated,
            dataset={
                "name": dataset.name,
                "split": dataset.split,
                "sha256": dataset.sha256,
                "images": len(dataset),
                "saturated": dataset.saturated,
            },
            simulator=self.simulator,
            engines=self.engines,
            layer=self.layer,
            stalls=self.stalls,
            fault=None if self.fault is None else str(self.fault),
            images=len(self.used),
            result=built.manifest.result.kind,
            classes=tuple(check.classes.tolist()),
            correct=int(np.count_nonzero(check.classes == self.used.labels))
            if len(check.classes) and self.used.labels is not None
            else None,
            interval_cycles=timeline.whole.interval_cycles if timeline else None,
            latency_cycles=timeline.whole.latency_cycles if timeline else None,
            layers=check.layer_results(),
            layer_timings=timeline.layers if timeline else {},
            deviations=deviations(built.manifest, timeline, self.layer),
            waves_image=waves_image,
            violations=violations,
        )


def _load(folder: str | os.PathLike[str], simulator: Simulator, layer: str | None) -> Artifacts:
    """Read the folder; refuses a simulator that is unknown, and a layer that the network lacks."""
    from systolith.hw.verilog import (
        artifacts,  # imports Amaranth, which benches inside simulators do without
    )

    if simulator not in SIMULATORS:
        raise ValueError(f"simulator {simulator!r}: allowed are {', '.join(SIMULATORS)}")
    built = artifacts.load(folder)
    fixed = built.quantized.fixed
    names = [each.name for each in fixed.layers]
    if layer is not None and layer not in names:
        raise ValueError(f"layer {layer!r}: network {fixed.name!r} has {', '.join(names)}")
    return built


def choose_images(
    built: Artifacts, dataset: Dataset | None, images: int | None
) -> tuple[Dataset, Dataset]:
    """The data set, by default the shipped digits, and the images of it that go in."""
    if dataset is None:
        check_origin(built.quantized.parent, "--data FILE")
        dataset = test_digits()
    used = dataset if images is None else dataset.take(images)
    by_class = built.manifest.result.kind == "class"
    check_dataset(built.quantized.fixed.network, used, by_class)
    return dataset, used


def choose_engines(
    engine: Engine | Literal["both"] | None,
    simulator: Simulator,
    images: int,
    interval_cycles: int,
    waves: bool,
) -> dict[Engine, int]:
    """The engines, in order, and their images; refuses what an engine cannot do.

    `interval_cycles` are the cycles from one image to the next by the plan.
    """
    if engine not in (None, "both", *ENGINES):
        raise ValueError(f"engine {engine!r}: allowed are {', '.join(ENGINES)}")
    if simulator != "verilator":
        if waves:
            raise ValueError(f"--waves: verilator writes them, {simulator} does not")
        if engine not in (None, "cocotb"):
            raise ValueError(f"--engine {engine}: it needs verilator, {simulator} has only cocotb")
        return {"cocotb": images}
    if engine == "cocotb" and waves:
        raise ValueError("--waves: the engine bulk writes them, cocotb does not")
    most = COCOTB_CYCLES // max(interval_cycles, 1)
    if engine == "both":
        first = min(FIRST_IMAGES, max(most, 1))
        return {"cocotb": first, "bulk": images - first} if images > first else {"cocotb": images}
    if engine is None:
        few = images <= COCOTB_IMAGES and max(images, MEASURED_IMAGES) <= most
        engine = "cocotb" if few and not waves else "bulk"
    return {engine: images}


def _keep(folder: str | os.PathLike[str], log: Iterable[str], results: bytes) -> tuple[Path, Path]:
    """Write the simulator's output and the test cases."""
    paths = Path(folder) / LOG_NAME, Path(folder) / JUNIT_NAME
    write_whole(paths[0], "\n".join(text.rstrip("\n") for text in (*log, "")).encode())
    write_whole(paths[1], results)
    return paths


def _exhaust(counts: Iterable[int], total: int, progress: Progress | None) -> None:
    """Simulate until all images came out, and report the progress after each batch."""
    done = 0
    for count in counts:
        done += count
        if progress is not None:
            progress(done, total)


def _values(fixed: FixedNetwork, layer: str, images: RawImages) -> NDArray[np.integer[Any]]:
    """The output of a layer by the fixed-point model, in the smallest integer type."""
    if layer == fixed.network.input.name:
        return images
    model = FixedModel(fixed)
    bits = fixed[layer].output_format.bits
    kind = next(np.dtype(f"i{size}") for size in (1, 2, 4, 8) if bits < 8 * size)
    batches = range(0, len(images), _BATCH)
    values = [model.run(images[n : n + _BATCH]).outputs[layer].astype(kind) for n in batches]
    return np.concatenate(values)


def deviations(
    manifest: Manifest, timeline: Timeline | None, layer: str | None = None
) -> tuple[str, ...] | None:
    """The cycles that are not those of the manifest, one line for each figure; none if all are.

    The figures are the interval, the latency, and the latency of every layer; for a layer alone
    only the interval. None if too few images were measured.
    """
    if not _is_long_enough(timeline):
        return None
    whole, predicted = timeline.whole, manifest.predicted
    figures = [
        ("interval_cycles", whole.interval_cycles, predicted.interval_cycles),
        ("latency_cycles", whole.latency_cycles, predicted.latency_cycles),
        *(
            (
                f"{entry.name}: latency_cycles",
                timeline.layers[entry.name].latency_cycles,
                entry.latency_cycles,
            )
            for entry in manifest.layers
            if layer is None
        ),
    ]
    if layer is not None:
        (alone,) = (entry.cycles for entry in manifest.layers if entry.name == layer)
        figures = [(f"{layer}: interval_cycles", whole.interval_cycles, alone)]
    return tuple(
        f"{name}: measured {measured}, predicted {expected}"
        for name, measured, expected in figures
        if measured != expected
    )


def _is_long_enough(timeline: Timeline | None) -> TypeGuard[Timeline]:
    """Whether enough images were measured to compare their cycles with the manifest's."""
    return timeline is not None and timeline.images >= MEASURED_IMAGES


def _measure(
    network: TappedNetwork, images: NDArray[np.integer[Any]], engine: Engine
) -> tuple[Timeline | None, tuple[str, ...]]:
    """Measure a few images without pauses; returns a violation if a rule was broken."""
    some = images[np.arange(MEASURED_IMAGES) % len(images)]
    try:
        return measure_network(network, some, engine=engine), ()
    except RuleBroken as error:
        return None, (f"without pauses: {error}",)


def _batches(
    run: _Run,
    network: TappedNetwork,
    images: NDArray[np.integer[Any]],
    log: list[str],
    announce: Callable[[str], None],
) -> Generator[Batch]:
    """The records of all images, by one engine after the other."""
    first = parts = 0
    for engine, count in run.engines.items():
        announce(f"compiling for {engine}")
        some = images[first : first + count]
        batches: Generator[Batch, None, object]
        if engine == "bulk":
            batches = simulate_bulk(network, some, run.stalls, log=log)
        else:
            batches = simulate_cocotb(network, some, run.stalls, run.simulator, log=log)
        last = parts
        with closing(batches):
            for number, batch in enumerate(batches):
                if number == 0:
                    announce(f"simulating by {engine}")
                last = max(last, parts + batch.part)
                yield Batch(parts + batch.part, first + batch.first, batch.records)
        first, parts = first + count, last + 1


def _faulty_verilog(built: Artifacts, fault: Fault) -> str:
    """The Verilog of a network with a fault, generated by the same plan."""
    from systolith.hw.verilog import artifacts

    with temporary_folder("systolith-") as parent:
        folder = parent / "faulty"
        faulty = replace(built.quantized, fixed=fault.fixed)
        artifacts.generate(
            faulty, folder, built.plan, built.manifest.top, result=built.manifest.result.kind
        )
        return artifacts.load(folder).verilog
