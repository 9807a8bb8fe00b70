"""Images through a board that answers in Python: what differs, and how long an answer may take."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from systolith.golden.fixed.execution import FixedModel
from systolith.golden.quantization.quantized_network import QuantizedNetwork
from systolith.hw.boards.packets import Kind, Packet, PacketReader
from systolith.hw.boards.serial_accelerator import identity_of
from systolith.hw.streams.input_layout import InputLayout
from systolith.hw.streams.result_layout import result_layout
from systolith.sim.boards.board_run import answer_seconds, run_on_board
from tests.hw.small_networks import EVERY_KIND, ONE_LAYER, quantized

IMAGES = np.random.default_rng(1).integers(0, 256, (7, 9, 8, 2), dtype=np.uint8)


def folder(network: QuantizedNetwork, latency: int = 9) -> Any:
    """What is read of a folder of hardware."""
    ports = "[7:0] s_axis_tdata, output [63:0] m_axis_tdata"
    return SimpleNamespace(
        quantized=network,
        manifest=SimpleNamespace(
            top="top",
            files=SimpleNamespace(verilog="top.v"),
            input=InputLayout(1, 8, False),
            result=result_layout(network.fixed.layers[-1], "class"),
            predicted=SimpleNamespace(interval_cycles=5, latency_cycles=latency),
        ),
        verilog=f"module top(input {ports});",
        verilog_sha256="0123456789abcdef" * 4,
    )


class Board:
    """Answers each image with its result; the answer to one comes damaged the first time."""

    name = "board"

    def __init__(self, identity: bytes, results: dict[bytes, tuple[int, int]], damaged: bytes):
        self.reader = PacketReader()
        self.identity, self.results, self.damaged = identity, results, damaged
        self.answers: list[bytes] = []

    def write(self, content: bytes) -> None:
        for packet in self.reader.feed(content):
            assert packet is not None
            kind, body = Kind.IDENTITY, self.identity
            if packet.kind == Kind.IMAGE:
                index, score = self.results[packet.body]
                kind = Kind.RESULT
                body = (
                    b"\0" + index.to_bytes(4, "little") + score.to_bytes(4, "little", signed=True)
                )
            answer = Packet(kind, packet.number, body).to_bytes()
            if packet.kind == Kind.IMAGE and packet.body == self.damaged:
                answer, self.damaged = answer[:-4] + answer[-1:], b""
            self.answers.append(answer)

    def read(self, seconds: float) -> bytes:
        return self.answers.pop(0) if self.answers else b""


def test_a_wrong_class_and_a_wrong_score_are_mismatches() -> None:
    """The smallest score wins in this network, so that the winner's is not the largest."""
    network = quantized(EVERY_KIND)
    assert network.fixed.layers[-1].layer.winner == "smallest"
    scores = FixedModel(network.fixed).run(IMAGES).outputs["output"].reshape(len(IMAGES), -1)
    right = [(int(np.argmin(row)), int(min(row))) for row in scores.tolist()]
    assert len(set(right)) > 3
    given = [*right]
    given[1] = (right[1][0], right[1][1] + 1)
    given[4] = ((right[4][0] + 1) % 3, right[4][1])
    built = folder(network)
    results = dict(zip((image.tobytes() for image in IMAGES), given, strict=True))
    board = Board(identity_of(built).to_body(), results, damaged=IMAGES[5].tobytes())
    done: list[tuple[int, int]] = []
    run = run_on_board(built, IMAGES, board, 0.1, lambda *each: done.append(each))
    assert run.mismatches == (1, 4)
    assert run.expected == tuple(right)
    assert [(each.index, each.score) for each in run.results] == given
    # With the damaged answer, the image that was under way is sent again as well.
    assert run.resent == 2
    assert done == [(number, 7) for number in range(1, 8)]
    labels = np.array([index for index, _ in right])
    assert run.correct(labels) == 6
    assert run.correct((labels + 1) % 3) == (given[4][0] == (right[4][0] + 1) % 3)


@pytest.mark.parametrize(
    ("bits_per_second", "latency", "seconds"),
    [
        # Two images of 6 bytes, each of which takes two if escaped; 10 bits a byte, twice the time.
        (480.0, 0, 1 + 1),
        (4800.0, 0, 1 + 0.1),
        # Two images of so many cycles at 1 MHz.
        (480.0, 250_000, 1 + 1 + 0.5),
    ],
)
def test_a_host_waits_for_the_line_and_the_accelerator(
    bits_per_second: float, latency: int, seconds: float
) -> None:
    built = folder(quantized(ONE_LAYER), latency)
    assert identity_of(built).window == 2
    assert answer_seconds(built, bits_per_second) == pytest.approx(seconds)
