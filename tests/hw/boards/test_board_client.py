"""The host's side, with boards that behave and misbehave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from systolith.hw.boards.board_client import (
    BoardClient,
    BoardError,
    WrongBoardError,
)
from systolith.hw.boards.packets import Identity, Kind, Packet, PacketReader, Result

_IDENTITY = Identity(1, 2, 2, 2, 1, bytes(range(8)))
_IMAGES = [bytes([place] * 4) for place in range(6)]

Answer = Callable[[Packet], bytes]


class _Board:
    """A board that answers in Python; a test replaces some of its answers."""

    name = "port"

    def __init__(self, answer: Answer | None = None) -> None:
        self._reader = PacketReader()
        self._answers: list[bytes] = []
        self._answer = answer or right
        self.received: list[Packet] = []
        self.seconds: set[float] = set()

    def write(self, content: bytes) -> None:
        for packet in self._reader.feed(content):
            assert packet is not None
            self.received.append(packet)
            self._answers.append(self._answer(packet))

    def read(self, seconds: float) -> bytes:
        self.seconds.add(seconds)
        return self._answers.pop(0) if self._answers else b""


def right(packet: Packet) -> bytes:
    """The answer of a board in order; the class is the first pixel."""
    if packet.kind == Kind.HELLO:
        return Packet(Kind.IDENTITY, packet.number, _IDENTITY.to_body()).to_bytes()
    body = bytes([0, packet.body[0], 0, 0, 0]) + (-packet.body[0]).to_bytes(
        4, "little", signed=True
    )
    return Packet(Kind.RESULT, packet.number, body).to_bytes()


def once(fault: Answer) -> Answer:
    """A board whose answer to the third image is `fault`, and right when it comes again."""
    seen: list[Packet] = []

    def answer(packet: Packet) -> bytes:
        if packet.kind == Kind.IMAGE and packet.body == _IMAGES[2] and not seen:
            seen.append(packet)
            return fault(packet)
        return right(packet)

    return answer


def always(fault: Answer, kind: Kind = Kind.IMAGE) -> Answer:
    return lambda packet: fault(packet) if packet.kind == kind else right(packet)


def error(code: int) -> Answer:
    return lambda packet: Packet(Kind.ERROR, packet.number, bytes([code])).to_bytes()


def silence(packet: Packet) -> bytes:
    return b""


def expected() -> Iterator[Result]:
    return (Result(False, place, -place) for place in range(len(_IMAGES)))


def test_results_come_in_order_and_the_window_is_respected() -> None:
    board = _Board()
    client = BoardClient(board, _IDENTITY, 0.5)
    results = client.classify(_IMAGES)
    assert next(results) == Result(False, 0, 0)
    assert [packet.kind for packet in board.received] == [Kind.HELLO, Kind.IMAGE, Kind.IMAGE]
    assert list(results) == list(expected())[1:]
    assert client.resent == 0 and board.seconds == {0.5}
    assert len({packet.number for packet in board.received}) == len(board.received)


@pytest.mark.parametrize(
    "fault",
    [
        silence,
        error(1),
        error(3),
        lambda packet: right(packet)[:-3] + b"\x7e",
        lambda packet: right(replace(packet, number=packet.number ^ 0x80)),
        lambda packet: Packet(Kind.RESULT, packet.number, b"\x00").to_bytes(),
        lambda packet: Packet(0x99, packet.number).to_bytes(),
        # As long as a result, but none.
        lambda packet: Packet(0x99, packet.number, bytes(9)).to_bytes(),
    ],
)
def test_one_fault_is_repaired(fault: Answer) -> None:
    board = _Board(once(fault))
    client = BoardClient(board, _IDENTITY, 0.5)
    assert list(client.classify(_IMAGES)) == list(expected())
    assert 1 <= client.resent <= 2
    assert [packet.kind for packet in board.received].count(Kind.HELLO) == 2


def test_every_image_may_fail_twice_and_none_three_times_in_a_row() -> None:
    def failing(times: int) -> Answer:
        tries: Counter[bytes] = Counter()

        def answer(packet: Packet) -> bytes:
            tries[packet.body] += packet.kind == Kind.IMAGE
            return (error(1) if 0 < tries[packet.body] <= times else right)(packet)

        return answer

    single = replace(_IDENTITY, window=1)

    def greeted(fault: Answer) -> _Board:
        """A board with room for one image."""

        def answer(packet: Packet) -> bytes:
            hello = Packet(Kind.IDENTITY, packet.number, single.to_body()).to_bytes()
            return hello if packet.kind == Kind.HELLO else fault(packet)

        return _Board(answer)

    client = BoardClient(greeted(failing(2)), single, 0.5)
    assert list(client.classify(_IMAGES)) == list(expected())
    assert client.resent == 2 * len(_IMAGES)
    with pytest.raises(BoardError, match="port: image 0: it came damaged to the board"):
        list(BoardClient(greeted(failing(3)), single, 0.5).classify(_IMAGES))


def test_all_images_without_an_answer_are_sent_again_from_the_first_of_them() -> None:
    """The board has no room for the third, and the fourth has no answer yet."""
    board = _Board(once(error(3)))
    client = BoardClient(board, _IDENTITY, 0.5)
    assert list(client.classify(_IMAGES)) == list(expected())
    assert client.resent == 2
    sent = [packet.body for packet in board.received if packet.kind == Kind.IMAGE]
    assert sent == [*_IMAGES[:4], *_IMAGES[2:]]


def test_an_image_whose_answer_is_lost_among_others_is_sent_again_alone() -> None:
    """The answers of all later images come before the line is silent."""

    class Losing(_Board):
        def write(self, content: bytes) -> None:
            super().write(content)
            self._answers = [answer for answer in self._answers if answer]

    board = Losing(once(silence))
    client = BoardClient(board, _IDENTITY, 0.5)
    assert list(client.classify(_IMAGES)) == list(expected())
    assert client.resent == 1
    sent = [packet.body for packet in board.received if packet.kind == Kind.IMAGE]
    assert sent == [*_IMAGES, _IMAGES[2]]


def test_an_image_that_stays_wrong_is_named_by_its_number() -> None:
    def fault(packet: Packet) -> bytes:
        return (silence if packet.body == _IMAGES[3] else right)(packet)

    results = BoardClient(_Board(always(fault)), _IDENTITY, 0.5).classify(_IMAGES)
    with pytest.raises(BoardError, match="port: image 3: no answer in"):
        list(results)


@pytest.mark.parametrize(
    "changes",
    [{"window": 3}, {"height": 9}, {"width": 9}, {"channels": 9}, {"verilog_hash": bytes(8)}],
)
def test_every_part_of_the_identity_is_compared(changes: dict[str, Any]) -> None:
    with pytest.raises(WrongBoardError, match="port: has the accelerator 0001020304050607 for"):
        BoardClient(_Board(), replace(_IDENTITY, **changes), 0.5)


def test_noise_in_small_pieces_is_noise_as_well() -> None:
    """A byte at a time, without end."""

    class Noisy(_Board):
        def read(self, seconds: float) -> bytes:
            return b"U"

    with pytest.raises(BoardError, match="port: bytes that are no answer: is the speed right"):
        BoardClient(Noisy(), _IDENTITY, 0.5)


def test_a_lost_error_does_not_shift_the_results() -> None:
    """The result of the fourth image comes, and nothing for the third."""
    client = BoardClient(_Board(once(silence)), _IDENTITY, 0.5)
    assert [result.index for result in client.classify(_IMAGES)] == list(range(6))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (silence, "port: image 0: no answer in 0.5 seconds"),
        (error(1), "port: image 0: it came damaged to the board"),
        (error(2), "port: image 0: the board takes packets of another length"),
        (error(3), "port: image 0: the board has no room for it"),
        (error(4), "port: image 0: the board does not know this kind of packet"),
        (error(9), "port: image 0: the board answered with the unknown error 9"),
        (lambda packet: b"\x55" * 5000, "port: image 0: bytes that are no answer"),
        (
            lambda packet: Packet(Kind.RESULT, packet.number, b"\x01" + bytes(8)).to_bytes(),
            "port: the accelerator takes images of another size",
        ),
    ],
)
def test_what_stays_wrong_is_an_error(fault: Answer, message: str) -> None:
    client = BoardClient(_Board(always(fault)), _IDENTITY, 0.5)
    with pytest.raises(BoardError, match=message):
        list(client.classify(_IMAGES))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (silence, "port: no answer in 0.5 seconds"),
        (lambda packet: b"\x55" * 5000, "port: bytes that are no answer: is the speed right?"),
        (lambda packet: b"U", "port: bytes that are no answer"),
        (lambda packet: b"\x7e\x01\x7e" * 100, "port: many answers, but none to a greeting"),
        (
            lambda packet: Packet(
                Kind.IDENTITY, packet.number, replace(_IDENTITY, version=2).to_body()
            ).to_bytes(),
            "port: speaks another version of the protocol than 1",
        ),
    ],
)
def test_who_does_not_greet_is_no_board(fault: Answer, message: str) -> None:
    board = _Board(always(fault, Kind.HELLO))
    with pytest.raises(BoardError, match=message):
        BoardClient(board, _IDENTITY, 0.5)
    assert len(board.received) == (1 if "version" in message else 3)


def test_what_was_left_on_the_line_is_dropped() -> None:
    def late(packet: Packet) -> bytes:
        old = Packet(Kind.RESULT, packet.number, bytes(9)).to_bytes()
        return b"\x12\x34" + old + right(replace(packet, number=99)) + right(packet)

    board = _Board(always(late, Kind.HELLO))
    assert list(BoardClient(board, _IDENTITY, 0.5).classify(_IMAGES)) == list(expected())


def test_another_accelerator_is_refused() -> None:
    other = replace(_IDENTITY, verilog_hash=b"\xff" * 8, width=3)
    with pytest.raises(
        WrongBoardError,
        match="port: has the accelerator 0001020304050607 for images of 2 x 2 x 1, "
        "not ffffffffffffffff for images of 2 x 3 x 1",
    ):
        BoardClient(_Board(), other, 0.5)


def test_numbers_start_again() -> None:
    board = _Board()
    images = [_IMAGES[place % 6] for place in range(600)]
    results = list(BoardClient(board, _IDENTITY, 0.5).classify(images))
    assert [result.index for result in results] == [place % 6 for place in range(600)]
    assert {packet.number for packet in board.received} == set(range(1, 256))
