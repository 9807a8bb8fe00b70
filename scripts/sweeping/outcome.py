"""The report of a sweep, as data: ranked points, plans, and two Pareto fronts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from systolith.golden.files.datasets import Measure
from systolith.golden.reports.html_table import html_table
from systolith.golden.reports.markdown import cell, table
from systolith.golden.reports.memory_size import smaller_than_float, told_apart
from systolith.scripts.console import to_csv
from systolith.scripts.sweeping.variations import flat, shown_value, varied_keys

SCHEMA = "systolith.sweep/2"
"""The schema of a report."""


class Score(msgspec.Struct, frozen=True):
    """The number of images that got the right class, and the fraction.

    Both are None for images without labels; `agreement` is then the fraction of images that got
    the class that the float network gives them.
    """

    correct: int | None
    accuracy: float | None
    agreement: float | None = None

    @property
    def rate(self) -> float:
        """The accuracy or, without labels, the agreement."""
        return _rate(self.accuracy, self.agreement)


class Images(msgspec.Struct, frozen=True):
    """A data set: the number of its images, the hash of images and labels, and what scores are."""

    name: str
    split: str
    sha256: str
    images: int
    measure: Measure = "accuracy"


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
    """A point under a budget: its costs, and its accuracy (or agreement) as in `Score`."""

    rank: int
    network: str
    budget: str
    accuracy: float | None
    weight_bits_total: int
    multipliers: int
    interval_cycles: int
    latency_cycles: int
    agreement: float | None = None

    @property
    def rate(self) -> float:
        """The accuracy or, without labels, the agreement."""
        return _rate(self.accuracy, self.agreement)

    @property
    def costs(self) -> tuple[float, ...]:
        """The figures that decide on the front of hardware; lower is better."""
        return -self.rate, self.multipliers, self.interval_cycles


class SynthesizedDesign(msgspec.Struct, frozen=True):
    """A point under a budget on a device: what it takes there, and whether it fits."""

    rank: int
    network: str
    budget: str
    accuracy: float | None
    interval_cycles: int
    luts: int
    flip_flops: int
    multipliers: int
    block_memories: int
    distributed_memories: int
    fits: bool
    agreement: float | None = None

    @property
    def rate(self) -> float:
        """The accuracy or, without labels, the agreement."""
        return _rate(self.accuracy, self.agreement)


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

    @property
    def no_front(self) -> str:
        """Why the fronts are empty, in a sentence."""
        return "hardware can be built for no point; the reasons are under Not built."

    @property
    def best_at_widths(self) -> list[int]:
        """The rank of the best point of each network and pair of widths; fronts do not matter."""
        first: dict[tuple[str, str], int] = {}
        for point in self.points:
            first.setdefault((point.network, point.widths), point.rank)
        return list(first.values())

    @property
    def about_best(self) -> str:
        """How the best settings are chosen, in a sentence."""
        return (
            "For each network, weights and maps the settings with the highest "
            f"{self.data.measure} on the {self.data.images:,} images of {self.data.name} "
            f"({self.data.split}), whether the point is on a front or not."
        )

    @property
    def sizes(self) -> dict[int, str]:
        """The weights of all points in KiB, by rank."""
        sizes = told_apart([point.weight_bits_total for point in self.points])
        return {point.rank: size for point, size in zip(self.points, sizes, strict=True)}

    def ratio(self, point: SweptPoint) -> str:
        """How many times smaller a point's weights are than floats."""
        weights = self._networks[point.network].weights
        return smaller_than_float(point.weight_bits_total, weights)

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
        best = set(self.best_at_widths)
        return to_csv(
            [
                self._csv_row(point, plan) | {"best_at_widths": point.rank in best}
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
                f"{cell(self.calibration['name'])}, points are ranked by the {self.ranked_by} on "
                f"{data.images:,} others, {_called(data)}. The Pareto fronts are chosen by that "
                f"alone; only their points are then scored on {test.images:,} images, "
                f"{_called(test)}."
            ),
            f"## {data.measure.capitalize()} against weight bits",
            (
                f"No other point has as high an {data.measure} with as few bits of weights, and is "
                "better in one of the two; of equal points the first is shown."
            ),
            self.points_table(self.weight_front).to_markdown()
            if self.weight_front
            else f"None: {self.no_front}",
            f"## {data.measure.capitalize()} against multipliers and cycles",
            (
                f"No other design has as high an {data.measure} with as few multipliers and cycles "
                "from one image to the next, and is better in one of these."
            ),
            self.hardware_table().to_markdown()
            if self.hardware_front
            else f"None: {self.no_front}",
            *self._synthesis_markdown(),
            *self._best_to_markdown(),
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

    @property
    def ranked_by(self) -> str:
        """What points are ranked by, in words."""
        if self.data.measure == "accuracy":
            return "accuracy"
        return "agreement with the float network (the images have no labels)"

    def _best_to_markdown(self) -> list[str]:
        """The best settings at each pair of widths, if there are several."""
        best = self.best_at_widths
        if len(best) == len(self.points):
            return []
        return [
            "## The best settings at each pair of widths",
            cell(self.about_best),
            self.points_table(best).to_markdown(),
        ]

    def points_table(self, ranks: Sequence[int] | None = None) -> Table:
        """The points of some ranks, or all, with what the sweep varies."""
        varied = varied_keys([point.settings for point in self.points])
        headings = (
            *("rank", "network", "weights/maps", "calibration", *varied),
            *("weights (KiB)", "smaller than float", self.data.measure, "float"),
            *("front", f"test {self.test.measure}", "float"),
        )
        sizes = self.sizes
        rows = [
            self._point_cells(point, varied, sizes[point.rank])
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
                f"{design.rate:.4f}",
                f"{design.multipliers:,}",
                f"{design.interval_cycles:,}",
                f"{design.latency_cycles:,}",
            )
            for design in self.hardware_front
        ]
        headings = (
            *("rank", "network", "point", "budget"),
            *(self.data.measure, "multipliers", "interval", "latency"),
        )
        return Table(headings, rows, left=4)

    def synthesis_table(self) -> Table:
        """The designs on a device, those of the front of accuracy against LUTs first."""
        assert self.synthesis is not None
        names = {point.rank: point.name for point in self.points}
        front = set(self.synthesis.lut_front)
        every = enumerate(self.synthesis.designs)
        ordered = sorted(every, key=lambda each: (each[0] not in front, each[1].luts))
        headings = (
            *("rank", "network", "point", "budget", self.data.measure, "LUTs", "flip-flops"),
            *("multipliers", "block memories", "interval", "front", "fits"),
        )
        rows = [
            (
                f"{design.rank}",
                design.network,
                names[design.rank],
                design.budget,
                f"{design.rate:.4f}",
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
        return Table(headings, rows, left=4)

    def _synthesis_markdown(self) -> list[str]:
        if self.synthesis is None:
            return []
        return [
            f"## {self.data.measure.capitalize()} against LUTs on {cell(self.synthesis.target)}",
            (
                "The points of both fronts under every budget, synthesized by Yosys "
                f"{cell(self.synthesis.tool)}. On the front no other has as high an "
                f"{self.data.measure} with as few "
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

    def _point_cells(self, point: SweptPoint, varied: Sequence[str], size: str) -> list[str]:
        network = self._networks[point.network]
        tested = () if point.test is None else (point.test, network.test)
        return [
            f"{point.rank}",
            point.network,
            point.widths,
            point.settings["calibration"],
            *(shown_value(point.settings, key) for key in varied),
            size,
            self.ratio(point),
            f"{point.validation.rate:.4f}",
            f"{network.validation.rate:.4f}",
            "yes" if point.on_front else "",
            *([f"{each.rate:.4f}" for each in tested] or ["", ""]),
        ]

    def _synthesis_cells(self, point: SweptPoint, plan: SweptPlan | None) -> dict[str, Any]:
        """What a point takes of the device, by column; empty where it was not synthesized."""
        if self.synthesis is None:
            return {}
        budget = None if plan is None else plan.budget
        found = [
            each
            for each in self.synthesis.designs
            if (each.rank, each.budget) == (point.rank, budget)
        ]
        cells = {
            column: getattr(found[0], name) if found else None
            for column, name in _SILICON_COLUMNS.items()
        }
        return {"target": self.synthesis.target, **cells}

    def _csv_row(self, point: SweptPoint, plan: SweptPlan | None) -> dict[str, Any]:
        network = self._networks[point.network]
        on_hardware = {(each.rank, each.budget) for each in self.hardware_front}
        costs = {} if plan is None else msgspec.structs.asdict(plan)
        data, test = self.data.measure, self.test.measure
        return {
            "rank": point.rank,
            "name": point.name,
            "network": point.network,
            **flat(point.settings),
            "weight_bits_total": point.weight_bits_total,
            data: point.validation.rate,
            f"float_{data}": network.validation.rate,
            f"test_{test}": None if point.test is None else point.test.rate,
            f"float_test_{test}": network.test.rate,
            **costs,
            **self._synthesis_cells(point, plan),
            "weight_front": point.rank in self.weight_front,
            "hardware_front": plan is not None and (point.rank, plan.budget) in on_hardware,
            "quantized_sha256": point.quantized_sha256,
        }


_SILICON_COLUMNS = {
    "luts": "luts",
    "flip_flops": "flip_flops",
    # `multipliers` are those of the plan.
    "device_multipliers": "multipliers",
    "block_memories": "block_memories",
    "distributed_memories": "distributed_memories",
    "fits": "fits",
}
"""The fields of a `SynthesizedDesign`, by the columns of the CSV file."""

_PLAN_HEADINGS = ("network", "budget", "multipliers", "interval", "latency")


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
                    agreement=point.validation.agreement,
                    weight_bits_total=point.weight_bits_total,
                    multipliers=plan.multipliers,
                    interval_cycles=plan.interval_cycles,
                    latency_cycles=plan.latency_cycles,
                )


def _rate(accuracy: float | None, agreement: float | None) -> float:
    rate = agreement if accuracy is None else accuracy
    assert rate is not None
    return rate


def _listed(ranks: Sequence[int]) -> str:
    return f"point{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"


def _called(data: Images) -> str:
    return f"{cell(data.name)} ({cell(data.split)})"
