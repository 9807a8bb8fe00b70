"""Sweeps: networks with many settings, ranked on validation images, and their Pareto fronts.

A point is a network with settings; a design is a point under a budget of multipliers. Every choice
is made by the accuracy on the validation images. The test images only measure what was chosen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from systolith import golden, hw
from systolith.golden.files.datasets import UNNAMED, Measure
from systolith.golden.network.dataset_check import check_dataset
from systolith.golden.qformat import RawImages
from systolith.golden.quantization.quantized_network import weight_counts
from systolith.hw.silicon.tools import find_tool
from systolith.scripts.sweeping import jobs
from systolith.scripts.sweeping.jobs import (
    Accuracy,
    Cost,
    PointResult,
    SiliconCost,
    Subject,
    program_version,
)
from systolith.scripts.sweeping.outcome import (
    SCHEMA,
    Design,
    Images,
    Score,
    SweepReport,
    SweptNetwork,
    SweptPlan,
    SweptPoint,
    SweptSynthesis,
    SynthesizedDesign,
    designs,
)
from systolith.scripts.sweeping.pareto import distinct_front
from systolith.scripts.sweeping.result_cache import ResultCache, Task
from systolith.scripts.sweeping.variations import words_of
from systolith.scripts.sweeping.workers import Workers

CACHE_FOLDER = "cache"
"""The folder of cached results, inside the folder of a sweep."""

_UNUSUAL = re.compile(r"[^A-Za-z0-9._-]")
_MOST_CHARACTERS = 100

Progress = Callable[[int, int], None]
"""Called with the number of results that are there, and with the number of all."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """The networks, settings, budgets and images of a sweep.

    Parameters
    ----------
    networks
        Trained networks, by the names that the report uses.
    settings
        Settings with which each network is quantized.
    budgets
        Goals for which each network is planned, by name.
    calibration_images
        Raw values `(images, height, width, channels)`, on which formats are chosen.
    validation
        The images by whose accuracy points are ranked.
    test
        The images on which nothing is chosen.
    calibration_name
        The name of the calibration images.
    target
        The device for which the points of both fronts are synthesized, or None.

    Raises
    ------
    ValueError
        Networks, settings or budgets are missing or repeated, or images do not fit a network.
    """

    networks: Mapping[str, golden.TrainedNetwork]
    settings: Sequence[golden.Settings]
    budgets: Mapping[str, hw.Goal]
    calibration_images: RawImages
    validation: golden.Dataset
    test: golden.Dataset
    calibration_name: str = UNNAMED
    target: str | None = None

    def __post_init__(self) -> None:
        networks = {name: trained.sha256 for name, trained in self.networks.items()}
        _require_distinct(networks, "network")
        numbered = {f"{number}": each.to_mapping() for number, each in enumerate(self.settings, 1)}
        _require_distinct(numbered, "settings")
        _require_distinct(self.budgets, "budget")
        for trained in self.networks.values():
            if not trained.network.has_classes:
                raise ValueError(
                    f"network {trained.name!r} is no classifier, and a sweep ranks by classes: "
                    "quantize it with several widths and compare these networks"
                )
            for data in (self.validation, self.test):
                check_dataset(trained.network, data)
            for each in self.settings:
                each.check(trained.network)

    @cached_property
    def subjects(self) -> dict[str, Subject]:
        """Every network with the calibration images, by name."""
        return {
            name: Subject(trained, self.calibration_images, self.calibration_name)
            for name, trained in self.networks.items()
        }


def sweep(
    request: Sweep,
    folder: Path,
    workers: Workers,
    progress: Progress = lambda done, total: None,
    warn: Callable[[str], None] = lambda line: None,
) -> SweepReport:
    """Score every point on the validation images, and the Pareto fronts on the test images.

    Parameters
    ----------
    request
        The sweep.
    folder
        The folder that has the cache of results. Results that it holds are not computed again.
    workers
        The processes that compute (`scripts.sweeping.workers`).
    progress
        Called after every result.
    warn
        Called with a line about each damaged file of the cache; its result is computed again.

    Raises
    ------
    ValueError
        A network cannot be quantized with some settings, or planned for some budget.
    OSError
        A result cannot be written, or a worker was lost.
    """
    tasks = _Tasks(request)
    run = _Runner(ResultCache(folder / CACHE_FOLDER, warn), workers, progress)
    planned = [(name, budget) for name in request.networks for budget in request.budgets]
    choices = [(name, settings) for name in request.networks for settings in request.settings]
    # Plans come first, because a budget may be too small.
    (plan_costs,) = run([tasks.plan(*each) for each in planned])
    floats, results = run(
        [tasks.accuracy(name, None, request.validation) for name in request.networks],
        [tasks.point(*each) for each in choices],
    )
    plans = [
        SweptPlan(*each, **msgspec.structs.asdict(cost))
        for each, cost in zip(planned, plan_costs, strict=True)
    ]
    points = ranked(choices, results, request.validation.measure)
    every = list(designs(points, plans))
    hardware_front = [every[place] for place in distinct_front([each.costs for each in every])]
    built = [point for point in points if point.not_built is None]
    costs = [(-point.validation.rate, point.weight_bits_total) for point in built]
    weight_front = [built[place].rank for place in distinct_front(costs)]
    chosen = sorted({*weight_front, *(design.rank for design in hardware_front)})
    by_rank = {point.rank: point for point in points}
    float_tests, tests = run(
        [tasks.accuracy(name, None, request.test) for name in request.networks],
        [
            tasks.accuracy(by_rank[rank].network, by_rank[rank].settings, request.test)
            for rank in chosen
        ],
    )
    test_scores = {
        rank: _score(each, request.test.measure) for rank, each in zip(chosen, tests, strict=True)
    }
    synthesis = None
    if request.target is not None:
        synthesized = [design for design in every if design.rank in test_scores]
        (costs_there,) = run(
            [
                tasks.synthesis(design.network, by_rank[design.rank].settings, design.budget)
                for design in synthesized
            ]
        )
        synthesis = _synthesis(request.target, synthesized, costs_there)
    return SweepReport(
        schema=SCHEMA,
        calibration=tasks.calibration,
        data=_images(request.validation),
        test=_images(request.test),
        networks=[
            SweptNetwork(
                network=name,
                name=trained.name,
                sha256=trained.sha256,
                weights=sum(weight_counts(trained.network).values()),
                validation=_score(validation, request.validation.measure),
                test=_score(test, request.test.measure),
            )
            for (name, trained), validation, test in zip(
                request.networks.items(), floats, float_tests, strict=True
            )
        ],
        plans=plans,
        points=[
            msgspec.structs.replace(
                point, on_front=point.rank in test_scores, test=test_scores.get(point.rank)
            )
            for point in points
        ],
        weight_front=weight_front,
        hardware_front=hardware_front,
        version=program_version(),
        synthesis=synthesis,
    )


def _synthesis(
    target: str, synthesized: Sequence[Design], costs: Sequence[SiliconCost]
) -> SweptSynthesis:
    """Designs with their costs on a device, and the front of accuracy against LUTs."""
    made = [
        SynthesizedDesign(
            rank=design.rank,
            network=design.network,
            budget=design.budget,
            accuracy=design.accuracy,
            agreement=design.agreement,
            interval_cycles=design.interval_cycles,
            **msgspec.structs.asdict(cost),
        )
        for design, cost in zip(synthesized, costs, strict=True)
    ]
    front = distinct_front([(-each.rate, each.luts) for each in made])
    return SweptSynthesis(target, find_tool("yosys").version, made, front)


def ranked(
    choices: Sequence[tuple[str, golden.Settings]],
    results: Sequence[PointResult],
    measure: Measure,
) -> list[SweptPoint]:
    """Points by accuracy, then by the fewest bits of weights, then of feature maps.

    Without labels, the `measure` is agreement with the float network.
    Points that are equal in all three stay in the order in which they were given.
    """

    def key(place: int) -> tuple[int, int, int]:
        _, settings = choices[place]
        result = results[place]
        return -result.correct, result.weight_bits_total, settings.default.activation_bits

    order = sorted(range(len(choices)), key=key)
    names = _names([choices[place] for place in order])
    return [
        SweptPoint(
            rank=rank,
            name=names[rank - 1],
            network=choices[place][0],
            settings=choices[place][1].to_mapping(),
            quantized_sha256=results[place].quantized_sha256,
            weight_bits_total=results[place].weight_bits_total,
            validation=_score(results[place], measure),
            not_built=results[place].not_built,
        )
        for rank, place in enumerate(order, 1)
    ]


def quantized_front(
    request: Sweep, report: SweepReport, there: Mapping[str, str], workers: Workers
) -> dict[str, bytes]:
    """The files of the quantized networks of the fronts, by the names of their points.

    Parameters
    ----------
    request, report
        The sweep, and what `sweep` returned.
    there
        The hashes of files that need not be made again, by the names of the points.
    workers
        The processes that compute.
    """
    futures = {
        point.name: workers.executor.submit(
            jobs.run_job,
            jobs.quantize_point,
            program_version(),
            workers.shared(request.subjects[point.network]),
            point.settings,
        )
        for point in report.points
        if point.on_front and there.get(point.name) != point.quantized_sha256
    }
    return {name: future.result() for name, future in futures.items()}


def _names(choices: Sequence[tuple[str, golden.Settings]]) -> list[str]:
    """A short name for each choice, which can be that of a file; equal ones get their places."""
    calibrations = len({settings.default.calibration for _, settings in choices})
    names = [
        _UNUSUAL.sub("_", "-".join([Path(network).stem, *words]))[:_MOST_CHARACTERS]
        for network, settings in choices
        for words in [words_of(settings.to_mapping(), calibrations)]
    ]
    # Names that differ in case alone are the same file on some systems.
    counts = Counter(name.lower() for name in names)
    return [
        f"{name}-{place}" if counts[name.lower()] > 1 else name
        for place, name in enumerate(names, 1)
    ]


class _Tasks:
    """Makes the tasks of a sweep."""

    def __init__(self, request: Sweep) -> None:
        self._request = request
        self._sha256 = {id(data): data.sha256 for data in (request.validation, request.test)}
        self.calibration = msgspec.to_builtins(next(iter(request.subjects.values())).key[1])

    def plan(self, network: str, budget: str) -> Task:
        """The cost of a network under a budget."""
        goal = self._request.budgets[budget]
        return self._task("plan", Cost, jobs.plan_cost, network, {"goal": asdict(goal)}, goal)

    def point(self, network: str, settings: golden.Settings) -> Task:
        """The accuracy of a point on the validation images, and the size of its weights."""
        mapping, data = settings.to_mapping(), self._request.validation
        inputs = {"settings": mapping, "data": self._sha256[id(data)]}
        return self._task("point", PointResult, jobs.score_point, network, inputs, mapping, data)

    def accuracy(
        self, network: str, settings: Mapping[str, Any] | None, data: golden.Dataset
    ) -> Task:
        """The accuracy of a network with settings, or in floats if they are None."""
        inputs = {"settings": settings, "data": self._sha256[id(data)]}
        job = jobs.measure_accuracy
        return self._task("accuracy", Accuracy, job, network, inputs, settings, data)

    def synthesis(self, network: str, settings: Mapping[str, Any], budget: str) -> Task:
        """What a point takes under a budget on the device."""
        goal, target = self._request.budgets[budget], self._request.target
        inputs = {
            "settings": settings,
            "goal": asdict(goal),
            "target": target,
            "tool": find_tool("yosys").version,
        }
        job = jobs.synthesize_point
        return self._task("synthesis", SiliconCost, job, network, inputs, settings, goal, target)

    def _task(
        self,
        kind: str,
        result: type[msgspec.Struct],
        job: Callable[..., Any],
        network: str,
        inputs: Mapping[str, Any],
        *arguments: Any,
    ) -> Task:
        subject = self._request.subjects[network]
        common = {
            "network": subject.key[0],
            "calibration": self.calibration,
            "version": program_version(),
        }
        return Task(kind, {**common, **inputs}, result, job, (subject, *arguments))


class _Runner:
    """Runs tasks: takes results from the cache, and lets workers compute the others."""

    def __init__(self, cache: ResultCache, workers: Workers, progress: Progress) -> None:
        self._cache = cache
        self._workers = workers
        self._progress = progress
        self._done = self._total = 0

    def __call__(self, *groups: Sequence[Task]) -> list[list[Any]]:
        """The results of groups of tasks."""
        tasks = [task for group in groups for task in group]
        results = {task: self._cache.load(task) for task in tasks}
        missing = [task for task, result in results.items() if result is None]
        self._total += len(tasks)
        self._advance(len(tasks) - len(missing))
        futures = {self._submit(task): task for task in missing}
        for future in as_completed(futures):
            task = futures[future]
            results[task] = future.result()
            self._cache.save(task, results[task])
            self._advance(1)
        return [[results[task] for task in group] for group in groups]

    def _submit(self, task: Task) -> Future[Any]:
        arguments = [
            self._workers.shared(each) if isinstance(each, (Subject, golden.Dataset)) else each
            for each in task.arguments
        ]
        return self._workers.executor.submit(jobs.run_job, task.job, program_version(), *arguments)

    def _advance(self, count: int) -> None:
        self._done += count
        self._progress(self._done, self._total)


def _score(found: Accuracy, measure: Measure) -> Score:
    rate = found.correct / found.images
    if measure == "accuracy":
        return Score(found.correct, rate)
    return Score(None, None, rate)


def _images(data: golden.Dataset) -> Images:
    return Images(data.name, data.split, data.sha256, len(data), data.measure)


def _require_distinct(given: Mapping[str, Any], what: str) -> None:
    """Refuse an empty mapping, and equal values under two names."""
    if not given:
        raise ValueError(f"a sweep needs at least one {what}")
    names: list[str] = list(given)
    for position, name in enumerate(names):
        for other in names[:position]:
            if given[name] == given[other]:
                raise ValueError(f"{what} {name!r} is the same as {other!r}")
