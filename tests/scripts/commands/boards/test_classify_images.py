from __future__ import annotations

import importlib.util
import json
import os
import pty
import re
import select
import shutil
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from systolith.golden import load_dataset
from systolith.golden.fixed.execution import FixedModel
from systolith.hw.boards.bitstream import BoardRecord
from systolith.hw.boards.board_client import Port
from systolith.hw.boards.packets import Result
from systolith.hw.verilog import artifacts
from systolith.scripts.main import main
from systolith.sim.boards import simulated_board
from systolith.sim.boards.board_run import BoardRun
from systolith.sim.boards.simulated_board import BoardProgram, build_board
from tests.scripts import tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with hardware, `rtl`, and images."""
    folder = tmp_path_factory.mktemp("classify")
    tiny.generate(folder / "rtl")
    tiny.save_images(folder / "images.npz", 9)
    return folder


@pytest.fixture(scope="module")
def program(folder: Path) -> BoardProgram:
    return build_board(artifacts.load(folder / "rtl"))


@pytest.fixture
def here(folder: Path, program: BoardProgram, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder; the simulated board is not compiled again."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(simulated_board, "build_board", lambda built: program)
    return folder


@contextmanager
def serial_line(board: Port) -> Iterator[str]:
    """The name of a serial port behind which a board is."""
    other, port = pty.openpty()
    tty.setraw(port)
    ended = threading.Event()

    def carry() -> None:
        while not ended.is_set():
            if select.select([other], [], [], 0)[0]:
                board.write(os.read(other, 4096))
            os.write(other, board.read(0.001))

    thread = threading.Thread(target=carry)
    thread.start()
    try:
        yield os.ttyname(port)
    finally:
        ended.set()
        thread.join()
        os.close(other)
        os.close(port)


def refused(capsys: pytest.CaptureFixture[str], arguments: str, status: int) -> str:
    assert main(["classify", *arguments.split()]) == status
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("systolith: ") and err.count("\n") == 1
    return err


def test_a_simulated_board_is_compared_with_the_model(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("classify rtl --simulated --data images.npz --json".split()) == 0
    found = json.loads(capsys.readouterr().out)
    built = artifacts.load("rtl")
    data = load_dataset("images.npz")
    scores = FixedModel(built.quantized.fixed).scores(data.images)
    assert found["schema"] == "systolith.classification/1"
    assert found["bit_exact"] and found["port"] == "simulated board" and found["resent"] == 0
    assert found["verilog_sha256"] == built.manifest.verilog_sha256
    assert [each["label"] for each in found["images"]] == data.known_labels.tolist()
    for name in ("", "expected_"):
        assert [each[f"{name}class"] for each in found["images"]] == scores.argmax(1).tolist()
        assert [each[f"{name}score"] for each in found["images"]] == scores.max(1).tolist()
    assert found["correct"] == int((scores.argmax(1) == data.labels).sum())


def test_a_board_on_a_serial_port(
    here: Path, program: BoardProgram, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulated_board.simulated_board(program) as board, serial_line(board) as port:
        assert main(f"classify rtl --serial {port} --data images.npz --images 3".split()) == 0
        out = capsys.readouterr().out
        assert f"tiny on {port}" in out and "bit-exact        yes" in out
        assert len(re.findall(r"(?m)^ +\d ", out)) == 3

        changed = here / "changed"
        shutil.copytree(here / "rtl", changed)
        with (changed / "tiny.v").open("a") as verilog:
            verilog.write("// changed\n")
        message = refused(capsys, f"changed --serial {port} --data images.npz", 2)
        assert f"{port}: has the accelerator " in message and "for images of 5 x 4 x 1" in message


def test_a_wrong_result_ends_with_1(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = FixedModel.scores
    monkeypatch.setattr(FixedModel, "scores", lambda self, images: right(self, images) + 1)
    assert main("classify rtl --simulated --data images.npz --images 2".split()) == 1
    out, err = capsys.readouterr()
    assert "bit-exact" not in out
    assert re.match(r"systolith: image 0: class \d with the score .*the fixed-point model has", err)
    assert "(and 1 more)" in err


def test_what_cannot_be_done_is_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = "--data images.npz"
    assert "--serial" in refused(capsys, f"rtl {data}", 2)
    assert "--serial" in refused(capsys, f"rtl --serial x --simulated {data}", 2)
    assert "--baud" in refused(capsys, f"rtl --simulated --baud 9600 {data}", 2)
    assert "not on the digits that ship" in refused(capsys, "rtl --simulated", 2)
    missing = here / "ttyUSB0"
    message = refused(capsys, f"rtl --serial {missing} {data}", 3)
    assert message == f"systolith: {missing}: there is no such port\n"
    (here / "rtl" / "board.json").write_text("{}")
    assert "board.json" in refused(capsys, f"rtl --serial {missing} {data}", 2)
    record = BoardRecord(
        "systolith.board/1", "x", "y", 9600, 60.0, 70.0, {}, "0" * 64, "1" * 64, {}
    )
    (here / "rtl" / "board.json").write_bytes(record.to_json())
    message = refused(capsys, f"rtl --serial {missing} --baud 9600 {data}", 2)
    assert "rtl/board.json: is of another tiny.v than that in the folder: make the" in message
    (here / "rtl" / "board.json").unlink()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    message = refused(capsys, f"rtl --serial {missing} {data}", 3)
    assert "pyserial, which opens serial ports" in message and "[board]" in message


RUN = BoardRun(
    results=tuple(Result(False, *each) for each in ((0, 1234), (0, -5), (1, 77), (1, -1))),
    expected=((0, 1234), (0, -6), (1, 77), (2, -1)),
    resent=3,
)


@pytest.fixture
def ran(here: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Name and speed of the port, the seconds for an answer, and the images that it got.

    An answer takes as many seconds as the speed says, and `RUN` comes back.
    """
    seen: list[Any] = []

    @contextmanager
    def open_port(name: str, baud: int) -> Iterator[Any]:
        seen.extend((name, baud))
        yield SimpleNamespace(name=name)

    def run(built: object, images: object, port: Port, seconds: float, *_: object) -> BoardRun:
        seen.extend((seconds, images))
        return RUN

    monkeypatch.setattr("systolith.hw.boards.serial_port.open_port", open_port)
    monkeypatch.setattr("systolith.sim.boards.board_run.answer_seconds", lambda _, baud: baud)
    monkeypatch.setattr("systolith.sim.boards.board_run.run_on_board", run)
    return seen


