"""Speeds of the line, and what nextpnr's log and report say about the device."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from systolith.hw.boards import bitstream
from systolith.hw.boards.bitstream import FitError, Resource, clocks_per_bit

# From nextpnr-ecp5 0.11, on a design that is too large.
_LOG = """\
Info: Packing constants..
Info: Device utilisation:
Info: \t          TRELLIS_IO:       4/    365     1%
Info: \t                DCCA:       1/     56     1%
Info: \t              DP16KD:      61/     56   108%
Info: \t          MULT18X18D:     512/    156   328%
Info: \t             EHXPLLL:       1/      4    25%
Info: \t        TRELLIS_COMB:   83640/  83640   100%
ERROR: Unable to place cell 'x', no BELs remaining to implement cell type 'MULT18X18D'
"""


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


def test_a_design_that_is_too_large_says_what_is_missing() -> None:
    with pytest.raises(FitError) as caught:
        bitstream._require_fit(_LOG, "ulx3s-85f")
    assert str(caught.value) == (
        "board 'ulx3s-85f': the design needs 61 DP16KD of 56 (9% too many), 512 MULT18X18D of 156 "
        "(228% too many): make a plan with fewer multipliers, or choose a larger board"
    )
    bitstream._require_fit(_LOG.replace("61/", "56/").replace("512/", "1/"), "ulx3s-85f")


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
    with pytest.raises(FitError, match=r"board 'x': the routed design reaches 59\.9 MHz and"):
        bitstream._routed(path, "x")
