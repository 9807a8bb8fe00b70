"""A reader of the FST waveforms that Verilator writes: every change of every signal.

It shares no code with `systolith.sim.bulk.fst`. GTKWave's reader and Surfer's were seen to give the
same values.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

Changes = dict[str, list[tuple[int, int]]]
"""The changes of every signal, time and value, by its name with all scopes."""


@dataclass
class _Bytes:
    """Bytes that are read from the front."""

    data: bytes

    def take(self, count: int) -> bytes:
        taken, self.data = self.data[:count], self.data[count:]
        assert len(taken) == count
        return taken

    def text(self) -> str:
        taken, _, self.data = self.data.partition(b"\0")
        return taken.decode()

    def number(self, signed: bool = False) -> int:
        end = next(place for place, byte in enumerate(self.data) if byte < 128) + 1
        taken = self.take(end)
        value = sum((byte & 127) << 7 * place for place, byte in enumerate(taken))
        return value - (1 << 7 * end) if signed and taken[-1] & 64 else value


def read(path: Path) -> Changes:
    blocks = {}
    file = _Bytes(path.read_bytes())
    while file.data:
        kind = file.take(1)[0]
        assert kind not in blocks
        blocks[kind] = file.take(int.from_bytes(file.data[:8], "big"))[8:]
    # Header, geometry, hierarchy, values.
    assert set(blocks) == {0, 3, 6, 8}
    names, widths = _hierarchy(unpacked(blocks[6][8:], int.from_bytes(blocks[6][:8], "big")))
    values = _values(blocks[8], widths)
    return {name: values[handle] for name, handle in names.items()}


def _hierarchy(data: bytes) -> tuple[dict[str, int], list[int]]:
    """The handle of each name, and the width of each handle."""
    entries = _Bytes(data)
    scope: list[str] = []
    names, widths = {}, []
    while entries.data:
        kind = entries.take(1)[0]
        if kind == 254:
            entries.take(1)
            scope.append(entries.text())
            entries.text()
        elif kind == 255:
            scope.pop()
        elif kind == 252:
            entries.take(2)
            entries.text()
            entries.number()
        else:
            entries.take(1)
            name, width, alias = entries.text(), entries.number(), entries.number()
            if not alias:
                widths.append(width)
            names[".".join((*scope, name.replace(" ", "")))] = (alias or len(widths)) - 1
    return names, widths


def _values(block: bytes, widths: list[int]) -> list[list[tuple[int, int]]]:
    *_, size, packed, count = (
        int.from_bytes(block[place : place + 8], "big")
        for place in range(len(block) - 24, len(block), 8)
    )
    assert size == packed
    end = len(block) - 24 - packed
    deltas = _Bytes(block[end : end + packed])
    times = [deltas.number() for _ in range(count)]
    times = [sum(times[: place + 1]) for place in range(count)]
    table_size = int.from_bytes(block[end - 8 : end], "big")
    table = _Bytes(block[end - 8 - table_size : end - 8])
    front = _Bytes(block[24 : end - 8 - table_size])
    sizes = [front.number() for _ in range(3)]
    assert sizes[0] == sizes[1] and sizes[2] == len(widths)
    # Before the first change every bit is unknown.
    assert front.take(sizes[0]) == b"x" * sum(widths)
    assert front.number() == len(widths) and front.data[:1] == b"4"

    starts: list[int | None] = []
    aliases: dict[int, int] = {}
    place, alias = 0, 0
    while table.data:
        if table.data[0] & 1:
            value = table.number(signed=True) >> 1
            if value > 0:
                place += value
                starts.append(place)
            else:
                alias = value or alias
                aliases[len(starts)] = -alias - 1
                starts.append(None)
        else:
            starts += [None] * (table.number() >> 1)
    ends = [*sorted(start for start in starts if start is not None)[1:], len(front.data)]
    found: list[list[tuple[int, int]]] = []
    for handle, start in enumerate(starts):
        changes: list[tuple[int, int]] = []
        if start is not None:
            wave = _Bytes(front.data[start : next(end for end in ends if end > start)])
            size = wave.number()
            wave = _Bytes(unpacked(wave.data, size) if size else wave.data)
            changes = _changes(wave, widths[handle], times)
        found.append(changes)
    for handle, other in aliases.items():
        found[handle] = found[other]
    return found


def _changes(wave: _Bytes, width: int, times: list[int]) -> list[tuple[int, int]]:
    changes: list[tuple[int, int]] = []
    at = 0
    while wave.data:
        head = wave.number()
        assert not head & 1  # only 0 and 1
        if width == 1:
            at, value = at + (head >> 2), head >> 1 & 1
        else:
            count = -(-width // 8)
            at, value = at + (head >> 1), int.from_bytes(wave.take(count), "big")
            value >>= 8 * count - width
        changes.append((times[at], value))
    return changes


def unpacked(block: bytes, size: int) -> bytes:
    """The content of an LZ4 block, as its specification says."""
    rest, out = _Bytes(block), b""
    while True:
        token = rest.take(1)[0]
        out += rest.take(_length(rest, token >> 4))
        if not rest.data:
            assert len(out) == size
            return out
        distance = int.from_bytes(rest.take(2), "little")
        length = _length(rest, token & 15) + 4
        assert 0 < distance <= len(out)
        out += (out[-distance:] * -(-length // distance))[:length]


def _length(rest: _Bytes, length: int) -> int:
    more = 255 if length == 15 else 0
    while more == 255:
        more = rest.take(1)[0]
        length += more
    return length
