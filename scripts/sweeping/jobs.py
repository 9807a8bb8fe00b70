# amaranth: UnusedElaboratable=no
"""What a sweep computes, in whatever process: networks rated, and plans made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from systolith import golden, hw
from systolith.golden.fixed import execution
from systolith.golden.network import float_model
from systolith.hw.accelerator import Accelerator
from systolith.hw.planning.plan_file import smallest_plan


class Accuracy(msgspec.Struct, frozen=True):
    """How many of some images got the class of their label."""

    images: int
    correct: int


class Rating(Accuracy, frozen=True):
    """What came of quantizing a network.

    Parameters
    ----------
    images, correct
        Its accuracy.
    quantized_sha256
        The hash of the quantized network's file.
    weight_bits_total
        Bits of all its weights.
    not_built
        Why no hardware is built for it, or None.
    """

    quantized_sha256: str
    weight_bits_total: int
    not_built: str | None


class Cost(msgspec.Struct, frozen=True):
    """What a plan costs (`hw.PlanReport`)."""

    multipliers: int
    interval_cycles: int
    latency_cycles: int


@dataclass(frozen=True, eq=False)
class Subject:
    """A trained network, and the images on which its formats are chosen."""

    trained: golden.TrainedNetwork
    calibration_images: NDArray[np.uint8]

    @cached_property
    def key(self) -> tuple[str, str]:
        """What tells it from others: the hashes of the network's file and of the images."""
        images = np.ascontiguousarray(self.calibration_images)
        return self.trained.sha256, hashlib.sha256(images.data).hexdigest()

    def quantized(self, settings: Mapping[str, Any]) -> golden.QuantizedNetwork:
        """The fixed-point twin with some settings (`Settings.from_mapping`)."""
        return golden.quantize_observed(_observed(self), golden.Settings.from_mapping(settings))


def rate(subject: Subject, settings: Mapping[str, Any], data: golden.Dataset) -> Rating:
    """Quantize a network, and classify images with it."""
    quantized = subject.quantized(settings)
    try:
        Accelerator(quantized.fixed, smallest_plan(quantized.fixed.network))
        not_built = None
    # All that hardware refuses.
    except ValueError as error:
        not_built = str(error)
    return Rating(
        images=len(data),
        correct=_correct(execution.classes(quantized.fixed, data.images), data),
        quantized_sha256=quantized.sha256,
        weight_bits_total=quantized.weight_bits_total,
        not_built=not_built,
    )


def accuracy(
    subject: Subject, settings: Mapping[str, Any] | None, data: golden.Dataset
) -> Accuracy:
    """Classify images, without settings in floats."""
    if settings is None:
        classes = float_model.classes(subject.trained, data.images)
    else:
        classes = execution.classes(subject.quantized(settings).fixed, data.images)
    return Accuracy(len(data), _correct(classes, data))


def plan(subject: Subject, goal: hw.Goal) -> Cost:
    """Plan for a goal: multipliers and cycles, which are the same at all widths."""
    quantized = subject.quantized({})
    report = hw.report_plan(quantized, hw.make_plan(quantized.fixed, goal))
    predicted = report.predicted
    return Cost(report.multipliers, predicted.interval_cycles, predicted.latency_cycles)


def perform(call: Callable[..., Any], version: str, *arguments: Any) -> Any:
    """Call a function of this module, as a worker does.

    Raises
    ------
    ChildProcessError
        This is not the `version` of the program that asks.
    ValueError
        What the function refuses. Its own type might not go from process to process.
    """
    if version != program_version():
        raise ChildProcessError(
            f"a worker has systolith {program_version()}, and this is systolith {version}"
        )
    try:
        # As many processes as processors work already.
        with threadpool_limits(1, "blas"):
            return call(*arguments)
    except ValueError as error:
        raise ValueError(str(error)) from None


def program_version() -> str:
    """The version of this program."""
    try:
        return metadata.version("systolith")
    except metadata.PackageNotFoundError:
        return "not installed"


def _correct(classes: NDArray[np.int64], data: golden.Dataset) -> int:
    return int(np.count_nonzero(classes == data.labels))


_latest: dict[tuple[str, str], golden.Observations] = {}


def _observed(subject: Subject) -> golden.Observations:
    """What the float network makes of the calibration images, once for the tasks in a row."""
    found = _latest.get(subject.key)
    if found is None:
        found = golden.observe(subject.trained, subject.calibration_images)
        _latest.clear()
        _latest[subject.key] = found
    return found
