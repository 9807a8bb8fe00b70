"""Sweeps: networks with many settings, ranked on validation images, and their Pareto front.

A point is a network with settings; a design is a point under a budget of multipliers. Every choice
is made by the accuracy on the validation images. The test images only measure what was chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from systolith import golden, hw
from systolith.golden.files.datasets import UNNAMED
from systolith.golden.network.dataset_check import check_dataset
from systolith.scripts.sweeping import jobs
from systolith.scripts.sweeping.jobs import Accuracy, Cost, PointResult, Subject, program_version
from systolith.scripts.sweeping.outcome import (
    SCHEMA,
    Images,
    Score,
    SweepReport,
    SweptNetwork,
    SweptPlan,
    SweptPoint,
    designs,
)
from systolith.scripts.sweeping.pareto import pareto_front
from systolith.scripts.sweeping.result_cache import ResultCache, Task
from systolith.scripts.sweeping.workers import Workers

CACHE_FOLDER = "cache"
"""The folder of cached results, inside the folder of a sweep."""

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
        uint8 `(images, height, width, channels)`, on which formats are chosen.
    validation
        The images by whose accuracy points are ranked.
    test
        The images on which nothing is chosen.
    calibration_name
        The name of the calibration images.

    Raises
    ------
    ValueError
        Networks, settings or budgets are missing or repeated, or images do not fit a network.
    """

    networks: Mapping[str, golden.TrainedNetwork]
    settings: Sequence[golden.Settings]
    budgets: Mapping[str, hw.Goal]
    calibration_images: NDArray[np.uint8]
    validation: golden.Dataset
    test: golden.Dataset
    calibration_name: str = UNNAMED

    def __post_init__(self) -> None:
        networks = {name: trained.sha256 for name, trained in self.networks.items()}
        _require_distinct(networks, "network")
        numbered = {f"{number}": each.to_mapping() for number, each in enumerate(self.settings, 1)}
        _require_distinct(numbered, "settings")
        _require_distinct(self.budgets, "budget")
        for trained in self.networks.values():
            for data in (self.validation, self.test):
                check_dataset(trained.network, data)
            for each in self.settings:
                each.check(trained.network)


def sweep(
    request: Sweep,
    folder: Path,
    workers: Workers,
    progress: Progress = lambda done, total: None,
    warn: Callable[[str], None] = lambda line: None,
) -> SweepReport:
    """Score every point on the validation images, and the Pareto front on the test images.

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
    (costs,) = run([tasks.plan(*each) for each in planned])
    floats, results = run(
        [tasks.accuracy(name, None, request.validation) for name in request.networks],
        [tasks.point(*each) for each in choices],
    )
    plans = [
        SweptPlan(*each, **msgspec.structs.asdict(cost))
        for each, cost in zip(planned, costs, strict=True)
    ]
    points = ranked(choices, results)
    every = list(designs(points, plans))
    on_front = pareto_front([design.costs for design in every])
    front = [design for design, is_on in zip(every, on_front, strict=True) if is_on]
    chosen = sorted({design.rank for design in front})
    by_rank = {point.rank: point for point in points}
    float_tests, tests = run(
        [tasks.accuracy(name, None, request.test) for name in request.networks],
        [
            tasks.accuracy(by_rank[rank].network, by_rank[rank].settings, request.test)
            for rank in chosen
        ],
    )
    test_scores = dict(zip(chosen, map(_score, tests), strict=True))
    return SweepReport(
        schema=SCHEMA,
        calibration=tasks.calibration,
        data=_images(request.validation),
        test=_images(request.test),
        networks=[
            SweptNetwork(name, trained.name, trained.sha256, _score(validation), _score(test))
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
        front=front,
        version=program_version(),
    )


def ranked(
    choices: Sequence[tuple[str, golden.Settings]], results: Sequence[PointResult]
) -> list[SweptPoint]:
    """Points by accuracy, then by the fewest bits of weights, then of feature maps.

    Points that are equal in all three stay in the order in which they were given.
    """

    def key(place: int) -> tuple[int, int, int]:
        _, settings = choices[place]
        result = results[place]
        return -result.correct, result.weight_bits_total, settings.default.activation_bits

    return [
        SweptPoint(
            rank=rank,
            network=choices[place][0],
            settings=choices[place][1].to_mapping(),
            quantized_sha256=results[place].quantized_sha256,
            weight_bits_total=results[place].weight_bits_total,
            validation=_score(results[place]),
            not_built=results[place].not_built,
        )
        for rank, place in enumerate(sorted(range(len(choices)), key=key), 1)
    ]


class _Tasks:
    """Makes the tasks of a sweep."""

    def __init__(self, request: Sweep) -> None:
        self._request = request
        self._subjects = {
            name: Subject(trained, request.calibration_images, request.calibration_name)
            for name, trained in request.networks.items()
        }
        self._sha256 = {id(data): data.sha256 for data in (request.validation, request.test)}
        self.calibration = msgspec.to_builtins(next(iter(self._subjects.values())).key[1])

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

    def _task(
        self,
        kind: str,
        result: type[msgspec.Struct],
        job: Callable[..., Any],
        network: str,
        inputs: Mapping[str, Any],
        *arguments: Any,
    ) -> Task:
        subject = self._subjects[network]
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
        self._shared: dict[int, Any] = {}

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
            self._share(each) if isinstance(each, (Subject, golden.Dataset)) else each
            for each in task.arguments
        ]
        return self._workers.executor.submit(jobs.run_job, task.job, program_version(), *arguments)

    def _share(self, value: Any) -> Any:
        if id(value) not in self._shared:
            self._shared[id(value)] = self._workers.share(value)
        return self._shared[id(value)]

    def _advance(self, count: int) -> None:
        self._done += count
        self._progress(self._done, self._total)


def _score(accuracy: Accuracy) -> Score:
    return Score(accuracy.correct, accuracy.correct / accuracy.images)


def _images(data: golden.Dataset) -> Images:
    return Images(data.name, data.split, data.sha256, len(data))


def _require_distinct(given: Mapping[str, Any], what: str) -> None:
    """Refuse an empty mapping, and equal values under two names."""
    if not given:
        raise ValueError(f"a sweep needs at least one {what}")
    names: list[str] = list(given)
    for position, name in enumerate(names):
        for other in names[:position]:
            if given[name] == given[other]:
                raise ValueError(f"{what} {name!r} is the same as {other!r}")
