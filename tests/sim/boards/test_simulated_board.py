"""A board at the pins of its line: exact, with stalls, with damaged bytes and with bad packets."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from systolith import hw
from systolith.hw.boards.board_client import BoardClient, Port, WrongBoardError
from systolith.hw.boards.packets import ErrorCode, Identity, Kind, Packet, PacketReader, Result
from systolith.hw.boards.serial_accelerator import identity_of
from systolith.hw.verilog import artifacts
from systolith.hw.verilog.artifacts import Artifacts
from systolith.sim.boards.board_run import run_on_board
from systolith.sim.boards.simulated_board import (
    BoardProgram,
    SimulatedBoard,
    build_board,
    simulated_board,
)
from systolith.sim.errors import SimulationError
from tests.hw.small_networks import ONE_LAYER, quantized

_CLOCKS = 4
_SECONDS = 0.05
_IMAGES = np.random.default_rng(4).integers(0, 256, (24, 2, 3, 1), dtype=np.uint8)

_STALLING = """
module {top}(input aclk, aresetn, input [7:0] s_axis_tdata, input s_axis_tvalid, s_axis_tlast,
  output s_axis_tready, output [63:0] m_axis_tdata, output m_axis_tuser, m_axis_tvalid,
  m_axis_tlast, input m_axis_tready);
  // Waits after every odd pixel, so that most images come faster than they go.
  reg [8:0] waiting = 0;
  wire open = waiting == 0;
  wire ready;
  always @(posedge aclk)
    if (!open) waiting <= waiting - 1;
    else if (s_axis_tvalid && ready && s_axis_tdata[0]) waiting <= 400;
  assign s_axis_tready = ready && open;
  {top}_inner inner(.aclk(aclk), .aresetn(aresetn), .s_axis_tdata(s_axis_tdata),
    .s_axis_tvalid(s_axis_tvalid && open), .s_axis_tready(ready), .s_axis_tlast(s_axis_tlast),
    .m_axis_tdata(m_axis_tdata), .m_axis_tuser(m_axis_tuser), .m_axis_tvalid(m_axis_tvalid),
    .m_axis_tready(m_axis_tready), .m_axis_tlast(m_axis_tlast));
endmodule
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    """A small accelerator, made slower than the line."""
    folder = tmp_path_factory.mktemp("board") / "rtl"
    top = hw.generate(quantized(ONE_LAYER), folder).top
    generated = artifacts.load(folder)
    inner, count = re.subn(rf"(?m)^module {top}\b", f"module {top}_inner", generated.verilog)
    assert count == 1
    return replace(generated, verilog=inner + _STALLING.format(top=top))


@pytest.fixture(scope="module")
def program(built: Artifacts) -> BoardProgram:
    return build_board(built, _CLOCKS)


@pytest.fixture
def board(program: BoardProgram) -> Iterator[SimulatedBoard]:
    with simulated_board(program) as port:
        yield port


def answers(port: Port, count: int) -> list[Packet | None]:
    """The next packets from a board; nothing comes after them."""
    found: list[Packet | None] = []
    reader = PacketReader()
    while piece := port.read(0.01):
        found += reader.feed(piece)
    assert len(found) == count
    return found


def image(number: int, place: int = 0) -> bytes:
    return Packet(Kind.IMAGE, number, _IMAGES[place].tobytes()).to_bytes()


def error(number: int, code: ErrorCode) -> Packet:
    return Packet(Kind.ERROR, number, bytes([code]))


def test_every_result_is_that_of_the_model_though_the_accelerator_stalls(
    built: Artifacts, board: SimulatedBoard
) -> None:
    done: list[tuple[int, int]] = []
    run = run_on_board(built, _IMAGES, board, _SECONDS, lambda *each: done.append(each))
    assert run.mismatches == () and run.resent == 0
    assert done == [(count, len(_IMAGES)) for count in range(1, len(_IMAGES) + 1)]
    assert len({result.score for result in run.results}) == len(_IMAGES)
    changed = replace(
        run, expected=((run.expected[0][0], run.expected[0][1] + 1), *run.expected[1:])
    )
    assert changed.mismatches == (0,)


@pytest.mark.parametrize("even", [False, True])
def test_images_beyond_the_window_are_refused_and_the_others_are_right(
    built: Artifacts, board: SimulatedBoard, even: bool
) -> None:
    """With odd pixels the accelerator is slower than the line; with none, answers are slower."""
    images = np.tile(_IMAGES, (4, 1, 1, 1)) & np.uint8(0xFE if even else 0xFF)
    expected = run_on_board(built, images, board, _SECONDS).expected
    packets = [Packet(Kind.IMAGE, place, image.tobytes()) for place, image in enumerate(images)]
    board.write(b"".join(packet.to_bytes() for packet in packets))
    found = answers(board, len(images))
    refused = [each for each in found if each and each.kind == Kind.ERROR]
    assert all(each == error(each.number, ErrorCode.BUSY) for each in refused)
    results = [each for each in found if each and each.kind == Kind.RESULT]
    assert len(refused) >= 5 and len(results) >= 20
    for each in results:
        result = Result.from_body(each.body)
        assert result is not None
        assert (result.index, result.score) == expected[each.number]