@pytest.mark.parametrize(
    ("recorded", "option", "baud"),
    [(None, "", 1_000_000), (9600, "", 9600), (9600, "--baud 19200", 19200)],
)
def test_the_line_is_as_fast_as_the_option_or_the_board_says(
    recorded: int | None, option: str, baud: int, ran: list[Any], here: Path
) -> None:
    """And an answer may take as long as that speed needs."""
    built = artifacts.load("rtl")
    if recorded is not None:
        record = BoardRecord(
            *("systolith.board/1", "x", "y", recorded, 60.0, 70.0, {}),
            *(built.verilog_sha256, "1" * 64, {}),
        )
        (here / "rtl" / "board.json").write_bytes(record.to_json())
    words = f"classify rtl --serial x --data images.npz --images 4 {option}"
    assert main(words.split()) == 1
    (here / "rtl" / "board.json").unlink(missing_ok=True)
    assert ran[:3] == ["x", baud, baud]


def test_each_image_has_its_own_results_and_the_first_wrong_one_is_named(
    ran: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """The second image has another score than in the model, and the last one another class."""
    built, data = artifacts.load("rtl"), load_dataset("images.npz")
    words = "classify rtl --serial x --data images.npz --images 4"
    assert main([*words.split(), "--json"]) == 1
    out, err = capsys.readouterr()
    assert np.array_equal(ran[3], data.images[:4])
    used = data.take(4)
    assert json.loads(out) == {
        "schema": "systolith.classification/1",
        "network": "tiny",
        "quantized_sha256": built.quantized.sha256,
        "verilog_sha256": built.manifest.verilog_sha256,
        "as_generated": True,
        "port": "x",
        "dataset": {"name": "images.npz", "split": used.split, "sha256": used.sha256},
        "bit_exact": False,
        # The labels of the file are 0, 1, 2, 0.
        "correct": 1,
        "resent": 3,
        "images": [
            {
                "label": label,
                "class": found.index,
                "score": found.score,
                "expected_class": index,
                "expected_score": score,
            }
            for label, found, (index, score) in zip(
                (0, 1, 2, 0), RUN.results, RUN.expected, strict=True
            )
        ],
    }
    assert err == (
        "systolith: image 1: class 0 with the score -5, the fixed-point model has 0 with -6 "
        "(and 1 more)\n"
    )
    assert main(words.split()) == 1
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for row in (
        "image label class score model's class model's score",
        *("0 0 0 1,234 0 1,234", "1 1 0 -5 0 -6", "2 2 1 77 1 77", "3 0 1 -1 2 -1"),
        *("accuracy 1 of 4 right", "sent again 3"),
    ):
        assert row in rows
    assert not any("bit-exact" in row for row in rows)


def test_silence_is_an_error(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("systolith.sim.boards.board_run.answer_seconds", lambda *_: 0.1)
    other, port = pty.openpty()
    tty.setraw(port)
    name = os.ttyname(port)
    message = refused(capsys, f"rtl --serial {name} --data images.npz", 3)
    assert message == f"systolith: {name}: no answer in 0.1 seconds\n"
    os.close(other)
    os.close(port)
