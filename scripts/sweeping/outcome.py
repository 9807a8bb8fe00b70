"""The report of a sweep, as data: ranked points, plans, and two Pareto fronts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from systolith.golden.reports.html_table import html_table
from systolith.golden.reports.markdown import cell, table
from systolith.golden.reports.memory_size import kibibytes, smaller_than_float
from systolith.scripts.console import to_csv
from systolith.scripts.sweeping.variations import flat, shown_value, varied_keys

SCHEMA = "systolith.sweep/2"
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
    weights
        The number of its weights.
    validation, test
        Its accuracy in floats on the validation images and on the test images.
    """

    network: str
    name: str
    sha256: str
    weights: int
    validation: Score
    test: Score


class SweptPoint(msgspec.Struct, frozen=True):
    """A network with settings.

    Parameters
    ----------
    rank
        From 1: by accuracy, then by the fewest bits of weights, then of feature maps.
    name
        A short name, such as `lenet5-w4-a6`; no other point of the sweep has it.
    network
        Its network's name in the sweep.
    settings
        As in `quantize --config`.
    quantized_sha256, weight_bits_total
        Of the quantized network.
    validation
        Its accuracy on the validation images.
    not_built
        The reason why no hardware can be built for it, or null.
    on_front
        Whether it is on one of the two fronts.
    test
        Its accuracy on the test images if it is on a front, otherwise null.
    """

    rank: int
    name: str
    network: str
    settings: dict[str, Any]
    quantized_sha256: str
    weight_bits_total: int
    validation: Score
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
        """The figures that decide on the front of hardware; lower is better."""
        return -self.accuracy, self.multipliers, self.interval_cycles


class SynthesizedDesign(msgspec.Struct, frozen=True):
    """A point under a budget on a device: what it takes there, and whether it fits."""

    rank: int
    network: str
    budget: str
    accuracy: float
    interval_cycles: int
    luts: int
    flip_flops: int
    multipliers: int
    block_memories: int
    distributed_memories: int
    fits: bool


class SweptSynthesis(msgspec.Struct, frozen=True):
    """The designs of the points of the other two fronts on a device.

    Parameters
    ----------
    target, tool
        The device, and the version of Yosys.
    designs
        Every point of a front under every budget.
    lut_front
        The places in `designs` of those that no other beats in accuracy and LUTs.
    """

    target: str
    tool: str
    designs: list[SynthesizedDesign]
    lut_front: list[int]


