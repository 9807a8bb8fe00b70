"""The packets between a host and an accelerator on a board, as bytes.

The hardware (`boards.framing`, `boards.serial_accelerator`) and the host (`boards.board_client`)
both follow what is here; docs/board.md describes it byte by byte. The framing is that of RFC 1662
(PPP in HDLC-like framing), and its 32-bit check sequence is `zlib.crc32`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

FLAG = 0x7E
"""Stands before and after every packet, and nowhere else."""

ESCAPE = 0x7D
"""Stands before a byte of a packet that is `FLAG` or `ESCAPE`, which is then changed."""

ESCAPED = 0x20
"""The bit in which an escaped byte is changed."""

CHECK_BYTES = 4
"""The last bytes of a packet: `zlib.crc32` of the others, the lowest byte first."""

HEAD_BYTES = 2
"""The first bytes of a packet: its kind and its number."""

VERSION = 1
"""The version of the protocol, in the answer to `Kind.HELLO`."""

HASH_BYTES = 8
"""The bytes of the Verilog's SHA-256 in the answer to `Kind.HELLO`: its first ones."""

MOST_SIDE = 2**16 - 1
"""The longest side of an image in the answer to `Kind.HELLO`."""


class Kind(IntEnum):
    """The first byte of a packet; answers have the highest bit set."""

    HELLO = 0x01
    IMAGE = 0x02
    IDENTITY = 0x81
    RESULT = 0x82
    ERROR = 0x83


class ErrorCode(IntEnum):
    """The byte of `Kind.ERROR`: why a packet was dropped."""

    BROKEN = 1
    LENGTH = 2
    BUSY = 3
    UNKNOWN = 4


@dataclass(frozen=True)
class Packet:
    """A packet without its framing.

    Parameters
    ----------
    kind
        Its first byte; one of `Kind`, or a byte that this version does not know.
    number
        Chosen by the host, 0 to 255; an answer has that of the packet it answers, or 0 if that
        packet was broken.
    body
        What follows, without the check sequence.
    """

    kind: int
    number: int
    body: bytes = b""

    def to_bytes(self) -> bytes:
        """The bytes on the line, flags included."""
        content = bytes([self.kind, self.number]) + self.body
        content += zlib.crc32(content).to_bytes(CHECK_BYTES, "little")
        framed = bytearray([FLAG])
        for byte in content:
            framed += bytes([ESCAPE, byte ^ ESCAPED]) if byte in (FLAG, ESCAPE) else bytes([byte])
        return bytes(framed) + bytes([FLAG])


class PacketReader:
    """Finds packets in bytes that come in pieces of any size."""

    def __init__(self) -> None:
        self._content = bytearray()
        self._escaping = False

    def feed(self, piece: bytes) -> Iterator[Packet | None]:
        """The packets that end in a piece; None for one that is broken."""
        for byte in piece:
            if byte == FLAG:
                if self._content or self._escaping:
                    yield self._packet()
                self._content.clear()
                self._escaping = False
            elif byte == ESCAPE:
                self._escaping = True
            else:
                self._content.append(byte ^ ESCAPED if self._escaping else byte)
                self._escaping = False

    def _packet(self) -> Packet | None:
        content, check = self._content[:-CHECK_BYTES], self._content[-CHECK_BYTES:]
        right = zlib.crc32(content).to_bytes(CHECK_BYTES, "little")
        if self._escaping or len(content) < HEAD_BYTES or check != right:
            return None
        return Packet(content[0], content[1], bytes(content[HEAD_BYTES:]))


@dataclass(frozen=True)
class Identity:
    """What a board has: the body of `Kind.IDENTITY`.

    Parameters
    ----------
    version
        Of the protocol.
    window
        The number of images that it holds: the most that may be without an answer.
    height, width, channels
        The shape of an image, of which every value is a byte.
    verilog_hash
        The first `HASH_BYTES` of the SHA-256 of the accelerator's Verilog.
    """

    version: int
    window: int
    height: int
    width: int
    channels: int
    verilog_hash: bytes

    _LAYOUT = struct.Struct(f"<BBHHH{HASH_BYTES}s")

    @property
    def image_bytes(self) -> int:
        """The bytes of an image."""
        return self.height * self.width * self.channels

    def to_body(self) -> bytes:
        """The body of the packet; numbers have their lowest byte first."""
        return self._LAYOUT.pack(
            self.version, self.window, self.height, self.width, self.channels, self.verilog_hash
        )

    @classmethod
    def from_body(cls, body: bytes) -> Identity | None:
        """The identity in a body; None if it is of another length."""
        return cls(*cls._LAYOUT.unpack(body)) if len(body) == cls._LAYOUT.size else None


@dataclass(frozen=True)
class Result:
    """What a board answers to an image: the body of `Kind.RESULT`.

    Parameters
    ----------
    wrong_length
        `m_axis_tuser` of the accelerator: the image had a wrong length.
    index
        The class.
    score
        The raw winning score.
    """

    wrong_length: bool
    index: int
    score: int

    # m_axis_tuser, then m_axis_tdata from its lowest byte.
    _LAYOUT = struct.Struct("<BIi")

    @classmethod
    def from_body(cls, body: bytes) -> Result | None:
        """The result in a body; None if it is of another length."""
        if len(body) != cls._LAYOUT.size:
            return None
        flags, index, score = cls._LAYOUT.unpack(body)
        return cls(bool(flags & 1), index, score)
