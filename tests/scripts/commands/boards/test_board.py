from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from systolith.hw.boards import bitstream
from systolith.hw.boards.bitstream import load_record
from systolith.hw.boards.board_catalog import BOARDS
from systolith.hw.silicon.tools import Tool
from systolith.hw.verilog import artifacts
from systolith.scripts.commands.boards import board
from systolith.scripts.main import main
from tests.leftover_processes import wait_until_gone
from tests.scripts import tiny

# In place of the tools: sees what they are called with, and writes the files that they write.
_TOOLS = """
import json, os, subprocess, sys
from pathlib import Path
_, tool, *arguments = sys.argv
kind = os.environ["FAKE_NEXTPNR"]
if tool == "yosys":
    script = Path(arguments[-1]).read_text()
    assert arguments[arguments.index("-e") + 1] == "Driver-driver conflict"
    assert "synth_ecp5 -noflatten -top tiny_board_top" in script
    assert "module tiny_board" in Path("design.v").read_text()
    Path("tiny_board_top.json").write_text('{"modules": "from yosys"}')
elif tool == "ecppack":
    assert arguments[0] == "--compress"
    if kind != "empty":
        Path("tiny_board_top.bit").write_bytes(b"bits")
elif kind == "hangs":
    child = subprocess.Popen(["sleep", "60"])
    print(child.pid, file=open(os.environ["FAKE_PID"], "w"), flush=True)
    child.wait()
elif kind == "dies":
    sys.exit("ERROR: something\\nERROR: something else")
else:
    netlist = arguments[arguments.index("--json") + 1]
    assert Path(netlist).read_text() == '{"modules": "from yosys"}'
    multipliers = 57 if kind == "small" else 9
    text = f"Info: Device utilisation:\\nInfo: \\t MULT18X18D: {multipliers}/ 28 203%\\n"
    Path("tiny_board_top.tim").write_text(text)
    if kind == "small":
        sys.exit("ERROR: no BELs remaining")
    report = {
        "fmax": {"clk": {"achieved": 59.0 if kind == "slow" else 101.5}},
        "utilization": {"MULT18X18D": {"used": 9, "available": 28}},
    }
    Path(arguments[arguments.index("--report") + 1]).write_text(json.dumps(report))
    Path("tiny_board_top.config").write_text("config")
"""

# The interrupted command, with these tools.
_PROGRAM = """
import signal, sys
from systolith.hw.boards import bitstream
from systolith.hw.silicon.tools import Tool
from systolith.scripts.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)
bitstream.board_verilog = lambda built, _: "module tiny_board; endmodule"
bitstream.find_tool = lambda name: Tool(name, (sys.executable, sys.argv[1], name), "7.0")
sys.exit(main(["board", "rtl", "--board", "ulx3s-25f"]))
"""


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board")
    tiny.generate(folder / "rtl")
    return folder


