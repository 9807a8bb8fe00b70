from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from systolith.hw.accelerator import axis_ports
from systolith.hw.silicon import placement
from systolith.hw.silicon.placement import NoRoomError, part_of, place
from systolith.hw.silicon.synthesis import TOP_PART, Netlist, synthesize
from systolith.hw.silicon.targets import DEVICES
from systolith.hw.silicon.tools import LOG, Tool, ToolError
from tests.hw.silicon.fake_tools import placer
from tests.scripts import tiny

PORTS = axis_ports(8, 64)

PARTS = ["unit_a", "unit_b"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTOLITH_CACHE", str(tmp_path / "cache"))


def netlist(content: bytes = b"{}") -> Netlist:
    tool = Tool("yosys", (), "1.0")
    return Netlist(DEVICES["ecp5-25k"], tool, "top", content, {TOP_PART: Counter()})


def use(monkeypatch: pytest.MonkeyPatch, tool: Tool) -> None:
    monkeypatch.setattr(placement, "find_tool", lambda _: tool)


def test_each_seed_is_placed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, counts = tmp_path / "log", []
    use(monkeypatch, placer({1: 90.123456, 2: 95.0, 3: 80.0}, log))
    found = place(netlist(), "6", [2, 1], PARTS, progress=lambda *each: counts.append(each))
    assert [(each.seed, each.clock_mhz) for each in found] == [(2, 95.0), (1, 90.12)]
    assert found[0].paths["unit_b"].picoseconds == 1571
    assert counts == [(1, 2), (2, 2)]
    assert place(netlist(), "6", [1, 2, 3], PARTS)[:2] == found[::-1]
    assert sorted(log.read_text().split()) == ["1", "2", "3"]
    place(netlist(b"{ }"), "6", [1], PARTS)
    place(netlist(), "8", [1], PARTS)
    assert len(log.read_text().split()) == 5


def test_a_placement_is_made_again_for_another_device_tool_or_place_of_the_pins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: list[str] = []
    (tmp_path / "result.json").write_text('{"seed": 1, "clock_mhz": 2.0, "paths": {}}')

    def cached(key: str, artifact: str, build: object) -> Path:
        keys.append(key)
        return tmp_path / artifact

    def made(
        target: str = "ecp5-25k", version: str = "1.0", top: str = "top", pins: str = ""
    ) -> None:
        use(monkeypatch, Tool("nextpnr-ecp5", (), version))
        device = DEVICES[target]
        assert device.placer is not None
        device = replace(device, placer=replace(device.placer, constraints=pins))
        place(replace(netlist(), device=device, top=top), "6", [1], PARTS)

    monkeypatch.setattr(placement, "cached", cached)
    made()
    made()
    assert len(set(keys)) == 1
    made("ecp5-45k")
    made(version="1.1")
    made(top="top_pins")
    made(pins="IO_LOC")
    assert len(set(keys)) == len(keys) - 1 == 5


def test_the_slowest_of_several_clocks_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = placer({1: 90.0}, tmp_path / "log")
    python, option, script = tool.command
    two = '{"achieved": clock}, "other": {"achieved": clock - 7}'
    assert '{"achieved": clock}' in script
    use(
        monkeypatch,
        replace(tool, command=(python, option, script.replace('{"achieved": clock}', two))),
    )
    (found,) = place(netlist(), "6", [1], PARTS)
    assert found.clock_mhz == 83.0


def test_what_fits_exactly_is_not_lacking() -> None:
    placement.require_room_in_log("Info: \t MULT18X18D:    28/   28   100%\nERROR: Routing failed")
    with pytest.raises(NoRoomError) as refused:
        placement.require_room_in_log(
            "Info: \t MULT18X18D:    30/   28   107%\nInfo: \t DP16KD: 5/ 56 8%\n"
            "Info: \t TRELLIS_COMB:  99999/  24288   411%\n"
        )
    lacks = "30 MULT18X18D of 28 (2 too many)", "99,999 TRELLIS_COMB of 24,288 (75,711 too many)"
    assert refused.value.lacks == lacks
    assert str(refused.value) == "; ".join(lacks)


def test_a_placement_that_fails_names_the_device_and_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, placer({1: 90.0}, tmp_path / "log"))
    message = "LFE5U-25F-CABGA381, seed 2: nextpnr-ecp5 1.0 ended with status 1: ERROR: Routing"
    with pytest.raises(ToolError, match=message):
        place(netlist(), "6", [1, 2], PARTS)


