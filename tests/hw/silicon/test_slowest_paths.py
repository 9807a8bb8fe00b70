"""The delays are those that nextpnr wrote for two registers and an exclusive or between them."""

from __future__ import annotations

from pathlib import Path

from systolith.hw.silicon.slowest_paths import SlowestPath, slowest_paths

SDF = Path(__file__).with_name("two_parts.sdf").read_text()
CLOCK_MHZ = 636.5372
"""The clock in nextpnr's report of the same run."""


def part(cell: str) -> str:
    return cell.partition(".")[0]


def test_the_slowest_path_is_that_of_nextpnr() -> None:
    # Clock to output 525, wires 680 and 130, LUT 236, set-up 0.
    path = SlowestPath("unit_b.s_TRELLIS_FF_Q", "unit_b.q_TRELLIS_FF_Q", 1571, 810)
    assert slowest_paths(SDF, part) == {"unit_b": path}
    assert abs(1e6 / path.picoseconds - CLOCK_MHZ) < 0.1


def test_a_path_from_another_part_counts_where_it_ends() -> None:
    slow_wire = SDF.replace("D (304:364:424) (304:364:424)", "D (1:1:900) (1:1:901)")
    path = slowest_paths(slow_wire, part)["unit_b"]
    assert (path.source, path.picoseconds) == ("unit_a.q_TRELLIS_FF_Q", 525 + 901 + 236 + 130)


def test_set_up_counts() -> None:
    late = SDF.replace(
        "(SETUPHOLD (negedge DI) (posedge CLK) (0:0:0)",
        "(SETUPHOLD (negedge DI) (posedge CLK) (0:0:7)",
    )
    assert slowest_paths(late, part)["unit_b"].picoseconds == 1578


def test_paths_from_pads_are_not_those_of_the_clock() -> None:
    # The pad `d` reaches `unit_a.q` through a wire alone.
    assert "unit_a" not in slowest_paths(SDF, part)
