"""Records of images under cocotb, as a bench appends them, by a file in place of the simulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from systolith.sim.bench import network_bench
from systolith.sim.bench.network_bench import RECORDS, simulate_cocotb
from systolith.sim.record.taps import Batch, RuleBroken
from tests.sim.toy_network import toy_images, toy_network

NETWORK = toy_network()
SIZE = NETWORK.record_type.itemsize


class Bench:
    """At each wait, a piece of the records is there; the last wait is the end."""

    def __init__(self, folder: Path, pieces: Sequence[bytes | None], broken: str | None) -> None:
        self.folder = folder
        self.pieces = list(pieces)
        self.broken = broken

    def wait(self, seconds: float) -> bool:
        piece = self.pieces.pop(0)
        if piece is not None:
            with (self.folder / RECORDS).open("ab") as file:
                file.write(piece)
        return not self.pieces

    def output(self) -> str:
        return f"{len(self.pieces)} left"

    def result(self) -> Any:
        return {"broken": self.broken}


Start = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    def started(pieces: Sequence[bytes | None], broken: str | None = None) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []

        @contextmanager
        def running(
            design: object, module: str, task: Any, arrays: Any, **options: Any
        ) -> Iterator[Bench]:
            calls.append({"task": task, **arrays, **options})
            yield Bench(tmp_path, pieces, broken)

        monkeypatch.setattr(network_bench, "running_bench", running)
        return calls

    return started


def records(count: int) -> bytes:
    made = np.zeros(count, NETWORK.record_type)
    made["plus_"][:, 0, 0, 0] = np.arange(count)
    return made.tobytes()


def first_values(batches: Sequence[Batch]) -> list[tuple[int, int, list[int]]]:
    return [(each.part, each.first, each.records["plus_"][:, 0, 0, 0].tolist()) for each in batches]


def test_records_are_yielded_once_they_are_whole(start: Start) -> None:
    content = records(7)
    cut = 2 * SIZE + SIZE // 2
    start(
        [None, content[:SIZE], content[SIZE:cut], b"", content[cut : 6 * SIZE], content[6 * SIZE :]]
    )
    log: list[str] = []
    found = list(simulate_cocotb(NETWORK, toy_images(7), None, "icarus", log=log))
    assert first_values(found) == [(0, 0, [0]), (0, 1, [1]), (0, 2, [2, 3, 4, 5]), (0, 6, [6])]
    assert log == ["0 left"]


def test_a_broken_rule_comes_after_what_came_before_it(start: Start) -> None:
    start([records(2), b""], broken="C1: stuck")
    batches = simulate_cocotb(NETWORK, toy_images(4), None, "icarus")
    assert first_values([next(batches)]) == [(0, 0, [0, 1])]
    with pytest.raises(RuleBroken, match=r"^C1: stuck$"):
        next(batches)


@pytest.mark.parametrize(("images", "optimize"), [(200, False), (201, True)])
def test_the_model_is_optimized_for_many_images(start: Start, images: int, optimize: bool) -> None:
    calls = start([b""])
    list(simulate_cocotb(NETWORK, toy_images(images), 5, "verilator"))
    (call,) = calls
    assert (call["optimize"], call["simulator"]) == (optimize, "verilator")


@pytest.mark.parametrize("lengths", [None, [None, 3, 20]])
def test_the_bench_is_told_what_to_do(start: Start, lengths: list[int | None] | None) -> None:
    calls = start([b""])
    images = toy_images(3)
    list(simulate_cocotb(NETWORK, images, 5, "icarus", lengths, reset_after=9))
    (call,) = calls
    streams = call["task"].pop("streams")
    assert call["task"] == {"stalls": 5, "lengths": lengths or [None] * 3, "reset_after": 9}
    assert [tap["layer"] for tap in streams["taps"]] == ["plus_", "two__sides"]
    assert call["images"] is images
