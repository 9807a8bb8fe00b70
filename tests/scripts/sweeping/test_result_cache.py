from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from systolith.golden.errors import FileFormatError
from systolith.scripts.sweeping import result_cache
from systolith.scripts.sweeping.jobs import Accuracy
from systolith.scripts.sweeping.result_cache import ResultCache, Task

TASK = Task("accuracy", {"network": "ab", "data": "cd"}, Accuracy, len, ((),))
RESULT = Accuracy(images=1000, correct=993)


def test_a_cached_result_is_loaded(tmp_path: Path) -> None:
    warnings: list[str] = []
    cache = ResultCache(tmp_path / "out" / "cache", warnings.append)
    assert cache.load(TASK) is None
    cache.save(TASK, RESULT)
    assert cache.load(TASK) == RESULT
    assert json.loads(cache.path(TASK).read_text())["schema"] == "systolith.sweep_accuracy/1"
    assert warnings == []


@pytest.mark.parametrize(
    "other",
    [
        replace(TASK, inputs={"network": "ab", "data": "ce"}),
        replace(TASK, inputs={**TASK.inputs, "version": "1"}),
        replace(TASK, kind="point"),
    ],
)
def test_other_inputs_have_another_file(tmp_path: Path, other: Task) -> None:
    cache = ResultCache(tmp_path, pytest.fail)
    cache.save(TASK, RESULT)
    assert cache.path(other) != cache.path(TASK)
    assert cache.load(other) is None


def test_a_thousand_results_have_as_many_files(tmp_path: Path) -> None:
    cache = ResultCache(tmp_path, pytest.fail)
    paths = {cache.path(replace(TASK, inputs={"number": number})) for number in range(1000)}
    assert len(paths) == 1000


def test_the_order_of_inputs_is_no_input(tmp_path: Path) -> None:
    cache = ResultCache(tmp_path, pytest.fail)
    cache.save(TASK, RESULT)
    assert cache.load(replace(TASK, inputs=dict(reversed([*TASK.inputs.items()])))) == RESULT


@pytest.mark.parametrize(
    "damage",
    [
        lambda good: b"",
        lambda good: good[:-9],
        lambda good: good.replace(b"993", b"994"),
        lambda good: good.replace(b'"cd"', b'"ce"'),
        lambda good: b"[1]",
        lambda good: b"[" * 100_000,
        lambda good: b"\xff\x00",
    ],
)
def test_a_damaged_file_is_reported_and_counts_as_missing(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    warnings: list[str] = []
    cache = ResultCache(tmp_path, warnings.append)
    cache.save(TASK, RESULT)
    path = cache.path(TASK)
    path.write_bytes(damage(path.read_bytes()))
    assert cache.load(TASK) is None
    assert warnings == [f"{path}: damaged, so it is computed again"]
    cache.save(TASK, RESULT)
    assert cache.load(TASK) == RESULT


def test_a_whole_result_of_other_inputs_is_not_taken(tmp_path: Path) -> None:
    """A file that was renamed or copied to the name of another result: its own hash is right."""
    warnings: list[str] = []
    cache = ResultCache(tmp_path, warnings.append)
    other = replace(TASK, inputs={"network": "ab", "data": "ce"})
    cache.save(other, RESULT)
    cache.path(other).rename(cache.path(TASK))
    assert cache.load(TASK) is None
    assert warnings == [f"{cache.path(TASK)}: damaged, so it is computed again"]


def test_what_is_no_file_is_refused_and_not_opened(tmp_path: Path) -> None:
    cache = ResultCache(tmp_path, pytest.fail)
    os.mkfifo(cache.path(TASK))
    with pytest.raises(FileFormatError, match="is not a file"):
        cache.load(TASK)


def test_a_full_disk_names_the_file_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "a temporary file")

    monkeypatch.setattr(result_cache, "write_whole", full)
    cache = ResultCache(tmp_path, pytest.fail)
    with pytest.raises(OSError, match="cannot be written: No space left") as caught:
        cache.save(TASK, RESULT)
    assert caught.value.filename == str(cache.path(TASK))
    assert list(tmp_path.iterdir()) == []
