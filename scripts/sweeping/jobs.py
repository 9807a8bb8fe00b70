# amaranth: UnusedElaboratable=no
"""The jobs of a sweep: to quantize and score a network, or to plan its hardware.

Every job is a function of a subject and of plain data; `run_job` calls it inside a worker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import metadata
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from systolith import golden, hw
from systolith.golden.files import npz
from systolith.golden.files.datasets import UNNAMED, images_sha256
from systolith.golden.fixed import execution
from systolith.golden.network import float_model
from systolith.golden.qformat import RawImages
from systolith.golden.quantization.quantized_network import SCHEMA as QUANTIZED_SCHEMA
from systolith.hw.accelerator import Accelerator
from systolith.hw.child_processes import temporary_folder
from systolith.hw.planning.plan_file import smallest_plan
from systolith.hw.silicon.flow import synthesize_folder
from systolith.hw.verilog import artifacts


class Accuracy(msgspec.Struct, frozen=True):
    """The number of images that were classified, and the number that got the right class.

    Of images without labels, the class that the float network gives is the right one.
    """

    images: int
    correct: int


class PointResult(Accuracy, frozen=True):
    """The result of quantizing a network and classifying images with it.

    Parameters
    ----------
    images, correct
        Its accuracy.
    quantized_sha256
        The hash of the quantized network's file.
    weight_bits_total
        Bits of all its weights.
    not_built
        The reason why no hardware can be built for it, or None.
    """

    quantized_sha256: str
    weight_bits_total: int
    not_built: str | None


class Cost(msgspec.Struct, frozen=True):
    """The cost of a plan (`hw.PlanReport`)."""

    multipliers: int
    interval_cycles: int
    latency_cycles: int


class SiliconCost(msgspec.Struct, frozen=True):
    """What a design takes on a device (`hw.silicon.targets.Capacity`), and whether it fits."""

    luts: int
    flip_flops: int
    multipliers: int
    block_memories: int
    distributed_memories: int
    fits: bool


@dataclass(frozen=True, eq=False)
class Subject:
    """A trained network, and the images on which its formats are chosen.

    Parameters
    ----------
    trained
        The float network.
    calibration_images
        Raw values `(images, height, width, channels)`.
    calibration_name
        Their name.
    """

    trained: golden.TrainedNetwork
    calibration_images: RawImages
    calibration_name: str = UNNAMED

    @cached_property
    def key(self) -> tuple[str, golden.DatasetReference]:
        """The hash of the network's file and the calibration images, which identify the subject."""
        images = self.calibration_images
        return self.trained.sha256, golden.DatasetReference(
            self.calibration_name, images_sha256(images), len(images)
        )

    def quantized(self, settings: Mapping[str, Any]) -> golden.QuantizedNetwork:
        """The fixed-point twin with the given settings (`Settings.from_mapping`)."""
        return golden.quantize_observed(_observed(self), golden.Settings.from_mapping(settings))


def score_point(subject: Subject, settings: Mapping[str, Any], data: golden.Dataset) -> PointResult:
    """Quantize a network, classify images with it, and check whether hardware can be built."""
    quantized = subject.quantized(settings)
    try:
        Accelerator(quantized.fixed, smallest_plan(quantized.fixed.network))
        not_built = None
    # Everything that the hardware refuses.
    except ValueError as error:
        not_built = str(error)
    return PointResult(
        images=len(data),
        correct=_correct(subject, execution.classes(quantized.fixed, data.images), data),
        quantized_sha256=quantized.sha256,
        weight_bits_total=quantized.weight_bits_total,
        not_built=not_built,
    )


def measure_accuracy(
    subject: Subject, settings: Mapping[str, Any] | None, data: golden.Dataset
) -> Accuracy:
    """Classify images with the network as `settings` quantize it, or in floats if they are None."""
    if settings is None:
        classes = float_model.classes(subject.trained, data.images)
    else:
        classes = execution.classes(subject.quantized(settings).fixed, data.images)
    return Accuracy(len(data), _correct(subject, classes, data))


def quantize_point(subject: Subject, settings: Mapping[str, Any]) -> bytes:
    """The bytes of the file of a quantized network."""
    return npz.encode(QUANTIZED_SCHEMA, *subject.quantized(settings).contents())


def plan_cost(subject: Subject, goal: hw.Goal) -> Cost:
    """Plan for a goal: the multipliers and cycles, which are the same at all widths."""
    quantized = subject.quantized({})
    report = hw.report_plan(quantized, hw.make_plan(quantized.fixed, goal))
    predicted = report.predicted
    return Cost(report.multipliers, predicted.interval_cycles, predicted.latency_cycles)


def synthesize_point(
    subject: Subject, settings: Mapping[str, Any], goal: hw.Goal, target: str
) -> SiliconCost:
    """Generate the hardware of a point for a goal, and synthesize it for a device."""
    quantized = subject.quantized(settings)
    with temporary_folder("systolith-sweep-") as folder:
        artifacts.generate(quantized, folder / "rtl", hw.make_plan(quantized.fixed, goal))
        report = synthesize_folder(folder / "rtl", target)
    return SiliconCost(**asdict(report.occupied), fits=not report.misfit)


def run_job(job: Callable[..., Any], version: str, *arguments: Any) -> Any:
    """Run a job in a worker.

    Parameters
    ----------
    job
        A function of this module.
    version
        The version of the program that submitted the job.
    arguments
        The job's arguments.

    Raises
    ------
    ChildProcessError
        The worker has another version of the program.
    ValueError
        The job refused its arguments. Subclasses are reduced to `ValueError`, because they might
        not survive the way from one process to another.
    """
    if version != program_version():
        raise ChildProcessError(
            f"a worker has systolith {program_version()}, and this is systolith {version}"
        )
    try:
        return job(*arguments)
    except ValueError as error:
        raise ValueError(str(error)) from None


def program_version() -> str:
    """The version of this program."""
    try:
        return metadata.version("systolith")
    except metadata.PackageNotFoundError:
        return "not installed"


def _correct(subject: Subject, classes: NDArray[np.int64], data: golden.Dataset) -> int:
    wanted = data.labels
    if wanted is None:
        wanted = float_model.classes(subject.trained, data.images)
    return int(np.count_nonzero(classes == wanted))


_latest: dict[tuple[str, golden.DatasetReference], golden.Observations] = {}


def _observed(subject: Subject) -> golden.Observations:
    """The float network's values on the calibration images, cached for consecutive jobs."""
    found = _latest.get(subject.key)
    if found is None:
        found = golden.observe(
            subject.trained, subject.calibration_images, subject.calibration_name
        )
        _latest.clear()
        _latest[subject.key] = found
    return found
