"""The boards: their clock and their pins, with the numbers of their documents."""

from __future__ import annotations

import re

import pytest

from systolith.hw.boards.board_catalog import BOARDS, CLOCK_HZ, BoardDesign

# From the constraint files of the boards' makers: the oscillator, to the FPGA, from the FPGA, high.
_PINS = {
    "ulx3s-25f": ("LFE5U-25F", "G2", "M1", "L4", "L2"),
    "ulx3s-85f": ("LFE5U-85F", "G2", "M1", "L4", "L2"),
    "icepi-zero": ("LFE5U-25F", "M1", "K16", "K15", None),
}


@pytest.mark.parametrize("name", BOARDS)
def test_the_pll_makes_the_clock_within_its_limits(name: str) -> None:
    board = BOARDS[name]
    pll, oscillator = board.pll, board.make_platform().default_clk_frequency
    assert pll.oscillator_hz == oscillator
    assert oscillator * pll.feedback == CLOCK_HZ * pll.input
    assert oscillator / pll.input >= 3.125e6
    assert 400e6 <= CLOCK_HZ * pll.output <= 800e6


@pytest.mark.parametrize("name", BOARDS)
def test_the_pins_are_those_of_the_board(name: str) -> None:
    device, oscillator, rx, tx, high = _PINS[name]
    platform = BOARDS[name].make_platform()
    plan = platform.prepare(BoardDesign(BOARDS[name], "accelerator_board"), "whole")
    assert platform.device == device
    sites = dict(re.findall(r'LOCATE COMP "(\w+)" SITE "(\w+)"', plan.files["whole.lpf"]))
    clock = f"{platform.default_clk}_0__io"
    expected = {clock: oscillator, "uart_0__rx__io": rx, "uart_0__tx__io": tx}
    assert sites == expected | ({"esp32_0__gpio0__io": high} if high else {})
    assert f'FREQUENCY PORT "{clock}" {board_hz(name)}.0 HZ' in plan.files["whole.lpf"]
    rtlil = plan.files["whole.il"]
    assert "cell \\accelerator_board" in rtlil and "cell \\EHXPLLL" in rtlil


def board_hz(name: str) -> int:
    return BOARDS[name].pll.oscillator_hz
