"""The host's side of a board: sends images, and collects the results.

It works on a `Port`: a real one (`boards.serial_port`) or a simulated board (`sim.boards`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from systolith.hw.boards.packets import (
    VERSION,
    ErrorCode,
    Identity,
    Kind,
    Packet,
    PacketReader,
    Result,
)

TRIES = 3
"""The times that something is tried without an answer."""

_MOST_NUMBER = 255
_MOST_NOISE = 4096  # bytes without a packet
_MOST_DROPPED = 64  # packets before the answer to a greeting
_BROKEN = "a damaged answer"
_REASONS: Mapping[int, str] = {
    ErrorCode.BROKEN: "it came damaged to the board",
    ErrorCode.LENGTH: "the board takes packets of another length",
    ErrorCode.BUSY: "the board has no room for it",
    ErrorCode.UNKNOWN: "the board does not know this kind of packet",
}


class Port(Protocol):
    """A serial line, seen from the host.

    Parameters
    ----------
    name
        Its name in messages.
    """

    name: str

    def write(self, content: bytes) -> None:
        """Send bytes."""

    def read(self, seconds: float) -> bytes:
        """Wait for at least one byte; none came within that time if it returns none."""


class BoardError(OSError):
    """A board gave no answer, or one that it must not give; the message has the port's name."""


class WrongBoardError(ValueError):
    """A board that has another accelerator than the one asked for; the message has both."""


class BoardClient:
    """A connection to a board with a given accelerator, which it resets and identifies.

    Whatever is lost or damaged on the line is sent again, after a reset of the board, so that no
    result can belong to another image. What cannot be repaired is an error.

    Parameters
    ----------
    port
        The line.
    expected
        What the board must have.
    seconds
        How long to wait for an answer.

    Raises
    ------
    BoardError
        No answer, or the board has another version of the protocol.
    WrongBoardError
        The board has another accelerator.
    """

    def __init__(self, port: Port, expected: Identity, seconds: float) -> None:
        self._port = port
        self._seconds = seconds
        self._reader = PacketReader()
        self._answers: deque[Packet | None] = deque()
        self._number = 0
        self._expected = expected
        self.resent = 0
        self._greet()

    def classify(self, images: Sequence[bytes]) -> Iterator[Result]:
        """Send images, each in the order of a stream, and yield their results in order.

        `resent` counts the images that were sent more than once.

        Raises
        ------
        BoardError
            No answer after `TRIES` tries, or the board refuses an image.
        """
        results: dict[int, Result] = {}
        sent: dict[int, int] = {}  # the places of images without an answer, by their numbers
        upcoming = yielded = failures = 0
        while yielded < len(images):
            while upcoming < len(images) and len(sent) < self._expected.window:
                if upcoming not in results:
                    number = self._next_number()
                    self._port.write(Packet(Kind.IMAGE, number, images[upcoming]).to_bytes())
                    sent[number] = upcoming
                upcoming += 1
            problem = self._take_result(sent, results)
            if problem is None:
                failures = 0
            else:
                failures += 1
                if failures == TRIES:
                    raise BoardError(f"{self._port.name}: image {min(sent.values())}: {problem}")
                self._greet()
                self.resent += len(sent)
                upcoming = min(sent.values())
                sent.clear()
            while yielded in results:
                yield results.pop(yielded)
                yielded += 1

    def _take_result(self, sent: dict[int, int], results: dict[int, Result]) -> str | None:
        """Receive the result of an image; returns what went wrong, if something did."""
        answer = self._receive()
        if isinstance(answer, str):
            return answer
        if answer.kind == Kind.RESULT and answer.number in sent:
            result = Result.from_body(answer.body)
            if result is not None:
                if result.wrong_length:
                    raise BoardError(
                        f"{self._port.name}: the accelerator takes images of another size"
                    )
                results[sent.pop(answer.number)] = result
                return None
        if answer.kind == Kind.ERROR and len(answer.body) == 1:
            code = answer.body[0]
            return _REASONS.get(code, f"the board answered with the unknown error {code}")
        return f"an answer of kind {answer.kind:#04x} that fits no image"

    def _greet(self) -> None:
        """Reset the board, and see that it has the accelerator; earlier answers are dropped."""
        problem = ""
        for _ in range(TRIES):
            hello = Packet(Kind.HELLO, self._next_number())
            self._port.write(hello.to_bytes())
            for _ in range(_MOST_DROPPED):
                answer = self._receive()
                if isinstance(answer, Packet):
                    if answer.kind == Kind.IDENTITY and answer.number == hello.number:
                        self._require_expected(answer.body)
                        return
                elif answer != _BROKEN:
                    problem = answer
                    break
            else:
                problem = "many answers, but none to a greeting"
        raise BoardError(f"{self._port.name}: {problem}")

    def _require_expected(self, body: bytes) -> None:
        found, expected = Identity.from_body(body), self._expected
        if found is None or found.version != VERSION:
            raise BoardError(
                f"{self._port.name}: speaks another version of the protocol than {VERSION}"
            )
        if found != expected:
            raise WrongBoardError(
                f"{self._port.name}: has the accelerator {_words(found)}, not {_words(expected)}"
            )

    def _next_number(self) -> int:
        """Numbers are used in turn, so that no answer from before a reset fits."""
        self._number = self._number % _MOST_NUMBER + 1
        return self._number

    def _receive(self) -> Packet | str:
        """The next packet; in words if there is none, or `_BROKEN`."""
        noise = 0
        while not self._answers:
            piece = self._port.read(self._seconds)
            noise += len(piece)
            if not piece or noise > _MOST_NOISE:
                noisy = "bytes that are no answer: is the speed right?"
                return noisy if noise else f"no answer in {self._seconds:.1f} seconds"
            self._answers.extend(self._reader.feed(piece))
        return self._answers.popleft() or _BROKEN


def _words(identity: Identity) -> str:
    """The accelerator of a board."""
    shape = f"{identity.height} x {identity.width} x {identity.channels}"
    return f"{identity.verilog_hash.hex()} for images of {shape}"
