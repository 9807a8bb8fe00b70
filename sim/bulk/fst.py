"""FST waveforms as Verilator writes them: whether one is complete, and the signals it declares.

A file is a row of blocks, each with a byte for its type, its length in 8 bytes, and its content.
The header comes first and is written last. The names of all signals are in one block, compressed as
an LZ4 block.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from systolith.sim.errors import SimulationError

Scope = tuple[str, ...]

_HEADER, _HIERARCHY = 0, 6  # types of blocks
_HEADER_BYTES = 330
_DATE = slice(202, 228)
_SCOPE, _UPSCOPE, _ATTRIBUTE, _ATTRIBUTE_END = 254, 255, 252, 253  # entries that are no signals
_LEAST_MATCH = 4


def finish(path: Path) -> None:
    """Check that a waveform was written completely, and remove the date of its making.

    Raises
    ------
    SimulationError
        A part is missing, as on a full disk.
    """
    with path.open("r+b") as file:
        kinds = [kind for kind, _ in _blocks(file)]
        if kinds[:1] != [_HEADER] or _HIERARCHY not in kinds:
            raise SimulationError(f"writing {path.name}: the file could not be written completely")
        file.seek(_DATE.start)
        file.write(bytes(_DATE.stop - _DATE.start))


def declarations(path: Path) -> Iterator[tuple[Scope, str, str]]:
    """The signals that a waveform declares: scope, name, and the range of bits as `[7:0]` or ``."""
    with path.open("rb") as file:
        length = next(length for kind, length in _blocks(file) if kind == _HIERARCHY)
        content = file.read(length)
    entries = _decompressed(content[8:])
    scope: list[str] = []
    at = 0
    while at < len(entries):
        kind = entries[at]
        if kind == _SCOPE:
            name, at = _text(entries, at + 2)
            _, at = _text(entries, at)
            scope.append(name)
        elif kind == _UPSCOPE:
            scope.pop()
            at += 1
        elif kind == _ATTRIBUTE:
            _, at = _text(entries, at + 3)
            at = _after_number(entries, at)
        elif kind == _ATTRIBUTE_END:
            at += 1
        else:
            text, at = _text(entries, at + 2)
            at = _after_number(entries, _after_number(entries, at))
            name, _, bits = text.partition(" ")
            yield tuple(scope), name, bits


def _blocks(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """The type and the length of each block, the file at its content; ends where one is cut off."""
    size = file.seek(0, os.SEEK_END)
    start = 0
    while start < size:
        file.seek(start)
        head = file.read(9)
        length = int.from_bytes(head[1:], "big")
        after = start + 1 + length
        if length < 8 or after > size or (start == 0 and after != _HEADER_BYTES):
            return
        yield head[0], length - 8
        start = after


def _text(entries: bytes, at: int) -> tuple[str, int]:
    """The text that ends with a zero byte, and the place after it."""
    end = entries.index(0, at)
    return entries[at:end].decode(), end + 1


def _after_number(entries: bytes, at: int) -> int:
    """The place after a number: seven bits a byte, the last byte below 128."""
    while entries[at] >= 128:
        at += 1
    return at + 1


def _decompressed(block: bytes) -> bytes:
    """The content of an LZ4 block: runs of literals, each followed by a match but the last one."""
    out = bytearray()
    at = 0
    while True:
        token = block[at]
        count, at = _length(block, at + 1, token >> 4)
        out += block[at : at + count]
        at += count
        if at >= len(block):
            return bytes(out)
        distance = int.from_bytes(block[at : at + 2], "little")
        count, at = _length(block, at + 2, token & 15)
        for _ in range(count + _LEAST_MATCH):
            out.append(out[-distance])


def _length(block: bytes, at: int, count: int) -> tuple[int, int]:
    """A length whose first 15 are in the token: bytes follow until one is below 255."""
    if count == 15:
        while block[at] == 255:
            count += 255
            at += 1
        count += block[at]
        at += 1
    return count, at
