"""Real digits through the whole design of a board, at the pins of its serial line."""

from __future__ import annotations

from pathlib import Path

import pytest

from systolith import golden, hw
from systolith.hw.verilog import artifacts
from systolith.sim.boards.board_run import run_on_board
from systolith.sim.boards.simulated_board import build_board, simulated_board

_LINE_CYCLES = 784 * 10 * 4


@pytest.mark.long
@pytest.mark.parametrize(("multipliers", "line_decides"), [(122, True), (10, False)])
def test_twenty_digits_are_bit_exact(tmp_path: Path, multipliers: int, line_decides: bool) -> None:
    """With 122 multipliers the line is slower than the accelerator; with 10 it has to wait."""
    network = golden.quantize(
        golden.load_network("lenet5-relu"), golden.validation_digits().images[:1000]
    )
    plan = hw.make_plan(network.fixed, hw.Goal(max_multipliers=multipliers))
    manifest = hw.generate(network, tmp_path / "rtl", plan)
    assert (manifest.predicted.interval_cycles < _LINE_CYCLES) == line_decides
    built = artifacts.load(tmp_path / "rtl")
    with simulated_board(build_board(built, clocks_per_bit=4)) as board:
        run = run_on_board(built, golden.test_digits().images[:20], board, seconds=1.0)
    assert run.mismatches == () and run.resent == 0
    assert run.correct(golden.test_digits().known_labels[:20]) >= 19
