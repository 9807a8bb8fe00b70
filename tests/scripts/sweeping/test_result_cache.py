from __future__ import annotations

import errno
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from systolith.scripts.sweeping import result_cache
from systolith.scripts.sweeping.jobs import Accuracy
from systolith.scripts.sweeping.result_cache import KeptResults, Task

TASK = Task("accuracy", {"network": "ab", "data": "cd"}, Accuracy, len, ((),))
RESULT = Accuracy(images=1000, correct=993)


def test_what_is_kept_is_there_again(tmp_path: Path) -> None:
    told: list[str] = []
    kept = KeptResults(tmp_path / "kept", told.append)
    assert kept.load(TASK) is None
    kept.save(TASK, RESULT)
    assert kept.load(TASK) == RESULT
    assert json.loads(kept.path(TASK).read_text())["schema"] == "systolith.sweep_accuracy/1"
    assert told == []


@pytest.mark.parametrize(
    "other",
    [
        replace(TASK, inputs={"network": "ab", "data": "ce"}),
        replace(TASK, inputs={**TASK.inputs, "version": "1"}),
        replace(TASK, kind="point"),
    ],
)
def test_other_inputs_have_another_file(tmp_path: Path, other: Task) -> None:
    kept = KeptResults(tmp_path, pytest.fail)
    kept.save(TASK, RESULT)
    assert kept.path(other) != kept.path(TASK)
    assert kept.load(other) is None


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
def test_a_damaged_file_is_told_and_counts_as_missing(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    told: list[str] = []
    kept = KeptResults(tmp_path, told.append)
    kept.save(TASK, RESULT)
    path = kept.path(TASK)
    path.write_bytes(damage(path.read_bytes()))
    assert kept.load(TASK) is None
    assert told == [f"{path}: damaged, so it is computed again"]
    kept.save(TASK, RESULT)
    assert kept.load(TASK) == RESULT


def test_a_full_disk_names_the_file_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "a temporary file")

    monkeypatch.setattr(result_cache, "write_whole", full)
    kept = KeptResults(tmp_path, pytest.fail)
    with pytest.raises(OSError, match="cannot be written: No space left") as caught:
        kept.save(TASK, RESULT)
    assert caught.value.filename == str(kept.path(TASK))
    assert list(tmp_path.iterdir()) == []
