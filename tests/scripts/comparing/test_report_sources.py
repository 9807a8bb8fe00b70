"""What `compare` makes of its arguments: files, networks, hardware, sweeps, and folders."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from systolith import golden, hw
from systolith.golden.reports.accuracy import HardwareEntry
from systolith.scripts.comparing import evaluation_cache
from systolith.scripts.comparing.report_sources import compared_files, load_reports
from systolith.scripts.main import main
from systolith.scripts.sweeping.workers import Workers
from tests.scripts import tiny


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with images, two networks, and the report of one of them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYSTOLITH_CACHE", str(tmp_path / "cached"))
    tiny.save_images(tmp_path / "data.npz", 30)
    quantized = tiny.quantized()
    quantized.save("q9.npz")
    quantized.parent.save("q10.npz")
    golden.evaluate(quantized, golden.load_dataset("data.npz")).save("r.json")
    return tmp_path


DATA = Path("data.npz")


def test_networks_are_evaluated_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [golden.evaluate(golden.load(name), golden.load_dataset(DATA)) for name in NETWORKS]
    for _ in range(2):
        found = load_reports([Path(name) for name in NETWORKS], DATA, None)
        assert (found.paths, found.reports) == ([Path(name) for name in NETWORKS], expected)
        monkeypatch.setattr(evaluation_cache, "local_workers", None)
    monkeypatch.undo()


NETWORKS = ["q9.npz", "q10.npz"]


def test_a_network_that_changes_meanwhile_is_not_cached_as_the_one_before(here: Path) -> None:
    data, network = golden.load_dataset(DATA), golden.load("q9.npz")
    key = "0" * 64
    with pytest.raises(ValueError, match=r"q9\.npz: has changed while it was evaluated"):
        evaluation_cache.evaluate_cached(key, "q9.npz", "1" * 64, data, None, None)
    found = evaluation_cache.evaluate_cached(key, "q9.npz", network.sha256, data, 20, None)
    assert (found.network_sha256, found.images) == (network.sha256, 20)


def test_other_images_and_other_code_are_evaluated_anew(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cached() -> int:
        return sum(each.is_dir() for each in (here / "cached").iterdir())

    path = Path("q9.npz")
    load_reports([path], DATA, None)
    assert cached() == 1
    (few,) = load_reports([path], DATA, 7).reports
    assert (few.images, cached()) == (7, 2)
    tiny.save_images(here / "other.npz", 31)
    (other,) = load_reports([path], Path("other.npz"), None).reports
    assert (other.images, cached()) == (31, 3)
    (errors,) = load_reports([path], DATA, None, by_class=False).reports
    assert (errors.measure, cached()) == ("error", 4)
    monkeypatch.setattr(evaluation_cache, "_code", lambda: "other")
    load_reports([path], DATA, None)
    assert cached() == 5


class Recorder:
    """Progress that is remembered."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.seen.append((done, total))

    def announce(self, step: str) -> None:
        pytest.fail(f"nothing takes long: {step}")


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting others takes longer than to evaluate so few images."""

    @contextmanager
    def local(_: int) -> Iterator[Workers]:
        with ThreadPoolExecutor(1) as executor:
            yield Workers(executor)

    monkeypatch.setattr(evaluation_cache, "local_workers", local)


@pytest.mark.usefixtures("one_process")
def test_what_is_cached_counts_as_done_at_once(here: Path) -> None:
    """Two files have the same network, which is evaluated once."""
    data = golden.load_dataset(DATA)
    networks = [(name, golden.load(name), None) for name in ("q9.npz", "q10.npz", "q9.npz")]
    evaluation_cache.evaluate_all(networks[:1], data, None, Recorder())
    shown = Recorder()
    reports = evaluation_cache.evaluate_all(networks, data, None, shown)
    assert shown.seen == [(1, 2), (2, 2)]
    assert [each.kind for each in reports] == ["fixed", "float", "fixed"]


@pytest.mark.usefixtures("one_process")
def test_images_called_otherwise_are_evaluated_anew(here: Path) -> None:
    """The name of the images and of their part stand in the report."""
    data = golden.load_dataset(DATA)
    for name, split in (("a", "b"), ("a", "c"), ("d", "c")):
        (report,) = evaluation_cache.evaluate_all(
            [("q9.npz", golden.load("q9.npz"), None)],
            replace(data, name=name, split=split),
            None,
            Recorder(),
        )
        assert (report.dataset.name, report.dataset.split) == (name, split)


@pytest.mark.usefixtures("one_process")
def test_labels_that_are_no_classes_are_refused_where_classes_are_put_out(here: Path) -> None:
    images = golden.load_dataset(DATA).images
    np.savez("strange.npz", images=images, labels=np.full(30, 7))
    (report,) = load_reports([Path("q9.npz")], Path("strange.npz"), None, by_class=False).reports
    assert report.measure == "error"
    with pytest.raises(ValueError, match="has the label 7, network 'tiny' has the classes 0 to 2"):
        load_reports([Path("q9.npz")], Path("strange.npz"), None)


@pytest.mark.usefixtures("one_process")
def test_a_file_with_the_name_of_a_network_that_ships_is_read(here: Path) -> None:
    """Of the two it is the nearer one; without it, the name is that of the network."""
    digits = golden.test_digits().take(3)
    np.savez("digits.npz", images=digits.images, labels=digits.known_labels)
    (report,) = load_reports([Path("lenet5-relu")], Path("digits.npz"), None).reports
    assert report.network == "lenet5-relu"
    golden.AccuracyReport.load("r.json").save("lenet5-relu")
    found = load_reports([Path("lenet5-relu")], None, None)
    assert (found.reports[0].network, found.networks) == ("tiny", [None])


def test_what_is_before_a_folder_is_not_there_again_but_a_file_may_be(here: Path) -> None:
    shutil.copytree(here, here.parent / "copy")
    there = Path("../copy")
    given = [Path("r.json"), Path("q9.npz"), Path(), Path("r.json"), there]
    assert [path.as_posix() for path in compared_files(given)] == [
        *("r.json", "q9.npz", "q10.npz", "r.json"),
        *("../copy/q9.npz", "../copy/q10.npz", "../copy/r.json"),
    ]


def test_a_folder_stands_for_its_reports_and_networks(here: Path) -> None:
    (here / "notes.json").write_text('{"schema": "other/1"}')
    (here / "broken.json").write_text("{")
    (here / "sweep-2.json").write_text('{"schema": "systolith.sweep/2"}')
    found = load_reports([here], DATA, None)
    assert [path.name for path in found.paths] == ["q9.npz", "q10.npz", "r.json"]
    assert [each.kind for each in found.reports] == ["fixed", "float", "fixed"]
    assert [each and each.sha256 for each in found.networks] == [
        golden.load("q9.npz").sha256,
        golden.load("q10.npz").sha256,
        None,
    ]
    assert found.dataset is not None and found.dataset.name == "data.npz"
    assert load_reports([Path("r.json")], None, None).dataset is None


def test_hardware_has_costs(here: Path) -> None:
    tiny.generate(here / "rtl")
    manifest = hw.load_manifest("rtl")
    found = load_reports([Path("rtl")], DATA, None)
    (path,), (report,) = found.paths, found.reports
    predicted = manifest.predicted
    assert path == Path("rtl")
    assert report.hardware == HardwareEntry(
        manifest.multipliers, predicted.interval_cycles, predicted.latency_cycles, None
    )


@pytest.mark.parametrize("by_class", [None, True, False])
def test_the_option_decides_before_the_hardware_what_is_evaluated(
    by_class: bool | None, here: Path
) -> None:
    """The hardware puts out classes."""
    tiny.generate(here / "rtl")
    found = load_reports([Path("rtl")], DATA, None, by_class=by_class)
    assert (found.reports[0].outputs is None) == (by_class is not False)


def test_a_sweep_stands_for_the_networks_of_its_front(here: Path) -> None:
    (here / "swept" / "front").mkdir(parents=True)
    (here / "swept" / "sweep.json").write_text("{}")
    with pytest.raises(ValueError, match="swept: has no networks in front"):
        load_reports([Path("swept")], DATA, None)
    for name in ("1", "2"):
        shutil.copy("q9.npz", here / "swept" / "front" / f"{name}.npz")
    first, second = Path("swept/front/1.npz"), Path("swept/front/2.npz")
    assert load_reports([Path("swept")], DATA, None).paths == [first, second]


def test_networks_that_the_sweep_does_not_name_come_last(here: Path) -> None:
    """Those that it names come in its order, if they are as it wrote them."""
    contents = {name: bytes(Path(name).read_bytes()) for name in ("q9.npz", "q10.npz")}
    front = here / "swept" / "front"
    front.mkdir(parents=True)
    for name, source in (("a", "q9.npz"), ("b", "q10.npz"), ("z", "q9.npz"), ("c", "q10.npz")):
        (front / f"{name}.npz").write_bytes(contents[source])
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    named = (("z", "q9.npz", True), ("b", "q10.npz", True), ("a", "q10.npz", True))
    points = [
        {"name": name, "quantized_sha256": hashes[source], "on_front": on_front}
        for name, source, on_front in (*named, ("c", "q10.npz", False))
    ]
    report = {"schema": "systolith.sweep/2", "points": points}
    (here / "swept" / "sweep.json").write_text(json.dumps(report))
    assert [path.stem for path in compared_files([Path("swept")])] == ["z", "b", "a", "c"]


def test_the_most_accurate_network_of_a_sweep_is_the_first(here: Path) -> None:
    words = "sweep q10.npz --data data.npz --test-data test.npz --out swept --jobs 1"
    tiny.save_images(here / "test.npz", 20, seed=3)
    tiny.quantized(3).parent.save("q10.npz")
    assert main([*words.split(), "--weight-bits", "2,8", "--activation-bits", "2,8"]) == 0
    points = json.loads((here / "swept" / "sweep.json").read_text())["points"]
    front = [Path(f"swept/front/{point['name']}.npz") for point in points if point["on_front"]]
    assert len(front) > 1 and front != sorted(front)
    assert load_reports([Path("swept")], DATA, None).paths == front
    # What stands before a folder is compared with, and is not there again.
    before = [front[-1], Path("swept")]
    assert load_reports(before, DATA, None).paths == [front[-1], *front[:-1]]


@pytest.mark.parametrize("by_class", [True, False])
def test_a_report_says_itself_what_is_put_out(by_class: bool, here: Path) -> None:
    with pytest.raises(ValueError, match=r"^--result: is for networks; reports have images"):
        load_reports([Path("r.json"), Path("r.json")], None, None, by_class=by_class)


def test_a_hundred_reports_can_be_compared(here: Path) -> None:
    assert len(compared_files([Path("r.json")] * 100)) == 100


@pytest.mark.parametrize(
    ("paths", "data", "images", "message"),
    [
        (["r.json"], "data.npz", None, "--data: is for networks; reports have images of their own"),
        (["r.json"], None, 5, "--images: is for networks"),
        (["q9.npz"], None, None, "--data FILE"),
        (["empty"], None, None, "empty: has no reports or networks"),
        (["r.json"] * 101, None, None, "101 reports: at most 100 can be compared"),
        (["data.npz"], None, None, "data.npz"),
        (["absent.npz"], None, None, "absent.npz"),
        (["q9.npz"], "data.npz", 31, "must be from 1 to 30"),
    ],
)
def test_what_cannot_be_compared(
    here: Path, paths: list[str], data: str | None, images: int | None, message: str
) -> None:
    (here / "empty").mkdir()
    with pytest.raises(ValueError, match=message):
        load_reports([Path(path) for path in paths], None if data is None else Path(data), images)