def test_bad_packets_are_answered_with_errors_and_have_no_effect(board: SimulatedBoard) -> None:
    size = len(_IMAGES[0].tobytes())
    good = image(9)
    damaged = good[:5] + bytes([good[5] ^ 4]) + good[6:]
    for bad, answer in (
        (damaged, error(0, ErrorCode.BROKEN)),
        (good[:5] + good[6:], error(0, ErrorCode.BROKEN)),
        (good[:5], error(0, ErrorCode.BROKEN)),
        (b"\x00", error(0, ErrorCode.BROKEN)),
        (b"\x7e\x00\x00\x00\x00\x7e", error(0, ErrorCode.BROKEN)),
        (Packet(Kind.IMAGE, 4, bytes(size - 1)).to_bytes(), error(4, ErrorCode.LENGTH)),
        (Packet(Kind.IMAGE, 5, bytes(size + 1)).to_bytes(), error(5, ErrorCode.LENGTH)),
        (Packet(Kind.IMAGE, 5, bytes(3 * size)).to_bytes(), error(5, ErrorCode.LENGTH)),
        (Packet(Kind.HELLO, 6, b"\x00").to_bytes(), error(6, ErrorCode.LENGTH)),
        (Packet(Kind.RESULT, 7).to_bytes(), error(7, ErrorCode.UNKNOWN)),
    ):
        board.write(bad + image(8))
        found, after = answers(board, 2)
        assert found == answer, bad.hex(" ")
        assert after is not None and (after.kind, after.number) == (Kind.RESULT, 8)


def test_a_greeting_drops_what_has_no_answer(built: Artifacts, board: SimulatedBoard) -> None:
    whole = image(1) + image(2)
    board.write(whole + image(3)[:5] + Packet(Kind.HELLO, 77).to_bytes())
    broken, greeting = answers(board, 2)
    assert broken == error(0, ErrorCode.BROKEN)
    assert greeting == Packet(Kind.IDENTITY, 77, identity_of(built).to_body())
    run = run_on_board(built, _IMAGES[5:8], board, _SECONDS)
    assert run.mismatches == () and run.resent == 0
    # The next number comes while the answer waits for those of two errors.
    board.write(b"\x00\x7e\x00\x7e" + Packet(Kind.HELLO, 78).to_bytes() + image(5))
    found = [(each.kind, each.number) for each in answers(board, 4) if each]
    assert found == [(Kind.ERROR, 0)] * 2 + [(Kind.IDENTITY, 78), (Kind.RESULT, 5)]


class _NoisyLine:
    """A line that loses, changes and adds bytes at random, in both directions."""

    name = "noisy line"

    def __init__(self, port: Port, seed: int) -> None:
        self._port = port
        self._random = random.Random(seed)
        self.faults = 0

    def _spoilt(self, content: bytes) -> bytes:
        line = bytearray()
        for byte in content:
            if self._random.random() > 0.001:
                line.append(byte)
                continue
            self.faults += 1
            other = self._random.randrange(256)
            line += self._random.choice([b"", bytes([other]), bytes([byte, other]), b"\x7e"])
        return bytes(line)

    def write(self, content: bytes) -> None:
        self._port.write(self._spoilt(content))

    def read(self, seconds: float) -> bytes:
        while piece := self._port.read(seconds):
            if spoilt := self._spoilt(piece):
                return spoilt
        return b""


@pytest.mark.parametrize("seed", range(3))
def test_no_fault_of_the_line_makes_a_wrong_result(
    built: Artifacts, board: SimulatedBoard, seed: int
) -> None:
    line = _NoisyLine(board, seed)
    run = run_on_board(built, np.tile(_IMAGES, (30, 1, 1, 1)), line, _SECONDS)
    assert run.mismatches == ()
    assert line.faults >= 5 and run.resent > 0


def test_a_board_with_other_hardware_is_refused(built: Artifacts, board: SimulatedBoard) -> None:
    expected = identity_of(built)
    other: Identity = replace(expected, verilog_hash=bytes(8))
    with pytest.raises(
        WrongBoardError,
        match=f"simulated board: has the accelerator {expected.verilog_hash.hex()} for images of "
        "2 x 3 x 1, not 0000000000000000 for images of 2 x 3 x 1",
    ):
        BoardClient(board, other, _SECONDS)


def answering(answers: bytes) -> tuple[SimulatedBoard, io.BytesIO]:
    """A board whose simulation has these answers, and what it is told."""
    told = io.BytesIO()
    process: Any = SimpleNamespace(stdin=told, stdout=io.BytesIO(answers), wait=lambda: -6)
    return SimulatedBoard(process), told


def test_a_second_has_a_million_cycles_and_the_longest_wait_fits_four_bytes() -> None:
    board, told = answering(b"\0\0\0\1\x41")
    assert [board.read(seconds) for seconds in (0.5, 10_000.0, 0.0)] == [b"", b"", b""]
    board.write(b"xyz")
    assert board.read(1.0) == b"A"
    waits = [(500_000).to_bytes(4, "little"), b"\xff" * 4, bytes(4)]
    after = b"W" + (3).to_bytes(4, "little") + b"xyz" + b"R" + (1_000_000).to_bytes(4, "little")
    assert told.getvalue() == b"".join(b"R" + wait for wait in waits) + after


def test_a_byte_without_a_stop_bit_and_an_end_without_an_answer_are_errors() -> None:
    board, _ = answering(b"\2\x41")
    with pytest.raises(SimulationError, match="simulated board: a byte has no stop bit"):
        board.read(1.0)
    with pytest.raises(SimulationError, match="simulated board: was killed by signal 6"):
        board.read(1.0)


@pytest.mark.parametrize("clocks", [4, 10])
def test_the_speed_of_the_line_is_that_of_its_bits(clocks: int) -> None:
    assert BoardProgram(Path("board"), clocks).bits_per_second == 1_000_000 / clocks


def test_a_simulation_that_died_is_an_error(program: BoardProgram) -> None:
    with (
        simulated_board(replace(program, clocks_per_bit=0)) as port,
        pytest.raises(SimulationError, match="simulated board: ended with status 11"),
    ):
        port.read(0.01)
