"""The reports that `compare` is given: as files, as networks to evaluate, and in folders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from systolith.scripts.calibration_split import test_images
from systolith.scripts.comparing.evaluation_cache import evaluate_all
from systolith.scripts.progress import progress
from systolith.scripts.sweeping.sweep_folder import SweepFolder

if TYPE_CHECKING:
    from systolith.golden import AccuracyReport, Dataset, QuantizedNetwork, TrainedNetwork
    from systolith.golden.reports.accuracy import HardwareEntry

MOST_REPORTS = 100
"""The largest number of reports in one comparison."""

FRONT_FOLDER = "front"
"""The folder of a sweep that has the quantized networks of its front."""

_MANIFEST, _SWEEP = "manifest.json", "sweep.json"
_NETWORKS = ("systolith.trained-network", "systolith.quantized-network")
_REPORT = "systolith.accuracy"
_NUMBER = re.compile(r"(\d+)")


@dataclass(frozen=True, eq=False)
class Source:
    """A report in a file, or a network that is evaluated for one.

    Parameters
    ----------
    path
        The file, or the folder of generated hardware.
    report
        The report; None for a network that is not evaluated yet.
    network
        The network; None for a report in a file.
    file
        What the network was loaded from.
    hardware
        The hardware in the folder, if it is one.
    by_class
        Whether that puts out classes; None if it is not known.
    """

    path: Path
    report: AccuracyReport | None = None
    network: TrainedNetwork | QuantizedNetwork | None = None
    file: str = ""
    hardware: HardwareEntry | None = None
    by_class: bool | None = None


@dataclass(frozen=True, eq=False)
class Loaded:
    """What `compare` is about.

    Parameters
    ----------
    paths
        The files that the arguments stand for.
    reports
        A report of each.
    networks
        The network of each; None for a report in a file.
    dataset
        The images on which networks were evaluated; None if there are no networks.
    """

    paths: list[Path]
    reports: list[AccuracyReport]
    networks: list[TrainedNetwork | QuantizedNetwork | None]
    dataset: Dataset | None


def load_reports(
    paths: Sequence[Path],
    data: Path | None,
    images: int | None,
    label_column: str | None = None,
    by_class: bool | None = None,
) -> Loaded:
    """The files that paths stand for, and a report of each.

    A path is that of a report, of a network, of generated hardware, of a sweep (it stands for the
    networks of its fronts, the most accurate first), or of a folder with reports and networks, by
    name. What a folder has and is already there is not there twice. Networks are evaluated on the
    first `images` of the file `data`, or of the test digits, by classes or by outputs: as
    `by_class` says, or else their hardware or their form; results are cached.

    Raises
    ------
    ValueError
        A file is none of these, a folder has none of them, there are more than `MOST_REPORTS`,
        images are needed that are not given, or given and not needed.
    """
    files = compared_files(paths)
    sources = [_source(file) for file in files]
    networks = [
        (each.file, each.network, each.by_class if by_class is None else by_class)
        for each in sources
        if each.network is not None
    ]
    for option, given in (("--data", data), ("--images", images), ("--result", by_class)):
        if given is not None and not networks:
            raise ValueError(f"{option}: is for networks; reports have images of their own")
    evaluated: Iterator[AccuracyReport] = iter(())
    dataset = None
    if networks:
        parents: list[Any] = [getattr(each, "parent", each) for _, each, _ in networks]
        dataset = test_images(data, "--data FILE", *parents, label_column=label_column)
        with progress("evaluate") as shown:
            evaluated = iter(evaluate_all(networks, dataset, images, shown))
    reports = [each.report or replace(next(evaluated), hardware=each.hardware) for each in sources]
    return Loaded(files, reports, [each.network for each in sources], dataset)


def compared_files(paths: Sequence[Path]) -> list[Path]:
    """The files that paths stand for, each of a folder once; hardware is its folder.

    Raises
    ------
    ValueError
        A folder has none, or there are more than `MOST_REPORTS`.
    """
    files: list[Path] = []
    for path in paths:
        there = [] if path in (found := _files(path)) else files
        files += [file for file in found if not any(map(file.samefile, filter(Path.exists, there)))]
    if len(files) > MOST_REPORTS:
        raise ValueError(f"{len(files)} reports: at most {MOST_REPORTS} can be compared")
    return files


def _files(path: Path) -> list[Path]:
    """The files that a path stands for; a folder of hardware stands for itself.

    Raises
    ------
    ValueError
        A folder has nothing to compare.
    """
    if not path.is_dir() or (path / _MANIFEST).exists():
        return [path]
    is_sweep = (path / _SWEEP).exists()
    folder = path / FRONT_FOLDER if is_sweep else path
    ranks = list(SweepFolder(path, FRONT_FOLDER).networks()) if is_sweep else []
    files = sorted((each for each in folder.glob("*") if _is_known(each)), key=_natural)
    files.sort(key=lambda each: ranks.index(each.stem) if each.stem in ranks else len(ranks))
    if not files:
        missing = f"no networks in {FRONT_FOLDER}" if is_sweep else "no reports or networks"
        raise ValueError(f"{path}: has {missing}")
    return files


def _is_known(path: Path) -> bool:
    """Whether a file in a folder is a report or a network."""
    from systolith.golden.errors import FileFormatError
    from systolith.golden.files import json_files, npz
    from systolith.golden.files.whole_files import read_whole

    try:
        if path.suffix == ".npz":
            return npz.read_schema(path).rpartition("/")[0] in _NETWORKS
        if path.suffix == ".json":
            schema = json_files.schema_of(read_whole(path, npz.MAX_BYTES)) or ""
            return schema.rpartition("/")[0] == _REPORT
    except FileFormatError:
        return False
    return False


def _natural(path: Path) -> list[tuple[int, str]]:
    """A key by which `q10` comes after `q9`."""
    parts = _NUMBER.split(path.name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts if part]


def _source(path: Path) -> Source:
    from systolith import golden
    from systolith.golden.network.shipped import names
    from systolith.golden.reports.accuracy import AccuracyReport
    from systolith.hw.verilog.manifest import load_manifest
    from systolith.scripts.rtl_folder import hardware_entry

    if path.is_dir():
        manifest = load_manifest(path)
        file = path / manifest.files.quantized
        network = golden.QuantizedNetwork.load(file)
        return Source(
            path,
            network=network,
            file=str(file),
            hardware=hardware_entry(path, network),
            by_class=manifest.result.kind == "class",
        )
    if path.suffix == ".npz" or (str(path) in names() and not path.exists()):
        return Source(path, network=golden.load(str(path)), file=str(path))
    return Source(path, report=AccuracyReport.load(path))
