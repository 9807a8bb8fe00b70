"""Reports of several networks: evaluated on several cores, and cached by content."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import as_completed
from functools import cache
from importlib import resources
from pathlib import Path

from systolith import golden
from systolith.golden import AccuracyReport, Dataset, QuantizedNetwork, TrainedNetwork
from systolith.golden.network.dataset_check import check_dataset
from systolith.hw.build_cache import cached, content_key
from systolith.scripts.progress import Progress
from systolith.scripts.sweeping.workers import local_workers, processors

_REPORT = "report.json"
"""The name of a report in its entry of the cache."""


class _NotCachedError(Exception):
    """The cache has no such report."""


def evaluate_all(
    networks: Sequence[tuple[str, TrainedNetwork | QuantizedNetwork, bool | None]],
    dataset: Dataset,
    images: int | None,
    progress: Progress,
) -> list[AccuracyReport]:
    """A report of each network on the first `images` of a data set, from the cache if it has it.

    Of each network there is what `golden.load` loads it from, the network, and whether it is a
    classifier, or None for what its form says.

    Raises
    ------
    ValueError
        A network does not take these images (`golden.evaluate`), or its file has changed.
    OSError
        The cache cannot be written.
    """
    used = dataset if images is None else dataset.take(images)
    for _, network, by_class in networks:
        trained = network.parent if isinstance(network, QuantizedNetwork) else network
        check_dataset(trained.network, used, by_class)
    about = (_code(), dataset.name, dataset.split, dataset.sha256, str(len(used)))
    keys = [
        content_key("evaluation", network.sha256, str(by_class), *about)
        for _, network, by_class in networks
    ]
    known = {key: report for key in keys if (report := _cached(key)) is not None}
    missing = {key: each for key, each in zip(keys, networks, strict=True) if key not in known}
    progress(len(known), len(set(keys)))
    if missing:
        with local_workers(min(len(missing), processors())) as workers:
            futures = {
                workers.executor.submit(
                    evaluate_cached, key, name, network.sha256, dataset, images, by_class
                ): key
                for key, (name, network, by_class) in missing.items()
            }
            for future in as_completed(futures):
                known[futures[future]] = future.result()
                progress(len(known), len(set(keys)))
    return [known[key] for key in keys]


def evaluate_cached(
    key: str,
    name: str,
    sha256: str,
    dataset: Dataset,
    images: int | None,
    by_class: bool | None,
) -> AccuracyReport:
    """Evaluate the network in a file, and cache the report under `key`; in any process."""
    network = golden.load(name)
    if network.sha256 != sha256:
        raise ValueError(f"{name}: has changed while it was evaluated")

    def build(folder: Path) -> None:
        golden.evaluate(network, dataset, images, by_class=by_class).save(folder / _REPORT)

    return AccuracyReport.load(cached(key, _REPORT, build))


def _cached(key: str) -> AccuracyReport | None:
    def refuse(_: Path) -> None:
        raise _NotCachedError

    try:
        return AccuracyReport.load(cached(key, _REPORT, refuse))
    except _NotCachedError:
        return None


@cache
def _code() -> str:
    """A hash of the code that evaluates: other code may give another report."""
    sources = Path(str(resources.files("systolith.golden"))).rglob("*.py")
    return content_key(*(path.read_bytes() for path in sorted(sources)))
