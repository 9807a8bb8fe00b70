"""Sweeps: networks at many settings, ranked on some images, and their Pareto front on others.

A point is a network with settings, a design is a point under a budget of multipliers. Whatever is
chosen is chosen by the accuracy on the rated images; only what was chosen meets the test images.
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
from systolith.golden.network.dataset_check import check_dataset
from systolith.scripts.sweeping import jobs
from systolith.scripts.sweeping.jobs import Accuracy, Cost, Rating, Subject, program_version
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
from systolith.scripts.sweeping.result_cache import KeptResults, Task
from systolith.scripts.sweeping.workers import Workers

Progress = Callable[[int, int], None]
"""Called with how many results there are, and of how many."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """What to try.

    Parameters
    ----------
    networks
        Trained networks, by what each is called here.
    settings
        What to quantize each of them with.
    budgets
        What to plan each of them for, by name.
    calibration_images
        uint8 `(images, height, width, channels)`, on which formats are chosen.
    data
        The images that points are rated on.
    test
        Images on which nothing is chosen.

    Raises
    ------
    ValueError
        Something is missing or there twice, or images do not fit a network.
    """

    networks: Mapping[str, golden.TrainedNetwork]
    settings: Sequence[golden.Settings]
    budgets: Mapping[str, hw.Goal]
    calibration_images: NDArray[np.uint8]
    data: golden.Dataset
    test: golden.Dataset

    def __post_init__(self) -> None:
        _refuse_twice({name: trained.sha256 for name, trained in self.networks.items()}, "network")
        every = {f"{number}": each.to_mapping() for number, each in enumerate(self.settings, 1)}
        _refuse_twice(every, "settings")
        _refuse_twice(self.budgets, "budget")
        for trained in self.networks.values():
            for data in (self.data, self.test):
                check_dataset(trained.network, data)
            for each in self.settings:
                each.check(trained.network)


def sweep(
    wanted: Sweep,
    folder: Path,
    workers: Workers,
    progress: Progress = lambda done, total: None,
    tell: Callable[[str], None] = lambda line: None,
) -> SweepReport:
    """Rate every point, and the Pareto front on the test images.

    Parameters
    ----------
    wanted
        What to try.
    folder
        Where every result is kept as it comes. One that is there is taken, not computed again.
    workers
        What computes (`scripts.sweeping.workers`).
    progress
        Told how far it is.
    tell
        Told of every damaged file in the folder; what it held is computed again.

    Raises
    ------
    ValueError
        A network cannot be quantized or planned so.
    OSError
        A result cannot be kept, or a worker was lost.
    """
    tasks = _Tasks(wanted)
    run = _Runner(KeptResults(folder / "kept", tell), workers, progress)
    under = [(name, budget) for name in wanted.networks for budget in wanted.budgets]
    choices = [(name, settings) for name in wanted.networks for settings in wanted.settings]
    # First, because a budget may be too small.
    (costs,) = run([tasks.plan(*each) for each in under])
    floats, ratings = run(
        [tasks.accuracy(name, None, wanted.data) for name in wanted.networks],
        [tasks.rating(*each) for each in choices],
    )
    plans = [
        SweptPlan(*each, **msgspec.structs.asdict(cost))
        for each, cost in zip(under, costs, strict=True)
    ]
    points = ranked(choices, ratings)
    every = list(designs(points, plans))
    on_front = pareto_front([design.costs for design in every])
    front = [design for design, is_on in zip(every, on_front, strict=True) if is_on]
    chosen = {design.rank for design in front}
    by_rank = {point.rank: point for point in points}
    float_tests, tests = run(
        [tasks.accuracy(name, None, wanted.test) for name in wanted.networks],
        [
            tasks.accuracy(by_rank[each].network, by_rank[each].settings, wanted.test)
            for each in sorted(chosen)
        ],
    )
    told = dict(zip(sorted(chosen), map(_score, tests), strict=True))
    return SweepReport(
        schema=SCHEMA,
        calibration={
            "sha256": tasks.calibration_sha256,
            "images": len(wanted.calibration_images),
        },
        data=_images(wanted.data),
        test=_images(wanted.test),
        networks=[
            SweptNetwork(name, trained.name, trained.sha256, _score(rated), _score(test))
            for (name, trained), rated, test in zip(
                wanted.networks.items(), floats, float_tests, strict=True
            )
        ],
        plans=plans,
        points=[
            msgspec.structs.replace(point, on_front=point.rank in chosen, test=told.get(point.rank))
            for point in points
        ],
        front=front,
        version=program_version(),
    )


def ranked(
    choices: Sequence[tuple[str, golden.Settings]], ratings: Sequence[Rating]
) -> list[SweptPoint]:
    """Points by accuracy, then by the fewest bits of weights, of feature maps, as they came."""

    def key(place: int) -> tuple[int, int, int]:
        _, settings = choices[place]
        rating = ratings[place]
        return -rating.correct, rating.weight_bits_total, settings.default.activation_bits

    return [
        SweptPoint(
            rank=rank,
            network=choices[place][0],
            settings=choices[place][1].to_mapping(),
            quantized_sha256=ratings[place].quantized_sha256,
            weight_bits_total=ratings[place].weight_bits_total,
            rated=_score(ratings[place]),
            not_built=ratings[place].not_built,
        )
        for rank, place in enumerate(sorted(range(len(choices)), key=key), 1)
    ]


class _Tasks:
    """The tasks of a sweep."""

    def __init__(self, wanted: Sweep) -> None:
        self._wanted = wanted
        self._subjects = {
            name: Subject(trained, wanted.calibration_images)
            for name, trained in wanted.networks.items()
        }
        self._sha256 = {id(data): data.sha256 for data in (wanted.data, wanted.test)}
        self.calibration_sha256 = next(iter(self._subjects.values())).key[1]

    def plan(self, network: str, budget: str) -> Task:
        """What a network costs under a budget."""
        goal = self._wanted.budgets[budget]
        return self._task("plan", Cost, jobs.plan, network, {"goal": asdict(goal)}, goal)

    def rating(self, network: str, settings: golden.Settings) -> Task:
        """How accurate a point is on the images for that, and what its weights take."""
        mapping, data = settings.to_mapping(), self._wanted.data
        inputs = {"settings": mapping, "data": self._sha256[id(data)]}
        return self._task("point", Rating, jobs.rate, network, inputs, mapping, data)

    def accuracy(
        self, network: str, settings: Mapping[str, Any] | None, data: golden.Dataset
    ) -> Task:
        """How accurate a network is, without settings in floats."""
        inputs = {"settings": settings, "data": self._sha256[id(data)]}
        call = jobs.accuracy
        return self._task("accuracy", Accuracy, call, network, inputs, settings, data)

    def _task(
        self,
        kind: str,
        result: type[msgspec.Struct],
        call: Callable[..., Any],
        network: str,
        inputs: Mapping[str, Any],
        *arguments: Any,
    ) -> Task:
        subject = self._subjects[network]
        common = {
            "network": subject.key[0],
            "calibration": subject.key[1],
            "version": program_version(),
        }
        return Task(kind, {**common, **inputs}, result, call, (subject, *arguments))


class _Runner:
    """Gets the results of tasks: those that are kept, and what workers compute."""

    def __init__(self, kept: KeptResults, workers: Workers, progress: Progress) -> None:
        self._kept = kept
        self._workers = workers
        self._progress = progress
        self._done = self._total = 0
        self._shared: dict[int, Any] = {}

    def __call__(self, *groups: Sequence[Task]) -> list[list[Any]]:
        """The results of groups of tasks."""
        tasks = [task for group in groups for task in group]
        results = {task: self._kept.load(task) for task in tasks}
        missing = [task for task, result in results.items() if result is None]
        self._total += len(tasks)
        self._advance(len(tasks) - len(missing))
        futures = {self._submit(task): task for task in missing}
        for future in as_completed(futures):
            task = futures[future]
            results[task] = future.result()
            self._kept.save(task, results[task])
            self._advance(1)
        return [[results[task] for task in group] for group in groups]

    def _submit(self, task: Task) -> Future[Any]:
        arguments = [
            self._share(each) if isinstance(each, (Subject, golden.Dataset)) else each
            for each in task.arguments
        ]
        return self._workers.executor.submit(jobs.perform, task.call, program_version(), *arguments)

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


def _refuse_twice(given: Mapping[str, Any], what: str) -> None:
    """Refuse what is empty, and equal values under two names."""
    if not given:
        raise ValueError(f"a sweep needs at least one {what}")
    names: list[str] = list(given)
    for position, name in enumerate(names):
        for other in names[:position]:
            if given[name] == given[other]:
                raise ValueError(f"{what} {name!r} is the same as {other!r}")
