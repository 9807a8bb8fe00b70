"""Speeds of the line, and what nextpnr's report says about the device."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from systolith.hw.boards import bitstream
from systolith.hw.boards.bitstream import Resource, clocks_per_bit
from systolith.hw.boards.board_catalog import BOARDS
from systolith.hw.errors import MisfitError
from systolith.hw.silicon.targets import Device


@pytest.mark.parametrize(
    ("baud", "cycles"),
    [(3_000_000, 20), (1_000_000, 60), (115_200, 521), (9600, 6250), (7_500_000, 8)],
)
def test_speeds_of_the_line(baud: int, cycles: int) -> None:
    assert clocks_per_bit(baud) == cycles


@pytest.mark.parametrize("name", BOARDS)
def test_a_budget_is_sought_for_the_device_of_the_board_and_the_result_of_the_folder(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = BOARDS[name]
    built: Any = SimpleNamespace(
        quantized=SimpleNamespace(fixed="network"),
        manifest=SimpleNamespace(multipliers=57, result=SimpleNamespace(kind="scores")),
    )

    def fitting(fixed: object, device: Device, *given: object) -> str:
        assert device.part.startswith(board.make_platform().device)
        assert (fixed, given) == ("network", (57, print, "scores"))
        return "words"

    monkeypatch.setattr(bitstream, "fitting_budget", fitting)
    assert bitstream._fitting_budget(built, board, print) == "words"


@pytest.mark.parametrize(
    ("baud", "cycles"),
    # At most 1 % off: of ten cycles that is a tenth of one.
    [(6_060_000, 10), (5_941_000, 10), (6_070_000, None), (5_930_000, None)],
)
def test_a_speed_may_be_a_hundredth_off(baud: int, cycles: int | None) -> None:
    if cycles is not None:
        assert clocks_per_bit(baud) == cycles
        return
    with pytest.raises(ValueError, match="or within 1 % of it"):
        clocks_per_bit(baud)


@pytest.mark.parametrize("baud", [8_000_000, 4_100_000, 10**9])
def test_speeds_that_the_clock_does_not_make(baud: int) -> None:
    with pytest.raises(ValueError, match=f"--baud {baud}: must be 60,000,000 divided by a whole"):
        clocks_per_bit(baud)


def test_the_report_says_what_was_reached(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    clock = {"achieved": 84.196, "constraint": 60.0}
    content: dict[str, Any] = {
        "fmax": {"$glbnet$clk": clock},
        "utilization": {
            "MULT18X18D": {"used": 9, "available": 156},
            "DCSC": {"used": 0, "available": 2},
        },
    }
    path.write_text(json.dumps(content))
    assert bitstream._routed(path, "x") == (84.19, {"MULT18X18D": Resource(9, 156)})
    # The slowest clock counts, and it is not rounded up.
    content["fmax"] = {"fast": {"achieved": 99.0}, "slow": {"achieved": 60.999}}
    path.write_text(json.dumps(content))
    assert bitstream._routed(path, "x")[0] == 60.99
    content["fmax"] = {"slow": clock, "fast": {"achieved": 99.0}}
    clock["achieved"] = 59.94
    path.write_text(json.dumps(content))
    with pytest.raises(MisfitError, match=r"board 'x': the routed design reaches 59\.9 MHz and"):
        bitstream._routed(path, "x")
