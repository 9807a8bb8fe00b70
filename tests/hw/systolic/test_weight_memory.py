# amaranth: UnusedElaboratable=no
from typing import Any

import numpy as np
import pytest
from amaranth.back import rtlil

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


@pytest.mark.parametrize(("few", "shared"), [(16, 4), (1, 3), (1, 16)])
@pytest.mark.parametrize("many", [20, 1024])
@pytest.mark.parametrize("wide", [4, 1024])
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
    wide: int,
    many: int,
) -> None:
    monkeypatch.setattr(weight_memory, "FEW_STEPS", few)
    monkeypatch.setattr(weight_memory, "WIDE_STEPS", wide)
    monkeypatch.setattr(weight_memory, "MANY_WEIGHTS", many)
    monkeypatch.setattr(weight_memory, "BANK_WORDS", 4)
    monkeypatch.setattr(weight_memory, "SHARING_WIDE", shared)
    monkeypatch.setattr(weight_memory, "SHARING_NARROW", 2 * shared)
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


def test_large_memories_are_block_memories() -> None:
    """Only those: a small one would waste a block."""
    for shape, block in [((38, 4, 16), True), ((16, 75, 4), False), ((21, 4, 2), False)]:
        text = rtlil.convert(WeightMemory(np.ones(shape, np.int64), 8), ports=[])
        assert ('attribute \\rom_style "block"' in text) == block


def test_the_weights_of_a_single_step_are_no_constants_to_synthesis() -> None:
    """They are 0 in the first cycle, in which no step can have reached them."""
    memory = WeightMemory(np.array([[[3, -1]]]), 4)
    assert simulate(memory, [0, 0, 0]) == [[0, 0], [3, 15], [3, 15]]
