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


def sdf(wires: str, **cells: str) -> str:
    """An SDF of wires between pins, and of the delays and checks in each cell."""
    blocks = [f"(INSTANCE )\n{wires}", *(f"(INSTANCE {n})\n{text}" for n, text in cells.items())]
    return "(DELAYFILE\n" + "".join(f"(CELL\n{block}\n)\n" for block in blocks) + ")"


REGISTER = """(IOPATH CLK Q (1:2:{q}) (1:2:{q_fall}))
(SETUPHOLD (posedge D) (posedge CLK) (0:0:{rise}) (9:9:99))
(SETUPHOLD (negedge D) (posedge CLK) (0:0:{fall}) (9:9:99))"""


def test_the_slowest_of_all_paths_edges_and_checks_counts_for_each_part() -> None:
    """Three registers; `a` reaches `b` directly, by a gate, and by a slower pin of the gate."""
    text = sdf(
        """(INTERCONNECT a/Q gate/A (1:5:10) (1:5:20))
        (INTERCONNECT a/Q gate/B (1:5:7) (1:5:7))
        (INTERCONNECT gate/F b/D (1:1:3) (1:1:2))
        (INTERCONNECT gate/F c/D (1:1:40) (1:1:4))
        (INTERCONNECT c/Q a/D (1:1:6) (1:1:6))""",
        # A second delay of the same output is smaller.
        a=REGISTER.format(q=100, q_fall=110, rise=1, fall=8) + "\n(IOPATH CLK Q (1:1:9) (1:1:9))",
        b=REGISTER.format(q=500, q_fall=500, rise=5, fall=2),
        c=REGISTER.format(q=30, q_fall=20, rise=0, fall=0),
        gate="(IOPATH A F (1:1:50) (1:1:60))\n(IOPATH B F (1:1:80) (1:1:70))",
    )
    slowest_b = SlowestPath("a", "b", 110 + 7 + 80 + 3 + 5, 7 + 3)
    slowest_c = SlowestPath("a", "c", 110 + 7 + 80 + 40, 7 + 40)
    slowest_a = SlowestPath("c", "a", 30 + 6 + 8, 6)
    assert slowest_paths(text, str) == {"a": slowest_a, "b": slowest_b, "c": slowest_c}
    # In one part, the slower of both.
    assert slowest_paths(text, {"a": "left", "b": "right", "c": "right"}.__getitem__) == {
        "left": slowest_a,
        "right": slowest_c,
    }


def test_names_with_escapes_are_plain() -> None:
    text = sdf(
        r"(INTERCONNECT a\[0\]/Q b\$1/D (1:1:4) (1:1:4))",
        **{
            r"a\[0\]": REGISTER.format(q=10, q_fall=9, rise=0, fall=0),
            r"b\$1": REGISTER.format(q=10, q_fall=9, rise=1, fall=2),
        },
    )
    assert slowest_paths(text, str) == {"b$1": SlowestPath("a[0]", "b$1", 10 + 4 + 2, 4)}
