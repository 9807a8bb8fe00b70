# amaranth: UnusedElaboratable=no
from typing import Any

import numpy as np
import pytest

from systolith.hw.systolic import weight_memory
from systolith.hw.systolic.array import diagonal
from systolith.hw.systolic.weight_memory import WeightMemory
from tests.hw.clocked import run_bench


def simulate(memory: WeightMemory, steps: list[int]) -> list[list[int]]:
    """The words of all diagonals, in each cycle."""
    seen = []

    async def bench(ctx: Any) -> None:
        for step in steps:
            ctx.set(memory.step, step)
            diagonals = range(memory.rows + memory.columns - 1)
            seen.append([ctx.get(getattr(memory, f"diagonal_{d}")) for d in diagonals])
            await ctx.tick()

    run_bench(memory, bench)
    return seen


@pytest.mark.parametrize(("few", "shared", "words"), [(64, 16, 1024), (1, 3, 1024), (1, 2, 4)])
@pytest.mark.parametrize(
    ("steps", "rows", "columns"), [(1, 2, 3), (2, 1, 1), (7, 3, 2), (10, 2, 5)]
)
def test_weights_meet_the_wavefront(
    monkeypatch: pytest.MonkeyPatch,
    steps: int,
    rows: int,
    columns: int,
    few: int,
    shared: int,
    words: int,
) -> None:
    monkeypatch.setattr(weight_memory, "FEW_STEPS", few)
    monkeypatch.setattr(weight_memory, "SHARING_DIAGONALS", shared)
    monkeypatch.setattr(weight_memory, "MAX_WORDS", words)
    rng = np.random.default_rng(0)
    weights = rng.integers(-8, 8, (steps, rows, columns))
    memory = WeightMemory(weights, 4)
    order = [int(s) for s in rng.integers(0, steps, 40)]
    seen = simulate(memory, order)
    for number in range(rows + columns - 1):
        delay = memory.latency + number
        for cycle, step in enumerate(order[: 40 - delay]):
            raw = [int(weights[step, r, c]) & 15 for r, c in diagonal(number, rows, columns)]
            expected = sum(weight << (4 * place) for place, weight in enumerate(raw))
            assert seen[cycle + delay][number] == expected


def test_words_are_few() -> None:
    for steps, packed in [(64, 1), (1024, 1), (1025, 2), (2048, 2), (2049, 4)]:
        assert WeightMemory(np.zeros((steps, 1, 1), np.int64), 4).packed == packed