@pytest.fixture
def here(generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with hardware in `rtl`; the tools are not those of the flow."""
    monkeypatch.chdir(generated)
    (tmp_path / "tools.py").write_text(_TOOLS)
    command = (sys.executable, str(tmp_path / "tools.py"))
    monkeypatch.setattr(bitstream, "find_tool", lambda name: Tool(name, (*command, name), "7.0"))
    monkeypatch.setenv("FAKE_NEXTPNR", "works")
    monkeypatch.setenv("FAKE_PID", str(tmp_path / "pid"))
    monkeypatch.setattr(bitstream, "board_verilog", lambda built, _: "module tiny_board; endmodule")
    for name in ("board.bit", "board.json"):
        (generated / "rtl" / name).unlink(missing_ok=True)
    return generated / "rtl"


def refused(capsys: pytest.CaptureFixture[str], here: Path, arguments: str, status: int) -> str:
    before = sorted(here.iterdir())
    assert main(["board", *arguments.split()]) == status
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("systolith: ") and err.count("\n") == 1
    assert sorted(here.iterdir()) == before
    return err


def test_the_bitstream_and_its_record(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("board rtl --board ulx3s-25f --baud 3000000".split()) == 0
    out = capsys.readouterr().out
    assert "tiny on ulx3s-25f (LFE5U-25F)" in out
    assert "60 MHz, routed for 101.5" in out and "3,000,000 baud" in out
    assert "openFPGALoader -b ulx3s rtl/board.bit" in out
    assert (here / "board.bit").read_bytes() == b"bits"
    record = load_record(here)
    assert record.bitstream_sha256 == hashlib.sha256(b"bits").hexdigest()
    assert record.verilog_sha256 == artifacts.load(here).manifest.verilog_sha256
    assert (record.board, record.baud, record.routed_mhz) == ("ulx3s-25f", 3_000_000, 101.5)
    assert record.tools == {"yosys": "7.0", "nextpnr-ecp5": "7.0", "ecppack": "7.0"}
    assert record.resources["MULT18X18D"].used == 9
    assert main("board rtl --board icepi-zero --json".split()) == 0
    assert json.loads(capsys.readouterr().out)["board"] == "icepi-zero"


@pytest.mark.parametrize(
    ("option", "baud"), [("", 1_000_000), ("--baud 3000000", 3_000_000), ("--baud 9600", 9600)]
)
def test_the_line_s_speed_is_that_of_the_option(
    option: str, baud: int, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what is used of the device stands before what it has."""
    assert main(f"board rtl --board icepi-zero {option}".split()) == 0
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert load_record(here).baud == baud
    assert f"serial line {baud:,} baud, 8 data bits, no parity, 1 stop bit" in rows
    assert "MULT18X18D 9 28 32%" in rows
    loader = BOARDS["icepi-zero"].loader
    assert rows[-2:] == [
        f"openFPGALoader -b {loader} rtl/board.bit",
        "systolith classify rtl --serial /dev/ttyUSB0",
    ]


@pytest.mark.parametrize("name", ["board.bit", "board.json"])
def test_what_cannot_be_written_is_refused_before_minutes_of_work(
    name: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bitstream, "make_bitstream", lambda *_: pytest.fail("it began"))
    (here / name).mkdir()
    try:
        message = refused(capsys, here, "rtl --board ulx3s-85f", 2)
    finally:
        (here / name).rmdir()
    assert f"rtl/{name}: cannot be written: it is a folder" in message


def test_the_options_are_those_of_the_boards() -> None:
    assert tuple(BOARDS) == board._BOARDS
    assert bitstream.DEFAULT_BAUD == board._BAUD


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        (
            "small",
            1,
            "tiny does not fit board 'ulx3s-25f': 57 MULT18X18D of 28 (29 too many); --max-multip",
        ),
        ("slow", 1, "'ulx3s-25f': the routed design reaches 59.0 MHz and needs 60"),
        ("empty", 3, "ecppack 7.0 ended with status 0, but wrote no tiny_board_top.bit"),
        ("dies", 3, "nextpnr-ecp5 7.0 ended with status 1: ERROR: something else"),
    ],
)
def test_a_design_that_does_not_work_out_leaves_nothing(
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    status: int,
    message: str,
) -> None:
    monkeypatch.setenv("FAKE_NEXTPNR", kind)
    assert message in refused(capsys, here, "rtl --board ulx3s-25f", status)


def test_what_cannot_be_done_is_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    message = refused(capsys, here, "rtl --board de10", 2)
    assert "--board: must be one of ulx3s-25f, ulx3s-85f, icepi-zero, not 'de10'" in message
    assert "--baud 8000000" in refused(capsys, here, "rtl --board ulx3s-85f --baud 8000000", 2)
    assert "manifest.json" in refused(capsys, here, ". --board ulx3s-85f", 2)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    message = refused(capsys, here, "rtl --board ulx3s-85f", 3)
    assert "amaranth-boards, which has the pins, was not found" in message and "[board]" in message


def test_an_interrupt_leaves_no_process_and_no_file(here: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "FAKE_NEXTPNR": "hangs", "TMPDIR": str(temporary)}
    before = sorted(here.iterdir())
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(tmp_path / "tools.py")], env=environment
    )
    pid_file = tmp_path / "pid"
    while not (pid_file.exists() and pid_file.read_text().endswith("\n")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    assert wait_until_gone(int(pid_file.read_text()))
    assert sorted(here.iterdir()) == before and list(temporary.iterdir()) == []
