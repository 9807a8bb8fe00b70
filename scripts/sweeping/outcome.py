"""What came of a sweep, as data: points ranked, plans, the Pareto front."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from systolith.golden.reports.markdown import cell, table

SCHEMA = "systolith.sweep/1"
"""The schema of a report."""


class Score(msgspec.Struct, frozen=True):
    """How many of some images got the class of their label, and the fraction."""

    correct: int
    accuracy: float


class Images(msgspec.Struct, frozen=True):
    """A data set: of as many images, with the hash of them and their labels."""

    name: str
    split: str
    sha256: str
    images: int


class SweptPlan(msgspec.Struct, frozen=True):
    """A network under a budget, at whatever widths.

    Parameters
    ----------
    network, budget
        What they are called in the sweep.
    multipliers, interval_cycles, latency_cycles
        As `systolith plan` tells.
    """

    network: str
    budget: str
    multipliers: int
    interval_cycles: int
    latency_cycles: int


class SweptNetwork(msgspec.Struct, frozen=True):
    """A network in floats.

    Parameters
    ----------
    network
        What it is called in the sweep.
    name, sha256
        Its own name, and the hash of its file.
    rated, test
        In floats, on the images that points are rated on, and on the test images.
    """

    network: str
    name: str
    sha256: str
    rated: Score
    test: Score


class SweptPoint(msgspec.Struct, frozen=True):
    """A network with settings.

    Parameters
    ----------
    rank
        From 1: by accuracy, then by the fewest bits of weights, then of feature maps.
    network
        What it is called in the sweep.
    settings
        As in `quantize --config`.
    quantized_sha256, weight_bits_total
        Of the quantized network.
    rated
        On the images that points are rated on.
    not_built
        Why no hardware is built for it; null where some is.
    on_front
        Whether one of its designs is on the Pareto front.
    test
        Then: on the test images. Otherwise null.
    """

    rank: int
    network: str
    settings: dict[str, Any]
    quantized_sha256: str
    weight_bits_total: int
    rated: Score
    not_built: str | None = None
    on_front: bool = False
    test: Score | None = None

    @property
    def widths(self) -> str:
        """Bits of weights and of feature maps, such as `8/6`."""
        return f"{self.settings['weight_bits']}/{self.settings['activation_bits']}"


class Design(msgspec.Struct, frozen=True):
    """A point under a budget: what it costs, and how accurate it is on the rated images."""

    rank: int
    network: str
    budget: str
    accuracy: float
    weight_bits_total: int
    multipliers: int
    interval_cycles: int
    latency_cycles: int

    @property
    def costs(self) -> tuple[float, ...]:
        """What a Pareto front is made by, the lower the better."""
        return -self.accuracy, self.weight_bits_total, self.multipliers, self.interval_cycles


class SweepReport(msgspec.Struct, frozen=True):
    """What came of a sweep.

    Parameters
    ----------
    schema
        The document's.
    calibration
        How many images formats were chosen on, and their hash.
    data, test
        The images that points are rated on, and those that nothing is chosen on.
    networks, plans
        In the order in which they were given.
    points
        By rank.
    front
        The designs that no other beats: none is as accurate with as few bits of weights,
        multipliers and cycles from an image to the next, and better in one of them.
    version
        Of the program.
    """

    schema: str
    calibration: dict[str, Any]
    data: Images
    test: Images
    networks: list[SweptNetwork]
    plans: list[SweptPlan]
    points: list[SweptPoint]
    front: list[Design]
    version: str

    def designs(self) -> Iterator[Design]:
        """Every point that is built, under every budget."""
        return designs(self.points, self.plans)

    def to_json(self) -> bytes:
        """A JSON document."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def to_markdown(self) -> str:
        """A page of tables: points, plans, front."""
        data, test = self.data, self.test
        floats = {each.network: each for each in self.networks}
        points = [
            (
                f"{point.rank}",
                cell(point.network),
                point.widths,
                point.settings["calibration"],
                f"{point.weight_bits_total:,}",
                f"{point.rated.accuracy:.4f}",
                f"{floats[point.network].rated.accuracy:.4f}",
                "yes" if point.on_front else "",
                "" if point.test is None else f"{point.test.accuracy:.4f}",
                "" if point.test is None else f"{floats[point.network].test.accuracy:.4f}",
            )
            for point in self.points
        ]
        plans = [
            (
                cell(plan.network),
                plan.budget,
                f"{plan.multipliers:,}",
                f"{plan.interval_cycles:,}",
                f"{plan.latency_cycles:,}",
            )
            for plan in self.plans
        ]
        widths = {point.rank: point.widths for point in self.points}
        front = [
            (
                f"{design.rank}",
                cell(design.network),
                widths[design.rank],
                design.budget,
                f"{design.accuracy:.4f}",
                f"{design.weight_bits_total:,}",
                f"{design.multipliers:,}",
                f"{design.interval_cycles:,}",
            )
            for design in self.front
        ]
        refused = [
            f"- point {point.rank}: {cell(point.not_built)}"
            for point in self.points
            if point.not_built is not None
        ]
        parts = [
            "# Sweep",
            (
                f"Formats are chosen on {self.calibration['images']:,} images, points are ranked "
                f"by the accuracy on {data.images:,} others, {_called(data)}. The Pareto front is "
                f"chosen by that alone; only its points are then told on {test.images:,} images, "
                f"{_called(test)}."
            ),
            "## Points",
            table(_POINT_HEADINGS, points, left=4),
            "## Plans",
            "The same at all widths.",
            table(_PLAN_HEADINGS, plans, left=2),
            "## Pareto front",
            (
                "No other design is as accurate with as few bits of weights, multipliers and "
                "cycles from an image to the next, and better in one of them."
            ),
            table(_FRONT_HEADINGS, front, left=4),
        ]
        if refused:
            parts += ["## Not built", "\n".join(refused) + "\n"]
        return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


_POINT_HEADINGS = (
    *("rank", "network", "weights/maps", "calibration", "weight bits", "accuracy", "float"),
    *("front", "test accuracy", "float"),
)
_PLAN_HEADINGS = ("network", "budget", "multipliers", "interval", "latency")
_FRONT_HEADINGS = (
    *("rank", "network", "weights/maps", "budget", "accuracy", "weight bits", "multipliers"),
    "interval",
)


def designs(points: list[SweptPoint], plans: list[SweptPlan]) -> Iterator[Design]:
    """Every point that is built, under every budget."""
    for point in points:
        for plan in plans:
            if plan.network == point.network and point.not_built is None:
                yield Design(
                    rank=point.rank,
                    network=point.network,
                    budget=plan.budget,
                    accuracy=point.rated.accuracy,
                    weight_bits_total=point.weight_bits_total,
                    multipliers=plan.multipliers,
                    interval_cycles=plan.interval_cycles,
                    latency_cycles=plan.latency_cycles,
                )


def _called(data: Images) -> str:
    return f"{cell(data.name)} ({cell(data.split)})"
