"""Every verdict fails where a command does what it forbids, and none where it does not."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.fuzz.fuzz_campaign import examine
from tests.fuzz.inputs import COMPARE_INTEGERS, USERS_FILE, Case
from tests.fuzz.watched_command import Limits, Program, resident_bytes

_FILES = {"in.json": b"{}", USERS_FILE: b"of the user", "old.json": b"{}"}
_COMMAND = ("plan", "in.json", "--out", "o.json")


def _verdicts(
    program: Program, *commands: tuple[str, ...], seconds: float = 20.0, case: Case | None = None
) -> list[str]:
    limits = Limits(seconds=seconds, resident_bytes=resident_bytes(os.getpid()) + 10**8)
    case = case or Case(0, 0, "", commands or (_COMMAND,))
    return [failure.verdict for failure in examine(case, _FILES, limits, program).failures]


def _say(text: str, status: int) -> int:
    sys.stderr.write(text)
    return status


def _good(_: Sequence[str]) -> int:
    Path("o.json").write_text("{}")
    sys.stdout.write("done\n")
    return 0


def _refuses(_: Sequence[str]) -> int:
    return _say("systolith: in.json: not a plan\n", 2)


def _finds_a_fault(_: Sequence[str]) -> int:
    Path("o.json").write_text("{}")
    return _say("systolith: layer C1: 3 values differ\nand more\n", 1)


@pytest.mark.parametrize("program", [_good, _refuses, _finds_a_fault])
def test_none_fails_where_all_is_well(program: Program) -> None:
    assert _verdicts(program) == []


def test_a_simulator_that_died_leaves_its_log() -> None:
    def dies(_: Sequence[str]) -> int:
        Path("rtl").mkdir(exist_ok=True)
        Path("rtl/simulation.log").write_text("what it printed")
        return _say("systolith: verilator was killed by signal 9\n", 3)

    assert _verdicts(dies, ("simulate", "rtl")) == []
    assert "written" in _verdicts(dies, ("plan", "rtl"))


def test_a_refused_model_has_a_line_for_every_node() -> None:
    def refuses(_: Sequence[str]) -> int:
        return _say("a (Sin): no layer\nb (Cos): no layer\nsystolith: m.onnx: 2 of 3 nodes\n", 2)

    assert _verdicts(refuses, ("import", "m.onnx")) == []
    assert set(_verdicts(refuses, ("plan", "m.onnx"))) == {"lines"}
    assert set(_verdicts(lambda _: _say("a (Sin): no layer\n", 2), ("import",))) == {"lines"}


def _raises(_: Sequence[str]) -> int:
    raise KeyError("layers")


def _is_killed(_: Sequence[str]) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def _takes_memory(_: Sequence[str]) -> int:
    taken = b"x" * (3 * 10**8)
    return taken.count(b"y")


def _is_out_of_memory(_: Sequence[str]) -> int:
    return _say("systolith: out of memory\n", 3)


def _ends_with_7(_: Sequence[str]) -> int:
    return 7


def _says_nothing(_: Sequence[str]) -> int:
    return 2


def _says_two_lines(_: Sequence[str]) -> int:
    return _say("systolith: bad\nsystolith: worse\n", 2)


def _says_no_name(_: Sequence[str]) -> int:
    return _say("bad input\n", 3)


def _says_no_more_than_its_name(_: Sequence[str]) -> int:
    return _say("systolith: \n", 2)


def _shows_escape_codes(_: Sequence[str]) -> int:
    return _say("systolith: layer \x1b[31mC1\n", 2)


def _prints_escape_codes(_: Sequence[str]) -> int:
    sys.stdout.write("\x1b]0;title\x07\n")
    return 0


def _warns(_: Sequence[str]) -> int:
    # Not by `warnings`, which pytest records.
    return _say("fixed.py:7: RuntimeWarning: overflow encountered in multiply\n  x * x\n", 0)


def _prints_nan(_: Sequence[str]) -> int:
    sys.stdout.write("  accuracy   nan\n")
    return 0


def _writes_half_a_file(_: Sequence[str]) -> int:
    Path("o.json").write_text('{"layers": [')
    return 0


def _writes_infinity(_: Sequence[str]) -> int:
    Path("o.json").write_text('{"mhz": Infinity}')
    return 0


def _writes_an_empty_file(_: Sequence[str]) -> int:
    Path("o.json").touch()
    return 0


def _leaves_a_temporary_file(_: Sequence[str]) -> int:
    tempfile.mkstemp()
    return 0


def _leaves_a_file_beside(_: Sequence[str]) -> int:
    Path(".o.json.0123abcd.tmp").touch()
    return 0


def _writes_and_fails(_: Sequence[str]) -> int:
    Path("o.json").write_text("{}")
    return _refuses(_)


def _writes_elsewhere(_: Sequence[str]) -> int:
    Path("ran-a-program").write_text("x")
    return 0


def _alters_a_file_beside(_: Sequence[str]) -> int:
    Path("old.json").write_text("[]")
    return 0


def _alters_what_it_reads(_: Sequence[str]) -> int:
    Path("in.json").write_text("[]")
    return 0


def _deletes_a_file(_: Sequence[str]) -> int:
    Path(USERS_FILE).unlink()
    return 0


@pytest.mark.parametrize(
    ("program", "verdict"),
    [
        (_raises, "traceback"),
        (_is_killed, "status"),
        (_takes_memory, "memory"),
        (_is_out_of_memory, "memory"),
        (_ends_with_7, "status"),
        (_says_nothing, "lines"),
        (_says_two_lines, "lines"),
        (_says_no_name, "lines"),
        (_says_no_more_than_its_name, "lines"),
        (_shows_escape_codes, "control"),
        (_prints_escape_codes, "control"),
        (_warns, "warning"),
        (_prints_nan, "figure"),
        (_writes_half_a_file, "output"),
        (_writes_infinity, "output"),
        (_writes_an_empty_file, "output"),
        (_leaves_a_temporary_file, "left"),
        (_leaves_a_file_beside, "left"),
        (_writes_and_fails, "written"),
        (_writes_elsewhere, "written"),
        (_alters_a_file_beside, "written"),
        (_alters_what_it_reads, "written"),
        (_deletes_a_file, "deleted"),
    ],
)
def test_each_fails_where_it_must(program: Program, verdict: str) -> None:
    assert set(_verdicts(program)) == {verdict}


def test_a_hang_is_ended() -> None:
    def hangs(_: Sequence[str]) -> int:
        time.sleep(60)
        return 0

    start = time.monotonic()
    assert _verdicts(hangs, seconds=0.2) == ["hang"]
    assert time.monotonic() - start < 10


def test_json_on_standard_output() -> None:
    def prints(_: Sequence[str]) -> int:
        sys.stdout.write('{"interval": NaN}\n')
        return 0

    assert _verdicts(prints, ("plan", "--json")) == ["output"]


def test_a_pipe_stays_a_pipe() -> None:
    def replaces(_: Sequence[str]) -> int:
        Path("new.json").write_text("{}")
        os.replace("new.json", "o.json")
        return 0

    case = Case(0, 0, "", (_COMMAND,), {"o.json": "fifo"})
    assert _verdicts(replaces, case=case) == ["replaced"]


@pytest.mark.parametrize("status", [1, 3])
def test_hardware_that_was_generated_simulates(status: int) -> None:
    def simulates_not(arguments: Sequence[str]) -> int:
        return _say("systolith: C1 differs\n", status) if arguments[0] == "simulate" else 0

    assert _verdicts(simulates_not, ("generate",), ("simulate",)) == ["hardware"]


def test_engines_that_differ() -> None:
    def differ(_: Sequence[str]) -> int:
        return _say("systolith: layer 'C1' in BLAS: other integers than in 64 bits\n", 1)

    assert _verdicts(differ, (COMPARE_INTEGERS, "q.npz")) == ["integers"]