@dataclass(frozen=True)
class Table:
    """A table of a report: headings, rows, and the number of columns of words, which come first."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int

    def to_markdown(self) -> str:
        """The table in Markdown."""
        cells = [[cell(each) for each in row] for row in self.rows]
        return table([cell(each) for each in self.headings], cells, self.left)


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
    weight_front
        The ranks of the points that no other beats: no other is as accurate with as few bits of
        weights, and better in one of the two. Only points that can be built are compared; of equal
        ones the first by rank is there.
    hardware_front
        The designs that no other beats in accuracy, multipliers and cycles from one image to the
        next, likewise.
    version
        Of the program.
    synthesis
        The designs on a device; null if none was given.
    """

    schema: str
    calibration: dict[str, Any]
    data: Images
    test: Images
    networks: list[SweptNetwork]
    plans: list[SweptPlan]
    points: list[SweptPoint]
    weight_front: list[int]
    hardware_front: list[Design]
    version: str
    synthesis: SweptSynthesis | None = None

    def designs(self) -> Iterator[Design]:
        """Every point that can be built, under every budget."""
        return designs(self.points, self.plans)

    @property
    def not_built(self) -> dict[str, list[int]]:
        """The ranks of the points that hardware cannot be built for, by the reason."""
        found: dict[str, list[int]] = {}
        for point in self.points:
            if point.not_built is not None:
                found.setdefault(point.not_built, []).append(point.rank)
        return found

    def to_json(self) -> bytes:
        """A JSON document."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def to_csv(self) -> str:
        """A row for each point and budget; one for each point that hardware cannot be built for.

        A figure that is missing is an empty cell.
        """
        plans = {
            name: [plan for plan in self.plans if plan.network == name] for name in self._networks
        }
        return to_csv(
            [
                self._csv_row(point, plan)
                for point in self.points
                for plan in (plans[point.network] if point.not_built is None else [None])
            ]
        )

    def to_markdown(self) -> str:
        """A page of tables: the two fronts, points, plans."""
        data, test = self.data, self.test
        parts = [
            "# Sweep",
            (
                f"Formats are chosen on {self.calibration['images']:,} images of "
                f"{cell(self.calibration['name'])}, points are ranked by the accuracy on "
                f"{data.images:,} others, {_called(data)}. The Pareto fronts are chosen by that "
                f"alone; only their points are then scored on {test.images:,} images, "
                f"{_called(test)}."
            ),
            "## Accuracy against weight bits",
            (
                "No other point is as accurate with as few bits of weights, and better in one of "
                "the two; of equal points the first is shown."
            ),
            self.points_table(self.weight_front).to_markdown(),
            "## Accuracy against multipliers and cycles",
            (
                "No other design is as accurate with as few multipliers and cycles from one image "
                "to the next, and better in one of these."
            ),
            self.hardware_table().to_markdown(),
            *self._synthesis_markdown(),
            "## Points",
            self.points_table().to_markdown(),
            "## Plans",
            "Plans are the same at all widths.",
            self.plans_table().to_markdown(),
        ]
        if self.not_built:
            refused = [
                f"- {_listed(ranks)}: {cell(reason)}" for reason, ranks in self.not_built.items()
            ]
            parts += ["## Not built", "\n".join(refused) + "\n"]
        return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"

    def points_table(self, ranks: Sequence[int] | None = None) -> Table:
        """The points of some ranks, or all, with what the sweep varies."""
        varied = varied_keys([point.settings for point in self.points])
        headings = (
            *("rank", "network", "weights/maps", "calibration", *varied),
            *("weights (KiB)", "smaller than float", "accuracy", "float"),
            *("front", "test accuracy", "float"),
        )
        rows = [
            self._point_cells(point, varied)
            for point in self.points
            if ranks is None or point.rank in ranks
        ]
        return Table(headings, rows, left=4 + len(varied))

    def hardware_table(self) -> Table:
        """The front of accuracy against multipliers and cycles."""
        names = {point.rank: point.name for point in self.points}
        rows = [
            (
                f"{design.rank}",
                design.network,
                names[design.rank],
                design.budget,
                f"{design.accuracy:.4f}",
                f"{design.multipliers:,}",
                f"{design.interval_cycles:,}",
                f"{design.latency_cycles:,}",
            )
            for design in self.hardware_front
        ]
        return Table(_HARDWARE_HEADINGS, rows, left=4)

    def synthesis_table(self) -> Table:
        """The designs on a device, those of the front of accuracy against LUTs first."""
        assert self.synthesis is not None
        names = {point.rank: point.name for point in self.points}
        front = set(self.synthesis.lut_front)
        every = enumerate(self.synthesis.designs)
        ordered = sorted(every, key=lambda each: (each[0] not in front, each[1].luts))
        rows = [
            (
                f"{design.rank}",
                design.network,
                names[design.rank],
                design.budget,
                f"{design.accuracy:.4f}",
                f"{design.luts:,}",
                f"{design.flip_flops:,}",
                f"{design.multipliers:,}",
                f"{design.block_memories:,}",
                f"{design.interval_cycles:,}",
                "yes" if place in front else "",
                "yes" if design.fits else "no",
            )
            for place, design in ordered
        ]
        return Table(_SYNTHESIS_HEADINGS, rows, left=4)

    def _synthesis_markdown(self) -> list[str]:
        if self.synthesis is None:
            return []
        return [
            f"## Accuracy against LUTs on {cell(self.synthesis.target)}",
            (
                "The points of both fronts under every budget, synthesized by Yosys "
                f"{cell(self.synthesis.tool)}. On the front no other is as accurate with as few "
                "LUTs, and better in one of the two."
            ),
            self.synthesis_table().to_markdown(),
        ]

    def plans_table(self) -> Table:
        """The cost of every network under every budget."""
        rows = [
            (
                plan.network,
                plan.budget,
                f"{plan.multipliers:,}",
                f"{plan.interval_cycles:,}",
                f"{plan.latency_cycles:,}",
            )
            for plan in self.plans
        ]
        return Table(_PLAN_HEADINGS, rows, left=2)

    def _repr_html_(self) -> str:
        points = self.points_table()
        return html_table(points.headings, points.rows, points.left)

    @property
    def _networks(self) -> dict[str, SweptNetwork]:
        return {each.network: each for each in self.networks}

    def _point_cells(self, point: SweptPoint, varied: Sequence[str]) -> list[str]:
        network, bits = self._networks[point.network], point.weight_bits_total
        tested = () if point.test is None else (point.test, network.test)
        return [
            f"{point.rank}",
            point.network,
            point.widths,
            point.settings["calibration"],
            *(shown_value(point.settings, key) for key in varied),
            f"{kibibytes(bits):,.1f}",
            f"{smaller_than_float(bits, network.weights):.2f}x" if bits else "",
            f"{point.validation.accuracy:.4f}",
            f"{network.validation.accuracy:.4f}",
            "yes" if point.on_front else "",
            *([f"{each.accuracy:.4f}" for each in tested] or ["", ""]),
        ]

    def _csv_row(self, point: SweptPoint, plan: SweptPlan | None) -> dict[str, Any]:
        network = self._networks[point.network]
        on_hardware = {(each.rank, each.budget) for each in self.hardware_front}
        costs = {} if plan is None else msgspec.structs.asdict(plan)
        return {
            "rank": point.rank,
            "name": point.name,
            "network": point.network,
            **flat(point.settings),
            "weight_bits_total": point.weight_bits_total,
            "accuracy": point.validation.accuracy,
            "float_accuracy": network.validation.accuracy,
            "test_accuracy": None if point.test is None else point.test.accuracy,
            "float_test_accuracy": network.test.accuracy,
            **costs,
            "weight_front": point.rank in self.weight_front,
            "hardware_front": plan is not None and (point.rank, plan.budget) in on_hardware,
            "quantized_sha256": point.quantized_sha256,
        }


_PLAN_HEADINGS = ("network", "budget", "multipliers", "interval", "latency")
_SYNTHESIS_HEADINGS = (
    *("rank", "network", "point", "budget", "accuracy", "LUTs", "flip-flops", "multipliers"),
    *("block memories", "interval", "front", "fits"),
)
_HARDWARE_HEADINGS = (
    *("rank", "network", "point", "budget"),
    *("accuracy", "multipliers", "interval", "latency"),
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


def _listed(ranks: Sequence[int]) -> str:
    return f"point{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"


def _called(data: Images) -> str:
    return f"{cell(data.name)} ({cell(data.split)})"