# From nextpnr-ice40 and nextpnr-ecp5 0.11.
_FULL = """Info: \t ICESTORM_LC:    5400/   5280   102%
Info: \t SB_GB:  8/  8  100%
ERROR: Unable to place cell 'x_LC', no BELs remaining to implement cell type 'ICESTORM_LC'"""
_NEARLY_FULL = (
    "ERROR: Unable to find legal placement for all cells, design is probably at utilisation limit."
)


@pytest.mark.parametrize(
    ("log", "lacks"),
    [
        (_FULL, r"5,400 ICESTORM_LC of 5,280 \(120 too many\)$"),
        (_NEARLY_FULL, "Unable to find legal placement for all cells"),
    ],
)
def test_a_placer_without_room_says_of_what(
    log: str, lacks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, placer({}, tmp_path / "log", log))
    with pytest.raises(NoRoomError, match=f"^{lacks}"):
        place(netlist(), "6", [1], PARTS)


def test_one_that_fails_ends_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = placer({}, tmp_path / "log")
    waits = "import sys, time\nif sys.argv[sys.argv.index('--seed') + 1] == '1': time.sleep(60)\n"
    python, option, script = tool.command
    use(monkeypatch, Tool(tool.name, (python, option, waits + script), tool.version))
    start = time.monotonic()
    with pytest.raises(ToolError, match="seed 2"):
        place(netlist(), "6", [1, 2, 3, 4], PARTS, jobs=2)
    assert time.monotonic() - start < 30


def test_the_part_of_a_cell() -> None:
    assert part_of("unit_a.q_TRELLIS_FF_Q", PARTS) == "unit_a"
    assert part_of("accelerator.unit_b.psum.1.2", PARTS) == "unit_b"
    assert part_of("given_SB_DFF_Q", PARTS) == TOP_PART


@pytest.mark.silicon
@pytest.mark.parametrize("target", ["ecp5-25k", "ice40-up5k", "gowin-gw1n9", "gowin-gw2a18"])
def test_the_slowest_of_all_paths_is_the_clock(target: str, tmp_path: Path) -> None:
    from systolith.hw.silicon.flow import synthesize_folder

    tiny.generate(tmp_path / "rtl")
    report = synthesize_folder(tmp_path / "rtl", target, seeds=[1])
    assert report.clock_mhz is not None
    slowest = report.placed_parts[0][1].picoseconds
    assert slowest == pytest.approx(1e6 / report.clock_mhz, rel=1e-3)
    assert {each.name for each, _ in report.placed_parts} >= {"conv", "dense"}
    if target == "ecp5-25k":
        assert report.memories.distributed
        logs = "".join(each.read_text() for each in (tmp_path / "cache").rglob(LOG))
        assert f"Total LUT4s: {report.occupied.luts:9}/24288 " in logs


@pytest.mark.silicon
def test_a_design_that_does_not_fit_is_refused_by_nextpnr_as_well(tmp_path: Path) -> None:
    multipliers = "\n".join(
        f"  always @(posedge clk) p[{n}] <= a[{n}] * b[{n}] + p[{(n + 1) % 30}];" for n in range(30)
    )
    verilog = (
        "module top(input clk, input [7:0] d, output [35:0] q);\n"
        "  reg [17:0] a [0:29], b [0:29]; reg [35:0] p [0:29]; integer i;\n"
        "  always @(posedge clk) begin a[0] <= d; b[0] <= ~d;\n"
        "    for (i = 1; i < 30; i = i + 1) begin a[i] <= a[i-1]; b[i] <= b[i-1] + 1; end end\n"
        f"{multipliers}\n  assign q = p[0];\nendmodule\n"
    )
    made = synthesize(verilog, "top", PORTS, {}, DEVICES["ecp5-25k"])
    assert made.cells[TOP_PART]["MULT18X18D"] == 30
    with pytest.raises(NoRoomError, match=r"30 MULT18X18D of 28 \(2 too many\)"):
        place(made, "6", [1], [])
