"""The report of a sweep, as data: ranked points, plans, and the Pareto front."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from systolith.golden.reports.markdown import cell, table

SCHEMA = "systolith.sweep/1"
"""The schema of a report."""


class Score(msgspec.Struct, frozen=True):
    """The number of images that got the right class, and the fraction."""

    correct: int
    accuracy: float


class Images(msgspec.Struct, frozen=True):
    """A data set: the number of its images, and the hash of images and labels."""

    name: str
    split: str
    sha256: str
    images: int


class SweptPlan(msgspec.Struct, frozen=True):
    """A network under a budget; its cost is the same at all widths.

    Parameters
    ----------
    network, budget
        Their names in the sweep.
    multipliers, interval_cycles, latency_cycles
        As `systolith plan` reports them.
    """

    network: str
    budget: str
    multipliers: int
    interval_cycles: int
    latency_cycles: int


class SweptNetwork(msgspec.Struct, frozen=True):
    """A network, and its accuracy in floats.

    Parameters
    ----------
    network
        Its name in the sweep.
    name, sha256
        Its own name, and the hash of its file.
    validation, test
        Its accuracy in floats on the validation images (the key `rated` in JSON) and on the
        test images.
    """

    network: str
    name: str
    sha256: str
    validation: Score = msgspec.field(name="rated")
    test: Score


class SweptPoint(msgspec.Struct, frozen=True):
    """A network with settings.

    Parameters
    ----------
    rank
        From 1: by accuracy, then by the fewest bits of weights, then of feature maps.
    network
        Its name in the sweep.
    settings
        As in `quantize --config`.
    quantized_sha256, weight_bits_total
        Of the quantized network.
    validation
        Its accuracy on the validation images (the key `rated` in JSON).
    not_built
        The reason why no hardware can be built for it, or null.
    on_front
        Whether one of its designs is on the Pareto front.
    test
        Its accuracy on the test images if it is on the front, otherwise null.
    """

    rank: int
    network: str
    settings: dict[str, Any]
    quantized_sha256: str
    weight_bits_total: int
    validation: Score = msgspec.field(name="rated")
    not_built: str | None = None
    on_front: bool = False
    test: Score | None = None

    @property
    def widths(self) -> str:
        """Bits of weights and of feature maps, such as `8/6`."""
        return f"{self.settings['weight_bits']}/{self.settings['activation_bits']}"


class Design(msgspec.Struct, frozen=True):
    """A point under a budget: its costs, and its accuracy on the validation images."""

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
        """The figures that decide on the Pareto front; lower is better."""
        return -self.accuracy, self.weight_bits_total, self.multipliers, self.interval_cycles


class SweepReport(msgspec.Struct, frozen=True):
    """The report of a sweep.

    Parameters
    ----------
    schema
        The document's.
    calibration
        The images on which formats were chosen: their name, their hash without labels, their
        number.
    data, test
        The validation images, by which points are ranked, and the test images, on which nothing
        is chosen.
    networks, plans
        In the order in which they were given.
    points
        By rank.
    front
        The designs that no other beats: no other is as accurate with as few bits of weights,
        multipliers and cycles from one image to the next, and better in one of these.
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
        """Every point that can be built, under every budget."""
        return designs(self.points, self.plans)

    def to_json(self) -> bytes:
        """A JSON document."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def to_markdown(self) -> str:
        """A page of tables: points, plans, front."""
        data, test = self.data, self.test
        parts = [
            "# Sweep",
            (
                f"Formats are chosen on {self.calibration['images']:,} images of "
                f"{cell(self.calibration['name'])}, points are ranked by the accuracy on "
                f"{data.images:,} others, {_called(data)}. The Pareto front is chosen by that "
                f"alone; only its points are then scored on {test.images:,} images, "
                f"{_called(test)}."
            ),
            "## Points",
            self._points_table(),
            "## Plans",
            "Plans are the same at all widths.",
            self._plans_table(),
            "## Pareto front",
            (
                "No other design is as accurate with as few bits of weights, multipliers and "
                "cycles from one image to the next, and better in one of these."
            ),
            self._front_table(),
        ]
        refused = [
            f"- point {point.rank}: {cell(point.not_built)}"
            for point in self.points
            if point.not_built is not None
        ]
        if refused:
            parts += ["## Not built", "\n".join(refused) + "\n"]
        return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"

    def _points_table(self) -> str:
        floats = {each.network: each for each in self.networks}
        rows = [
            (
                f"{point.rank}",
                cell(point.network),
                point.widths,
                point.settings["calibration"],
                f"{point.weight_bits_total:,}",
                f"{point.validation.accuracy:.4f}",
                f"{floats[point.network].validation.accuracy:.4f}",
                "yes" if point.on_front else "",
                "" if point.test is None else f"{point.test.accuracy:.4f}",
                "" if point.test is None else f"{floats[point.network].test.accuracy:.4f}",
            )
            for point in self.points
        ]
        return table(_POINT_HEADINGS, rows, left=4)

    def _plans_table(self) -> str:
        rows = [
            (
                cell(plan.network),
                plan.budget,
                f"{plan.multipliers:,}",
                f"{plan.interval_cycles:,}",
                f"{plan.latency_cycles:,}",
            )
            for plan in self.plans
        ]
        return table(_PLAN_HEADINGS, rows, left=2)

    def _front_table(self) -> str:
        widths = {point.rank: point.widths for point in self.points}
        rows = [
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
        return table(_FRONT_HEADINGS, rows, left=4)


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
    """Every point that can be built, under every budget."""
    for point in points:
        for plan in plans:
            if plan.network == point.network and point.not_built is None:
                yield Design(
                    rank=point.rank,
                    network=point.network,
                    budget=plan.budget,
                    accuracy=point.validation.accuracy,
                    weight_bits_total=point.weight_bits_total,
                    multipliers=plan.multipliers,
                    interval_cycles=plan.interval_cycles,
                    latency_cycles=plan.latency_cycles,
                )


def _called(data: Images) -> str:
    return f"{cell(data.name)} ({cell(data.split)})"
