"""Speeds of the line, and what nextpnr's report says about the device."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from systolith.hw.boards import bitstream
from systolith.hw.boards.bitstream import Resource, clocks_per_bit
from systolith.hw.errors import MisfitError


@pytest.mark.parametrize(
    ("baud", "cycles"),
    [(3_000_000, 20), (1_000_000, 60), (115_200, 521), (9600, 6250), (7_500_000, 8)],
)
def test_speeds_of_the_line(baud: int, cycles: int) -> None:
    assert clocks_per_bit(baud) == cycles


@pytest.mark.parametrize("baud", [8_000_000, 4_100_000, 10**9])
def test_speeds_that_the_clock_does_not_make(baud: int) -> None:
    with pytest.raises(ValueError, match=f"--baud {baud}: must be 60,000,000 divided by a whole"):
        clocks_per_bit(baud)


def test_the_report_says_what_was_reached(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    clock = {"achieved": 84.196, "constraint": 60.0}
    content = {
        "fmax": {"$glbnet$clk": clock},
        "utilization": {
            "MULT18X18D": {"used": 9, "available": 156},
            "DCSC": {"used": 0, "available": 2},
        },
    }
    path.write_text(json.dumps(content))
    assert bitstream._routed(path, "x") == (84.19, {"MULT18X18D": Resource(9, 156)})
    clock["achieved"] = 59.94
    path.write_text(json.dumps(content))
    with pytest.raises(MisfitError, match=r"board 'x': the routed design reaches 59\.9 MHz and"):
        bitstream._routed(path, "x")
